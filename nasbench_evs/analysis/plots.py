"""Figures of experiments (matplotlib, the `plots` extra) as SVG, readable in grey and by color-blind people."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.analysis.outcome import Outcome
from nasbench_evs.analysis.regrets import Regrets
from nasbench_evs.analysis.statistics import ci_half_width
from nasbench_evs.analysis.trained import Arm
from nasbench_evs.files import replacing

# Okabe and Ito's, then dark ones of Paul Tol's that differ from them; with dashes and markers each line is known thrice.
_COLORS = (
    "#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F", "#332288", "#882255",
    "#999933", "#661100",
)  # fmt: skip
_DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1)),
    (0, (1, 1)),
    (0, (4, 1, 1, 1)),
    (0, (6, 2)),
    (0, (2, 2)),
    (0, (5, 1, 1, 1, 1, 1)),
)
_MARKERS = "os^vDPX*<>hp"
_POINTS = 60  # of a curve: more cannot be seen


def style(i: int) -> dict[str, Any]:
    """How the i-th line looks; no two have the same color."""
    if i < len(_COLORS):
        color = _COLORS[i]
    else:  # around the circle by the golden ratio
        red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(0.618034 * i % 1, 0.85, 0.6))
        color = f"#{red:02X}{green:02X}{blue:02X}"
    return {"color": color, "linestyle": _DASHES[i % len(_DASHES)], "marker": _MARKERS[i % len(_MARKERS)]}


def pooled(outcome: Outcome, target: Path) -> None:
    """Three panels: mean normalized regret over the budget, at its end with 95 % intervals, and mean ranks with theirs."""
    pyplot = _pyplot()
    names = outcome.searchers
    figure, (curves, ends, ranks) = pyplot.subplots(
        1, 3, figsize=(13, 1.6 + 0.26 * max(8, len(names))), layout="constrained", width_ratios=(1.5, 1, 1)
    )
    shares = np.linspace(0, 1, _POINTS + 1)[1:]
    values = outcome.regrets.pooled_curve(shares).mean(axis=1)
    for i, name in enumerate(names):
        curves.plot(100 * shares, values[i], **style(i), label=name, markevery=0.13, markersize=3.5, linewidth=1.3)
    _scale_regret(curves, values)
    _label(curves, "% of the budget", "mean normalized regret")
    places = np.arange(len(names))[::-1]
    for axis, interval, what in (
        (ends, outcome.final, "normalized regret at the end"),
        (ranks, outcome.ranks, "mean rank"),
    ):
        for place, i in zip(places, outcome.order, strict=True):
            value = interval.value[i]
            error = [[max(0.0, value - interval.low[i])], [max(0.0, interval.high[i] - value)]]
            look = {**style(i), "linestyle": "none"}
            axis.errorbar([value], [place], xerr=error, **look, markersize=5, capsize=2, linewidth=1.3)
        axis.set_yticks(places, [names[i] for i in outcome.order])
        _label(axis, what, "")
    figure.legend(*curves.get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    figure.suptitle(f"{outcome.regrets.regime} regime, 95 % intervals over benchmarks and seeds", fontsize=9)
    _save(figure, target)


def anytime(regrets: Regrets, target: Path, over: str = "evaluations") -> bool:
    """Mean regret with 95 % intervals over evaluations or simulated "seconds", one panel for each benchmark.

    False where no benchmark has seconds: nothing is written.
    """
    names = [name for name in regrets.benchmarks if over == "evaluations" or regrets.timed(name)]
    if not names:
        return False
    pyplot = _pyplot()
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(4.2 * columns, 3.1 * rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, names, strict=False):
        points = _points(regrets, name, over)
        shown = []
        for i, searcher in enumerate(regrets.searchers):
            values = regrets.at(name, searcher, points, over)
            known = np.isfinite(values).all(axis=0)
            if not known.any():
                continue
            middle = values[:, known].mean(axis=0)
            shown.append(middle)
            axis.plot(points[known], middle, **style(i), label=searcher, markevery=0.13, markersize=3.5, linewidth=1.3)
            if len(values) > 1:
                half = ci_half_width(values[:, known])
                axis.fill_between(points[known], middle - half, middle + half, color=style(i)["color"], alpha=0.1, lw=0)
        axis.set_title(name, fontsize=9)
        if over == "seconds":
            axis.set_xscale("log")
        else:
            axis.xaxis.get_major_locator().set_params(integer=True)
        _scale_regret(axis, np.concatenate(shown) if shown else np.ones(1))
        _label(axis, over if over == "evaluations" else "simulated training seconds", "regret")
    known = {label: line for axis in axes.flat for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    figure.suptitle(f"{regrets.regime} regime", fontsize=9)
    _save(figure, target)
    return True


def trained(arms: Sequence[Arm], target: Path) -> None:
    """A panel for each benchmark: the mean score of the three best trainings so far, its mean over searches and their range."""
    pyplot = _pyplot()
    benchmarks = list(dict.fromkeys(arm.benchmark for arm in arms))
    figure, axes = pyplot.subplots(
        1, len(benchmarks), figsize=(5.5 * len(benchmarks), 3.8), squeeze=False, layout="constrained"
    )
    for axis, benchmark in zip(axes.flat, benchmarks, strict=True):
        for i, arm in enumerate(each for each in arms if each.benchmark == benchmark):
            at = np.arange(1, arm.curves.shape[1] + 1)
            known = np.isfinite(arm.curves).all(axis=0)
            curves, look = arm.curves[:, known], style(i)
            axis.fill_between(
                at[known], curves.min(axis=0), curves.max(axis=0), color=look["color"], alpha=0.12, linewidth=0
            )
            axis.plot(
                at[known], curves.mean(axis=0), **look, label=f"{arm.searcher} ({len(arm.seeds)})", markevery=0.13,
                markersize=3.5, linewidth=1.3,
            )  # fmt: skip
        axis.set_title(benchmark, fontsize=9)
        axis.xaxis.get_major_locator().set_params(integer=True)
        _label(axis, "trainings", "validation score, mean of the three best")
        axis.legend(fontsize=7, loc="lower right", title="searches in brackets", title_fontsize=7)
    _save(figure, target)


def lines(
    series: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], target: Path, *, xlabel: str, ylabel: str
) -> None:
    """One panel of named lines: x, y and half the width of y's interval."""
    pyplot = _pyplot()
    figure, axis = pyplot.subplots(figsize=(5.5, 3.6), layout="constrained")
    for i, (name, (x, y, half_width)) in enumerate(series.items()):
        axis.errorbar(x, y, yerr=half_width, **style(i), label=name, markersize=4, linewidth=1.2, capsize=2)
    _label(axis, xlabel, ylabel)
    axis.legend(fontsize=7)
    _save(figure, target)


