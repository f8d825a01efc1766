"""The page as a file: one, whole, small enough, and what is in it cannot get out."""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from nasbench_evs.analysis.explorer import page as module
from nasbench_evs.analysis.explorer.data import table_data
from nasbench_evs.analysis.explorer.page import MOST_BYTES, fitted, write_page
from nasbench_evs.benchmark import find_table
from nasbench_evs.cli import cli
from nasbench_evs.errors import InvalidQuery, UnknownBenchmark
from tests.analysis.explorer.conftest import HOSTILE

BLOCK = re.compile(r"<script( [^>]*)?>(.*?)</script>", re.DOTALL)


def blocks(text):
    """The data blocks of a page by their names, and its scripts."""
    data, scripts = {}, []
    for attributes, content in BLOCK.findall(text):
        if "application/json" in attributes:
            data[re.search(r'id="([^"]+)"', attributes)[1]] = json.loads(content)
        else:
            scripts.append(content)
    return data, scripts


def test_the_data_comes_back_whatever_text_is_in_it(explored):
    data, _ = blocks(explored.path.read_text(encoding="utf-8"))
    assert list(data) == ["overview", "table-0", "table-1", "table-2"]
    assert [data[f"table-{i}"] for i in range(3)] == list(explored.tables.values())
    assert data["overview"]["leaderboard"] == explored.board
    assert data["table-2"]["dataset"] == HOSTILE
    assert HOSTILE in data["overview"]["leaderboard"]["regimes"][0]["searchers"]


def test_nothing_but_its_own_scripts_may_run_and_nothing_is_fetched(explored):
    text = explored.path.read_text(encoding="utf-8")
    policy = html.unescape(re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1])
    _, scripts = blocks(text)
    assert len(scripts) == 4
    for script in scripts:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2]
    assert HOSTILE not in text


def test_vendored_scripts_come_with_their_licences():
    folder = Path(module.__file__).parent / "assets" / "vendor"
    licences = (folder / "LICENSES.txt").read_text()
    scripts = sorted(path.name for path in folder.glob("*.js"))
    assert scripts == ["d3.min.js", "plot.umd.min.js"]
    for name in scripts:
        assert f"({name})" in licences
        version = re.search(r"v(\d+\.\d+\.\d+)", (folder / name).read_text(encoding="utf-8")[:100])[1]
        assert f" {version} ({name})" in licences


def test_what_does_not_fit_is_left_out_and_said_or_refused():
    table = table_data("bpic2012/seqnas", find_table("bpic2012"))
    whole, left_out = fitted([table], None)
    assert left_out == []
    size = len(whole.encode())
    smaller, left_out = fitted([table], None, most=size)
    assert [text.split(" are")[0] for text in left_out] == ["The figures of the cards"]
    data, _ = blocks(smaller)
    assert data["overview"]["left_out"] == left_out
    assert data["table-0"]["cards"]["figures"] == {}
    assert data["table-0"]["records"] == table["records"]
    smallest, left_out = fitted([table], None, most=len(smaller.encode()))
    assert [text.split(" are")[0] for text in left_out] == ["The figures of the cards", "The learning curves"]
    with pytest.raises(InvalidQuery, match=r"the page would have [\d,]+ bytes with 1 tables, .*name fewer benchmarks"):
        fitted([table], None, most=len(smallest.encode()))
    assert table["cards"]["figures"]


def test_nothing_is_written_when_something_is_wrong(tmp_path):
    with pytest.raises(UnknownBenchmark):
        write_page(["digits", "nowhere"], None, tmp_path / "page.html")
    with pytest.raises(InvalidQuery):
        write_page(["digits"], tmp_path / "nowhere", tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path):
    out = tmp_path / "page.html"
    answer = CliRunner().invoke(cli, ["explore", "digits", "--out", str(out)], catch_exceptions=False)
    assert answer.exit_code == 0
    assert answer.stdout == f"{out}\n"
    assert f"written to {out}" in answer.stderr
    assert out.stat().st_size < MOST_BYTES
    again = CliRunner().invoke(cli, ["explore", "digits", "--out", str(out)])
    assert again.exit_code != 0
    assert "--force" in str(again.exception)


@pytest.mark.slow
def test_all_that_ships_fits(tmp_path):
    write_page([], None, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < MOST_BYTES
