"""Checking a table beyond what opening checks: that the parts of each record agree with each other."""

from typing import Any

import numpy as np

from nasbench_evs.errors import NasbenchError, TableFormatError
from nasbench_evs.tables.format import COLUMNS, MISSING, STATUSES
from nasbench_evs.tables.table import Table, same_key_as_previous


def verify(table: Table) -> list[str]:
    """The checks that passed, one line each; TableFormatError with the first record that fails one.

    `tables.read` has already checked the layout and the content hash.
    """
    space, header = table.header.space, table.header
    passed = ["layout and content hash"]

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
    for name in ("valid_score", "test_score"):
        with np.errstate(invalid="ignore"):
            outside = ((table[name] < low) | (table[name] > high) | np.isinf(table[name])).any(axis=1)
        check(f"{name} lies in [{low:g}, {high:g}]", outside)
    check("a training that is ok has a score", (table["status"] == b"ok") & (table.best_epoch == 0))
    for name in ("train_loss", "valid_loss", "test_loss", "train_seconds", "eval_seconds"):
        check(f"{name} is finite or missing", np.isinf(table[name]).any(axis=1) & (table["status"] == b"ok"))
    for name in ("params", "flops", "epochs_run"):
        check(f"{name} is not negative", table[name] < MISSING)
    check("there is one column of best epochs", np.full(len(table), header.curves == "best" and table.epochs != 1))
    if header.curves == "epochs":
        check("epochs run is within the curves", (table["epochs_run"] > table.epochs) | (table["epochs_run"] < MISSING))
        ran = table["epochs_run"]
        after = np.arange(table.epochs)[None, :] >= np.where(ran == MISSING, table.epochs, ran)[:, None]
        for name in ("train_loss", "valid_loss", "test_loss", "valid_score", "test_score", "train_seconds"):
            check(f"{name} is empty after the last epoch", (after & ~np.isnan(table[name])).any(axis=1))
    if header.shape is not None and (table["params"] != MISSING).any():
        cost = space.cost_many(choices, header.shape)
        for name, expected in (("params", cost.params), ("flops", cost.flops)):
            check(f"{name} follow from the architecture", (table[name] != MISSING) & (table[name] != expected))
    return passed


def _is_utf8(table: Table) -> np.ndarray:
    fine = np.ones(len(table), bool)
    for name, column in COLUMNS.items():
        if column.kind == "text":
            for text in np.unique(table[name]):
                try:
                    text.decode()
                except UnicodeDecodeError:
                    fine &= table[name] != text
    return fine
