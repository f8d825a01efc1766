"""Reading and writing table files: all columns at once, the file closed again, everything checked on the way in."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nasbench_evs.errors import NasbenchError, TableFormatError, one_line
from nasbench_evs.files import replacing
from nasbench_evs.metrics import BLOCKS
from nasbench_evs.tables.canonical import recorded
from nasbench_evs.tables.format import (
    ATTRIBUTES,
    ATTRIBUTES_1,
    COLUMNS,
    FINAL,
    FORMAT_1,
    FORMAT_NAME,
    FORMAT_VERSION,
    FORMAT_VERSIONS,
    HARDWARE,
    HARDWARE_1,
    METRIC_RANGE,
    Column,
    to_json,
)
from nasbench_evs.tables.header import Header
from nasbench_evs.tables.table import Table

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_CHUNK_BYTES = 1 << 20
# gzip cannot pack more than this; a file that claims to hold more is not what it says.
_MAX_EXPANSION = 1100
_SLACK_BYTES = 1 << 24


def write(table: Table, path: str | Path, *, force: bool = False) -> None:
    """Write a table file of format 2; an existing one stays intact until it is complete (OutputError otherwise)."""
    optional = [COLUMNS[name].path for name in table.columns if COLUMNS[name].optional]
    if table.version != FORMAT_VERSION:
        table = Table(table.header, table.columns, table.hardware)
    attributes = table.header.attributes() | {
        "optional_json": to_json(sorted(optional)),
        "results_sha256": table.results_sha256,
        "content_sha256": table.content_sha256,
    }
    with replacing(Path(path), force=force) as scratch:
        scratch.write_bytes(_image(table, attributes))


def _image(table: Table, attributes: dict[str, str]) -> bytes:
    """What the file is to hold, put together in memory: HDF5 prints what went wrong when a disk that is full refuses it."""
    with h5py.File("table.h5", "w", driver="core", backing_store=False, libver=("v110", "v110")) as file:
        _write_attributes(file, attributes)
        file.attrs.create("format_version", FORMAT_VERSION, dtype=np.int64)
        for columns, arrays in ((COLUMNS, table.columns), (HARDWARE, table.hardware)):
            for name, column in columns.items():
                if name in arrays:
                    _write_column(file, column, arrays[name], table.hashes[column.path])
        file.flush()
        image: bytes = file.id.get_file_image()
        return image


def _write_attributes(target: h5py.File | h5py.Dataset, attributes: dict[str, str]) -> None:
    for name, text in attributes.items():
        data = text.encode()
        target.attrs.create(name, np.bytes_(data), dtype=h5py.string_dtype("utf-8", max(1, len(data))))


def _write_column(file: h5py.File, column: Column, array: np.ndarray, sha256: str) -> None:
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
    _write_attributes(dataset, ({"unit": column.unit} if column.unit else {}) | {"sha256": sha256})


def read(path: str | Path) -> Table:
    """Open a table of either format: read every column, check layout and hashes, close the file.

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


def read_reference_sha256(path: str | Path) -> str:
    """`Table.reference_sha256` as a table file states it, without reading its records (`read` checks that it holds)."""
    with _opened(Path(path)) as (file, _):
        version, attributes = _attributes(file)
        return attributes["results_sha256" if version > 1 else "content_sha256"]


def _read(file: h5py.File, size: int) -> Table:
    version, attributes = _attributes(file)
    header = Header.from_attributes(attributes)
    n = _dataset(file, COLUMNS["rank"]).shape[0]
    epochs = _dataset(file, COLUMNS["valid_curve"]).shape
    widths = {
        "choices": len(header.space.choices),
        "bits": header.space.avec_bits,
        "epochs": epochs[1] if len(epochs) == 2 else -1,
        "blocks": BLOCKS,
    }
    if n < 1 or widths["epochs"] < 1:
        raise TableFormatError(
            f"it has {n} records and curves of shape {epochs}: expected at least one record and epoch"
        )
    limit = size * _MAX_EXPANSION + _SLACK_BYTES
    names, machine_names = (_names(header, attributes), tuple(HARDWARE)) if version > 1 else (FORMAT_1, HARDWARE_1)
    columns = {}
    for name in names:
        column = COLUMNS[name]
        shape = (n,) if column.width is None else (n, widths[column.width])
        columns[name] = _read_column(file, column, shape, limit)
    machines = _dataset(file, HARDWARE["cpu"]).shape
    hardware = {name: np.zeros(machines, "S1") for name in HARDWARE}
    hardware |= {name: _read_column(file, HARDWARE[name], machines, limit) for name in machine_names}
    if version == 1:
        columns = {name: array for name, array in columns.items() if recorded(name, array)}
    table = Table(header, columns, hardware, version)
    if version > 1:
        _check_columns(file, table)
    same = table.content_sha256 == attributes["content_sha256"]
    if not same or table.reference_sha256 != attributes.get("results_sha256", table.reference_sha256):
        raise TableFormatError("the content does not match its hash: the file was damaged or edited; fetch it again")
    return table


def _names(header: Header, attributes: dict[str, str]) -> tuple[str, ...]:
    """The columns that a file of format 2 has."""
    optional = json.loads(attributes["optional_json"])
    known = {column.path: name for name, column in COLUMNS.items() if column.optional}
    if not isinstance(optional, list) or not set(optional) <= set(known):
        raise TableFormatError(
            f"its optional columns are {attributes['optional_json'][:80]}, of which this nasbench-evs does not know all: "
            "upgrade with pip install --upgrade nasbench-evs"
        )
    final = [path for path in optional if known[path] in FINAL]
    if final and header.score_at != "end":
        raise TableFormatError(f"it has {final[0]}, which is measured at the end, but score_at is {header.score_at!r}")
    return tuple(name for name, column in COLUMNS.items() if not column.optional or column.path in optional)


def _check_columns(file: h5py.File, table: Table) -> None:
    for path, sha256 in table.hashes.items():
        if _text(file[path].attrs.get("sha256")) != sha256:
            raise TableFormatError(f"{path} does not match its hash: the file was damaged or edited; fetch it again")


def _attributes(file: h5py.File) -> tuple[int, dict[str, str]]:
    """The format's version and the other root attributes."""
    name, version = file.attrs.get("format"), file.attrs.get("format_version")
    if _text(name) != FORMAT_NAME:
        raise TableFormatError(f"its format is {_text(name) or 'not named'}: expected a table written by nasbench-evs")
    if not isinstance(version, np.integer) or version not in FORMAT_VERSIONS:
        raise TableFormatError(
            f"it has format version {version}, this nasbench-evs reads versions up to {FORMAT_VERSION}: "
            "upgrade with pip install --upgrade nasbench-evs"
        )
    attributes = {}
    for key in (*ATTRIBUTES, METRIC_RANGE) if version > 1 else ATTRIBUTES_1:
        if key == METRIC_RANGE and key not in file.attrs:
            continue
        text = _text(file.attrs.get(key))
        if text is None:
            raise TableFormatError(f"the attribute {key} is missing or no text")
        attributes[key] = text
    return int(version), attributes


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
