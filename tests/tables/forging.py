"""Editing table files and making their hashes right again, as whoever wants to deceive a reader would."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from nasbench_evs.tables.format import COLUMNS, FORMAT_1, HARDWARE, HARDWARE_1, KEY, to_json
from nasbench_evs.tables.hdf5 import _attributes
from nasbench_evs.tables.header import Header
from nasbench_evs.tables.stored import read_column, text_attribute


def replace_column(file: h5py.File, path: str, values: np.ndarray) -> None:
    """Other values for a column, of any type and shape, stored as tables store theirs."""
    kept = dict(file[path].attrs)
    del file[path]
    values = np.asarray(values)
    dtype = h5py.string_dtype("utf-8", values.dtype.itemsize) if values.dtype.kind == "S" else values.dtype
    layout = {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": True} if values.size else {}
    dataset = file.create_dataset(path, data=values.astype(dtype), **layout)
    for name, value in kept.items():
        dataset.attrs[name] = value


def forge(path: Path, change: Callable[[h5py.File], None]) -> None:
    """Change an open file, then state the hashes of what it holds now, as far as it can still be read."""
    with h5py.File(path, "r+") as file:
        change(file)
        seal(file)


def seal(file: h5py.File) -> None:
    """State the hashes of what the file holds."""
    version, attributes = _attributes(file)
    identity = Header.from_attributes(attributes).identity
    if version == 1:
        digest = hashlib.sha256(to_json(identity).encode())
        columns = [COLUMNS[name] for name in FORMAT_1] + [HARDWARE[name] for name in HARDWARE_1]
        for column in columns:
            array = read_column(file, column)
            digest.update(f"{column.stored} {array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data if array.size else b"")
        _state(file, "content_sha256", digest.hexdigest())
        return
    hashes = {}
    for column in (*COLUMNS.values(), *HARDWARE.values()):
        if column.path in file:
            hashes[column.path] = column.sha256(read_column(file, column))
            _state(file[column.path], "sha256", hashes[column.path])
    compared = {column.path for name, column in COLUMNS.items() if column.compared or name in KEY}
    results = {path: sha256 for path, sha256 in hashes.items() if path in compared}
    for name, of in (("content_sha256", hashes), ("results_sha256", results)):
        _state(file, name, hashlib.sha256(to_json({"header": identity, "columns": of}).encode()).hexdigest())


def _state(target: h5py.File | h5py.Dataset, name: str, text: str) -> None:
    if text_attribute(target.attrs.get(name)) != text:
        target.attrs.modify(name, np.bytes_(text))
