"""Every snippet of the README runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import IN_CI

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SETUP = [text for language, text in BLOCKS if language == "bash" and "pip install" in text]


def test_the_blocks_are_found():
    assert {language for language, _ in BLOCKS} == {"python", "bash"}
    assert len(PYTHON) >= 2
    assert len(SETUP) == 2


@pytest.mark.parametrize("code", PYTHON)
def test_python_snippets(code, tmp_path):
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=tmp_path)


def test_the_example_has_about_15_lines():
    assert len([line for line in PYTHON[0].splitlines() if line.strip()]) <= 15


def test_ci_runs_the_second_command_word_for_word():
    line = re.search(r"grep -m1 -E \"(.*?)\" README.md", (ROOT / ".ci" / "run").read_text())[1]
    found = [text for text in README.splitlines() if re.search(line, text)]
    assert found == [SETUP[1].strip()]


@pytest.mark.slow
@pytest.mark.skipif(not IN_CI, reason="installs packages from the network: run by CI")
def test_the_first_command_on_a_fresh_clone(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    done = subprocess.run(["bash", "-euc", SETUP[0]], cwd=clone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"--arch (\S+)", SETUP[0])[1] in done.stdout
    assert " table " in done.stdout
    # Outside the clone the installed wheel answers by itself, with what it carries.
    code = "import nasbench_evs as nb; print(len(nb.benchmarks()), sum(nb.benchmarks().surrogate))"
    python = clone / ".venv" / "bin" / "python"
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    tables, surrogates = (len(list(ROOT.glob(each))) for each in ("datasets/*/*.h5", "surrogate/*/*/surrogate.json"))
    assert surrogates >= 10  # a table that is being recorded has none yet
    assert done.stdout.split() == [str(tables), str(surrogates)]
