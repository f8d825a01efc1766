"""The columns of a table file of format 2: each is read, and checked, when it is first used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nasbench_evs.errors import NasbenchError, TableFormatError, one_line
from nasbench_evs.reader import check_ordinary
from nasbench_evs.tables.checks import COMPARED_WITH, check, check_order
from nasbench_evs.tables.format import COLUMNS, KEY, Column
from nasbench_evs.tables.header import Header

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# A file holds at most this many times its size, all columns together: recorded tables hold two to six times theirs, and
# gzip, which cannot pack more than a thousandfold, would let a small file fill the memory.
_MOST_EXPANSION = 100
_SLACK_BYTES = 1 << 24


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The open file; whatever goes wrong with it is a TableFormatError."""
    check_ordinary(path, TableFormatError, "a table written by nasbench-evs")
    try:
        with path.open("rb") as raw:
            signature = raw.read(len(_SIGNATURE))
    except OSError as error:
        raise TableFormatError(f"cannot open {path}: {error.strerror}") from None
    if signature != _SIGNATURE:
        raise TableFormatError(f"{path} is not an HDF5 file: expected a table written by nasbench-evs")
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except NasbenchError as error:
        raise TableFormatError(f"{path}: {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # HDF5 reports damage as whatever its bindings make of it
        reason = one_line(error)
        raise TableFormatError(
            f"{path} is damaged or truncated ({reason}): fetch it again, or merge its shards again"
        ) from None


def text_attribute(value: Any) -> str | None:
    """An attribute's text; None if it is none."""
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, str) else None


def dataset_of(file: h5py.File, column: Column) -> h5py.Dataset:
    """The column's dataset, stored inside this very file."""
    for path in (column.group, column.path):
        if not isinstance(file.get(path, getlink=True), h5py.HardLink):
            raise TableFormatError(f"{path} is missing")
    dataset = file[column.path]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise TableFormatError(f"{column.path} is not stored in the file itself")
    return dataset


def check_layout(file: h5py.File, shapes: Mapping[Column, tuple[int, ...]]) -> None:
    """TableFormatError unless these columns are there, in these shapes, and no more than a file of this size can hold."""
    claimed, most = 0, Path(file.filename).stat().st_size * _MOST_EXPANSION + _SLACK_BYTES
    for column, shape in shapes.items():
        dataset = dataset_of(file, column)
        dtype = dataset.dtype
        fits = dtype.kind == "S" if column.kind == "text" else dtype == np.dtype(column.kind)
        if not fits or dataset.shape != shape:
            raise TableFormatError(
                f"{column.path} holds {dtype} of shape {dataset.shape}: expected "
                f"{'fixed-length text' if column.kind == 'text' else column.kind} of shape {shape}"
            )
        chunk = dtype.itemsize * int(np.prod(dataset.chunks or (0,), dtype=object))
        claimed += max(chunk, dtype.itemsize * int(np.prod(shape, dtype=object)))
        if claimed > most:
            raise TableFormatError(f"{column.path} claims {shape} values, more than a file of this size can hold")


def read_column(file: h5py.File, column: Column) -> np.ndarray:
    """The values of a column whose layout was checked; text as UTF-8 bytes."""
    dataset = dataset_of(file, column)
    array = np.empty(dataset.shape, dataset.dtype)
    if array.size and dataset.id.get_storage_size() == 0:
        array[...] = dataset.fillvalue
    elif array.size:
        dataset.read_direct(array)
    return array.view(f"S{dataset.dtype.itemsize}") if column.kind == "text" else array


def check_sha256(column: Column, array: np.ndarray, stated: str) -> None:
    """TableFormatError unless a column's values have the hash that the file states."""
    if column.sha256(array) != stated:
        raise TableFormatError(f"{column.path} does not match its hash: the file was damaged or edited; fetch it again")


class StoredColumns(Mapping[str, np.ndarray]):
    """Columns of a file by name; the file is open only while some are read.

    Getting one is a TableFormatError if it does not match the hash that the file stated when it was opened, if it holds
    what it must not (`checks`), or if another file stands there now. Pickles as the place of the file.
    """

    def __init__(
        self,
        path: Path,
        content_sha256: str,
        hashes: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
        header: Header,
    ) -> None:
        """`hashes` and `shapes` are those that the file states, by name; `content_sha256` tells it from another."""
        self._path = path.absolute()  # whoever uses a column may be elsewhere by then
        self._content_sha256, self._hashes, self._header = content_sha256, hashes, header
        self.shapes = shapes
        self._arrays: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._hashes:
            raise KeyError(name)
        if name not in self._arrays:
            with opened(self._path) as file:
                if text_attribute(file.attrs.get("content_sha256")) != self._content_sha256:
                    raise TableFormatError("it was replaced while it was in use: open it again")
                self.read(file, name)
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._hashes)

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, name: object) -> bool:
        return name in self._hashes

    def read_keys(self, file: h5py.File) -> None:
        """Read what trainings are named by, and check that records are in order and none is there twice."""
        for name in KEY:
            self.read(file, name)
        check_order(self)

    def read(self, file: h5py.File, name: str) -> None:
        """Read one column from the open file, unless it is known."""
        if name in self._arrays:
            return
        column = COLUMNS[name]
        array = read_column(file, column)
        array.flags.writeable = False
        check_sha256(column, array, self._hashes[name])
        known = self._arrays | {each: self[each] for each in COMPARED_WITH.get(name, ())}
        check(name, known | {name: array}, self._header)
        self._arrays[name] = array

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredColumns, (self._path, self._content_sha256, self._hashes, self.shapes, self._header)
