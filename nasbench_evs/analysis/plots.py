"""Figures of experiments (matplotlib, the `plots` extra): SVG and PNG, readable in grey and by colour-blind people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.analysis.regrets import Regrets
from nasbench_evs.analysis.statistics import ci_half_width, cliques
from nasbench_evs.files import replacing

# Okabe and Ito's colours, with dashes and markers of their own: each line is known by any one of the three.
_COLOURS = ("#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F")
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


def style(i: int) -> dict[str, Any]:
    """How the i-th line looks."""
    return {
        "color": _COLOURS[i % len(_COLOURS)],
        "linestyle": _DASHES[i % len(_DASHES)],
        "marker": _MARKERS[i % len(_MARKERS)],
    }


def anytime(regrets: Regrets, folder: Path, over: str = "spent") -> list[Path]:
    """Mean regret with 95 % intervals over evaluations ("spent") or simulated seconds, one panel for each benchmark."""
    pyplot = _pyplot()
    names = [name for name in regrets.benchmarks if over == "spent" or _timed(regrets, name)]
    if not names:
        return []
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(4.2 * columns, 3.1 * rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, names, strict=False):
        points = _points(regrets, name, over)
        for i, searcher in enumerate(regrets.searchers):
            values = regrets.curve(name, searcher, points, over)
            known = np.isfinite(values).all(axis=0)
            if not known.any():
                continue
            middle = values[:, known].mean(axis=0)
            axis.plot(points[known], middle, **style(i), label=searcher, markevery=0.13, markersize=3.5, linewidth=1.3)
            if len(values) > 1:
                half = ci_half_width(values[:, known])
                axis.fill_between(points[known], middle - half, middle + half, color=style(i)["color"], alpha=0.1, lw=0)
        axis.set_title(name, fontsize=9)
        axis.set_xscale("log" if over == "seconds" else "linear")
        axis.set_yscale("log")
        axis.set_xlabel("evaluations" if over == "spent" else "simulated training seconds", fontsize=8)
        axis.set_ylabel(f"regret ({regrets.split[name]})", fontsize=8)
        axis.tick_params(labelsize=7, which="both")
        axis.grid(alpha=0.25, linewidth=0.5)
    known = {label: line for axis in axes.flat for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    return _save(figure, folder / f"regret-over-{'evaluations' if over == 'spent' else 'seconds'}")


def critical_difference(
    names: Sequence[str], ranks: np.ndarray, p: dict[tuple[int, int], float], target: Path
) -> list[Path]:
    """Mean ranks on a line; a bar joins searchers of which no pair differs significantly (Wilcoxon with Holm)."""
    pyplot = _pyplot()
    order = np.argsort(ranks, kind="stable")
    n = len(order)
    height = 1.2 + 0.22 * n
    figure, axis = pyplot.subplots(figsize=(7, height), layout="constrained")
    axis.set_xlim(0.5, n + 0.5)
    axis.set_ylim(-1.2 - 0.55 * math.ceil(n / 2) - 0.3 * len(cliques(ranks, p)), 1)
    axis.axhline(0, color="black", linewidth=1)
    for tick in range(1, n + 1):
        axis.plot([tick, tick], [0, 0.15], color="black", linewidth=1)
        axis.text(tick, 0.25, str(tick), ha="center", va="bottom", fontsize=8)
    bars = cliques(ranks, p)
    for level, (first, last) in enumerate(bars):
        y = -0.3 * (level + 1)
        axis.plot([ranks[order[first]] - 0.05, ranks[order[last]] + 0.05], [y, y], color="black", linewidth=3)
    below = -0.3 * (len(bars) + 1)
    for place, i in enumerate(order):
        left = place < math.ceil(n / 2)
        y = below - 0.5 * (place if left else n - 1 - place) - 0.3
        end = 0.55 if left else n + 0.45
        axis.plot([ranks[i], ranks[i], end], [0, y, y], color="0.35", linewidth=0.8)
        axis.text(
            end, y + 0.04, f"{names[i]} ({ranks[i]:.2f})", ha="left" if left else "right", va="bottom", fontsize=8
        )
    axis.set_axis_off()
    axis.set_title("mean rank (1 is best)", fontsize=9)
    return _save(figure, target)


def lines(
    series: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    target: Path,
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
) -> list[Path]:
    """One panel of named lines: x, y and half the width of y's interval."""
    pyplot = _pyplot()
    figure, axis = pyplot.subplots(figsize=(5.5, 3.6), layout="constrained")
    for i, (name, (x, y, half_width)) in enumerate(series.items()):
        axis.errorbar(x, y, yerr=half_width, **style(i), label=name, markersize=4, linewidth=1.2, capsize=2)
    axis.set_xlabel(xlabel, fontsize=8)
    axis.set_ylabel(ylabel, fontsize=8)
    axis.set_title(title, fontsize=9)
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.25, linewidth=0.5)
    axis.legend(fontsize=7)
    return _save(figure, target)


def _points(regrets: Regrets, name: str, over: str) -> np.ndarray:
    if over == "spent":
        return np.arange(1, regrets.config(name).budget + 1, dtype=float)
    ends = [max(run.seconds) for run in regrets.runs.values() if run.benchmark == name and run.seconds]
    return np.geomspace(max(1e-3, min(ends) / 200), float(np.median(ends)), 80)


def _timed(regrets: Regrets, name: str) -> bool:
    return all(
        run.seconds and not math.isnan(run.seconds[-1]) for run in regrets.runs.values() if run.benchmark == name
    )


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, target: Path) -> list[Path]:
    """The figure as SVG and PNG; the same figure gives the same file."""
    pyplot = _pyplot()
    written = []
    for suffix, options in ((".svg", {"metadata": {"Date": None}}), (".png", {"dpi": 130})):
        path = target.with_name(target.name + suffix)
        with replacing(path, force=True) as scratch, pyplot.rc_context({"svg.hashsalt": "nasbench-evs"}):
            figure.savefig(scratch, format=suffix[1:], **options)
        written.append(path)
    pyplot.close(figure)
    return written
