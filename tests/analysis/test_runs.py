"""What is kept of runs: one file that is read as it was written, and a journal."""

import contextlib
import json
import lzma
import math
import os
import sqlite3

import pandas as pd
import pytest
from click.testing import CliRunner

from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.runs import JOURNAL, RESULTS, Journal, Point, Run, read_results, select_runs, write_results
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
    with pytest.raises(OutputError, match="it holds no results of this version"):
        read_results(packed(tmp_path / "other", text))
    damaged = tmp_path / RESULTS
    write_results(KEPT, damaged)
    damaged.write_bytes(damaged.read_bytes()[:-40])
    with pytest.raises(OutputError, match="it is damaged .*, expected results of this version"):
        read_results(damaged)


HEADER = "benchmark,searcher,regime,seed,settings,own_seconds,evaluations,seconds,rank,seen,clean,noisy,transfer"
ROW = "b,s,noisy,0,0123,0.25,1,0.5,7,0.1,0.2,0.3,0.4"


def packed(path, text):
    """A file of results with this text in it."""
    path.write_bytes(lzma.compress(text.encode("utf-8", "surrogateescape")))
    return path


GOOD = f"{HEADER}\n{ROW}\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",7,", ",-7,", "s on b: point 1 of seed 0: rank -7"),
        (",7,", ",184467440737095516160,", "point 1 of seed 0: rank 184467440737095516160"),
        (",7,", ",7.5,", "row 2: rank is '7.5', expected a number"),
        (",7,", "," + "7" * 5000 + ",", "row 2: rank is '7777"),
        ("noisy,0", "loud,0", "regime 'loud', expected one of clean, noisy, transfer"),
        ("0.5", "-0.5", "-0.5 s"),
        ("0.3", "inf", "point 1 of seed 0: noisy"),
        ("0.25", "-1", "own_seconds -1"),
        (f"{ROW}\n", f"{ROW}\n{ROW}\n{ROW.replace(',1,', ',0.5,')}\n", "evaluations 0.5 after 1"),
        (f"{ROW}\n", f"{ROW.replace(',1,', ',,')}\n{ROW}\n", "evaluations nan after 0"),
        ("0.4", "0.4,9", "row 2 has 14 cells, expected 13"),
        ("\nb,", '\n"b,', "holds no results"),
        ("\nb,", "\n" + "b" * 200_000 + ",", "field larger than field limit"),
        ("\nb,", "\n\0b,", "it has a NUL"),
        ("\nb,", "\n\udc80,", "'utf-8' codec"),
        (GOOD, "," * 100_000, "its columns are"),
        (GOOD, "x" * (40 << 20), "unpacks to more than"),
    ],
    ids=range(17),
)
def test_results_that_no_search_can_have(tmp_path, old, new, message):
    with pytest.raises(OutputError) as caught:
        read_results(packed(tmp_path / RESULTS, GOOD.replace(old, new)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).endswith("move it away, or choose another --out")


RUN = ["b", "s", "noisy", 0, "0123", 0.25, [[1.0, 0.5, 7, 0.1, 0.2, 0.3, 0.4]]]


@pytest.mark.parametrize(
    "run",
    [
        "null", "5", "[]", '"text"', "{}", "nothing", "[" * 10_000 + "]" * 10_000, json.dumps(RUN[:-1]),
        json.dumps([*RUN[:-1], []]), json.dumps([*RUN[:-1], [[1.0]]]), json.dumps([*RUN[:-1], [None]]),
        json.dumps([5, *RUN[1:]]), json.dumps([*RUN[:2], "loud", *RUN[3:]]), json.dumps([*RUN[:3], -1, *RUN[4:]]),
        json.dumps([*RUN[:3], 0.5, *RUN[4:]]), json.dumps([*RUN[:5], math.inf, RUN[6]]),
        json.dumps([*RUN[:6], [[1.0, 0.5, 10**400, 0.1, 0.2, 0.3, 0.4]]]),
        json.dumps([*RUN[:6], [[1.0, 0.5, 7, 0.1, -math.inf, 0.3, 0.4]]]),
    ],
    ids=range(18),
)  # fmt: skip
def test_journals_of_what_no_search_can_have(tmp_path, run):
    path = tmp_path / JOURNAL
    with Journal(path) as journal:
        journal.write(KEPT[0])
        assert repr(journal.read()) == repr(KEPT[:1])
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO searches VALUES (?)", (run,))
        db.commit()
    with Journal(path) as journal, pytest.raises(OutputError, match="journal.sqlite is damaged .search 2: ") as caught:
        journal.read()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [JOURNAL, RESULTS])
def test_pipes_folders_and_devices(tmp_path, name):
    def read(path):
        if name == RESULTS:
            return read_results(path)
        with Journal(path) as journal:
            return journal.read()

    for make in (os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)):
        path = tmp_path / make.__name__.strip("<>") / name
        path.parent.mkdir()
        make(path)
        with pytest.raises(OutputError, match=r"cannot open .*: it is a (folder|pipe or a device), expected a file"):
            read(path)


def test_a_journal_that_does_something_when_it_is_written(tmp_path):
    with Journal(tmp_path / JOURNAL) as journal:
        journal.write(KEPT[0])
    with contextlib.closing(sqlite3.connect(tmp_path / JOURNAL)) as db:
        db.execute("CREATE TRIGGER t AFTER INSERT ON searches BEGIN DELETE FROM searches; END")
    with pytest.raises(OutputError, match="is not the journal of an experiment"):
        Journal(tmp_path / JOURNAL)


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
