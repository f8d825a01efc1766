"""The two formats: golden files that must be read for ever, where scores are read, and hashes that others can repeat."""

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasbench_evs.errors import InvalidQuery, MergeConflict, TableFormatError
from nasbench_evs.locations import shipped_tables
from nasbench_evs.tables import Table, build, merge, read, verify, write
from nasbench_evs.tables.format import COLUMNS, FINAL, HARDWARE
from nasbench_evs.tables.hdf5 import read_reference_sha256
from tests.conftest import make_end_table, make_header, make_table

HERE = Path(__file__).parent
FORMAT_1 = HERE / "format-1.h5"  # written by the last version that wrote format 1
FORMAT_2 = HERE / "format-2.h5"


def test_format_1_is_read_as_it_was():
    table = read(FORMAT_1)
    assert table.content_sha256 == "09a60bc87f88bd719eae63ffda945f4a5d2b740c1cb36364bd179e78674a6e6c"
    assert table.reference_sha256 == table.content_sha256 == read_reference_sha256(FORMAT_1)
    assert (table.version, table.header.score_at, table.epochs) == (1, "best epoch", 3)
    verify(table)
    expected = [0.7, 0.65, 0.75, 0.5, 0.9, np.nan]
    assert np.allclose(table["valid_score"], expected, equal_nan=True)
    assert np.allclose(table["test_score"], np.array(expected) - 0.0625, equal_nan=True)
    assert np.allclose(table["valid_loss"], [0.65, 0.625, 0.625, 0.75, 0.75, np.nan], equal_nan=True)
    assert np.isnan(table["test_loss"]).all()
    assert table.best_epoch.tolist() == [2, 3, 3, 1, 1, 0]
    assert table["valid_curve"][0].tolist() == np.float32([0.5, 0.7, 0.6]).tolist()
    assert table["teachers"].tolist() == [b"", b"", b"", b"", b"0 2", b""]
    assert table["reason"][5].decode() == "é"
    assert table.hardware["cpu"].tolist() == [b"a", b"b"]
    assert table.hardware["model"].tolist() == [b"", b""]
    assert table.seconds().tolist()[:5] == [0.875, 0.875, 0.875, 0.875, 1.0]
    for name in (*FINAL, "cpu_seconds", "code_commit", "test_loss_curve"):
        assert name not in table.columns
    assert np.isnan(table["valid_blocks"]).all()
    assert table["valid_blocks"].shape == (6, 10)


def test_format_2_is_read_as_it_was():
    table = read(FORMAT_2)
    assert table.content_sha256 == "09e0aa1abec1d193a2e6a01678a7d1b43f44b4c4343c5f2443e09fbdc9303017"
    assert table.results_sha256 == "ff1bef261070815ff3146dd13158ee87f0edd8cad2c3c7a2deff86a9f12bb13b"
    assert read_reference_sha256(FORMAT_2) == table.reference_sha256 == table.results_sha256
    assert (table.version, table.header.score_at) == (2, "end")
    verify(table)
    made = make_end_table([0, 2, 2, 2, 5, 8], [0, 0, 1, 2, 0, 0], failing=[3])
    for name in COLUMNS:
        assert np.array_equal(made[name], table[name], equal_nan=made[name].dtype.kind == "f"), name


def test_shipped_tables_stay_format_1():
    """All that were shipped before there was another; what is recorded since has scores at the end."""
    tables = [read(path) for path in shipped_tables().values()]
    assert {table.version for table in tables if table.header.score_at != "end"} == {1}
    assert {table.version for table in tables if table.header.score_at == "end"} <= {2}


def test_format_1_written_again_is_format_2_with_the_same_results(tmp_path):
    old = read(FORMAT_1)
    write(old, tmp_path / "t.h5")
    new = read(tmp_path / "t.h5")
    assert new.version == 2
    assert (new.results_sha256, new.header.attributes()) == (old.results_sha256, old.header.attributes())
    for name in COLUMNS:
        assert np.array_equal(old[name], new[name], equal_nan=old[name].dtype.kind == "f"), name


def test_tables_of_both_formats_merge(tmp_path):
    old = read(FORMAT_1)
    write(old, tmp_path / "t.h5")
    new = read(tmp_path / "t.h5")
    rest, part = old.select(np.arange(4)), new.select(np.arange(3, 6))
    for tables in ([rest, part], [part, rest], [old, new], [old]):
        merged = merge(tables)
        assert merged.version == 2
        assert merged.content_sha256 == new.content_sha256
    other = Table(old.header, {**part.columns, "valid_curve": part["valid_curve"] / 2}, part.hardware)
    with pytest.raises(MergeConflict, match="one training, two results: .* has valid_curve"):
        merge([old, other])


