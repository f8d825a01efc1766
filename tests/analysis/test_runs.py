"""What is kept of runs: one file that is read as it was written, and a journal."""

import math

import pandas as pd
import pytest
from click.testing import CliRunner

from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.runs import JOURNAL, RESULTS, Point, Run, read_results, select_runs, write_results
from nasbench_evs.cli import cli
from nasbench_evs.errors import NasbenchError, OutputError
from tests.analysis.conftest import FILE, RUNS

NAN = math.nan
KEPT = [
    Run("b, with a comma", "NaN", "noisy", 0, "0123", 0.25, [
        Point(1.0, 0.5, 10**18 + 1, 0.1234567, NAN, 1e-9, 0.7), Point(2.333333, 3.0, 7, 0.2, 0.1, 0.2, 0.3),
        Point(NAN, NAN, 3, 0.1, 0.1, 0.2, 0.3),
    ]),
    Run("b, with a comma", "NaN", "clean", 0, "0123", 0.0, [Point(5.0, NAN, -1, NAN, NAN, NAN, NAN)]),
]  # fmt: skip


def test_results_are_read_as_they_were_written(tmp_path):
    write_results(KEPT, tmp_path / RESULTS)
    found = read_results(tmp_path / RESULTS)
    assert repr(found) == repr(KEPT)
    assert found[0].answer.rank == 3
    assert [point.evaluations for point in found[0].curve] == [1.0, 2.333333]
    frame = pd.read_csv(tmp_path / RESULTS)
    assert len(frame) == 4
    assert read_results(tmp_path / "none") == []


@pytest.mark.parametrize("text", ["", "hello\nworld\n", "benchmark,searcher,seed\na,b,0\n"])
def test_results_of_something_else(tmp_path, text):
    path = tmp_path / "results.csv"
    path.write_text(text)
    with pytest.raises(OutputError, match="holds no results of this version"):
        read_results(path)
    damaged = tmp_path / RESULTS
    write_results(KEPT, damaged)
    damaged.write_bytes(damaged.read_bytes()[:-40])
    with pytest.raises(OutputError, match="holds no results of this version"):
        read_results(damaged)


def test_a_damaged_journal(file, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / JOURNAL).write_bytes(b"no database" * 100)
    answer = CliRunner().invoke(cli, ["experiment", str(file)])
    assert isinstance(answer.exception, NasbenchError)
    assert "journal" in str(answer.exception)
    missing = CliRunner().invoke(cli, ["experiment", str(tmp_path / "none.toml")])
    assert "no experiment file" in str(missing.exception)
    nothing = CliRunner().invoke(cli, ["experiment", str(file), "--report-only", "--out", str(tmp_path / "new")])
    assert "without --report-only first" in str(nothing.exception)


def test_runs_of_another_experiment_are_left_out(file, tmp_path, in_this_process):
    runs = run_experiment(read_experiment(file), tmp_path / "out")
    assert len(runs) == RUNS
    file.write_text(FILE.replace("budget = 12", "budget = 13"))
    assert len(select_runs(read_experiment(file), runs.values())) == RUNS - 3 * 3 * 2 * 2
