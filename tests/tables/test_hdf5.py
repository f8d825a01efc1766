"""Table files: round trips, and every way a file can be wrong."""

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasbench_evs.errors import MergeConflict, OutputError, TableFormatError
from nasbench_evs.metrics import DIRECTIONS, Metric
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.tables import hdf5, merge, read, verify, write
from nasbench_evs.tables.format import COLUMNS, HARDWARE
from tests.conftest import make_header, make_table


@pytest.fixture
def file(tmp_path, small_table):
    path = tmp_path / "table.h5"
    write(small_table, path)
    return path


def assert_same(a, b):
    assert a.content_sha256 == b.content_sha256
    assert a.header.attributes() == b.header.attributes()
    assert a.results_sha256 == b.results_sha256
    assert_same_records(a, b)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ranks=st.lists(st.integers(0, 8), min_size=1, max_size=20, unique=True),
    epochs=st.integers(1, 4),
    text=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12),
)
def test_what_is_written_is_read(tmp_path, ranks, epochs, text):
    machines = [{"cpu": text, "threads": 3}]
    table = make_table(ranks, 7, epochs=epochs, sampler=text, reason=text, machines=machines, hardware=0)
    write(table, tmp_path / "t.h5", force=True)
    back = read(tmp_path / "t.h5")
    assert_same(table, back)
    assert back.hardware["cpu"][0].decode() == text


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(min_size=1, max_size=9).filter(str.isprintable),
    direction=st.sampled_from(DIRECTIONS),
    low=st.one_of(st.just(-np.inf), st.floats(-1e9, -1.0)),
    high=st.one_of(st.just(np.inf), st.floats(1.0, 1e9), st.just(1)),
)
def test_any_metric_comes_back_with_its_direction_and_range(tmp_path, name, direction, low, high):
    own = Metric(name, direction, low, high)
    table = make_table([0, 1], header=make_header(metric=own))
    write(table, tmp_path / "t.h5", force=True)
    back = read(tmp_path / "t.h5")
    assert back.header.metric == own
    assert_same(table, back)


def test_the_range_of_a_metric_is_hashed_and_decides_what_merges(tmp_path):
    def made(high):
        return make_table([0, 1], header=make_header(metric=Metric("f1", "max", 0.0, high)))

    write(made(1.0), tmp_path / "t.h5")
    edit(tmp_path / "t.h5", lambda f: f.attrs.modify("metric_range_json", np.bytes_("[0.0,2.0]")))
    with pytest.raises(TableFormatError, match="does not match its hash"):
        read(tmp_path / "t.h5")
    edit(tmp_path / "t.h5", lambda f: f.attrs.modify("metric_range_json", np.bytes_("[2.0,1.0]")))
    with pytest.raises(TableFormatError, match="f1 in the range 2.0 to 1.0: expected two numbers, the smaller first"):
        read(tmp_path / "t.h5")
    edit(tmp_path / "t.h5", lambda f: f.attrs.modify("metric_range_json", np.bytes_("7")))
    with pytest.raises(TableFormatError, match=r"metric range 7: expected \[low, high\]"):
        read(tmp_path / "t.h5")
    edit(tmp_path / "t.h5", lambda f: f.attrs.__delitem__("metric_range_json"))
    with pytest.raises(TableFormatError, match="unknown metric 'f1'"):
        read(tmp_path / "t.h5")
    with pytest.raises(MergeConflict, match="differ in metric range"):
        merge([made(1.0), made(2.0)])
    with pytest.raises(MergeConflict, match="differ in metric range"):
        merge([make_table([0]), make_table([0], header=make_header(metric=Metric("roc_auc", "max", 0.0, 100.0)))])
    with pytest.raises(TableFormatError, match="header: direction = 'up': expected one of max, min"):
        make_header(metric=Metric("f1", "up", 0.0, 1.0))