def test_scores_are_read_at_the_end_or_at_the_best_epoch(end_table, small_table):
    best = end_table.at_epoch("valid_curve", end_table.best_epoch)
    ok = end_table["status"] == b"ok"
    assert np.allclose(end_table["valid_score"][ok], best[ok] - 0.1)
    assert np.isnan(end_table["valid_score"][~ok]).all()
    assert np.allclose(small_table["valid_score"], small_table["valid_curve"][:, 2])
    for name in ("valid_score", "test_score", "valid_loss", "test_loss"):
        for table in (end_table, small_table):
            assert (table[name].dtype, table[name].shape) == (np.float64, (6,))
            with pytest.raises(ValueError, match="read-only"):
                table[name][0] = 0.5
    with pytest.raises(InvalidQuery, match="column = 'colour': expected one of rank, choices"):
        end_table["colour"]


def test_what_the_simulated_clock_reads(end_table, small_table):
    whole = np.where(end_table["status"] == b"ok", 3 * 3.0 + 2.0, 3.0)
    assert end_table.seconds().tolist() == whole.tolist()
    assert end_table.seconds(2).tolist() == [6.0, 6.0, 6.0, 3.0, 6.0, 6.0]
    assert end_table.seconds(None, slice(1, 2)).tolist() == [11.0]
    assert small_table.seconds(2).tolist() == [1.0] * 6
    on_a_gpu = end_table["cpu_seconds"].copy()
    on_a_gpu[0] = np.nan
    mixed = Table(end_table.header, {**end_table.columns, "cpu_seconds": on_a_gpu}, end_table.hardware)
    assert mixed.seconds().tolist() == [12.0, *whole[1:]]  # the wall's
    assert np.isnan(make_table([0], train_seconds=np.full((1, 3), np.nan)).seconds()).all()


def test_frames(end_table):
    frame = end_table.to_frame(curves=True)
    assert frame.valid_score.tolist()[:2] == end_table["valid_score"].tolist()[:2]
    assert frame["valid_curve.3"].tolist()[0] == end_table["valid_curve"][0, 2]
    assert frame["valid_blocks.0"].tolist()[0] == end_table["valid_blocks"][0, 0]
    assert frame["valid_blocks.9"].tolist()[0] == end_table["valid_blocks"][0, 9]
    assert frame.train_loss.tolist() == [
        end_table["train_loss"][row, epoch - 1] for row, epoch in enumerate(end_table["epochs_run"])
    ]
    assert frame.cpu_seconds.tolist() == [9.0, 9.0, 9.0, 3.0, 9.0, 9.0]
    assert frame.final_cpu_seconds.isna().tolist() == [False] * 3 + [True] + [False] * 2
    assert frame.best_epoch.isna().all()
    assert set(frame.code_commit) == {"c" * 40}
    assert not [name for name in frame if name.startswith("test_curve")]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ranks=st.lists(st.integers(0, 8), min_size=1, max_size=9, unique=True),
    epochs=st.integers(1, 4),
    failing=st.sets(st.integers(0, 8)),
    without=st.sets(st.sampled_from([name for name, column in COLUMNS.items() if column.optional])),
)
def test_what_is_written_is_read(tmp_path, ranks, epochs, failing, without):
    """Whichever optional columns there are."""
    made = make_end_table(ranks, epochs=epochs, failing=sorted(failing) if epochs > 1 else ())
    kept = {name: array for name, array in made.columns.items() if name not in without}
    table = Table(made.header, kept, made.hardware)
    write(table, tmp_path / "t.h5", force=True)
    back = read(tmp_path / "t.h5")
    assert back.content_sha256 == table.content_sha256
    assert set(back.columns) == set(kept)
    for name in COLUMNS:
        assert np.array_equal(back[name], table[name], equal_nan=table[name].dtype.kind == "f"), name


def test_anybody_can_repeat_the_hashes(tmp_path, end_table):
    write(end_table, tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5") as opened:
        paths = [
            path
            for path in (column.path for columns in (COLUMNS, HARDWARE) for column in columns.values())
            if path in opened
        ]
        for path in paths:
            values = opened[path][()]
            shape = "x".join(map(str, values.shape))
            text = f"{path} {values.dtype.str} {shape}\n".encode() + values.tobytes()
            assert opened[path].attrs["sha256"].decode() == hashlib.sha256(text).hexdigest()
        assert opened.attrs["score_at"] == b"end"
        assert "scores/test_score" not in opened
        assert "final/test_blocks" in opened.attrs["optional_json"].decode()


def test_results_are_not_circumstances(end_table):
    """What merging does not compare changes the content, and what it compares both hashes."""
    for name, array in end_table.columns.items():
        changed = array.copy()
        changed.reshape(-1).view(np.uint8)[0] ^= 1
        other = Table(end_table.header, {**end_table.columns, name: changed}, end_table.hardware)
        assert other.content_sha256 != end_table.content_sha256, name
        same = not COLUMNS[name].compared and name != "sampler"
        assert (other.results_sha256 == end_table.results_sha256) == same, name
    elsewhere = Table(end_table.header, end_table.columns, {**end_table.hardware, "model": np.array([b"2"])})
    assert elsewhere.content_sha256 != end_table.content_sha256
    assert elsewhere.results_sha256 == end_table.results_sha256
    later = Table(replace(end_table.header, created="2027"), end_table.columns, end_table.hardware)
    assert later.content_sha256 == end_table.content_sha256


def test_tables_travel_without_what_was_read_off(small_table, end_table):
    for table in (small_table, end_table, read(FORMAT_1)):
        before = len(pickle.dumps(table))
        for name in COLUMNS:
            table[name]
        table.results_sha256, table.seconds()
        assert len(pickle.dumps(table)) == before
        back = pickle.loads(pickle.dumps(table))
        assert (back.content_sha256, back.version) == (table.content_sha256, table.version)


def test_columns_that_no_record_has_are_absent(end_table):
    diverged = end_table.select(end_table["status"] == b"diverged")
    assert "valid_score" not in diverged.columns
    assert np.isnan(diverged["valid_score"]).all()
    verify(diverged)
    assert merge([diverged, end_table]).content_sha256 == end_table.content_sha256


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"valid_score": [0.5]},
            r"valid_score is measured at the end, but the protocol's score_at is 'best epoch': give valid_curve",
        ),
        ({"valid_blocks": np.full((1, 10), 0.5)}, "valid_blocks is measured at the end"),
    ],
)
def test_scores_at_the_end_need_a_protocol_that_has_them(columns, message):
    header = make_header()
    with pytest.raises(TableFormatError, match=message):
        build(header, choices=header.space.unrank_many([0]), **columns)


