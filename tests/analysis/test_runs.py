"""What a journal keeps, and the frame of all evaluations."""

import sqlite3

import pytest
from click.testing import CliRunner

from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.runs import tidy
from nasbench_evs.cli import cli
from nasbench_evs.errors import NasbenchError
from tests.analysis.conftest import FILE


def test_one_row_for_each_evaluation(file, tmp_path, in_this_process):
    experiment = read_experiment(file)
    runs = run_experiment(experiment, tmp_path / "out")
    assert len(runs) == 3 * 3 * 4
    frame = tidy(runs)
    sizes = frame.groupby(["benchmark", "searcher", "seed"]).size()
    assert set(sizes["age surrogate"]) == {8}
    assert set(sizes["digits table params <= 20,000"]) == {12}
    # The incumbent is the best seen, and its true score is that of a query without a seed.
    one = frame[(frame.benchmark == "bpic2012 table") & (frame.searcher == "young") & (frame.seed == 2)]
    bench = experiment.benchmarks[0].load()
    best = one.loc[one.value.idxmax()]
    assert one.test.iloc[-1] == pytest.approx(
        bench.query(bench.space.unrank(int(best["rank"])), split="test").value, abs=1e-6
    )


def test_a_damaged_journal(file, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "journal.sqlite").write_bytes(b"no database" * 100)
    answer = CliRunner().invoke(cli, ["experiment", str(file)])
    assert isinstance(answer.exception, NasbenchError)
    assert "journal" in str(answer.exception)
    missing = CliRunner().invoke(cli, ["experiment", str(tmp_path / "none.toml")])
    assert "no experiment file" in str(missing.exception)


def test_a_journal_of_another_experiment_adds_nothing(file, tmp_path, in_this_process):
    experiment = read_experiment(file)
    run_experiment(experiment, tmp_path / "out")
    file.write_text(FILE.replace("budget = 12", "budget = 13"))
    run_experiment(read_experiment(file), tmp_path / "out")
    with sqlite3.connect(tmp_path / "out" / "journal.sqlite") as journal:
        assert journal.execute("SELECT count(*) FROM runs").fetchone()[0] == 36 + 18