def test_equal_tables_are_equal_files(tmp_path, small_table, file):
    write(small_table, tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == file.read_bytes()


def test_any_hdf5_tool_can_read_it(file, small_table):
    """Only fixed-size numbers and fixed-length UTF-8, compressed and checksummed."""
    with h5py.File(file) as opened:
        for columns in (COLUMNS, HARDWARE):
            for column in columns.values():
                if column.optional and column.path not in opened:
                    continue
                dataset = opened[column.path]
                if column.kind == "text":
                    assert h5py.check_string_dtype(dataset.dtype).encoding == "utf-8"
                    assert h5py.check_string_dtype(dataset.dtype).length is not None
                else:
                    assert dataset.dtype == np.dtype(column.kind)
                if dataset.size:
                    assert (dataset.compression, dataset.shuffle, dataset.fletcher32) == ("gzip", True, True)
        assert opened["training/train_seconds"].attrs["unit"] == b"s"


@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.slow)])
def test_every_flipped_byte_is_noticed_or_harmless(file, small_table, step):
    """Byte by byte: either the table says that it is damaged, or it holds exactly what it held."""
    original = file.read_bytes()
    damaged = harmless = 0
    for at in range(0, len(original), step):
        file.write_bytes(original[:at] + bytes([original[at] ^ (1 << at % 8)]) + original[at + 1 :])
        try:
            table = read(file)
            assert_same_records(table, small_table)
        except TableFormatError as error:
            assert str(file) in str(error)
            assert "\n" not in str(error)
            damaged += 1
        else:
            assert table.content_sha256 == small_table.content_sha256
            harmless += 1
    assert damaged > harmless  # unused space exists, but most bytes matter


def assert_same_records(a, b):
    for name in COLUMNS:
        assert np.array_equal(a[name], b[name], equal_nan=a[name].dtype.kind == "f"), name


def test_every_truncation_is_noticed(file):
    original = file.read_bytes()
    for length in [*range(0, len(original), 97), len(original) - 1]:
        file.write_bytes(original[:length])
        with pytest.raises(TableFormatError):
            read(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an HDF5 file"),
        (b"PK\x03\x04 a zip", "not an HDF5 file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "damaged"),
    ],
)
def test_foreign_files(tmp_path, content, message):
    (tmp_path / "x.h5").write_bytes(content)
    with pytest.raises(TableFormatError, match=message):
        read(tmp_path / "x.h5")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(TableFormatError, match="No such file"):
        read(tmp_path / "none.h5")
    with pytest.raises(TableFormatError, match="it is a folder, expected a file"):
        read(tmp_path)


def edit(path, change):
    with h5py.File(path, "r+") as opened:
        change(opened)


def _replace(name, value):
    def change(opened):
        del opened[name]
        if value is not None:
            opened[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.attrs.modify("format_version", 3), "format version 3, this nasbench-evs reads versions up to 2"),
        (lambda f: f.attrs.modify("format", np.bytes_("other")), "its format is other"),
        (lambda f: f.attrs.__delitem__("format"), "its format is not named"),
        (lambda f: f.attrs.__delitem__("dataset"), "attribute dataset is missing"),
        (lambda f: f.attrs.modify("dataset", np.bytes_("another")), "does not match its hash"),
        (lambda f: f.attrs.modify("metric", np.bytes_("luck")), "unknown metric 'luck'"),
        (lambda f: f.attrs.modify("direction", np.bytes_("min")), "direction 'min': roc_auc has 'max'"),
        (lambda f: f.attrs.modify("space_json", np.bytes_("{}")), "does not name a search space"),
        (lambda f: f.attrs.modify("space_json", np.bytes_("{")), "damaged"),
        (lambda f: f.attrs.modify("protocol_json", np.bytes_("[]")), "no JSON object"),
        (_replace("scores/valid_score", None), "scores/valid_score is missing"),
        (_replace("training/seed", np.zeros(6, "i4")), "holds int32 of shape"),
        (_replace("training/seed", np.zeros(5, "i8")), "expected int64 of shape"),
        (_replace("training/sampler", np.array(["x"] * 6, dtype=h5py.string_dtype())), "fixed-length text"),
        (_replace("architectures/rank", np.zeros(0, "u8")), "0 records"),
        (_replace("training/seed", h5py.SoftLink("/training/rank")), "training/seed is missing"),
        (_replace("training/seed", h5py.ExternalLink("other.h5", "/x")), "training/seed is missing"),
    ],
)
def test_files_that_are_not_what_they_say(file, change, message):
    edit(file, change)
    with pytest.raises(TableFormatError, match=message):
        read(file)


