"""The canonical order and form of records: equal tables are equal bytes, whoever made them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nasbench_evs.errors import TableFormatError
from nasbench_evs.tables.format import COLUMNS, HARDWARE, MISSING, storage_dtype


def canonical(
    columns: dict[str, np.ndarray], hardware: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Sorted records, shortest text, one NaN, one zero, only what is used and recorded: equal tables, equal bytes."""
    rows = list(zip(*(hardware[name].tolist() for name in HARDWARE), strict=True))
    index = columns["hardware"]
    if len(index) and not (index.min() >= MISSING and index.max() < len(rows)):
        raise TableFormatError(f"training/hardware refers to machine {index.max()}, of {len(rows)} listed")
    used = sorted({rows[i] for i in np.unique(index) if i != MISSING})
    renumber = np.array([used.index(row) if row in used else MISSING for row in rows] + [MISSING], np.int32)
    columns = {**columns, "hardware": renumber[index]}
    machines = {
        name: np.array([row[i] for row in used], storage_dtype(column.kind) if column.kind != "text" else "S")
        if used
        else np.zeros(0, storage_dtype(column.kind))
        for i, (name, column) in enumerate(HARDWARE.items())
    }
    order = record_order(columns)
    for name, array in columns.items():
        array = array[order]
        if array.dtype.kind == "S":
            array = array.astype(f"S{max(1, int(np.char.str_len(array).max(initial=1)))}")
        elif array.dtype.kind == "f":
            array = np.where(np.isnan(array), array.dtype.type(np.nan), array + 0)
        columns[name] = np.ascontiguousarray(array)
    return {name: array for name, array in columns.items() if recorded(name, array)}, machines


def record_order(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """The order of records by key: indices (N,)."""
    return np.lexsort(
        (columns["distilled"], columns["sampler"], columns["distilled"] == 1, columns["seed"], columns["rank"])
    )


def same_key_as_previous(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """For sorted records, whether each has the key of the one before it: bool (N,), the first False."""
    same = np.zeros(len(columns["rank"]), bool)
    rank, seed, sampler, taught = (*(columns[name] for name in ("rank", "seed", "sampler")), columns["distilled"] == 1)
    same[1:] = (rank[1:] == rank[:-1]) & (seed[1:] == seed[:-1]) & (taught[1:] == taught[:-1])
    same[1:] &= (seed[1:] != MISSING) | (sampler[1:] == sampler[:-1])
    return same


def recorded(name: str, array: np.ndarray) -> bool:
    """Whether a table holds this column: all but optional ones that no record has."""
    if not COLUMNS[name].optional:
        return True
    return bool(array.any() if array.dtype.kind == "S" else not np.isnan(array).all())