def _points(regrets: Regrets, name: str, over: str) -> np.ndarray:
    if over == "evaluations":
        return np.unique(np.geomspace(1, regrets.config(name).budget, _POINTS).round())
    ends = [run.curve[-1].seconds for run in regrets.runs.values() if run.benchmark == name]
    return np.geomspace(max(1e-3, min(ends) / 200), max(1e-2, float(np.median(ends))), _POINTS)


def _scale_regret(axis: Any, values: np.ndarray) -> None:
    """A logarithmic axis, which is linear around 0 where regret reaches it; intervals do not stretch it downwards."""
    above = values[values > 0]
    if len(above) and values.min() > 0:
        axis.set_yscale("log")
        axis.set_ylim(bottom=float(above.min()) / 2)
    elif len(above):
        linear = max(float(np.quantile(above, 0.1)), float(above.max()) / 1000)
        axis.set_yscale("symlog", linthresh=linear)
        axis.set_ylim(bottom=float(values.min()) - linear / 5)


def _label(axis: Any, x: str, y: str) -> None:
    axis.set_xlabel(x, fontsize=8)
    axis.set_ylabel(y, fontsize=8)
    axis.tick_params(labelsize=7, which="both")
    axis.grid(alpha=0.25, linewidth=0.5)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, target: Path) -> None:
    """The same figure gives the same file."""
    pyplot = _pyplot()
    with replacing(target, force=True) as scratch, pyplot.rc_context({"svg.hashsalt": "nasbench-evs"}):
        figure.savefig(scratch, format="svg", metadata={"Date": None})
    pyplot.close(figure)
