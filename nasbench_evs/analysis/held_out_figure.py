"""The figure of a surrogate's card: what it predicts of architectures that it did not see, against their trainings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.analysis import looks
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.surrogate.card import noise_ceiling
from nasbench_evs.tables.table import Table

FIGURE = "held-out.svg"
_SHOWN = 600  # architectures: more make a large file and hide each other
_SPLITS = {"valid": "validation", "test": "test"}


def draw_held_out(surrogate: Surrogate, table: Table, card: Mapping[str, Any], target: Path) -> None:
    """A panel for each split of the card: out-of-fold predictions against means of recorded trainings without teachers.

    NotRecorded if the surrogate ships no out-of-fold predictions.
    """
    points = {split: _points(surrogate, table, split) for split in card["splits"]}
    pyplot = looks.pyplot()
    figure, axes = pyplot.subplots(
        1, len(points), figsize=(max(5.0, 4.7 * len(points)), 4.6), squeeze=False, layout="constrained"
    )
    for axis, (split, (predicted, recorded)) in zip(axes.flat, points.items(), strict=True):
        few = np.random.default_rng(0).permutation(len(predicted))[:_SHOWN]
        axis.plot(predicted[few], recorded[few], "o", color="#0072B2", alpha=0.5, markersize=3, markeredgewidth=0)
        ends = [min(predicted.min(), recorded[few].min()), max(predicted.max(), recorded[few].max())]
        axis.plot(ends, ends, color="#444444", linewidth=1, label="predicted = recorded")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), frameon=False, fontsize=8)
        looks.label(axis, f"predicted {card['metric']}, architecture held out", "recorded, mean of its trainings")
        count = f"{len(few):,} of {len(predicted):,}" if len(few) < len(predicted) else f"{len(few):,}"
        axis.set_title(f"{_SPLITS[split]}, {count} architectures\n{_figures(card['splits'][split])}", fontsize=9)
    figure.suptitle(f"{card['dataset']} / {card['space']}", fontsize=10)
    looks.save(figure, target)


def _points(surrogate: Surrogate, table: Table, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Of each architecture the prediction and the mean of its trainings, where both are known."""
    choices, recorded = table.architecture_means(split)
    predicted = surrogate.out_of_fold(choices, split)
    known = ~np.isnan(predicted)
    return predicted[known], recorded[known]


def _figures(figures: Mapping[str, Any]) -> str:
    """Tau and its ceiling: how near the points could come to an order at all."""
    tau, ceiling = figures["kendall_tau"], noise_ceiling(figures)
    reached = "tau unknown" if tau["mean"] is None else f"tau with single trainings {tau['mean']:.2f}"
    if ceiling is None:
        return f"{reached}, noise ceiling unknown"
    return f"{reached}, noise ceiling {ceiling['value']:.2f} [{ceiling['low']:.2f}, {ceiling['high']:.2f}]"
