"""The comparison across datasets as a page and a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nasbench_evs.analysis import looks
from nasbench_evs.analysis.across import Across
from nasbench_evs.analysis.correlations import PLANS, Correlation
from nasbench_evs.analysis.recommend import GRU, Compared, Portfolio, Worth, mean_regrets, verdict

PAGE = "README.md"
FIGURE = "across.svg"
_JUDGED = {"noisy": "validation", "transfer": "test"}


def page(found: Across, seeds: int, command: str) -> str:
    """All as markdown."""
    lines = [
        "# Across datasets",
        "",
        "Do the same architectures do well on several datasets, and what is a handful that was good elsewhere worth on a "
        "dataset of which nothing is known? Recorded trainings only. Protocols differ between datasets, so what is compared "
        "are datasets with their protocols.",
        "",
        f"    {command}",
        "",
        "## How alike two datasets order the same architectures",
        "",
        "tau is Kendall's, between mean validation scores; in brackets 95 % of resampled architectures. The noise ceiling is "
        "what tau would be if both true orders were the same: from the tau between two trainings of the same architectures, as "
        "if scores were normal up to a monotone transform; of records without repeats it is unknown. Bad architectures carry a "
        "tau over all as much as good ones do: how the good ones agree is the next table.",
        "",
        "| datasets | architectures | trainings | tau | noise ceiling | share of it | Spearman |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in found.correlations:
        tau, ceiling, share = (
            _bracketed(getattr(each, name), getattr(each, f"{name}_low"), getattr(each, f"{name}_high"))
            for name in ("tau", "ceiling", "share")
        )
        lines.append(
            f"| {each.a}, {each.b} | {each.architectures} of {each.space} | {each.trainings} | {tau} | {ceiling} | {share} | "
            f"{_short(each.spearman)} |"
        )
    lines += [
        "",
        "Of the best 5 % on one dataset by one training, the share that is among the best 5 % and 25 % by one training on the "
        "other (by chance .05 and .25) and, for comparison, by another training on the same dataset:",
        "",
        "| best 5 % of | found on | among its best 5 % | its best 25 % | again on the first, 5 % | 25 % |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for each in found.correlations:
        if not math.isnan(each.best[0]):
            for first, second, i in ((each.a, each.b, 0), (each.b, each.a, 2)):
                cells = [_short(value) for value in (*each.best[i : i + 2], *each.again[i : i + 2])]
                lines.append(f"| {first} | {second} | {' | '.join(cells)} |")
    for compared in found.compared:
        lines += ["", *_portfolios(compared, seeds)]
    lines += ["", f"![correlations, and what portfolios are worth]({FIGURE})", "", *_LIMITS]
    return "\n".join(lines) + "\n"


_LIMITS = [
    "## What cannot be concluded",
    "",
    "- Datasets are few, and each fold has one fewer to choose by: a mean over them is a list of cases, without an interval. "
    "Standard errors are over seeds, and about this dataset's records alone.",
    "- Portfolio and searches choose among the same recorded architectures: nothing is said of those outside them.",
    "- Architectures that one training chose among many were lucky there: portfolios chosen by one training each suffer from it.",
    "- A tuned GRU has another budget: its settings are searched, those of the architectures are the protocol's. It is judged "
    "by its own trainings' test scores. Architectures that have one training each are judged by the out-of-fold means of a "
    "surrogate, which are drawn towards the middle: there a GRU's score is not comparable, and has no regret.",
]


def _portfolios(compared: Compared, seeds: int) -> list[str]:
    everything, *folds = compared.portfolios
    lines = [
        f"## Portfolios of {compared.space}",
        "",
        f"Of {compared.what}: the {compared.architectures} that {_and(compared.names)} all have with {_trainings(compared)}. "
        "A portfolio is chosen greedily by mean validation scores (`analysis.portfolios.choose`). The one for a dataset that was "
        "never recorded, with each one's place by mean validation score and the seconds of a training:",
        "",
        *_members(compared, everything),
        "",
        "Chosen without one dataset, and its members' places there:",
        "",
        "| left out | portfolio (place there) |",
        "| --- | --- |",
    ]
    for each in folds:
        members = ", ".join(f"`{m.architecture}` ({m.places[each.left_out]})" for m in each.members)
        lines.append(f"| {each.left_out} | {members} |")
    for regime in dict.fromkeys(each.regime for each in compared.worth):
        lines += ["", *_worths(compared.worth, regime, seeds), "", verdict(compared.worth, regime)]
    return lines


def _members(compared: Compared, portfolio: Portfolio) -> list[str]:
    lines = [f"| architecture | {' | '.join(compared.names)} |", f"| --- |{' --- |' * len(compared.names)}"]
    for each in portfolio.members:
        cells = []
        for name in compared.names:
            cell = f"{each.places[name]}"
            cell += f"; {each.params[name]:,} parameters" if name in each.params else ""
            cell += f"; {each.seconds[name]:.1f} s" if name in each.seconds else ""
            cells.append(cell)
        lines.append(f"| `{each.architecture}` | {' | '.join(cells)} |")
    return lines


def _worths(worth: Sequence[Worth], regime: str, seeds: int) -> list[str]:
    """What the approaches found in a regime, a column for each dataset, as lines of markdown."""
    rows = [each for each in worth if each.regime == regime]
    names = list(dict.fromkeys(each.dataset for each in rows))
    means = mean_regrets(rows, regime)
    lines = [
        f"Judged by {_JUDGED[regime]} scores of trainings that were not seen ({regime} regime), {seeds} seeds: the mean score, "
        "± its standard error over seeds, in brackets the normalized regret (0 the best architecture, 1 the median one), and "
        "the share of seeds with which the portfolio is better.",
        "",
        f"| approach (trainings) | {' | '.join(names)} | mean regret |",
        f"| --- |{' --- |' * (len(names) + 1)}",
    ]
    for approach in dict.fromkeys(each.name for each in rows):
        own = {each.dataset: each for each in rows if each.name == approach}
        cells = [_worth(own[name]) if name in own else "not tuned" for name in names]
        mean = f"{means[approach]:.2f}" if approach in means else "-"
        lines.append(f"| {approach} | {' | '.join(cells)} | {mean} |")
    return lines


def _worth(each: Worth) -> str:
    text = f"{each.value:.4f}"
    if not math.isnan(each.error):
        text += f" ± {each.error:.4f}"
    if not math.isnan(each.regret):
        text += f" ({each.regret:.2f})"
    if not math.isnan(each.portfolio_better):
        text += f", {each.portfolio_better:.0%}"
    if each.approach == GRU:
        text += f", {each.trainings} settings" if each.trainings else ", of the pilot"
    return text


def _trainings(compared: Compared) -> str:
    return "one training each" if compared.trainings == 1 else f"{compared.trainings} trainings each or more"


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _bracketed(value: float, low: float, high: float) -> str:
    return "unknown" if math.isnan(value) else f"{_short(value)} ({_short(low)} to {_short(high)})"


def _short(value: float) -> str:
    return "-" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"  # no -0.00


def figure(found: Across, target: Path) -> None:
    """Taus with intervals and ceilings, and for each space the normalized regrets of the approaches by test scores."""
    pyplot = looks.pyplot()
    height = 1.2 + 0.28 * len(found.correlations)
    shape, axes = pyplot.subplots(
        1, 1 + len(found.compared), figsize=(4.6 + 3.6 * len(found.compared), max(3.6, height)), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    _taus(axes[0, 0], found.correlations)
    for axis, compared in zip(axes[0, 1:], found.compared, strict=True):
        _regrets(axis, compared)
    looks.legend(shape, axes[0, 1:])
    looks.save(shape, target)


def _taus(axis: Any, correlations: Sequence[Correlation]) -> None:
    places = range(len(correlations))[::-1]
    for space, i in zip(PLANS, (2, 4), strict=True):
        own = [(place, each) for place, each in zip(places, correlations, strict=True) if each.space == space]
        if own:
            values = [each.tau for _, each in own]
            errors = [[v - e.tau_low for v, (_, e) in zip(values, own, strict=True)]]
            errors.append([e.tau_high - v for v, (_, e) in zip(values, own, strict=True)])
            look = {**looks.style(i), "linestyle": "none"}
            axis.errorbar(
                values, [place for place, _ in own], xerr=errors, label=space, capsize=2, markersize=5, **look
            )
    axis.plot(
        [each.ceiling for each in correlations], places, "|", color="#000000", markersize=10, label="noise ceiling"
    )
    axis.axvline(0, color="#7F7F7F", linewidth=0.7)
    axis.set_yticks(places, [f"{each.a}, {each.b}" for each in correlations])
    looks.label(axis, "Kendall's tau, 95 % intervals", "")
    axis.legend(fontsize=7, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)


def _regrets(axis: Any, compared: Compared) -> None:
    rows = [each for each in compared.worth if each.regime == "transfer"]
    places = {name: place for place, name in enumerate(reversed(compared.names))}
    for i, name in enumerate(dict.fromkeys(each.name for each in rows)):
        own = [each for each in rows if each.name == name]
        look = {**looks.style(i), "linestyle": "none", "label": name, "markersize": 6}
        axis.plot([each.regret for each in own], [places[each.dataset] + 0.08 * (2 - i) for each in own], **look)
    axis.set_yticks(list(places.values()), list(places))
    looks.title(axis, f"{compared.space}: the dataset left out")
    looks.label(axis, "normalized regret, test (0 best, 1 median)", "")
