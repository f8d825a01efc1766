"""The blocks of a guide run, in their order, in one folder, as a reader would run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"


def blocks(name):
    return re.findall(r"```(\w+)\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)


def run(text, language, folder):
    """A block that begins with the name of a file is that file; the others are run."""
    named = re.match(r"# (\w+\.py)\n", text)
    if named:
        (folder / named[1]).write_text(text, encoding="utf-8")
        return ""
    command = {"bash": ["bash", "-euc", text], "python": [sys.executable, "-c", text]}[language]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_blocks_of_compare(tmp_path):
    for language, text in blocks("compare.md")[:3]:
        shown = run(text, language, tmp_path)
    assert len(shown.split()) == 2  # an architecture and its regret


@pytest.mark.slow
def test_compare_ends_with_the_readers_searcher_on_the_page(tmp_path):
    shown = [run(text, language, tmp_path) for language, text in blocks("compare.md") if language != "text"]
    assert "Smallest difference" in shown[3]
    assert shown[-1].count("| my_searcher:MySearcher |") >= 3
    assert "less random" in (tmp_path / "mine" / "results.md").read_text()
