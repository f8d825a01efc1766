"""Columns that are read when they are used: what is read when, and files that lie behind hashes that are right."""

import os
import pickle
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest

import nasbench_evs as nb
from nasbench_evs.errors import TableFormatError
from nasbench_evs.tables import read, stored, verify, write
from nasbench_evs.tables.format import COLUMNS
from tests.conftest import make_end_table
from tests.tables.forging import forge, replace_column


@pytest.fixture
def file(tmp_path, end_table):
    path = tmp_path / "t.h5"
    write(end_table, path)
    return path


@pytest.fixture
def columns_read(monkeypatch):
    """The paths of the columns that are read, in order."""
    paths = []

    def noting(file, column, read_column=stored.read_column):
        paths.append(column.path)
        return read_column(file, column)

    monkeypatch.setattr(stored, "read_column", noting)
    return paths


def test_a_query_reads_what_it_needs_and_each_column_once(file, columns_read):
    bench = nb.load(file)
    keys = set(columns_read)
    assert keys == {"architectures/rank", "training/seed", "training/distilled", "training/sampler"}
    bench.query(bench.space.unrank(2))
    bench.query(bench.space.unrank(5))
    assert not any(path.startswith("scores/") for path in columns_read)
    assert "final/valid_score" in columns_read
    assert len(columns_read) == len(set(columns_read))


def test_damage_is_noticed_when_the_column_is_used_and_not_before(file, end_table):
    with h5py.File(file, "r+") as opened:
        opened["scores/valid_loss"][0, 0] = 0.125
    table = read(file)
    assert np.array_equal(table["valid_score"], end_table["valid_score"], equal_nan=True)
    for _ in range(2):  # not only the first time
        with pytest.raises(TableFormatError, match=r"t\.h5: scores/valid_loss does not match its hash"):
            table["valid_loss_curve"]
    with pytest.raises(TableFormatError, match="does not match its hash"):
        verify(table)


def test_a_file_that_was_replaced_meanwhile(file, end_table):
    table, whole = read(file), read(file)
    for name in COLUMNS:
        whole[name]
    write(make_end_table([0, 2, 2, 2, 5], [0, 0, 1, 2, 0]), file, force=True)
    with pytest.raises(TableFormatError, match=r"t\.h5: it was replaced while it was in use: open it again"):
        table["params"]
    assert np.array_equal(whole["params"], end_table["params"])
    os.unlink(file)
    with pytest.raises(TableFormatError, match="No such file"):
        table["params"]


def test_a_relative_path_means_the_same_file_from_elsewhere(file, tmp_path, monkeypatch, end_table):
    monkeypatch.chdir(tmp_path)
    table = read(file.name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert np.array_equal(table["params"], end_table["params"])


def test_it_pickles_as_a_place_and_reads_there(file, end_table):
    table = read(file)
    sent = pickle.dumps(table)
    table["valid_curve"]
    assert len(pickle.dumps(table)) == len(sent)
    again = pickle.loads(sent)
    assert again.content_sha256 == end_table.content_sha256
    assert np.array_equal(again["valid_curve"], end_table["valid_curve"], equal_nan=True)
    with pytest.raises(ValueError, match="read-only"):
        again["valid_curve"][0] = 1


def read_all(path):
    table = read(path)
    for name in COLUMNS:
        table[name]


def _value(path, row, value):
    def change(opened):
        values = opened[path][()]
        values[row] = value
        replace_column(opened, path, values)

    return change


def _renamed(path, row, value):
    return lambda opened: replace_column(opened, path, np.array([*opened[path][:row], value, *opened[path][row + 1 :]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_value("final/valid_score", 0, 1.5), r"valid_score lies in \[0, 1\] does not hold; 1 of 6"),
        (_value("final/test_score", 0, -np.inf), r"test_score lies in \[0, 1\] does not hold"),
        (_value("final/valid_score", 3, 0.5), "valid_score is empty unless the training is ok"),
        (_value("scores/valid_score", (1, 1), 7), r"valid_curve lies in \[0, 1\]"),
        (_value("final/valid_blocks", (0, 4), 9), r"valid_blocks lies in \[0, 1\]"),
        (_value("training/cpu_seconds", (0, 0), -1), "cpu_seconds is not negative"),
        (_value("final/cpu_seconds", 0, np.inf), "final_cpu_seconds is finite or missing"),
        (_value("costs/params", 0, -5), "params is not negative"),
        (_value("training/distilled", 0, 9), "distilled is 0, 1 or not recorded"),
        (_value("training/seed", 0, -7), "seed is not negative"),
        (_value("architectures/rank", 5, 2**63), "rank within the space"),
        (_value("architectures/rank", 5, 7), "rank follows from choices"),
        (_value("architectures/choices", (0, 0), 100), "choices are no architectures"),
        (_value("architectures/avec", (0, 0), 7), "avec follows from choices"),
        (_value("architectures/rank", 0, 4), "records are in the order of their ranks"),
        (_value("training/seed", 2, 0), "one record for each training"),
        (_value("training/seed", 1, 9), "in the order of their seeds"),
        (_renamed("training/status", 0, b"fine"), "status is one of ok, diverged, failed"),
        (_renamed("training/sampler", 0, b"\xff\xfe"), "sampler is text in UTF-8"),
        (_renamed("hardware/cpu", 0, b"\xff"), "hardware/cpu of machine 0 is"),
    ],
)
def test_hashes_that_are_right_hide_nothing(file, change, message):
    forge(file, change)
    with pytest.raises(TableFormatError, match=message) as caught:
        read_all(file)
    assert "\n" not in str(caught.value)


def test_forging_itself_changes_nothing(file, tmp_path, end_table, small_table):
    forge(file, lambda opened: None)
    assert read(file).content_sha256 == end_table.content_sha256
    forge(file, _value("scores/train_loss", 0, 0.25))
    assert read(file)["train_loss"][0, 0] == 0.25
    assert read(file).results_sha256 != end_table.results_sha256


@pytest.mark.parametrize("name", ["\0", "a/\0.h5"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(TableFormatError, match="expected a path"):
        read(name)


@pytest.mark.parametrize("special", ["fifo", "/dev/zero", "/dev/null"])
def test_pipes_and_devices_are_refused_at_once(tmp_path, special):
    path = special
    if special == "fifo":
        path = tmp_path / "pipe.h5"
        os.mkfifo(path)
    with pytest.raises(TableFormatError, match="it is a pipe or a device, expected a file"):
        read(path)


def test_a_small_file_cannot_fill_the_memory(file):
    """Each column small enough by itself, gzip packed tight: together far more than a recorded table of that size holds."""
    n = 2_000_000

    def change(opened):
        for column in COLUMNS.values():
            if column.path in opened:
                old = opened[column.path]
                shape, dtype, kept = (n, *old.shape[1:]), old.dtype, old.attrs["sha256"]
                del opened[column.path]
                layout = {"chunks": (10_000, *shape[1:]), "compression": "gzip"}
                opened.create_dataset(column.path, shape, dtype, **layout)[:10_000] = np.ones(
                    (10_000, *shape[1:]), dtype
                )
                opened[column.path].attrs["sha256"] = kept

    with h5py.File(file, "r+") as opened:
        change(opened)
    script = textwrap.dedent(f"""
        import resource
        from nasbench_evs.tables import read
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            read({str(file)!r})
        except Exception as error:
            print(type(error).__name__, error)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """)
    error, kilobytes = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "more than a file of this size can hold" in error
    assert int(kilobytes) < 20_000
