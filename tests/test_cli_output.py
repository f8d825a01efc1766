"""What commands print: tables that fit the terminal, lines of progress without one, how to go on."""

import os
import shutil
import sys

import pytest

from nasbench_evs import cli, progress
from nasbench_evs.cli.output import print_rows, resumable
from nasbench_evs.progress import Lines
from tests.test_cli import DIGITS, run

ROWS = [{"name": f"dataset-{i}", "records": i * 1000, "a long heading": 0.5, "another": "x" * 20} for i in (1, 22)]


@pytest.fixture
def terminal(monkeypatch):
    """A function that makes stdout a terminal of that width."""

    def of(width):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((width, 24)))

    return of


def test_a_wide_table_is_folded_and_hides_nothing(capsys, terminal):
    print_rows(ROWS, "table")
    whole = capsys.readouterr().out
    assert len(whole.splitlines()) == 3
    terminal(40)
    print_rows(ROWS, "table")
    folded = capsys.readouterr().out
    assert max(map(len, folded.splitlines())) <= 40
    assert folded.count("dataset-22") == 2  # each block says whose figures these are
    assert set(folded.split()) == set(whole.split())
    terminal(200)
    print_rows(ROWS, "table")
    assert capsys.readouterr().out == whole


def test_a_cell_wider_than_the_terminal_stays_whole(capsys, terminal):
    terminal(12)
    print_rows(ROWS, "table")
    assert "x" * 20 in capsys.readouterr().out


@pytest.mark.parametrize("command", [("list",), ("searchers",), ("data", "list")])
def test_lists_fit_80_columns_but_for_texts(capsys, terminal, command):
    whole = run(capsys, *command)[1]
    terminal(80)
    folded = run(capsys, *command)[1]
    assert set(whole.split()) == set(folded.split())
    if command == ("list",):  # both blocks say which of two spaces
        assert sum(line.split()[:2] == ["credit-default", "ffn-3"] for line in folded.splitlines()) == 2
        assert max(map(len, folded.splitlines())) <= 80


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    lines = Lines("fitting")
    for done in range(0, 11):
        lines(done, 20, "table.h5")
        clock[0] += 24
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "fitting table.h5: 3/20, 7 min left",
        "fitting table.h5: 6/20, 6 min left",
        "fitting table.h5: 9/20, 4 min left",
    ]


def test_what_is_short_says_nothing_without_a_terminal(capsys):
    assert progress.with_progress("working", lambda report: [report(i, 3) for i in range(3)] and "done") == "done"
    assert capsys.readouterr().err == ""


def test_interrupted_it_says_how_to_go_on(capsys, monkeypatch):
    def work(*_, **__):
        with resumable():
            raise KeyboardInterrupt

    monkeypatch.setattr(cli.cli.commands["generate"], "callback", work)
    code, out, err = run(capsys, "generate", "my recipe.toml", "--out", "run")
    assert (code, out) == (130, "")
    assert err == (
        "error: interrupted; the same command goes on where it was: nasbench-evs generate 'my recipe.toml' --out run\n"
    )


def test_verify_says_one_line(capsys):
    code, out, err = run(capsys, "table", "verify", DIGITS)
    assert (code, err) == (0, "")
    assert out.startswith(f"{DIGITS}: 800 records hold, ")
    assert out.count("\n") == 1
