"""What must hold of each column of a table, whoever wrote it; checked when a column is read, and by `tables.verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from nasbench_evs.errors import NasbenchError, TableFormatError
from nasbench_evs.tables.canonical import record_order, same_key_as_previous
from nasbench_evs.tables.format import COLUMNS, FINAL, KEY, MISSING, STATUSES
from nasbench_evs.tables.header import Header

_SCORES = ("valid_curve", "test_curve", "valid_score", "test_score", "valid_blocks", "test_blocks")
_COUNTS = ("params", "flops", "epochs_run")
_AT_END = tuple(name for name in FINAL if COLUMNS[name].unit != "s")
# The columns that `faults` of one needs besides it.
COMPARED_WITH = {"choices": ("rank",), "avec": ("choices",)} | dict.fromkeys(_AT_END, ("status",))


def faults(name: str, columns: Mapping[str, np.ndarray], header: Header) -> Iterator[tuple[str, np.ndarray]]:
    """What must hold of a column, and where it does not: bool (N,).

    `columns` has it and those of COMPARED_WITH. TableFormatError for choices that are no architectures at all.
    """
    array, space = columns[name], header.space
    if name == "rank":
        yield "rank within the space", array > np.uint64(space.size - 1)
    elif name == "choices":
        try:
            space.check(array)
        except NasbenchError as error:
            raise TableFormatError(f"choices are no architectures: {error}") from None
        yield "rank follows from choices", space.rank_many(array) != columns["rank"]
    elif name == "avec":
        yield "avec follows from choices", (space.encode_many(columns["choices"]) != array).any(axis=1)
    elif name == "status":
        yield f"status is one of {', '.join(STATUSES)}", ~np.logical_or.reduce([array == s.encode() for s in STATUSES])
    elif name == "seed":
        yield "seed is not negative", array < MISSING
    elif name == "distilled":
        yield "distilled is 0, 1 or not recorded", (array < MISSING) | (array > 1)
    elif name in _COUNTS:
        yield f"{name} is not negative", array < MISSING
    elif name in _SCORES:
        low, high = header.metric.low, header.metric.high
        yield f"{name} lies in [{low:g}, {high:g}]", any_of((array < low) | (array > high) | np.isinf(array))
    elif COLUMNS[name].unit:
        yield f"{name} is finite or missing", any_of(np.isinf(array))
        yield f"{name} is not negative", any_of(array < 0)
    elif COLUMNS[name].kind == "text":
        yield f"{name} is text in UTF-8", _not_utf8(array)
    if name in _AT_END:
        failed = columns["status"] != b"ok"
        yield f"{name} is empty unless the training is ok", failed & any_of(~np.isnan(array))


def check(name: str, columns: Mapping[str, np.ndarray], header: Header) -> list[str]:
    """What holds of a column; TableFormatError with the first record where something does not."""
    passed = []
    for what, wrong in faults(name, columns, header):
        refuse(what, wrong, columns)
        passed.append(what)
    return passed


def refuse(what: str, wrong: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
    """TableFormatError with the first record that `wrong`, bool (N,), marks, and its rank and seed if they are known."""
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        key = ", ".join(f"{name} {columns[name][row]}" for name in ("rank", "seed") if name in columns)
        raise TableFormatError(
            f"record {row} ({key}): {what} does not hold; {int(wrong.sum())} of {len(wrong)} records are affected"
        )


def check_order(columns: Mapping[str, np.ndarray]) -> None:
    """TableFormatError unless records are in canonical order and no training is there twice."""
    rank = columns["rank"]
    refuse("records are in the order of their ranks", np.concatenate([[False], rank[1:] < rank[:-1]]), columns)
    shared = np.zeros(len(rank), bool)
    shared[1:] = rank[1:] == rank[:-1]
    shared[:-1] |= shared[1:]
    rows = np.flatnonzero(shared)
    keys = {name: columns[name][rows] for name in KEY}
    wrong = np.zeros(len(rank), bool)
    wrong[rows] = same_key_as_previous(keys)
    refuse("one record for each training (rank, seed, distilled)", wrong, columns)
    wrong[rows] = record_order(keys) != np.arange(len(rows))
    refuse("records of one architecture are in the order of their seeds", wrong, columns)


def check_machines(hardware: Mapping[str, np.ndarray]) -> None:
    """TableFormatError unless what is said of the machines is text that can be read, and no number is below "not recorded"."""
    for name, array in hardware.items():
        wrong = _not_utf8(array) if array.dtype.kind == "S" else array < MISSING
        if wrong.any():
            raise TableFormatError(f"hardware/{name} of machine {int(np.flatnonzero(wrong)[0])} is {array[wrong][0]!r}")


def any_of(wrong: np.ndarray) -> np.ndarray:
    """Of each record: bool (N,), from that or from (N, values)."""
    if wrong.ndim == 1:
        return wrong
    return np.asarray(wrong.any(axis=1)) if wrong.any() else np.zeros(len(wrong), bool)  # which is far quicker to find


def _not_utf8(texts: np.ndarray) -> np.ndarray:
    wrong = np.zeros(len(texts), bool)
    if texts.size and np.ascontiguousarray(texts).view(np.uint8).max() >= 0x80:  # else it is ASCII
        for text in np.unique(texts):
            try:
                text.decode()
            except UnicodeDecodeError:
                wrong |= texts == text
    return wrong