def test_data_kept_outside_the_file_is_not_followed(file, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(48))

    def change(opened):
        del opened["training/seed"]
        opened.create_dataset("training/seed", shape=(6,), dtype="i8", external=[(str(tmp_path / "secret"), 0, 48)])

    edit(file, change)
    with pytest.raises(TableFormatError, match="not stored in the file itself"):
        read(file)


def test_a_file_cannot_claim_more_than_it_can_hold(file):
    def change(opened):
        for columns in (COLUMNS, HARDWARE):
            for column in columns.values():
                if column.group != "hardware" and column.path in opened:
                    old = opened[column.path]
                    dtype, shape = old.dtype, (10**9, *old.shape[1:])
                    del opened[column.path]
                    opened.create_dataset(column.path, shape, dtype, chunks=(10**5, *shape[1:]))

    edit(file, change)
    with pytest.raises(TableFormatError, match="more than a file of this size can hold"):
        read(file)


def test_an_existing_file_is_kept_unless_forced(file):
    before = file.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write(make_table([1]), file)
    assert file.read_bytes() == before
    write(make_table([1]), file, force=True)
    assert len(read(file)) == 1
    assert os.listdir(file.parent) == [file.name]


def test_a_write_that_fails_leaves_the_old_file(file, monkeypatch):
    before = file.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hdf5, "_write_column", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write(make_table([1]), file, force=True)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_an_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write .*t.h5: File exists"):
        write(make_table([1]), tmp_path / "file" / "t.h5")


@pytest.mark.slow
def test_a_killed_writer_leaves_the_old_file(file, small_table):
    """SIGKILL at various moments of endless rewriting; the file is always a whole table."""
    script = textwrap.dedent(f"""
        from tests.conftest import make_table
        from nasbench_evs.tables import write
        tables = [make_table(range(n), epochs=30) for n in (3, 9)]
        print("ready", flush=True)
        while True:
            for table in tables:
                write(table, {str(file)!r}, force=True)
    """)
    sizes = set()
    for delay in np.linspace(0.01, 0.15, 12):
        writer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        writer.stdout.readline()
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        table = read(file)
        verify(table)
        sizes.add(len(table))
    assert sizes <= {len(small_table), 3, 9}


def _read_many(path):
    return [read(path).content_sha256 for _ in range(3)]


@pytest.mark.slow
def test_64_readers_at_once_from_a_read_only_folder(file, small_table):
    file.chmod(stat.S_IRUSR)
    file.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with multiprocessing.get_context("forkserver").Pool(64) as pool:
            hashes = pool.map(_read_many, [file] * 64, chunksize=1)
        assert {h for part in hashes for h in part} == {small_table.content_sha256}
        with ThreadPoolExecutor(8) as threads:
            assert {h for part in threads.map(_read_many, [file] * 16) for h in part} == {small_table.content_sha256}
    finally:
        file.parent.chmod(stat.S_IRWXU)


def test_spaces_of_plain_choices_come_back_as_they_were(tmp_path):
    """The README's example space, and one whose choices are not in alphabetical order."""
    for options, conditions in (
        ({"op": ["conv", "attention"], "heads": [1, 2, 4]}, {"heads": {"op": ["attention"]}}),
        ({"z": [1, 2], "a": ["x", "y", "w"]}, None),
    ):
        space = SearchSpace.from_choices(options, conditions)
        table = make_table(range(space.size), header=make_header(space, protocol={}))
        write(table, tmp_path / "t.h5", force=True)
        back = read(tmp_path / "t.h5")
        assert back.to_frame().architecture.tolist() == [str(space.unrank(r)) for r in range(space.size)]


def test_long_texts_and_large_protocols(tmp_path):
    """Beyond HDF5's 64 KiB limit for attributes of the old layout."""
    protocol = {"note": "é" * 100_000}
    table = make_table([0], header=make_header(protocol=protocol), reason="x" * 5000)
    write(table, tmp_path / "t.h5")
    assert read(tmp_path / "t.h5").header.protocol == protocol
