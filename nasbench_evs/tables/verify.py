"""Checking a table beyond what opening and reading checks: that the parts of each record agree with each other."""

from typing import Any

import numpy as np

from nasbench_evs.arguments import of_kind
from nasbench_evs.errors import TableFormatError
from nasbench_evs.tables.checks import any_of, check, check_machines, check_order, refuse
from nasbench_evs.tables.format import MISSING
from nasbench_evs.tables.table import Table


def verify(table: Table) -> list[str]:
    """The checks that passed, one line each; TableFormatError with the first record that fails one.

    Reads every column; `tables.read` has already checked the layout.
    """
    of_kind("table", table, Table, "a Table, as tables.read gives it", TableFormatError)
    space, header = table.header.space, table.header
    passed = ["layout and hashes"]
    for name in table.columns:
        passed += check(name, table.columns, header)
    check_order(table.columns)
    check_machines(table.hardware)
    passed += ["one record for each training (rank, seed, distilled), in order", "machines are described in UTF-8"]

    def hold(what: str, wrong: Any) -> None:
        refuse(what, wrong, table.columns)
        passed.append(what)

    ok, score = table["status"] == b"ok", table["valid_score"]
    hold("a training that is ok has a score", ok & np.isnan(score))
    losses = ("train_loss", "valid_loss_curve", "test_loss_curve", "valid_loss", "test_loss")
    for name in _stored(table, *losses):
        hold(f"{name} is finite or missing", any_of(np.isinf(table[name])) & ok)
    if header.score_at == "end":
        for name in _stored(table, "valid_blocks", "test_blocks"):
            whole = table[name.replace("blocks", "score")]
            hold(f"{name} belong to a score", np.isnan(whole) & any_of(~np.isnan(table[name])))
        with np.errstate(invalid="ignore"):
            longer = table["final_valid_cpu_seconds"] > table["final_cpu_seconds"]
        hold("the validation split's share of the last evaluation is within it", longer)
    hold("there is one column of best epochs", np.full(len(table), header.curves == "best" and table.epochs != 1))
    if header.curves == "epochs":
        hold("epochs run is within the curves", table["epochs_run"] > table.epochs)
        ran = table["epochs_run"]
        after = np.arange(table.epochs)[None, :] >= np.where(ran == MISSING, table.epochs, ran)[:, None]
        for name in _stored(table, *losses[:3], "valid_curve", "test_curve", "train_seconds", "cpu_seconds"):
            hold(f"{name} is empty after the last epoch", (after & ~np.isnan(table[name])).any(axis=1))
    if header.shape is not None and (table["params"] != MISSING).any():
        cost = space.cost_many(table["choices"], header.shape)
        for name, expected in (("params", cost.params), ("flops", cost.flops)):
            hold(f"{name} follow from the architecture", (table[name] != MISSING) & (table[name] != expected))
    return passed


def _stored(table: Table, *names: str) -> list[str]:
    return [name for name in names if name in table.columns]
