"""Reading and writing table files: all columns at once, the file closed again, everything checked on the way in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nasbench_evs.errors import NasbenchError, TableFormatError, one_line
from nasbench_evs.files import replacing
from nasbench_evs.tables.format import ATTRIBUTES, COLUMNS, FORMAT_NAME, FORMAT_VERSION, HARDWARE, Column
from nasbench_evs.tables.table import Header, Table

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_CHUNK_BYTES = 1 << 20
# gzip cannot pack more than this; a file that claims to hold more is not what it says.
_MAX_EXPANSION = 1100
_SLACK_BYTES = 1 << 24


def write(table: Table, path: str | Path, *, force: bool = False) -> None:
    """Write a table file; an existing one stays intact until the new one is complete (OutputError otherwise)."""
    with replacing(Path(path), force=force) as scratch, h5py.File(scratch, "w", libver=("v110", "v110")) as file:
        for name, text in (table.header.attributes() | {"content_sha256": table.content_sha256}).items():
            data = text.encode()
            file.attrs.create(name, np.bytes_(data), dtype=h5py.string_dtype("utf-8", max(1, len(data))))
        file.attrs.create("format_version", FORMAT_VERSION, dtype=np.int64)
        for columns, arrays in ((COLUMNS, table.columns), (HARDWARE, table.hardware)):
            for name, column in columns.items():
                _write_column(file, column, arrays[name])


def _write_column(file: h5py.File, column: Column, array: np.ndarray) -> None:
    dtype = h5py.string_dtype("utf-8", array.dtype.itemsize) if column.kind == "text" else array.dtype
    layout: dict[str, Any] = {}
    if array.size:
        row_bytes = array.dtype.itemsize * int(np.prod(array.shape[1:]))
        rows = min(len(array), max(1, _CHUNK_BYTES // row_bytes))
        layout = {"chunks": (rows, *array.shape[1:]), "compression": "gzip", "shuffle": True, "fletcher32": True}
    data: np.ndarray | None = array.astype(dtype)
    if array.dtype.kind == "f":
        layout["fillvalue"] = np.nan
        if np.isnan(array).all():
            data = None  # nothing was recorded: the fill value alone says so, and takes no time to read
    dataset = file.create_dataset(column.path, array.shape, dtype, data, **layout)
    if column.unit:
        dataset.attrs.create("unit", np.bytes_(column.unit), dtype=h5py.string_dtype("utf-8", len(column.unit)))


def read(path: str | Path) -> Table:
    """Open a table: read every column, check its layout and its content hash, close the file.

    Takes no lock and writes nothing, so any number of processes may open one file, also on a read-only disk.
    TableFormatError if the file is damaged, truncated, foreign, or of a newer format.
    """
    with _opened(Path(path)) as (file, size):
        return _read(file, size)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[h5py.File, int]]:
    """The open file and its size; whatever goes wrong with it is a TableFormatError."""
    try:
        size = path.stat().st_size
        with path.open("rb") as raw:
            signature = raw.read(len(_SIGNATURE))
    except OSError as error:
        raise TableFormatError(f"cannot open {path}: {error.strerror}") from None
    if signature != _SIGNATURE:
        raise TableFormatError(f"{path} is not an HDF5 file: expected a table written by nasbench-evs")
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file, size
    except NasbenchError as error:
        raise TableFormatError(f"{path}: {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # HDF5 reports damage as whatever its bindings make of it
        reason = one_line(error)
        raise TableFormatError(
            f"{path} is damaged or truncated ({reason}): fetch it again, or merge its shards again"
        ) from None


def read_content_sha256(path: str | Path) -> str:
    """The content hash that a table file states, without reading its records (`read` checks that it holds)."""
    with _opened(Path(path)) as (file, _):
        return _attributes(file)["content_sha256"]


def _read(file: h5py.File, size: int) -> Table:
    attributes = _attributes(file)
    header = Header.from_attributes(attributes)
    n = _dataset(file, COLUMNS["rank"]).shape[0]
    epochs = _dataset(file, COLUMNS["valid_score"]).shape
    widths = {
        "choices": len(header.space.choices),
        "bits": header.space.avec_bits,
        "epochs": epochs[1] if len(epochs) == 2 else -1,
    }
    if n < 1 or widths["epochs"] < 1:
        raise TableFormatError(
            f"it has {n} records and curves of shape {epochs}: expected at least one record and epoch"
        )
    limit = size * _MAX_EXPANSION + _SLACK_BYTES
    columns = {}
    for name, column in COLUMNS.items():
        shape = (n,) if column.width is None else (n, widths[column.width])
        columns[name] = _read_column(file, column, shape, limit)
    machines = _dataset(file, HARDWARE["cpu"]).shape
    hardware = {name: _read_column(file, column, machines, limit) for name, column in HARDWARE.items()}
    table = Table(header, columns, hardware)
    if table.content_sha256 != attributes["content_sha256"]:
        raise TableFormatError("the content does not match its hash: the file was damaged or edited; fetch it again")
    return table


def _attributes(file: h5py.File) -> dict[str, str]:
    name, version = file.attrs.get("format"), file.attrs.get("format_version")
    if _text(name) != FORMAT_NAME:
        raise TableFormatError(f"its format is {_text(name) or 'not named'}: expected a table written by nasbench-evs")
    if not isinstance(version, np.integer) or version != FORMAT_VERSION:
        raise TableFormatError(
            f"it has format version {version}, this nasbench-evs reads version {FORMAT_VERSION}: "
            "upgrade with pip install --upgrade nasbench-evs"
        )
    attributes = {}
    for key in ATTRIBUTES:
        text = _text(file.attrs.get(key))
        if text is None:
            raise TableFormatError(f"the attribute {key} is missing or no text")
        attributes[key] = text
    return attributes


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, str) else None


def _dataset(file: h5py.File, column: Column) -> h5py.Dataset:
    """The column's dataset, stored inside this very file."""
    for path in (column.group, column.path):
        if not isinstance(file.get(path, getlink=True), h5py.HardLink):
            raise TableFormatError(f"{path} is missing")
    dataset = file[column.path]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise TableFormatError(f"{column.path} is not stored in the file itself")
    return dataset


def _read_column(file: h5py.File, column: Column, shape: tuple[int, ...], limit: int) -> np.ndarray:
    dataset = _dataset(file, column)
    dtype = dataset.dtype
    fits = dtype.kind == "S" if column.kind == "text" else dtype == np.dtype(column.kind)
    if not fits or dataset.shape != shape:
        raise TableFormatError(
            f"{column.path} holds {dtype} of shape {dataset.shape}: expected "
            f"{'fixed-length text' if column.kind == 'text' else column.kind} of shape {shape}"
        )
    if dtype.itemsize * int(np.prod(shape, dtype=object)) > limit:
        raise TableFormatError(f"{column.path} claims {shape} values, more than a file of this size can hold")
    array = np.empty(shape, dtype)
    if array.size and dataset.id.get_storage_size() == 0:
        array[...] = dataset.fillvalue
    elif array.size:
        dataset.read_direct(array)
    return array.view(f"S{dtype.itemsize}") if column.kind == "text" else array
