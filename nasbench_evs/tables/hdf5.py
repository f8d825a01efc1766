"""Writing table files, and opening them: a file is open only while it is read, and all is checked on the way in."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nasbench_evs.arguments import as_path, of_kind
from nasbench_evs.errors import OutputError, TableFormatError
from nasbench_evs.files import replacing
from nasbench_evs.metrics import BLOCKS
from nasbench_evs.tables.canonical import recorded
from nasbench_evs.tables.checks import check, check_machines, check_order
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
    LATENCY,
    METRIC_RANGE,
    Column,
    to_json,
)
from nasbench_evs.tables.header import Header
from nasbench_evs.tables.stored import (
    StoredColumns,
    check_layout,
    check_sha256,
    dataset_of,
    opened,
    read_column,
    text_attribute,
)
from nasbench_evs.tables.table import Table

_CHUNK_BYTES = 1 << 20


def write(table: Table, path: str | Path, *, force: bool = False) -> None:
    """Write a table file of format 2; an existing one stays intact until it is complete (OutputError otherwise)."""
    of_kind("table", table, Table, "a Table, as tables.build makes one", TableFormatError)
    path = as_path("path", path, OutputError)
    optional = [COLUMNS[name].path for name in table.columns if COLUMNS[name].optional]
    if table.version != FORMAT_VERSION:
        table = Table(table.header, table.columns, table.hardware)
    attributes = table.header.attributes() | {
        "optional_json": to_json(sorted(optional)),
        "results_sha256": table.results_sha256,
        "content_sha256": table.content_sha256,
    }
    with replacing(path, force=force) as scratch:
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
    """Open a table of either format: check its layout, what its hashes are of, and that no training is there twice.

    The columns of format 2 are read, and checked, when they are first used; of format 1 all at once. The file is closed
    again, nothing is locked or written, so any number of processes may open one file, also on a read-only disk.
    TableFormatError if the file is damaged, truncated, foreign, or of a newer format; of format 2 also when such a column is
    used, or if another file stands there by then.
    """
    path = as_path("path", path, TableFormatError)
    with opened(path) as file:
        return _read(file, path)


def read_reference_sha256(path: str | Path) -> str:
    """`Table.reference_sha256` as a table file states it, without reading its records (`read` checks that it holds)."""
    with opened(as_path("path", path, TableFormatError)) as file:
        version, attributes = _attributes(file)
        return attributes["results_sha256" if version > 1 else "content_sha256"]


def _read(file: h5py.File, path: Path) -> Table:
    version, attributes = _attributes(file)
    header = Header.from_attributes(attributes)
    names, machine_names = (_names(header, attributes), tuple(HARDWARE)) if version > 1 else (FORMAT_1, HARDWARE_1)
    shapes = _shapes(file, header, names)
    machines = dataset_of(file, HARDWARE["cpu"]).shape
    check_layout(
        file, {COLUMNS[name]: shapes[name] for name in names} | {HARDWARE[name]: machines for name in machine_names}
    )
    hardware = {name: np.zeros(machines, "S1") for name in HARDWARE}
    hardware |= {name: read_column(file, HARDWARE[name]) for name in machine_names}
    if version > 1:
        stated = {name: _stated_sha256(file, COLUMNS[name]) for name in names}
        hashes = {COLUMNS[name].path: sha256 for name, sha256 in stated.items()}
        for name, column in HARDWARE.items():
            hashes[column.path] = _stated_sha256(file, column)
            check_sha256(column, hardware[name], hashes[column.path])
        stored = StoredColumns(path, attributes["content_sha256"], stated, shapes, header)
        table = Table(header, stored, hardware, version, hashes)
    else:
        columns = {name: read_column(file, COLUMNS[name]) for name in names}
        columns = {name: array for name, array in columns.items() if recorded(name, array)}
        table = Table(header, columns, hardware, version)
    same = table.content_sha256 == attributes["content_sha256"]
    if not same or table.reference_sha256 != attributes.get("results_sha256", table.reference_sha256):
        raise TableFormatError("the content does not match its hash: the file was damaged or edited; fetch it again")
    check_machines(hardware)
    if version > 1:
        stored.read_keys(file)
    else:
        check_order(columns)
        for name in columns:
            check(name, columns, header)
    return table


def _stated_sha256(file: h5py.File, column: Column) -> str:
    sha256 = text_attribute(file[column.path].attrs.get("sha256"))
    if sha256 is None:
        raise TableFormatError(f"{column.path} states no hash: the file was damaged or edited; fetch it again")
    return sha256


def _shapes(file: h5py.File, header: Header, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """What shape each column must have, by name."""
    n = dataset_of(file, COLUMNS["rank"]).shape[0]
    epochs = dataset_of(file, COLUMNS["valid_curve"]).shape
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
    return {name: (n,) if (width := COLUMNS[name].width) is None else (n, widths[width]) for name in names}


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


def _attributes(file: h5py.File) -> tuple[int, dict[str, str]]:
    """The format's version and the other root attributes."""
    name, version = file.attrs.get("format"), file.attrs.get("format_version")
    if text_attribute(name) != FORMAT_NAME:
        raise TableFormatError(
            f"its format is {text_attribute(name) or 'not named'}: expected a table written by nasbench-evs"
        )
    if not isinstance(version, np.integer) or version not in FORMAT_VERSIONS:
        raise TableFormatError(
            f"it has format version {version}, this nasbench-evs reads versions up to {FORMAT_VERSION}: "
            "upgrade with pip install --upgrade nasbench-evs"
        )
    attributes = {}
    optional = [key for key in (METRIC_RANGE, LATENCY) if key in file.attrs]
    for key in (*ATTRIBUTES, *optional) if version > 1 else ATTRIBUTES_1:
        text = text_attribute(file.attrs.get(key))
        if text is None:
            raise TableFormatError(f"the attribute {key} is missing or no text")
        attributes[key] = text
    return int(version), attributes
