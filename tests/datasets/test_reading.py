"""Raw files as publishers ship them, and every way they can be wrong."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest

from nasbench_evs.datasets import reading
from nasbench_evs.errors import DatasetError

CSV = b"\xef\xbb\xbfid,when,x\na,2020-01-01,1.5\nb,2020-01-02,\n"


def make_file(folder, kind):
    path = folder / f"t.csv{kind}"
    if kind == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", CSV)
    else:
        pack = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[kind]
        path.write_bytes(pack(CSV))
    return path


@pytest.mark.parametrize("kind", ["", ".gz", ".zip", ".bz2", ".xz"])
def test_tables_of_every_compression(tmp_path, kind):
    path = make_file(tmp_path, kind)
    assert reading.find(tmp_path, "t.csv") == path
    frame = reading.read_csv(path, ["x", "id"])
    assert frame.columns.tolist() == ["x", "id"]
    assert frame.id.tolist() == ["a", "b"]
    assert np.isnan(reading.numbers(frame.x, path, missing=True)[1])
    original = path.read_bytes()
    if kind:
        for length in (1, len(original) // 2, len(original) - 5):
            path.write_bytes(original[:length])
            with pytest.raises(DatasetError, match=r"t.csv.* is damaged|cannot read|no table"):
                reading.read_csv(path, ["x", "id"])


def test_columns_that_are_not_there(tmp_path):
    path = make_file(tmp_path, "")
    with pytest.raises(DatasetError, match="has no column 'y'; its columns are id, when, x"):
        reading.read_csv(path, ["id", "y"])


def test_files_that_are_something_else(tmp_path):
    path = tmp_path / "t.csv"
    for content in (b"\xff\xfe\x00\x01" * 50, b"", b"id;x\n1;2\n"):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"t\.csv"):
            reading.read_csv(path, ["id", "x"])
    path.write_text("id,x\n1,2\n1,2,3,4\n")
    with pytest.raises(DatasetError, match="no table of comma-separated values"):
        reading.read_csv(path, ["id", "x"])
    with pytest.raises(DatasetError, match="holds no other.csv"):
        reading.find(tmp_path, "other.csv")
    with pytest.raises(DatasetError, match="does not exist"):
        reading.find(tmp_path / "nowhere", "t.csv")


def test_a_time_that_does_not_parse_far_down(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"{i},2020-01-01 00:00:00,{i}" for i in range(60_000)]
    rows[51_233] = "7,2020-13-01 00:00:00,x"
    path.write_text("id,when,x\n" + "\n".join(rows))
    frame = reading.read_csv(path, ["when", "x"])
    with pytest.raises(DatasetError, match=r"t\.csv, row 51,234, column when: '2020-13-01 00:00:00' is not a time"):
        reading.times(frame.when, path, "%Y-%m-%d %H:%M:%S")
    with pytest.raises(DatasetError, match=r"row 51,234, column x: 'x' is not a number"):
        reading.numbers(frame.x, path)


@pytest.mark.parametrize("text", ["inf", "-inf", "1e999", "", "one", "1,5"])
def test_what_is_no_number(tmp_path, text):
    import pandas as pd

    values = pd.Series(["1", text], name="x")
    with pytest.raises(DatasetError, match="row 2, column x"):
        reading.numbers(values, tmp_path)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_archives(tmp_path, mode):
    path = tmp_path / "a.tar"
    with tarfile.open(path, mode) as archive:
        for name in ("d/1.txt", "d/2.txt"):
            member = tarfile.TarInfo(name)
            member.size = 5
            archive.addfile(member, io.BytesIO(name[2:3].encode() * 5))
    assert list(reading.tar_members(path)) == [("d/1.txt", b"11111"), ("d/2.txt", b"22222")]
    original = path.read_bytes()
    path.write_bytes(original[: len(original) // 3 if mode != "w" else 514])
    with pytest.raises(DatasetError, match="is damaged"):
        list(reading.tar_members(path))


def test_zips_in_zips(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("deep.csv", CSV)
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as archive:
        archive.writestr("lib/data.zip", inner.getvalue())
    assert reading.unzip(tmp_path / "w.whl", "data.zip", ".csv") == CSV
    with pytest.raises(DatasetError, match=r"holds 0 files named \*x.zip: expected one"):
        reading.unzip(tmp_path / "w.whl", "x.zip")
    (tmp_path / "w.whl").write_bytes(b"no zip")
    with pytest.raises(DatasetError, match="is damaged"):
        reading.unzip(tmp_path / "w.whl", "data.zip")


def bomb(kind):
    """Packed bytes that unpack to 64 MiB."""
    zeros = b"0" * (64 << 20)
    if kind == "zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", zeros)
        return packed.getvalue()
    if kind == "tar.gz":
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            info = tarfile.TarInfo("a.txt")
            info.size = len(zeros)
            archive.addfile(info, io.BytesIO(zeros))
        return packed.getvalue()
    return {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[kind](zeros)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip", "tar.gz"])
def test_what_unpacks_to_far_more_than_it_has(tmp_path, kind):
    path = tmp_path / f"t.csv.{kind}"
    path.write_bytes(bomb(kind))
    with pytest.raises(DatasetError, match=r"unpacks to more than [\d,]+ bytes: no file of its size does"):
        list(reading.tar_members(path)) if kind == "tar.gz" else reading.read_csv(path, None)


@pytest.mark.parametrize(
    "read", [lambda p: reading.read_csv(p, None), reading.read_parquet, lambda p: list(reading.tar_members(p))]
)
def test_pipes_and_devices(tmp_path, read):
    for make in (os.mkfifo, lambda path: os.symlink("/dev/zero", path)):
        path = tmp_path / f"{make.__name__.strip('<>')}.csv"
        make(path)
        with pytest.raises(
            DatasetError, match="it is a pipe or a device, expected a file, the file as its publisher ships it"
        ):
            read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b",".join(b"c%d" % i for i in range(100_000)) + b"\n", "has 100,000 columns: expected at most 10,000"),
        (b"id,id\n1,2\n", "has the column 'id' twice"),
        (b'id,x\n"1,2\n' + b"3,4\n" * 1000, "no table of comma-separated values"),
        (b"id,x\n1," + b"\xff\n", "is no text"),
        (b"id,x\n1,a\0b\n", "is no text"),
    ],
)
def test_tables_that_are_none(tmp_path, content, message):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message) as caught:
        reading.read_csv(path, None)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("cell", ["x" * 10_001, "a\0", "\ud800"])
def test_cells_that_an_array_of_texts_cannot_hold(cell):
    with pytest.raises(DatasetError, match="row 2, column c: .* expected at most 10,000 that UTF-8 has"):
        reading.text(pd.Series(["a", cell], name="c", dtype=object))


def test_parquet_that_claims_more_than_it_has(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"x": np.zeros(40_000_000, np.int8)}).to_parquet(path)
    with pytest.raises(DatasetError, match="claims 40,000,000 rows of 1 columns"):
        reading.read_parquet(path)
    good = pd.DataFrame({"x": np.arange(100), "y": ["a"] * 100})
    good.to_parquet(path)
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(content)
        for at in generator.integers(len(content), size=3):
            damaged[at] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            reading.read_parquet(path)
        except DatasetError as error:
            assert "\n" not in str(error)
