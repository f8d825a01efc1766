"""The blocks of a tutorial run, in order, in one folder."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
LONGEST = 15 * 60  # seconds, as the tutorial says


def blocks(page):
    """(language, text) of every block; a TOML block is a file if its first line says which."""
    return re.findall(r"```(\w+)\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_blocks_are_found():
    languages = [language for language, _ in blocks("own-benchmark.md")]
    assert (languages.count("python"), languages.count("bash"), languages.count("toml")) == (2, 5, 4)


@pytest.mark.slow
def test_own_benchmark(tmp_path):
    environment = {
        **os.environ,
        "NASBENCH_EVS_HOME": str(tmp_path / "home"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    folder = tmp_path / "folder"
    folder.mkdir()
    began, said = time.monotonic(), ""
    for language, text in blocks("own-benchmark.md"):
        name = re.match(r"# (\S+\.toml)\n", text)
        if language == "toml":
            if name:
                (folder / name[1]).write_text(text)
            continue
        command = [sys.executable, "-W", "error", "-c"] if language == "python" else ["bash", "-euc"]
        done = subprocess.run([*command, text], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        said += done.stdout
    assert time.monotonic() - began < LONGEST
    assert re.search(r"clients +ffn-2 +400 +20 +12 .* own", said)
    card = (folder / "card" / "clients.md").read_text()
    assert "20 trainings of 12 architectures of the space ffn" in card
    assert "Made by `nasbench-evs table card clients.h5 --out card`" in card
    assert "datasets/" not in card  # it names nothing of ours
    assert "clients" in (folder / "compare" / "results.md").read_text()
