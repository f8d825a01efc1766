"""Marginal effects: what architectures with an option score on average, over the recorded ones that no search chose."""

from __future__ import annotations

from typing import Any

import numpy as np

from nasbench_evs.analysis.statistics import mean
from nasbench_evs.tables import Table
from nasbench_evs.tables.noise import RANDOM_SAMPLERS

_DIGITS = 5


def marginal_effects(table: Table) -> dict[str, Any]:
    """For each split the mean of every option of every choice, with the ends of its 95 % interval (Student's t).

    Each architecture counts once, by the mean of its trainings without teachers. `samplers` are those whose architectures
    count, `chosen` says whether a search chose them: where none was drawn at random, all are shown.
    """
    plain = table["distilled"] != 1
    drawn = plain & np.isin(table["sampler"], RANDOM_SAMPLERS)
    chosen = not bool(drawn.any())
    rows = plain if chosen else drawn
    samplers = [sampler.decode() for sampler in np.unique(table["sampler"][rows])]
    splits = {split: _effects(table, split, rows) for split in ("valid", "test")}
    return {"samplers": samplers, "chosen": chosen, **splits}


def _effects(table: Table, split: str, rows: np.ndarray) -> dict[str, Any] | None:
    choices, values = table.architecture_means(split, rows)
    if not len(values):
        return None
    by_choice = [
        [_option(values[choices[:, column] == option]) for option in range(len(choice.options))]
        for column, choice in enumerate(table.header.space.choices)
    ]
    return {"architectures": len(values), "mean": round(float(values.mean()), _DIGITS), "choices": by_choice}


def _option(values: np.ndarray) -> list[float | int | None]:
    """How many architectures have it, their mean, and the ends of its interval: None below two of them."""
    value, half = mean(values)
    if not len(values):
        return [0, None, None, None]
    if len(values) < 2:
        return [1, round(value, _DIGITS), None, None]
    return [len(values), round(value, _DIGITS), round(value - half, _DIGITS), round(value + half, _DIGITS)]
