"""Checking a table beyond what opening checks: that the parts of each record agree with each other."""

from typing import Any

import numpy as np

from nasbench_evs.arguments import of_kind
from nasbench_evs.errors import NasbenchError, TableFormatError
from nasbench_evs.tables.canonical import same_key_as_previous
from nasbench_evs.tables.format import COLUMNS, CURVE_OF, MISSING, STATUSES
from nasbench_evs.tables.table import Table


def verify(table: Table) -> list[str]:
    """The checks that passed, one line each; TableFormatError with the first record that fails one.

    `tables.read` has already checked the layout and the hashes.
    """
    of_kind("table", table, Table, "a Table, as tables.read gives it", TableFormatError)
    space, header = table.header.space, table.header
    passed = ["layout and hashes"]

    def check(what: str, wrong: Any) -> None:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise TableFormatError(
                f"record {row} (rank {table['rank'][row]}, seed {table['seed'][row]}): {what} does not hold; "
                f"{int(wrong.sum())} of {len(table)} records are affected"
            )
        passed.append(what)

    check("rank within the space", table["rank"] > np.uint64(space.size - 1))
    try:
        choices = space.check(table["choices"])
    except NasbenchError as error:
        raise TableFormatError(f"choices are no architectures: {error}") from None
    passed.append("choices are architectures")
    check("rank follows from choices", space.rank_many(choices) != table["rank"])
    check("avec follows from choices", (space.encode_many(choices) != table["avec"]).any(axis=1))
    check("one record for each training (rank, seed, distilled)", same_key_as_previous(table.columns))
    check("status is one of " + ", ".join(STATUSES), ~np.isin(table["status"], [s.encode() for s in STATUSES]))
    check("texts are UTF-8", ~_is_utf8(table))
    check("seed is not negative", table["seed"] < MISSING)
    check("distilled is 0, 1 or not recorded", ~np.isin(table["distilled"], (0, 1, MISSING)))
    low, high = header.metric.low, header.metric.high
    for name in _stored(table, "valid_curve", "test_curve", "valid_score", "test_score", "valid_blocks", "test_blocks"):
        with np.errstate(invalid="ignore"):
            outside = (table[name] < low) | (table[name] > high) | np.isinf(table[name])
        check(f"{name} lies in [{low:g}, {high:g}]", _any(outside))
    ok, score = table["status"] == b"ok", table["valid_score"]
    check("a training that is ok has a score", ok & np.isnan(score))
    losses = ("train_loss", "valid_loss_curve", "test_loss_curve", "valid_loss", "test_loss")
    seconds = [name for name, column in COLUMNS.items() if column.unit == "s"]
    for name in _stored(table, *losses, *seconds):
        check(f"{name} is finite or missing", _any(np.isinf(table[name])) & ok)
    if header.score_at == "end":
        for name in _stored(table, *CURVE_OF, "valid_blocks", "test_blocks"):
            check(f"{name} is empty unless the training is ok", ~ok & _any(~np.isnan(table[name])))
        for name in _stored(table, "valid_blocks", "test_blocks"):
            whole = table[name.replace("blocks", "score")]
            check(f"{name} belong to a score", np.isnan(whole) & _any(~np.isnan(table[name])))
        for name in _stored(table, *(name for name in seconds if COLUMNS[name].group == "final"), "cpu_seconds"):
            with np.errstate(invalid="ignore"):
                check(f"{name} is not negative", _any(table[name] < 0))
        with np.errstate(invalid="ignore"):
            longer = table["final_valid_cpu_seconds"] > table["final_cpu_seconds"]
        check("the validation split's share of the last evaluation is within it", longer)
    for name in ("params", "flops", "epochs_run"):
        check(f"{name} is not negative", table[name] < MISSING)
    check("there is one column of best epochs", np.full(len(table), header.curves == "best" and table.epochs != 1))
    if header.curves == "epochs":
        check("epochs run is within the curves", (table["epochs_run"] > table.epochs) | (table["epochs_run"] < MISSING))
        ran = table["epochs_run"]
        after = np.arange(table.epochs)[None, :] >= np.where(ran == MISSING, table.epochs, ran)[:, None]
        for name in _stored(table, *losses[:3], "valid_curve", "test_curve", "train_seconds", "cpu_seconds"):
            check(f"{name} is empty after the last epoch", (after & ~np.isnan(table[name])).any(axis=1))
    if header.shape is not None and (table["params"] != MISSING).any():
        cost = space.cost_many(choices, header.shape)
        for name, expected in (("params", cost.params), ("flops", cost.flops)):
            check(f"{name} follow from the architecture", (table[name] != MISSING) & (table[name] != expected))
    return passed


def _stored(table: Table, *names: str) -> list[str]:
    return [name for name in names if name in table.columns]


def _any(wrong: np.ndarray) -> np.ndarray:
    """Of each record: bool (N,)."""
    return np.asarray(wrong if wrong.ndim == 1 else wrong.any(axis=1))


def _is_utf8(table: Table) -> np.ndarray:
    fine = np.ones(len(table), bool)
    for name, column in COLUMNS.items():
        if column.kind == "text" and name in table.columns:
            for text in np.unique(table[name]):
                try:
                    text.decode()
                except UnicodeDecodeError:
                    fine &= table[name] != text
    return fine
