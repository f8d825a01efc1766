"""Predicted against recorded: what a table's surrogate says of architectures whose trainings it did not see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs import locations
from nasbench_evs.benchmark.tabular import TableBenchmark
from nasbench_evs.errors import NasbenchError
from nasbench_evs.surrogate.card import read_card

_DIGITS = 5
_SHOWN = ("kendall_tau", "r2", "mean_absolute_error")


def predictions(path: Path, bench: TableBenchmark, recorded: dict[str, list[float | None]]) -> dict[str, Any]:
    """Out-of-fold means as `columns`, and of each split how far they go with the `recorded` means.

    `message` says why there are none: no surrogate is fitted, it was fitted to another state of the table, or it ships none.
    """
    folder = locations.surrogate_of(path)
    if not folder.is_dir():
        return _none("No surrogate is fitted to this table: nasbench-evs surrogate fit TABLE makes one.")
    try:
        return _predictions(folder, path, bench, recorded)
    except NasbenchError as error:
        return _none(f"No prediction is shown: {str(error).replace(str(path), path.name)}.")  # a page is passed on


def _none(message: str) -> dict[str, Any]:
    return {"message": message, "columns": {}, "splits": {}}


def _predictions(
    folder: Path, path: Path, bench: TableBenchmark, recorded: dict[str, list[float | None]]
) -> dict[str, Any]:
    from nasbench_evs.surrogate import Surrogate

    surrogate = Surrogate.load(folder)
    surrogate.check_belongs_to(bench.table.reference_sha256, path)
    card = read_card(folder, bench.table.reference_sha256) or {"splits": {}}
    columns, splits = {}, {}
    for split in surrogate.splits:
        means = surrogate.out_of_fold(bench.pool, split)
        columns[f"predicted_{split}"] = [round(each, _DIGITS) if np.isfinite(each) else None for each in means.tolist()]
        splits[split] = _agreement(means, recorded[split])
        figures = card["splits"].get(split, {})
        splits[split]["card"] = {
            name: [round(figures[name][part], 4) for part in ("mean", "plus_minus")]
            for name in _SHOWN
            if name in figures
        }
        if split in surrogate.references:
            reference = surrogate.references[split]
            splits[split]["reference"] = {
                "value": round(reference.value, _DIGITS),
                "architecture": reference.architecture,
                "how": reference.how,
            }
    return {"message": None, "columns": columns, "splits": splits}


def _agreement(means: np.ndarray, recorded: list[float | None]) -> dict[str, Any]:
    """Of the architectures that have both: how many, Kendall's tau, and the mean absolute difference."""
    from scipy.stats import kendalltau

    values = np.array([np.nan if each is None else each for each in recorded])
    both = np.isfinite(means) & np.isfinite(values)
    varied = both.sum() > 1 and np.ptp(means[both]) > 0 and np.ptp(values[both]) > 0
    return {
        "architectures": int(both.sum()),
        "tau": round(float(kendalltau(means[both], values[both]).statistic), 3) if varied else None,
        "error": round(float(np.abs(means - values)[both].mean()), _DIGITS) if both.any() else None,
    }
