"""Ctrl-C at any moment of a command: one line, exit code 130, no process and nothing half-written left."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# The command says when it begins: before that, Ctrl-C is Python's own affair.
COMMAND = [
    sys.executable,
    "-c",
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from nasbench_evs.cli import main; "
    "print('begun', flush=True); sys.argv[0] = 'nasbench-evs'; main()",
]
EXPERIMENT = """
regime = "noisy"
seeds = 40
budget = 2000
searchers = ["evolution"]
[[benchmark]]
name = "digits"
source = "table"
"""
RECIPE = """
dataset = "synthetic"
subset = 200
space = "seqnas"
[protocol]
epochs = 2
batch_size = 64
embedding = 3
channels = 1
hidden = 4
[plan]
random = 500
"""
pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")


@pytest.fixture
def commands(tmp_path, home):
    """Arguments of each, long enough to be interrupted."""
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    return {
        "query": ["query", "digits", "--random", "40"],
        "generate": ["generate", tmp_path / "recipe.toml", "--out", tmp_path / "out", "--workers", "2"],
        "search": ["search", "bananas", "digits", "--budget", "400", "--seeds", "9", "--out", tmp_path / "out"],
        "experiment": ["experiment", tmp_path / "experiment.toml", "--out", tmp_path / "out", "--processes", "2"],
        "fit": ["surrogate", "fit", "digits", "--out", tmp_path / "out"],
    }


def interrupted(arguments, seconds, folder, sent=signal.SIGINT):
    """Interrupt the command and all its processes, as a terminal does, so many seconds after it began; False if it has ended."""
    command = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert command.stdout.readline() == "begun\n"
    time.sleep(seconds)
    ended = command.poll() is not None
    if not ended:
        os.killpg(command.pid, sent)
    _, errors = command.communicate(timeout=120)
    lines = [line for line in errors.splitlines() if line.strip()]
    assert "Traceback" not in errors, errors
    if command.returncode != 0:  # else it was done
        assert command.returncode == 128 + sent, errors
        assert lines[-1].startswith("error: interrupted"), errors
        assert sum(line.startswith("error:") for line in lines) == 1, errors
    patience = time.monotonic() + 10  # what watches over shared resources ends when it sees that the others have
    while members(command.pid) and time.monotonic() < patience:
        time.sleep(0.05)
    assert members(command.pid) == []
    assert not [path for path in folder.rglob(".*") if path.name.startswith(".out")]
    return not ended


def members(session):
    """Processes of a session that are still there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, owner = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(owner) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [0.01, 0.02, 0.1])  # sooner it may be before the first line of ours
def test_at_the_beginning_it_is_one_line(seconds, sent, commands, tmp_path):
    assert interrupted(commands["query"], seconds, tmp_path, sent)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_while_torch_is_imported(sent, commands, tmp_path):
    assert interrupted(commands["generate"], 0.6, tmp_path, sent)


WITHIN_AN_IMPORT = """
import signal, sys
from nasbench_evs.cli import interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)
interrupt._PATIENCE = 0.5
with interrupt.Interrupt():
    try:
        import interrupted
        for _ in range(10**9):
            pass
    except KeyboardInterrupt:
        print("stopped", *getattr(sys.modules.get("interrupted"), "done", []))
"""


@pytest.mark.parametrize(
    ("then", "said"),
    [("done.append('whole')", "stopped whole"), ("while True: pass", "stopped")],
    ids=["ends", "never ends"],
)
def test_what_is_imported_comes_first_unless_it_never_ends(tmp_path, then, said):
    (tmp_path / "interrupted.py").write_text(f"import signal\ndone = []\nsignal.raise_signal(signal.SIGINT)\n{then}\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    ended = subprocess.run(
        [sys.executable, "-c", WITHIN_AN_IMPORT], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (ended.stdout.strip(), ended.stderr) == (said, "")


def test_catboost_takes_its_data_over_first():
    """It asks numpy for types on the way, in C++ that does not survive an exception."""
    code = (
        "import signal\nimport numpy as np\nfrom catboost import CatBoostRegressor\n"
        "from nasbench_evs.cli.interrupt import Interrupt\nasked = np.issubdtype\n"
        "def issubdtype(*types):\n    np.issubdtype = asked\n    signal.raise_signal(signal.SIGTERM)\n"
        "    return asked(*types)\n"
        "model = CatBoostRegressor(iterations=10**6, thread_count=1, verbose=False, allow_writing_files=False)\n"
        "x = np.arange(400, dtype=float).reshape(100, 4)\n"
        "with Interrupt() as interrupt:\n    try:\n        np.issubdtype = issubdtype\n        model.fit(x, x[:, 0] % 7)\n"
        "    except KeyboardInterrupt:\n        print('stopped', interrupt.number)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (ended.stdout.strip(), ended.stderr) == (f"stopped {int(signal.SIGTERM)}", "")


def test_the_first_spawned_process_hears_no_interrupt():
    """Python's resource tracker, which starts with it, unblocks SIGINT then."""
    code = (
        "import signal\nfrom multiprocessing import resource_tracker\nfrom nasbench_evs.processes import ignoring_interrupts\n"
        "with ignoring_interrupts():\n    resource_tracker.ensure_running()\n"
        "    print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "True\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["query", "generate", "search", "experiment", "fit"])
def test_at_any_moment_it_is_one_line(name, commands, tmp_path):
    for i in range(25):
        # As a scheduler does it every third time.
        interrupted(commands[name], 0.003 * 1.35**i, tmp_path, signal.SIGTERM if i % 3 == 0 else signal.SIGINT)
        out = tmp_path / "out"  # there where it was done before
        out.unlink(missing_ok=True) if out.is_file() else shutil.rmtree(out, ignore_errors=True)
