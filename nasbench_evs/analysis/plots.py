"""Figures of experiments as SVG, readable in grey and by color-blind people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.analysis import looks
from nasbench_evs.analysis.looks import style
from nasbench_evs.analysis.outcome import Outcome
from nasbench_evs.analysis.regrets import Regrets
from nasbench_evs.analysis.statistics import ci_half_width
from nasbench_evs.analysis.suite import Interval
from nasbench_evs.analysis.trained import Arm

_POINTS = 36  # of a curve: more cannot be seen
_RESAMPLED = 20  # points of a curve whose interval is from resamples, which takes its time
_EARLY = 0.04  # of the budget: what lies before must not take most of an axis


def pooled(outcome: Outcome, target: Path) -> None:
    """Four panels: mean normalized regret and mean rank over the budget, and both at its end, with 95 % intervals."""
    pyplot = looks.pyplot()
    names = outcome.searchers
    figure, axes = pyplot.subplots(
        2, 2, figsize=(10, 2.4 + 0.42 * max(8, len(names))), layout="constrained", width_ratios=(1.35, 1)
    )
    shares = np.linspace(0, 1, _RESAMPLED + 1)[1:]
    regrets, ranks = outcome.curves(shares)
    rows = (
        (axes[0], regrets, outcome.final, "mean normalized regret"),
        (axes[1], ranks, outcome.ranks, "mean rank (1 is best)"),
    )
    for (over, end), curves, last, what in rows:
        for i, name in enumerate(names):
            looks.line(over, i, 100 * shares, curves.value[i], name)
            looks.band(over, i, 100 * shares, curves.low[i], curves.high[i])
        looks.label(over, "% of the budget", what)
        _ends(end, outcome, last)
        looks.label(end, f"{what}, at the end", "")
    looks.scale_regret(axes[0, 0], regrets.value)
    axes[1, 0].invert_yaxis()
    looks.legend(figure, [axes[0, 0]])
    figure.suptitle(f"{outcome.regrets.regime} regime, 95 % intervals over benchmarks and seeds", fontsize=10)
    looks.save(figure, target)


def _ends(axis: Any, outcome: Outcome, interval: Interval) -> None:
    """A row for each searcher, the best on top."""
    places = np.arange(len(outcome.searchers))[::-1]
    for place, i in zip(places, outcome.order, strict=True):
        value = interval.value[i]
        error = [[max(0.0, value - interval.low[i])], [max(0.0, interval.high[i] - value)]]
        look = {**style(i), "linestyle": "none"}
        axis.errorbar([value], [place], xerr=error, **look, markersize=5, capsize=2, linewidth=1.3)
    axis.set_yticks(places, [outcome.searchers[i] for i in outcome.order])


def differences(outcome: Outcome, target: Path) -> bool:
    """Each searcher's normalized regret at the end less the first control's (random search), a panel for each benchmark.

    Means of differences over the same seeds with 95 % intervals; filled markers where Holm's test within the benchmark finds a
    difference. False where there is no control to compare with: nothing is written.
    """
    if not outcome.controls_by_benchmark:
        return False
    pyplot = looks.pyplot()
    control, tests = next(iter(outcome.controls_by_benchmark.items()))
    shown = [i for i in outcome.order if outcome.searchers[i] != control]
    places = {outcome.searchers[i]: place for place, i in enumerate(reversed(shown))}
    columns = min(4, len(tests))
    rows = math.ceil(len(tests) / columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(max(7.0, 1.2 + 2.4 * columns), (0.9 + 0.2 * len(shown)) * rows + 0.5), squeeze=False,
        layout="constrained", sharex=True, sharey=True,
    )  # fmt: skip
    for axis in axes.flat[len(tests) :]:
        axis.set_axis_off()
    for axis, (benchmark, found) in zip(axes.flat, tests.items(), strict=False):
        axis.axvline(0, color="#444444", linewidth=1)
        for each in found:
            look = {**style(outcome.searchers.index(each.searcher)), "linestyle": "none"}
            axis.errorbar(
                [each.difference], [places[each.searcher]], xerr=[each.ci_half_width], **look, markersize=5, capsize=2,
                linewidth=1.3, markerfacecolor=look["color"] if each.significant else "white",
            )  # fmt: skip
        looks.title(axis, benchmark)
        axis.set_yticks(list(places.values()), list(places))
        axis.set_ylim(-0.6, len(shown) - 0.4)
        looks.label(axis, "", "")
    figure.supxlabel(f"normalized regret at the end less that of {control}: better to the left", fontsize=9)
    figure.suptitle(
        f"{outcome.regrets.regime} regime, 95 % intervals over seeds; filled: told apart from {control} (Holm)",
        fontsize=10,
    )
    looks.save(figure, target)
    return True


def anytime(regrets: Regrets, target: Path, over: str = "evaluations") -> bool:
    """Mean regret with 95 % intervals over evaluations or simulated "seconds", one panel for each benchmark.

    False where no benchmark has seconds: nothing is written.
    """
    names = [name for name in regrets.benchmarks if over == "evaluations" or regrets.timed(name)]
    if not names:
        return False
    pyplot = looks.pyplot()
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(max(5.5, 3.6 * columns), 2.8 * rows + 0.5), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, names, strict=False):
        points = _points(regrets, name, over)
        start = _EARLY * points[-1] if over == "evaluations" else 0.0
        shown = np.full((len(regrets.searchers), len(points)), np.nan)
        for i, searcher in enumerate(regrets.searchers):
            values = regrets.at(name, searcher, points, over)
            known = np.isfinite(values).all(axis=0)
            if not known.any():
                continue
            shown[i, known] = middle = values[:, known].mean(axis=0)
            looks.line(axis, i, points[known], middle, searcher)
            if len(values) > 1:
                half = ci_half_width(values[:, known])
                late = points[known] >= start
                looks.band(axis, i, points[known][late], (middle - half)[late], (middle + half)[late])
        looks.title(axis, name)
        if over == "seconds":
            axis.set_xscale("log")
        else:
            looks.whole_numbers(axis)
        complete = np.isfinite(shown).any(axis=0)
        if complete.any():
            early = int((points[complete] < start).sum())
            lowest = np.nanmin(shown[:, complete], axis=0)
            looks.scale_regret(axis, np.where(np.isnan(shown[:, complete]), lowest, shown[:, complete]), early)
        looks.label(axis, over if over == "evaluations" else "simulated training seconds", "regret")
    looks.legend(figure, axes.flat)
    figure.suptitle(f"{regrets.regime} regime, means over seeds with 95 % intervals", fontsize=10)
    looks.save(figure, target)
    return True


def trained(arms: Sequence[Arm], target: Path) -> None:
    """A panel for each benchmark: the mean score of the three best trainings so far, its mean over searches and their range."""
    pyplot = looks.pyplot()
    benchmarks = list(dict.fromkeys(arm.benchmark for arm in arms))
    figure, axes = pyplot.subplots(
        1, len(benchmarks), figsize=(5.5 * len(benchmarks), 4.2), squeeze=False, layout="constrained"
    )
    for axis, benchmark in zip(axes.flat, benchmarks, strict=True):
        for i, arm in enumerate(each for each in arms if each.benchmark == benchmark):
            at = np.arange(1, arm.curves.shape[1] + 1)
            known = np.isfinite(arm.curves).all(axis=0)
            curves = arm.curves[:, known]
            looks.band(axis, i, at[known], curves.min(axis=0), curves.max(axis=0))
            looks.line(axis, i, at[known], curves.mean(axis=0), f"{arm.searcher} ({len(arm.seeds)})")
        looks.title(axis, benchmark)
        looks.whole_numbers(axis)
        looks.label(axis, "trainings", "validation score, mean of the three best")
        _legend_below(axis, title="searches in brackets")
    looks.save(figure, target)


def lines(
    series: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], target: Path, *, xlabel: str, ylabel: str
) -> None:
    """One panel of named lines: x, y and half the width of y's interval."""
    pyplot = looks.pyplot()
    figure, axis = pyplot.subplots(figsize=(5.5, 4), layout="constrained")
    for i, (name, (x, y, half_width)) in enumerate(series.items()):
        axis.errorbar(x, y, yerr=half_width, **style(i), label=name, markersize=4, linewidth=1.2, capsize=2)
    looks.label(axis, xlabel, ylabel)
    _legend_below(axis)
    looks.save(figure, target)


def _legend_below(axis: Any, title: str | None = None) -> None:
    axis.legend(
        fontsize=8, title=title, title_fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False,
        handlelength=3,
    )  # fmt: skip


def _points(regrets: Regrets, name: str, over: str) -> np.ndarray:
    if over == "evaluations":
        budget = regrets.config(name).budget
        early = np.geomspace(1, budget, _POINTS // 3)
        return np.unique(np.concatenate([early, np.linspace(1, budget, _POINTS)]).round())
    ends = [run.curve[-1].seconds for run in regrets.runs.values() if run.benchmark == name]
    return np.geomspace(max(1e-3, min(ends) / 200), max(1e-2, float(np.median(ends))), _POINTS)