def test_a_protocol_that_reads_scores_elsewhere():
    with pytest.raises(TableFormatError, match="score_at = 'middle', expected one of best epoch, end"):
        make_header(protocol={"score_at": "middle"})


def test_blocks_are_ten():
    with pytest.raises(TableFormatError, match=r"final/valid_blocks: shape \(1, 9\), expected \(1, 10\)"):
        make_end_table([0], valid_blocks=np.full((1, 9), 0.5))


def _attribute(name, text):
    return lambda file: file.attrs.create(name, np.bytes_(text))


def _value(path, at, value):
    def change(file):
        file[path][at] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_attribute("score_at", "best epoch"), "score_at 'best epoch': the protocol has 'end'"),
        (_attribute("optional_json", '["scores/colour"]'), "does not know all: upgrade"),
        (_attribute("optional_json", "{}"), "does not know all: upgrade"),
        (_attribute("optional_json", "7"), "does not know all: upgrade"),
        (_attribute("optional_json", "["), "damaged"),
        (_attribute("results_sha256", "0" * 64), "content does not match its hash"),
        (_attribute("content_sha256", "0" * 64), "content does not match its hash"),
        (lambda f: f.attrs.__delitem__("optional_json"), "attribute optional_json is missing"),
        (_value("final/valid_score", 0, 0.75), "final/valid_score does not match its hash"),
        (_value("final/test_blocks", (1, 3), 0.75), "final/test_blocks does not match its hash"),
        (_value("scores/valid_score", (2, 1), 0.75), "scores/valid_score does not match its hash"),
        (_value("hardware/model", 0, b"9"), "hardware/model does not match its hash"),
        (lambda f: f["final/valid_score"].attrs.__delitem__("sha256"), "final/valid_score states no hash"),
        (lambda f: f.__delitem__("final/valid_blocks"), "final/valid_blocks is missing"),
        (lambda f: f.__delitem__("training/code_commit"), "training/code_commit is missing"),
        (
            _attribute("protocol_json", '{"score_at":"best epoch"}'),
            "score_at 'end': the protocol has 'best epoch'",
        ),
    ],
)
def test_files_of_format_2_that_are_not_what_they_say(tmp_path, end_table, change, message):
    write(end_table, tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5", "r+") as opened:
        change(opened)
    with pytest.raises(TableFormatError, match=message):
        verify(read(tmp_path / "t.h5"))


def test_scores_at_the_end_of_a_table_that_says_otherwise(tmp_path, end_table):
    write(end_table, tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5", "r+") as opened:
        _attribute("protocol_json", "{}")(opened)
        _attribute("score_at", "best epoch")(opened)
    with pytest.raises(
        TableFormatError, match="has final/.*, which is measured at the end, but score_at is 'best epoch'"
    ):
        read(tmp_path / "t.h5")


@pytest.mark.parametrize("path", [FORMAT_1, FORMAT_2])
@pytest.mark.parametrize("step", [61, pytest.param(1, marks=pytest.mark.slow)])
def test_every_flipped_byte_of_either_format_is_noticed_or_harmless(tmp_path, path, step):
    original, sound = path.read_bytes(), read(path)
    for at in range(0, len(original), step):
        (tmp_path / "t.h5").write_bytes(original[:at] + bytes([original[at] ^ (1 << at % 8)]) + original[at + 1 :])
        try:
            table = read(tmp_path / "t.h5")
            for name in COLUMNS:
                assert np.array_equal(table[name], sound[name], equal_nan=sound[name].dtype.kind == "f"), name
        except TableFormatError as error:
            assert "\n" not in str(error)
        else:
            assert table.content_sha256 == sound.content_sha256
