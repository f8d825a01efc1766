"""The command line, as a user runs it: real processes, one line for a mistake, nothing half-written."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nasbench_evs import cli
from nasbench_evs.locations import shipped
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.tables import Table, read, write
from tests.conftest import make_header, make_table
from tests.tables.test_release import MEMBER, make_record, make_zip

DIGITS = str(shipped("datasets") / "digits" / "ffn-3.h5")


def run(capsys, *arguments, stdin=None, monkeypatch=None):
    """Exit code, stdout and stderr of a command run in this process."""
    old = sys.argv, sys.stdin
    sys.argv = ["nasbench-evs", *map(str, arguments)]
    if stdin is not None:
        sys.stdin = io.StringIO(stdin)
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv, sys.stdin = old
    out = capsys.readouterr()
    return code, out.out, out.err


def fails(capsys, message, *arguments, code=1, stdin=None):
    got, out, err = run(capsys, *arguments, stdin=stdin)
    assert got == code, err
    assert out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in err
    assert message in lines[0]


def test_query_prints_a_table(capsys):
    code, out, err = run(capsys, "query", "digits", "--arch", "512-128-8", "--arch", "32-144-24")
    assert (code, err) == (0, "")
    header, first, second = out.splitlines()
    assert header.split()[:3] == ["architecture", "rank", "value"]
    assert first.startswith("512-128-8")
    assert " table " in first
    assert " surrogate " in second


def test_query_prints_json_and_csv(capsys):
    arguments = ("query", "digits", "--rank", "7800", "--arch", "32-144-24", "--split", "test", "--source", "surrogate")
    _, out, _ = run(capsys, *arguments, "--format", "json")
    rows = json.loads(out)
    assert [row["architecture"] for row in rows] == ["32-144-24", "512-8-8"] or [row["rank"] for row in rows][1] == 7800
    assert {row["source"] for row in rows} == {"surrogate"}
    assert {row["split"] for row in rows} == {"test"}
    assert all(row["params"] > 0 for row in rows)
    _, out, _ = run(capsys, *arguments, "--format", "csv")
    read_back = list(csv.DictReader(io.StringIO(out)))
    assert [float(row["value"]) for row in read_back] == [row["value"] for row in rows]
    assert read_back[0]["epoch"] == ""


def test_missing_values_are_null_and_empty(capsys):
    _, out, _ = run(capsys, "query", "age", "--random", 1, "--source", "table", "--format", "json")
    (row,) = json.loads(out)
    assert row["seconds"] is None
    assert "params" not in row


def test_random_architectures_are_repeatable(capsys):
    first = run(capsys, "query", "abank", "--random", 5, "--sample-seed", 3, "--format", "csv")[1]
    assert first == run(capsys, "query", "abank", "--random", 5, "--sample-seed", 3, "--format", "csv")[1]
    assert first != run(capsys, "query", "abank", "--random", 5, "--sample-seed", 4, "--format", "csv")[1]
    recorded = run(capsys, "query", "digits", "--random", 600, "--source", "table", "--format", "csv")[1]
    assert len({line.split(",")[0] for line in recorded.splitlines()}) == 601


def test_architectures_from_a_file_and_from_standard_input(capsys, tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("# my architectures\n512-128-8\n\n  8-8-8  # the smallest\n")
    from_file = run(capsys, "query", "digits", "--file", file, "--format", "csv")[1]
    assert [line.split(",")[0] for line in from_file.splitlines()[1:]] == ["512-128-8", "8-8-8"]
    assert run(capsys, "query", "digits", "--file", "-", "--format", "csv", stdin=file.read_text())[1] == from_file
    file.write_text("8-8-8\n8-8\n")
    fails(capsys, "line 2: '8-8' is not an ffn architecture", "query", "digits", "--file", file)
    file.write_bytes(b"\xff\xfe")
    fails(capsys, "it is no UTF-8 text", "query", "digits", "--file", file)
    file.write_text("# nothing\n")
    fails(capsys, "holds no architectures", "query", "digits", "--file", file)
    fails(capsys, "No such file", "query", "digits", "--file", tmp_path / "none")


def test_texts_are_printed_as_they_are(capsys, tmp_path):
    space = SearchSpace.from_choices({"op": ["[bold]x", ":cat:", "[/foo]", "é" * 300]})
    write(make_table(range(4), header=make_header(space, protocol={})), tmp_path / "odd.h5")
    _, out, err = run(capsys, "query", tmp_path / "odd.h5", *(f"--rank={i}" for i in range(4)))
    assert err == ""
    assert [line.split()[0] for line in out.splitlines()[1:]] == [
        "op=[bold]x",
        "op=:cat:",
        "op=[/foo]",
        "op=" + "é" * 300,
    ]


def test_a_folder_of_something_else_is_never_overwritten(capsys, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years")
    fails(capsys, "holds something else", "surrogate", "fit", DIGITS, "--out", tmp_path / "precious", "--force")
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years"


def test_a_symlink_finds_the_surrogate_of_its_table(capsys, tmp_path):
    (tmp_path / "link.h5").symlink_to(DIGITS)
    _, out, _ = run(capsys, "query", tmp_path / "link.h5", "--arch", "32-144-24", "--format", "json")
    assert json.loads(out)[0]["source"] == "surrogate"


def test_a_file_named_like_a_benchmark_does_not_hide_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").write_text("")
    assert run(capsys, "query", "digits", "--arch", "512-128-8")[0] == 0


def test_a_seed(capsys):
    _, out, _ = run(capsys, "query", "digits", "--arch", "512-128-8", "--seed", 2, "--format", "json")
    table = read(DIGITS)
    row = np.flatnonzero((table["rank"] == json.loads(out)[0]["rank"]) & (table["seed"] == 2))[0]
    assert json.loads(out)[0]["value"] == pytest.approx(float(table["valid_score"][row]))


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("no benchmark 'digit': expected one of", ("query", "digit", "--random", "1")),
        ("no architecture given: use --arch", ("query", "digits")),
        ("at character 4 expected a layer size", ("query", "digits", "--arch", "32-33-8")),
        ("rank 8000 is out of range for ffn: expected 0 to 7999", ("query", "digits", "--rank", "8000")),
        ("rank -1 is out of range", ("query", "digits", "--rank", "-1")),
        ("--random 0: expected 1 or more", ("query", "digits", "--random", "0")),
        ("the table holds 600 architectures", ("query", "digits", "--random", "601", "--source", "table")),
        ("--random 99999999999: expected 1 or more, at most", ("query", "digits", "--random", "99999999999")),
        ("space 'x' goes with the name of a dataset", ("query", DIGITS, "--space", "x", "--rank", "1")),
        ("seed = 99999999999: expected", ("surrogate", "fit", DIGITS, "--out", "s", "--seed", "99999999999")),
        ("--sample-seed -3", ("query", "digits", "--random", "1", "--sample-seed", "-3")),
        ("seed 9 of 512-128-8", ("query", "digits", "--arch", "512-128-8", "--seed", "9")),
        (
            "unknown split 'train': expected one of valid, test",
            ("query", "digits", "--random", "1", "--split", "train"),
        ),
        ("unknown source 'x'", ("query", "digits", "--random", "1", "--source", "x")),
        ("epoch 21 is not recorded: expected 1 to 20", ("query", "digits", "--arch", "512-128-8", "--epoch", "21")),
        ("no table of the space 'seqnas'", ("query", "digits", "--random", "1", "--space", "seqnas")),
        ("no test scores", ("query", "age", "--random", "1", "--split", "test", "--source", "table")),
        ("cannot open none.h5", ("table", "info", "none.h5")),
        ("no such file: get nas-bench", ("import-release", "none.zip", "--out", "x")),
        ("cannot open none.h5", ("surrogate", "fit", "none.h5")),
        ("cannot open none.h5", ("table", "merge", DIGITS, "none.h5", "--out", "x.h5")),
        ("exists already", ("table", "merge", DIGITS, DIGITS, "--out", DIGITS)),
        ("exists already", ("surrogate", "fit", DIGITS)),
        ("--seed -1", ("surrogate", "fit", DIGITS, "--seed", "-1")),
    ],
)
def test_mistakes_give_one_line(capsys, message, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fails(capsys, message, *arguments)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("No such command 'quary'", ("quary",)),
        ("No such option", ("query", "digits", "--arc", "8-8-8", "--nonsense")),
        ("Missing argument 'BENCHMARK'", ("query",)),
        ("'x' is not a valid integer; see nasbench-evs query --help", ("query", "digits", "--rank", "x")),
        ("'xml' is not one of 'table', 'json', 'csv'", ("list", "--format", "xml")),
        ("Missing option '--out'", ("table", "merge", DIGITS)),
        ("Missing argument 'SHARDS", ("table", "merge", "--out", "x")),
    ],
)
def test_wrong_usage_gives_one_line(capsys, message, arguments):
    fails(capsys, message, *arguments, code=2)


def test_unwritable_outputs(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    for arguments in (
        ("table", "merge", DIGITS, "--out", tmp_path / "file" / "x.h5"),
        ("table", "export", DIGITS, "--out", tmp_path / "file" / "x.csv"),
    ):
        fails(capsys, "cannot write", *arguments)
    assert os.listdir(tmp_path) == ["file"]


def test_import_merge_verify_info_export(capsys, tmp_path):
    archive = make_zip(tmp_path / "r.zip", [(MEMBER, make_record())])
    code, out, err = run(capsys, "import-release", archive, "--out", tmp_path / "out")
    assert (code, out) == (0, "1 records in 1 tables\n")
    table = tmp_path / "out" / "age" / "seqnas.h5"
    assert str(table) in err
    assert run(capsys, "table", "verify", table)[0] == 0
    code, out, _ = run(capsys, "table", "info", table, "--format", "json")
    assert json.loads(out)["samplers"] == {"seqnas": 1}
    assert "curves" in run(capsys, "table", "info", table)[1]
    write(make_table([0, 1]), tmp_path / "a.h5")
    write(make_table([1, 2]), tmp_path / "b.h5")
    assert run(capsys, "table", "merge", tmp_path / "a.h5", tmp_path / "b.h5", "--out", tmp_path / "c.h5")[0] == 0
    assert len(read(tmp_path / "c.h5")) == 3
    fails(capsys, "differ in space", "table", "merge", tmp_path / "a.h5", table, "--out", tmp_path / "d.h5")
    assert not (tmp_path / "d.h5").exists()
    for form in ("csv", "parquet"):
        out_file = tmp_path / f"out.{form}"
        assert run(capsys, "table", "export", tmp_path / "c.h5", "--format", form, "--out", out_file)[0] == 0
        import pandas as pd

        frame = pd.read_csv(out_file) if form == "csv" else pd.read_parquet(out_file)
        assert frame["rank"].tolist() == [0, 1, 2]
        assert "valid_curve.3" in frame
    assert "3 trainings of 3 architectures" in (tmp_path / "out.md").read_text()
    export = ("table", "export", tmp_path / "c.h5", "--format", "parquet", "--out", tmp_path / "out.parquet")
    fails(capsys, "out.md exists already", *export)
    assert run(capsys, *export, "--force")[0] == 0


def test_parquet_without_pyarrow_is_one_line(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("nasbench_evs.cli.tables.find_spec", lambda name: None)
    export = ("table", "export", DIGITS, "--format", "parquet", "--out", tmp_path / "out.parquet")
    fails(capsys, "Parquet needs pyarrow; pip install 'nasbench-evs[parquet]'", *export)
    assert not os.listdir(tmp_path)


def test_commands_on_scores_at_the_end(capsys, tmp_path, end_table):
    write(end_table, tmp_path / "t.h5")
    code, out, _ = run(capsys, "table", "verify", tmp_path / "t.h5")
    assert code == 0
    assert "6 records hold" in out
    facts = json.loads(run(capsys, "table", "info", tmp_path / "t.h5", "--format", "json")[1])
    assert (facts["format"], facts["score at"], facts["commits"]) == (2, "end", {"c" * 40: 6})
    assert "final/valid_score" in facts["optional columns"]
    assert facts["results sha256"] == end_table.results_sha256
    assert json.loads(run(capsys, "table", "info", "datasets/digits/ffn-3.h5", "--format", "json")[1])["format"] == 1
    assert run(capsys, "table", "merge", tmp_path / "t.h5", tmp_path / "t.h5", "--out", tmp_path / "m.h5")[0] == 0
    assert read(tmp_path / "m.h5").content_sha256 == end_table.content_sha256
    for form in ("csv", "parquet"):
        out_file = tmp_path / f"out.{form}"
        assert run(capsys, "table", "export", tmp_path / "t.h5", "--format", form, "--out", out_file)[0] == 0
        import pandas as pd

        frame = pd.read_csv(out_file) if form == "csv" else pd.read_parquet(out_file)
        assert np.allclose(frame.valid_score, end_table["valid_score"], equal_nan=True)
        assert {"valid_curve.1", "valid_curve.3", "test_blocks.9", "code_commit"} <= set(frame)
    answer = json.loads(run(capsys, "query", tmp_path / "t.h5", "--arch", "3-4", "--format", "json")[1])[0]
    assert answer["value"] == pytest.approx(end_table["valid_score"][4])
    fails(
        capsys, "no test scores of single epochs", "query", tmp_path / "t.h5", "--arch", "3-4", "--split", "test",
        "--epoch", "2",
    )  # fmt: skip


def test_verify_names_the_file(capsys, tmp_path):
    sound = make_table([0], epochs=1)
    wrong = Table(sound.header, {**sound.columns, "valid_curve": sound["valid_curve"] + 3}, sound.hardware)
    write(wrong, tmp_path / "wrong.h5")
    fails(capsys, "wrong.h5: record 0", "table", "verify", tmp_path / "wrong.h5")


@pytest.mark.slow
def test_surrogate_fit_makes_the_rest_answerable(capsys, tmp_path, seqnas_table):
    write(seqnas_table, tmp_path / "mine.h5")
    query = ("query", tmp_path / "mine.h5", "--arch", "k5d.t.a4/gc.2x8.d-max", "--format", "json")
    fails(capsys, "not recorded in the table of made: fit a surrogate", *query)
    code, out, err = run(capsys, "surrogate", "fit", tmp_path / "mine.h5")
    assert code == 0
    assert json.loads(out)["valid"]["folds"] == 5
    assert str(tmp_path / "mine.surrogate") in err
    assert json.loads(run(capsys, *query)[1])[0]["source"] == "surrogate"


def test_every_command_has_help_with_an_example(capsys):
    def commands(group, path):
        for name, command in group.commands.items():
            yield [*path, name], command
            if hasattr(command, "commands"):
                yield from commands(command, [*path, name])

    found = list(commands(cli.cli, []))
    assert len(found) >= 9
    for path, command in found:
        code, out, _ = run(capsys, *path, "--help")
        assert code == 0
        if not hasattr(command, "commands"):
            assert "Example" in out
            assert f"nasbench-evs {' '.join(path)}" in out.split("Example")[1]


def _command():
    return str(Path(sys.executable).parent / "nasbench-evs")


def test_the_installed_command():
    done = subprocess.run([_command(), "query", "digits", "--arch", "8-8"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    done = subprocess.run([_command(), "--version"], capture_output=True, text=True)
    assert done.returncode == 0


def test_closed_streams():
    for redirection, message in (
        ("list >&-", "standard output is closed"),
        ("query digits --file - <&-", "input is closed"),
    ):
        done = subprocess.run(["bash", "-c", f"{_command()} {redirection}"], capture_output=True, text=True)
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


def test_terminals_without_unicode(tmp_path):
    space = SearchSpace.from_choices({"op": ["é", "x"]})
    write(make_table(range(2), header=make_header(space, protocol={})), tmp_path / "odd.h5")
    command = [_command(), "query", str(tmp_path / "odd.h5"), "--rank", "0"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "op=\\xe9" in done.stdout


def test_a_closed_pipe_is_no_error():
    script = f"{_command()} query digits --random 600 --source table | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stdout.startswith("architecture")
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_one_line():
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run([_command(), "list"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: output: No space left on device\n"


def test_a_table_is_installed_and_used_by_name(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path / "home"))
    write(make_table([0, 2, 5, 8]), tmp_path / "table.h5")
    code, out, _ = run(capsys, "table", "install", tmp_path / "table.h5", "--name", "mine")
    assert (code, out) == (0, f"mine ffn-2: {tmp_path / 'home' / 'tables' / 'mine' / 'ffn-2.h5'}\n")
    rows = json.loads(run(capsys, "list", "--format", "json")[1])
    assert [row["records"] for row in rows if row["origin"] == "own"] == [4]
    assert "own" in next(line for line in run(capsys, "list")[1].splitlines() if line.startswith("mine"))
    assert "2-4" in run(capsys, "query", "mine", "--arch", "2-4")[1]
    assert run(capsys, "search", "random", "mine", "--budget", "3")[0] == 0
    assert json.loads(run(capsys, "table", "info", "mine/ffn-2", "--format", "json")[1])["records"] == 4
    assert run(capsys, "table", "card", "mine", "--out", tmp_path / "cards")[0] == 0
    card = (tmp_path / "cards" / "ffn-2.md").read_text()
    assert f"Made by `nasbench-evs table card mine/ffn-2 --out {tmp_path / 'cards'}`." in card
    assert "datasets/" not in card
    fails(capsys, "exists already", "table", "install", tmp_path / "table.h5", "--name", "mine")
    fails(capsys, "no benchmark 'yours'", "table", "info", "yours")


def test_a_damaged_table_of_ones_own_is_said_and_left_out(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path))
    (tmp_path / "tables" / "mine").mkdir(parents=True)
    (tmp_path / "tables" / "mine" / "ffn-2.h5").write_text("damaged")
    code, out, err = run(capsys, "list")
    assert code == 0
    assert err.startswith("warning: mine ffn-2 is left out: ")
    assert "digits" in out
    assert "mine" not in out
