"""Merging tables: a set union of records that refuses what does not belong together."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from nasbench_evs.arguments import as_list, of_kind
from nasbench_evs.errors import MergeConflict
from nasbench_evs.tables.canonical import canonical, record_order, same_key_as_previous
from nasbench_evs.tables.format import COLUMNS, HARDWARE, MISSING, to_json
from nasbench_evs.tables.header import Header
from nasbench_evs.tables.table import Table


def merge(tables: Sequence[Table], names: Sequence[str] | None = None) -> Table:
    """All records of the tables, of either format, each once; commutative, associative, idempotent.

    Two records of one training (same key) are equal if all columns agree that format.COLUMNS marks as compared; how long
    it took, where, by which commit and for which sampler may differ: the smallest by `_CIRCUMSTANCES` is kept. `names`
    (for messages, usually file names) go with the tables. MergeConflict if the tables differ in space, dataset,
    fingerprint, protocol, metric or epochs, or if one training has two results.
    """
    tables = as_list("tables", tables, "a list of tables", MergeConflict)
    for table in tables:
        of_kind("one of the tables", table, Table, "a Table, as tables.read gives it", MergeConflict)
    if not tables:
        raise MergeConflict("nothing to merge: give at least one table")
    named = [f"table {i + 1}" for i in range(len(tables))] if names is None else names
    names = [str(name) for name in as_list("names", named, "one for each table", MergeConflict)]
    if len(names) != len(tables):
        raise MergeConflict(f"{len(tables)} tables with {len(names)} names: expected one for each table")
    first = tables[0]
    for table, name in zip(tables[1:], names[1:], strict=True):
        _check_headers(first, table, names[0], name)
    columns, hardware = _stack(tables)
    source = np.repeat(np.arange(len(tables)), [len(table) for table in tables])[record_order(columns)]
    columns, hardware = canonical(columns, hardware)
    same = same_key_as_previous(columns)
    if same.any():
        conflict = _first_conflict(columns, hardware, same)
        if conflict is not None:
            row, column, total = conflict
            raise MergeConflict(_conflict_message(first.header, columns, hardware, row, column, total, source, names))
        kept = _kept(columns, same)
        columns, hardware = canonical({name: array[kept] for name, array in columns.items()}, hardware)
    created = max(table.header.created for table in tables)
    code = ", ".join(sorted({part for table in tables for part in table.header.code.split(", ")}))
    verified = _lines(table.header.verified for table in tables)
    latency = _lines(table.header.latency for table in tables)
    header = replace(
        first.header, created=created, code=code, verified=verified, latency=latency, library=Header.library
    )
    return Table(header, columns, hardware)


def _lines(stated: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted(set().union(*stated)))


def _check_headers(first: Table, other: Table, first_name: str, other_name: str) -> None:
    a, b = first.header.identity, other.header.identity
    a, b = a | {"epochs": first.epochs}, b | {"epochs": other.epochs}
    for field in a | b:
        mine, theirs = a.get(field), b.get(field)
        if mine == theirs:
            continue
        if isinstance(mine, dict) and isinstance(theirs, dict):
            key = min(k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k))
            field, mine, theirs = f"{field} ({key})", mine.get(key), theirs.get(key)
        raise MergeConflict(
            f"the tables differ in {field}: {first_name} has {to_json(mine)}, {other_name} has {to_json(theirs)}; "
            "only records made under one protocol belong in one table"
        )


# What decides which of two equal records is kept, in this order: columns that are not compared, and then how the key is
# written down.
_CIRCUMSTANCES = (
    "sampler", "code_commit", "hardware", "cpu_seconds", "train_seconds", "eval_seconds", "final_cpu_seconds",
    "final_valid_cpu_seconds", "final_eval_seconds", "latency_ms_b1", "latency_ms_b256", "reason",
)  # fmt: skip


def _kept(columns: dict[str, np.ndarray], same: np.ndarray) -> np.ndarray:
    """Of canonical records, the first by `_CIRCUMSTANCES` of each training: bool (N,)."""
    training = np.cumsum(~same)
    several = np.flatnonzero(same | np.append(same[1:], False))
    keys = [training[several]]
    for name in _CIRCUMSTANCES:
        if name in columns:
            values = columns[name][several]
            if values.dtype.kind == "f":  # canonical and not negative: ordered as their bits are, NaN last
                values = values.view(f"u{values.itemsize}")
            keys += list(values.reshape(len(several), -1).T)
    order = several[np.lexsort(keys[::-1])]
    kept = np.ones(len(same), bool)
    kept[order[1:][training[order[1:]] == training[order[:-1]]]] = False
    return kept


def _stack(tables: Sequence[Table]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    stored = [name for name in COLUMNS if any(name in table.columns for table in tables)]
    columns = {name: np.concatenate([table[name] for table in tables]) for name in stored}
    hardware = {name: np.concatenate([table.hardware[name] for table in tables]) for name in HARDWARE}
    start, shifted = 0, []
    for table in tables:
        index = table["hardware"]
        shifted.append(np.where(index == MISSING, MISSING, index + start))
        start += len(table.hardware["cpu"])
    columns["hardware"] = np.concatenate(shifted)
    return columns, hardware


def _first_conflict(
    columns: dict[str, np.ndarray], hardware: dict[str, np.ndarray], same: np.ndarray
) -> tuple[int, str, int] | None:
    """(row, column, how many rows) of records that differ from the record before with the same key."""
    rows = np.flatnonzero(same)
    differs = np.zeros(len(rows), bool)
    first: dict[int, str] = {}
    for name, array in columns.items():
        if not COLUMNS[name].compared:
            continue
        raw = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
        here = (raw[rows] != raw[rows - 1]).any(axis=1)
        for row in rows[here & ~differs]:
            first[int(row)] = name
        differs |= here
    if not first:
        return None
    row = min(first)
    return row, first[row], len(first)


def _conflict_message(
    header: Header,
    columns: dict[str, np.ndarray],
    hardware: dict[str, np.ndarray],
    row: int,
    column: str,
    total: int,
    source: np.ndarray,
    names: Sequence[str],
) -> str:
    values = []
    for r in (row - 1, row):
        value = columns[column][r]
        if isinstance(value, np.ndarray):
            other = columns[column][row if r == row - 1 else row - 1]
            differing = np.flatnonzero(value.view(f"u{value.itemsize}") != other.view(f"u{value.itemsize}"))
            at = int(differing[0])
            value = (
                f"{value[at]} {f'without block {at}' if COLUMNS[column].width == 'blocks' else f'at epoch {at + 1}'}"
            )
        values.append(value.decode() if isinstance(value, bytes) else str(value))
    what = Table(header, columns, hardware).training(row)
    return (
        f"one training, two results: {what} has {column} {values[0]} in {names[source[row - 1]]} and {values[1]} in "
        f"{names[source[row]]}"
        + (f"; {total} records conflict in all" if total > 1 else "")
        + "; drop one of the records"
    )
