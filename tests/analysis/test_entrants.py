"""A searcher of one's own beside the results of a suite."""

import tomllib

import pandas as pd
import pytest
from click.testing import CliRunner

from nasbench_evs import locations
from nasbench_evs.analysis import experiment as module
from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.entrants import FILE, baselines, experiment_file, write_file
from nasbench_evs.cli import cli
from nasbench_evs.errors import InvalidQuery, OutputError

OWN = "from nasbench_evs.search.random import RandomSearch\nclass Mine(RandomSearch):\n    pass\n"
SUITE = """
seeds = 3
budget = 6
searchers = ["random", "evolution"]
[[benchmark]]
name = "landscape:nk-1"
[[benchmark]]
name = "landscape:nk-3"
"""


@pytest.fixture
def suite(tmp_path, in_this_process, monkeypatch):
    """A suite whose results are there, and a searcher of one's own in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    (tmp_path / "suite.toml").write_text(SUITE)
    (tmp_path / "entrant.py").write_text(OWN)
    call("suite.toml")
    (tmp_path / "suite" / "journal.sqlite").unlink()
    return tmp_path


def call(*arguments):
    done = CliRunner().invoke(cli, ["experiment", *arguments, *(["--processes", "1"])])
    if done.exception:
        raise done.exception
    return done


def test_only_the_own_searcher_runs_and_stands_among_the_others(suite, monkeypatch):
    ran, real = [], module.search_once
    monkeypatch.setattr(module, "search_once", lambda *args: ran.append(args[0].searcher.label) or real(*args))
    call("suite.toml", "--searcher", "entrant.py:Mine", "--out", "mine")
    assert ran == ["entrant.py:Mine"] * 6
    page = (suite / "mine" / "results.md").read_text()
    assert "--searcher entrant.py:Mine" in page
    assert "| less random |" in page.replace("| searcher | less random", "| less random")
    assert page.count("| entrant.py:Mine | ") >= 2
    rows = pd.read_csv(suite / "mine" / "results.csv.xz")
    assert set(rows.searcher) == {"random", "evolution", "entrant.py:Mine"}
    theirs = pd.read_csv(suite / "suite" / "results.csv.xz")
    pd.testing.assert_frame_equal(rows[rows.searcher != "entrant.py:Mine"].reset_index(drop=True), theirs)
    # Again: nothing is run, also where only the results are left.
    (suite / "mine" / "journal.sqlite").unlink()
    call("suite.toml", "--searcher", "entrant.py:Mine", "--out", "mine")
    call("suite.toml", "--searcher", "entrant.py:Mine", "--out", "mine", "--report-only")
    assert len(ran) == 6
    # Another code is another searcher.
    (suite / "entrant.py").write_text(OWN + "    other = 1\n")
    call("suite.toml", "--searcher", "entrant.py:Mine", "--out", "mine")
    assert len(ran) == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("suite.toml", "--searcher", "entrant:Mine"), "name another folder with --out"),
        (("suite.toml", "--searcher", "random", "--out", "mine"), "two searchers are called 'random'"),
        (("suite.toml", "--searcher", "randm", "--out", "mine"), "unknown searcher 'randm'.*did you mean 'random'"),
        (("suite.toml", "--searcher", "entrant:Mime", "--out", "mine"), "no class 'Mime'; did you mean 'Mine'"),
        (("suite.toml", "--searcher", "entrants_:Mine", "--out", "mine"), "cannot be imported.*in the current folder"),
        (("suite-2",), "no experiment 'suite-2': .*did you mean 'suite-1'"),
    ],
)
def test_mistakes_are_one_line(suite, arguments, message):
    with pytest.raises((InvalidQuery, OutputError), match=message) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    assert not (suite / "mine" / "results.csv.xz").exists()


def test_a_suite_without_all_its_results(suite):
    (suite / "suite.toml").write_text(SUITE.replace("seeds = 3", "seeds = 4"))
    with pytest.raises(OutputError, match=r"lacks 4 of 16 searches \(random on landscape:nk-1, seed 3\)"):
        call("suite.toml", "--searcher", "entrant:Mine", "--out", "mine")
    (suite / "suite" / "results.csv.xz").unlink()
    with pytest.raises(OutputError, match="which the other searchers are taken from: run the experiment first"):
        call("suite.toml", "--searcher", "entrant:Mine", "--out", "mine")


def test_shipped_suites_are_found_by_name_with_their_results():
    path = experiment_file(locations.Path("development"))
    assert path == locations.shipped("analysis") / "development.toml"
    experiment = read_experiment(path)
    found = baselines(experiment, path.with_suffix(""))
    assert {each.searcher for each in found} == {each.label for each in experiment.searchers}
    assert {"suite-1", "development"} <= set(locations.shipped_suites())


def test_a_folder_elsewhere_gets_the_file_with_the_entrants(tmp_path):
    (tmp_path / "suite.toml").write_text(SUITE)
    write_file(tmp_path / "suite.toml", ["entrant:Mine", 'a "b":C'], tmp_path)
    written = (tmp_path / FILE).read_text(encoding="utf-8")
    assert written.startswith(SUITE)
    assert tomllib.loads(written)["searcher"] == [{"name": "entrant:Mine"}, {"name": 'a "b":C'}]
