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
SLOW = {"own-benchmark"}  # more than some seconds; what "compare" ends with has a test of its own
NEEDS = {"ConfigSpace": "configspace", "syne_tune": "syne-tune"}  # what a block may use -> the extra that has it


def environment(folder):
    return {
        **os.environ,
        "NASBENCH_EVS_HOME": str(folder / "home"),
        "SYNETUNE_FOLDER": str(folder / "syne-tune"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def guides():
    """The guides that have blocks; the slow ones are marked."""
    for name, blocks in BLOCKS.items():
        if blocks and name != "compare":
            yield pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])


@pytest.mark.parametrize("guide", [*guides()])
def test_a_guide_runs(guide, tmp_path):
    for folder in ("datasets", "generators", "analysis"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    left_out = set()
    for language, text in BLOCKS[guide]:
        needed = {extra for module, extra in NEEDS.items() if re.search(rf"^(from|import) {module}\b", text, re.MULTILINE)
                  and importlib.util.find_spec(module) is None}  # fmt: skip
        left_out |= needed
        if needed:
            continue
        if named := re.match(r"# (\S+\.(toml|py))\n", text):  # a block that begins with the name of a file is that file
            (tmp_path / named[1]).write_text(text, encoding="utf-8")
            continue
        command = ["bash", "-euc", text] if language == "bash" else [sys.executable, "-W", "error", "-c", text]
        done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    if left_out:
        pytest.skip(f"blocks that need the extra {', '.join(sorted(left_out))} were left out")


@pytest.mark.slow
def test_comparing_ends_with_the_readers_searcher_on_the_page(tmp_path):
    test_a_guide_runs("compare", tmp_path)
    page = (tmp_path / "mine" / "results.md").read_text(encoding="utf-8")
    assert page.count("| my_searcher:MySearcher |") >= 3
    assert "less random" in page


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
