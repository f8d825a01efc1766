"""How all figures look (matplotlib, the `plots` extra): lines known by color, dashes and marker, axes, small SVG files."""

from __future__ import annotations

import colorsys
import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

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
_FEW = 20  # points that a band has in full
# A figure's text is text; ids depend on nothing but what is drawn.
_SETTINGS = {"svg.hashsalt": "nasbench-evs", "svg.fonttype": "none"}
_PLACES = re.compile(r'(?<= d=")[^"]*|(?<= [xy]=")[^"]*')
_LONG = re.compile(r"-?\d+\.\d{2,}")


def style(i: int) -> dict[str, Any]:
    """How the i-th line looks; no two have the same color."""
    if i < len(_COLORS):
        color = _COLORS[i]
    else:  # around the circle by the golden ratio
        red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(0.618034 * i % 1, 0.85, 0.6))
        color = f"#{red:02X}{green:02X}{blue:02X}"
    return {"color": color, "linestyle": _DASHES[i % len(_DASHES)], "marker": _MARKERS[i % len(_MARKERS)]}


def line(axis: Any, i: int, x: np.ndarray, y: np.ndarray, name: str) -> None:
    """The i-th line of a panel."""
    axis.plot(x, y, **style(i), label=name, markevery=0.2, markersize=3.5, linewidth=1.3)


def band(axis: Any, i: int, x: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """What lies between two lines, in the color of the i-th; every other point, which is enough for a shade."""
    few = np.unique([*range(0, len(x), 2), len(x) - 1]) if len(x) > _FEW else np.arange(len(x))
    axis.fill_between(x[few], low[few], high[few], color=style(i)["color"], alpha=0.08, linewidth=0)


def scale_regret(axis: Any, values: np.ndarray, early: int = 0) -> None:
    """A logarithmic axis, which is linear around 0 where regret reaches it; intervals do not stretch it downwards.

    `values` (lines, points) decide its range: without the first `early` points where those would take most of it.
    """
    from matplotlib import ticker

    above = values[values > 0]
    if not len(above):
        return
    highest = float(above.max())
    later = float(values[:, early:].max()) if values.shape[1] > early else 0.0
    cut = 0 < 3 * later < highest
    if values.min() > 0:
        low = float(above.min()) / 1.5
        axis.set_yscale("log")
        axis.set_ylim(bottom=low)
        decades = np.log10((later if cut else highest) / low)
        axis.yaxis.set_major_locator(
            ticker.LogLocator(subs=(1, 2, 3, 5) if decades < 1 else (1, 2, 5) if decades < 2 else (1,))
        )
    else:
        linear = max(float(np.quantile(above, 0.1)), highest / 1000)
        axis.set_yscale("symlog", linthresh=linear)
        axis.set_ylim(bottom=float(values.min()) - linear / 5)
    if cut:
        axis.set_ylim(top=1.5 * later)
    axis.yaxis.set_minor_formatter(ticker.NullFormatter())
    axis.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))


def label(axis: Any, x: str, y: str) -> None:
    axis.set_xlabel(x, fontsize=9)
    axis.set_ylabel(y, fontsize=9)
    axis.tick_params(labelsize=8, which="both")
    axis.grid(alpha=0.25, linewidth=0.5)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def title(axis: Any, text: str) -> None:
    """A panel's title, on as many lines as it needs."""
    axis.set_title(textwrap.fill(text, 30), fontsize=9)


def whole_numbers(axis: Any) -> None:
    """Ticks at whole numbers: evaluations, epochs, trainings."""
    axis.xaxis.get_major_locator().set_params(integer=True)


def legend(figure: Any, axes: Any) -> None:
    """One legend for all panels, below them."""
    known = {name: line for axis in axes for line, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    if not known:
        return
    entry = 0.7 + 0.085 * max(len(name) for name in known)  # inches
    columns = max(1, min(len(known), int(figure.get_size_inches()[0] / entry)))
    figure.legend(
        known.values(),
        known.keys(),
        loc="outside lower center",
        ncols=columns,
        fontsize=9,
        frameon=False,
        handlelength=3,
    )


def pyplot() -> Any:
    """matplotlib.pyplot, which draws to files only."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as found

    return found


def save(figure: Any, target: Path) -> None:
    """Write an SVG; the same figure gives the same file. Coordinates are kept to a tenth of a point, which nobody sees."""
    plt = pyplot()
    with replacing(target, force=True) as scratch:
        with plt.rc_context(_SETTINGS):
            figure.savefig(scratch, format="svg", metadata={"Date": None})
        text = scratch.read_text(encoding="utf-8")
        scratch.write_text(_PLACES.sub(lambda place: _LONG.sub(_short, place[0]), text), encoding="utf-8")
    plt.close(figure)


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")
