"""What the trainings of a pilot say: the verdict, what they cost, whether longer ones would order architectures alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nasbench_evs.datasets.dataset import Dataset
from nasbench_evs.datasets.split import blocks
from nasbench_evs.metrics import block_error, block_scores, lead, score
from nasbench_evs.tables import Table
from nasbench_evs.tables.reliability import SEEDS, reliability, seed_rows

MOST_AT_CHANCE = 2
_CHANCE_ERRORS = 3.0  # standard errors from a constant's score within which a training is at chance


def evaluate(table: Table, constant: Callable[[str], tuple[float, np.ndarray]] | None = None) -> dict[str, Any]:
    """The verdict on a table's architectures that have SEEDS seeds (0, 1, 2), without teachers.

    R (see `reliability`) in the top quarter, over all, and for transfer; `k`, the smallest of 2, 3, 4 with R_k >= .5 in the
    top quarter, or None; how many trainings are at chance: diverged, failed, or within 3 block standard errors of what
    `constant(split)` scores (None: only the first two count). `verdict` "pass": there is a k, the 10 % quantile of R_k is
    above .2, at most MOST_AT_CHANCE are at chance; "fail": the 90 % quantile of R_4 is below .5, or more are at chance;
    "else": the first 200 architectures decide.
    """
    sign = table.header.metric.sign
    rows = seed_rows(table)
    valid, test = table["valid_score"][rows].astype(np.float64), table["test_score"][rows].astype(np.float64)
    top = reliability(valid, sign=sign)
    k = next((k for k in (2, 3, 4) if top.r[k] >= 0.5), None)
    chance = _at_chance(table, rows.ravel(), constant)
    if chance > MOST_AT_CHANCE or top.quantiles[4][2] < 0.5:
        verdict = "fail"
    else:
        verdict = "pass" if k is not None and top.quantiles[k][1] > 0.2 else "else"
    return {
        "architectures": len(rows),
        "seeds": SEEDS,
        "verdict": verdict,
        "k": k,
        "at chance": chance,
        "trainings": rows.size,
        "reliability": {
            "top quarter": top.to_dict(),
            "all": reliability(valid, sign=sign, share=1.0).to_dict(),
            "transfer": reliability(valid, test, sign=sign).to_dict(),
            "transfer, all": reliability(valid, test, sign=sign, share=1.0).to_dict(),
        },
        "scores": {
            split: {"mean": float(np.nanmean(values)), "best": float(sign * np.nanmax(sign * _mean(values)))}
            for split, values in (("valid", valid), ("test", test))
        },
    }


def _mean(scores: np.ndarray) -> np.ndarray:
    """Means over the last axis of those that are known, NaN where none is."""
    return np.ma.masked_invalid(scores.astype(np.float64)).mean(axis=-1).filled(np.nan)


def constant_scores(dataset: Dataset) -> Callable[[str], tuple[float, np.ndarray]]:
    """What predicting the classes' shares for everybody scores on a split, and without each block."""

    def scores(split: str) -> tuple[float, np.ndarray]:
        rows = dataset.rows(split)
        labels, metric = np.asarray(dataset.labels[rows], np.int64), dataset.schema.metric.name
        shares = np.bincount(dataset.labels[dataset.rows("train")], minlength=len(dataset.schema.classes))
        same = np.broadcast_to(shares / shares.sum(), (len(rows), len(shares)))
        return score(metric, labels, same), block_scores(metric, labels, same, blocks(dataset.groups)[rows])

    return scores


def _at_chance(table: Table, rows: np.ndarray, constant: Callable[[str], tuple[float, np.ndarray]] | None) -> int:
    failed = table["status"][rows] != b"ok"
    if constant is None:
        return int(failed.sum())
    value, of_blocks = constant("valid")
    sign = table.header.metric.sign
    above = sign * (table["valid_score"][rows] - value)
    error = block_error(table["valid_blocks"][rows] - of_blocks)
    return int((failed | ~(above > _CHANCE_ERRORS * error)).sum())


def cpu_seconds(table: Table) -> np.ndarray:
    """CPU seconds of each training, evaluation included: float64 (N,)."""
    return np.nansum(table["cpu_seconds"], axis=1, dtype=np.float64) + table["final_cpu_seconds"]


def cost(table: Table, trainings: int) -> dict[str, float]:
    """CPU seconds of a training, evaluation included, and what so many would take."""
    seconds = cpu_seconds(table)
    return {
        "cpu seconds, mean": float(np.nanmean(seconds)),
        "cpu seconds, median": float(np.nanmedian(seconds)),
        "trainings of the plan": trainings,
        "core hours of the plan": float(np.nanmean(seconds) * trainings / 3600),
    }


def twice_as_long(table: Table, twice: Table) -> dict[str, float]:
    """How trainings with twice the steps order architectures, against the means of the protocol's."""
    from scipy.stats import kendalltau

    sign = table.header.metric.sign
    ranks = twice["rank"]
    found: dict[str, float] = {"architectures": len(ranks)}
    for split in ("valid", "test"):
        means = np.array([_mean(table[f"{split}_score"][table["rank"] == rank][None])[0] for rank in ranks])
        after = twice[f"{split}_score"].astype(np.float64)
        known = ~np.isnan(after) & ~np.isnan(means)
        found[f"tau, {split}"] = float(kendalltau(means[known], after[known]).statistic)
        found[f"median gain, {split}"] = float(np.nanmedian(sign * (after - means)))
    return found


def against(table: Table, rival: dict[str, Any]) -> dict[str, Any]:
    """The architecture with the best mean validation score against a baseline, on the test split.

    `difference` is positive where the architecture is better, `interval` its 95 % (blocks of sequences), `verdict` "above"
    or "below" where that leaves out 0.
    """
    sign = table.header.metric.sign
    rows = seed_rows(table)
    best = rows[np.nanargmax(sign * _mean(table["valid_score"][rows]))]
    found = lead(
        float(sign * (_mean(table["test_score"][best][None])[0] - rival["test"])),
        sign * (_mean(table["test_blocks"][best].T) - np.array(rival["test_blocks"])),
    )
    return {
        "architecture": str(table.header.space.unrank(int(table["rank"][best[0]]))),
        "difference": found.difference,
        "interval": [found.low, found.high],
        "verdict": found.verdict,
    }
