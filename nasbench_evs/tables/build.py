"""Making a table from arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasbench_evs.arguments import as_list, of_kind
from nasbench_evs.errors import TableFormatError, shown
from nasbench_evs.metrics import BLOCKS
from nasbench_evs.tables.canonical import canonical, same_key_as_previous
from nasbench_evs.tables.format import COLUMNS, CURVE_OF, FINAL, HARDWARE, Column, storage_dtype
from nasbench_evs.tables.header import Header
from nasbench_evs.tables.table import Table
from nasbench_evs.tables.verify import verify


def build(
    header: Header,
    *,
    choices: np.ndarray,
    machines: Sequence[Mapping[str, Any]] = (),
    **columns: Any,
) -> Table:
    """A table from choice indices (N, C) and any of the other columns; what is not given is missing.

    A column is one value for all records, or an array of exactly its shape; masked entries are missing. Curves
    (`valid_curve`, `train_loss`, ...) are (N, E) with one E for all, blocks (N, 10). rank and avec follow from the
    choices. `valid_score` and what else is measured at the end goes with a protocol whose `score_at` is "end".
    `machines` lists what the hardware column refers to (cpu, gpu, threads, versions, family, model,
    instruction_set). The table is what `verify` accepts, or a TableFormatError.
    """
    of_kind("header", header, Header, "a tables.Header", TableFormatError)
    machines = as_list("machines", machines, "a list of {name: value}, one for each machine", TableFormatError)
    for machine in machines:
        of_kind("a machine", machine, Mapping, "{name: value}", TableFormatError)
    space = header.space
    choices = np.asarray(space.check(choices))
    n = len(choices)
    if n == 0:
        raise TableFormatError("a table needs at least one record")
    unknown = set(columns) - set(COLUMNS) | set(columns) & {"rank", "avec"}
    if unknown:
        raise TableFormatError(f"no such columns: {', '.join(sorted(unknown))}; expected some of {', '.join(COLUMNS)}")
    final = [name for name in FINAL if name in columns]
    if final and header.score_at != "end":
        raise TableFormatError(
            f"{final[0]} is measured at the end, but the protocol's score_at is {shown(header.score_at)}: give "
            f'{CURVE_OF.get(final[0], "curves")}, shape (N, epochs), or a protocol with score_at "end"'
        )
    columns.setdefault("status", "ok")
    epochs = {
        _epochs(column, columns[name])
        for name, column in COLUMNS.items()
        if column.width == "epochs" and name in columns
    }
    if len(epochs) > 1:
        raise TableFormatError(f"curves have {' and '.join(map(str, sorted(epochs)))} epochs: expected one length")
    widths = {"choices": len(space.choices), "bits": space.avec_bits, "blocks": BLOCKS}
    widths["epochs"] = next(iter(epochs), 1)
    full: dict[str, np.ndarray] = {}
    for name, column in COLUMNS.items():
        if name == "choices":
            full[name] = choices
        elif name == "rank":
            full[name] = space.rank_many(choices)
        elif name == "avec":
            full[name] = space.encode_many(choices)
        elif name in columns or not column.optional:
            full[name] = _column(column, columns.get(name, column.default), n, widths)
    for machine in machines:
        if set(machine) - set(HARDWARE):
            raise TableFormatError(f"machine {dict(machine)} has unknown keys: expected some of {', '.join(HARDWARE)}")
    hardware = {
        name: _column(column, [row.get(name, column.default) for row in machines], len(machines), {})
        for name, column in HARDWARE.items()
    }
    table = Table(header, *canonical(full, hardware))
    twice = np.flatnonzero(same_key_as_previous(table.columns))
    if len(twice):
        raise TableFormatError(f"two records of one training: {table.training(int(twice[0]))}")
    verify(table)
    return table


def _epochs(column: Column, values: Any) -> int:
    try:
        shape = np.shape(values)
    except ValueError:
        shape = ()
    if len(shape) != 2 or shape[1] < 1:
        raise TableFormatError(
            f"column {column.path}: expected a curve per record, shape (N, epochs), got shape {shape}"
        )
    return int(shape[1])


def _column(column: Column, values: Any, n: int, widths: Mapping[str, int]) -> np.ndarray:
    dtype = storage_dtype(column.kind)
    shape = (n,) if column.width is None else (n, widths[column.width])
    try:
        if column.kind == "text":
            texts = [values] * n if isinstance(values, str | bytes) else list(values)
            array = np.array([_utf8(text) for text in texts], "S") if n else np.zeros(0, "S1")
            array = array.astype(f"S{max(array.dtype.itemsize, 1)}")
        else:
            if isinstance(values, np.ma.MaskedArray):
                mask = np.ma.getmaskarray(values)
                values = np.array(values.data, dtype)
                values[mask] = column.default
            given = np.asarray(values)
            if dtype.kind in "iu" and given.size and given.dtype.kind not in "iub":
                raise TypeError("expected integers")
            if given.ndim:
                if given.shape != shape:
                    raise ValueError(f"shape {given.shape}, expected {shape}, or one value for all records")
                array = given.astype(dtype)
            else:
                array = np.full(shape, given.astype(dtype))
            if dtype.kind in "iu" and (array != given).any():
                raise OverflowError(f"values do not fit {dtype}")
        if array.shape != shape:
            raise ValueError(f"shape {array.shape}, expected {shape}")
    except (TypeError, ValueError, OverflowError) as error:
        what = "texts" if column.kind == "text" else f"values of {column.kind}"
        raise TableFormatError(
            f"column {column.path}: {error}; expected {what} of shape {shape}, or one for all"
        ) from None
    return array


def _utf8(text: Any) -> bytes:
    if isinstance(text, bytes):
        text.decode()  # a UnicodeDecodeError is a ValueError
        return bytes(text)
    if not isinstance(text, str) or "\0" in text:
        raise TypeError(f"expected text, got {shown(text)}")
    return text.encode()
