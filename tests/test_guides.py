"""Every code block of the guides in docs/ runs, those of one guide in their order and in one folder."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nasbench_evs.datasets.custom import KEYS, Columns

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BLOCKS = {
    path.stem: re.findall(
        r"^```(python|bash|toml)\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    for path in sorted(DOCS.glob("*.md"))
}
OWN_TESTS = {"compare", "own-benchmark"}  # which take more than some seconds
NEEDS = {"ConfigSpace": "configspace", "syne_tune": "syne-tune"}  # what a block may use -> the extra that has it


def environment(folder):
    return {
        **os.environ,
        "NASBENCH_EVS_HOME": str(folder / "home"),
        "SYNETUNE_FOLDER": str(folder / "syne-tune"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def run(guide, folder):
    """What the blocks of a guide print, and which extras those that were left out need."""
    for name in ("datasets", "generators", "analysis"):
        (folder / name).symlink_to(ROOT / name)
    said, left_out = "", set()
    for language, text in BLOCKS[guide]:
        used = {module for module in NEEDS if re.search(rf"^(from|import) {module}\b", text, re.MULTILINE)}
        needed = {NEEDS[module] for module in used if importlib.util.find_spec(module) is None}
        left_out |= needed
        if needed:
            continue
        if named := re.match(r"# (\S+\.(toml|py))\n", text):  # a block that begins with the name of a file is that file
            (folder / named[1]).write_text(text, encoding="utf-8")
        elif language != "toml":  # one without a name is a part of a file, to look at
            command = ["bash", "-euc", text] if language == "bash" else [sys.executable, "-W", "error", "-c", text]
            done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)
            assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            said += done.stdout
    return said, left_out


@pytest.mark.slow
@pytest.mark.parametrize("guide", [name for name, blocks in BLOCKS.items() if blocks and name not in OWN_TESTS])
def test_a_guide_runs(guide, tmp_path):
    _, left_out = run(guide, tmp_path)
    if left_out:
        pytest.skip(f"blocks that need the extra {', '.join(sorted(left_out))} were left out")


@pytest.mark.slow
def test_comparing_ends_with_the_readers_searcher_on_the_page(tmp_path):
    run("compare", tmp_path)
    page = (tmp_path / "mine" / "results.md").read_text(encoding="utf-8")
    assert page.count("| my_searcher:MySearcher |") >= 3
    assert "less random" in page
    assert "my_searcher:MySearcher" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_recording_ends_with_a_benchmark_that_has_a_name(tmp_path):
    said, _ = run("own-benchmark", tmp_path)
    assert re.search(r"clients +ffn-2 +400 +20 +12 .* own", said)
    card = (tmp_path / "card" / "clients.md").read_text()
    assert "20 trainings of 12 architectures of the space ffn" in card
    assert "Made by `nasbench-evs table card clients.h5 --out card`" in card


def test_the_schema_has_every_key(tmp_path):
    (text,) = [text for language, text in BLOCKS["sequences"] if language == "toml"]
    (tmp_path / "schema.toml").write_text(text)
    columns = Columns.read(tmp_path / "schema.toml")
    assert set(tomllib.loads(text)) == set(KEYS)
    assert columns.profile == ("age", "city")


def test_every_page_is_in_the_site():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([\w-]+)$", index, re.MULTILINE))
    assert {path.stem for path in DOCS.glob("*.md")} - {"index"} == listed
