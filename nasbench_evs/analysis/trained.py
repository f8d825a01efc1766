"""What searches that really trained are worth as they were trained: the three best of each, as paper 000 reports them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nasbench_evs.analysis.config import Experiment
from nasbench_evs.analysis.statistics import mean, wilcoxon_p

if TYPE_CHECKING:
    import pandas as pd

    from nasbench_evs.benchmark import Benchmark

BEST = 3  # of a search, whose mean paper 000 shows (table 2, figures 6 to 10)
_TESTED = 5  # pairs, for a test to be made


class Arm(NamedTuple):
    """A searcher on a benchmark.

    seeds         of its searches
    curves        mean validation score of the three best trainings so far, (seeds, evaluations), NaN before the third
    best          validation and test score of the best training by validation, (seeds, 2)
    three         mean validation and mean test score of the three best by validation, (seeds, 2)
    taught        the share of trainings that were taught
    hours         real hours of training of a search, (seeds,)
    """

    benchmark: str
    searcher: str
    seeds: list[int]
    curves: np.ndarray
    best: np.ndarray
    three: np.ndarray
    taught: float
    hours: np.ndarray


def arms(experiment: Experiment, frame: pd.DataFrame) -> list[Arm]:
    """The searches of an experiment that trained, in its order; `frame` as `live.read_trainings` gives it."""
    found = []
    for config in experiment.benchmarks:
        for searcher in experiment.searchers if config.trains else ():
            rows = frame[(frame["benchmark"] == config.label) & (frame["searcher"] == searcher.label)]
            if not len(rows):
                continue
            sign = config.metric.sign
            searches = [part.sort_values("evaluation") for _, part in rows.groupby("seed")]
            length = max(map(len, searches))
            curves = np.full((len(searches), length), math.nan)
            best, three, hours = [], [], []
            for row, part in zip(curves, searches, strict=True):
                valid, test = part["valid"].to_numpy(float), part["test"].to_numpy(float)
                row[: len(part)] = _three_so_far(valid, sign)
                row[len(part) :] = row[len(part) - 1]
                order = np.argsort(np.where(np.isnan(valid), math.inf, -sign * valid), kind="stable")[:BEST]
                best.append((valid[order[0]], test[order[0]]))
                three.append((valid[order].mean(), test[order].mean()))
                hours.append(float(part["real_seconds"].iloc[0]) / 3600)
            found.append(
                Arm(
                    config.label,
                    searcher.label,
                    [int(part["seed"].iloc[0]) for part in searches],
                    curves,
                    np.array(best),
                    np.array(three),
                    float(rows["distilled"].mean()),
                    np.array(hours),
                )
            )
    return found


def _three_so_far(values: np.ndarray, sign: int) -> np.ndarray:
    """The mean of the BEST values so far, (n,); NaN before there are so many."""
    kept: list[float] = []
    means = np.full(len(values), math.nan)
    for i, value in enumerate(values.tolist()):
        if not math.isnan(value):
            kept = sorted([*kept, value], key=lambda each: -sign * each)[:BEST]
        if len(kept) == BEST:
            means[i] = sum(kept) / BEST
    return means


def section(found: Sequence[Arm], metrics: Mapping[str, str]) -> list[str]:
    """What the page says of them, as Markdown; `metrics` are the names of each benchmark's."""
    lines = [
        "## As they were trained",
        "",
        f"The scores of the searches' own trainings, taught ones included: of the best by validation, and the mean of the {BEST} "
        "best (paper 000, table 2), ± their standard deviation over searches. Validation scores are the best of many and so too "
        "good; test scores chose nothing.",
        "",
        "| benchmark | searcher | searches | best: validation | its test | three best: validation | their test | taught "
        "| hours of a search |",
        f"|{' --- |' * 9}",
    ]
    for arm in found:
        cells = [_spread(column) for column in (*arm.best.T, *arm.three.T)]
        lines.append(
            f"| {arm.benchmark} ({metrics[arm.benchmark]}) | {arm.searcher} | {len(arm.seeds)} | {' | '.join(cells)} "
            f"| {arm.taught:.0%} | {arm.hours.mean():.2f} |"
        )
    pairs = [(first, second) for first, second in combinations(found, 2) if first.benchmark == second.benchmark]
    rows = [row for first, second in pairs if (row := _paired(first, second))]
    if rows:
        lines += [
            "",
            f"Differences of the mean test score of the {BEST} best, paired over the searches' seeds, ± half the width of a 95 % "
            f"interval (Student's t); Wilcoxon's p, not adjusted, from {_TESTED} pairs on, of which five can give "
            "none below .0625:",
            "",
            "| benchmark | first less second | pairs | difference | p |",
            f"|{' --- |' * 5}",
            *rows,
        ]
    return lines


def _spread(values: np.ndarray) -> str:
    if len(values) < 2:
        return f"{values.mean():.4f}"
    return f"{values.mean():.4f} ± {values.std(ddof=1):.4f}"


def _paired(first: Arm, second: Arm) -> str:
    shared = sorted({*first.seeds} & {*second.seeds})
    if len(shared) < 2:
        return ""
    a, b = (np.array([arm.three[arm.seeds.index(seed), 1] for seed in shared]) for arm in (first, second))
    difference, half_width = mean(a - b)
    p = f"{wilcoxon_p(a, b):.3g}" if len(shared) >= _TESTED and not np.isnan(a - b).any() else "-"
    return (
        f"| {first.benchmark} | {first.searcher} less {second.searcher} | {len(shared)} | {difference:+.4f} ± {half_width:.4f} "
        f"| {p} |"
    )


# Against predictions


class Agreement(NamedTuple):
    """How trainings of architectures, none of them twice, lie around what a surrogate predicts for one training of each.

    `bias` is the mean of score less prediction, `spread` the standard deviation of that; `predicted` what the surrogate says
    of it: the root of its mean variance, noise between seeds included. `within`: the share inside its central 90 % interval.
    """

    trainings: int
    bias: float
    spread: float
    predicted: float
    within: float
    tau: float


def agreement(frame: pd.DataFrame, bench: Benchmark) -> Agreement:
    """Untaught trainings of `frame` (as `live.read_trainings` gives it) against the surrogate that `bench` answers from."""
    from scipy.stats import kendalltau, norm

    plain = frame[(frame["distilled"] == 0) & frame["valid"].notna()].drop_duplicates("rank")
    scores = bench.query_many(bench.space.unrank_many(plain["rank"].to_numpy(np.uint64)))
    std = np.hypot(scores.epistemic_std, scores.noise_std)
    off = plain["valid"].to_numpy(float) - scores.value
    return Agreement(
        len(plain),
        float(off.mean()),
        float(off.std(ddof=1)),
        float(np.sqrt(np.mean(std**2))),
        float(np.mean(np.abs(off) <= norm.ppf(0.95) * std)),
        float(kendalltau(plain["valid"], scores.value).statistic),
    )


def agreement_section(experiment: Experiment, frame: pd.DataFrame) -> list[str]:
    """Every benchmark that is trained against the surrogate of the same table, where the experiment has it; else nothing."""
    rows = []
    for trained in experiment.benchmarks:
        for other in experiment.benchmarks if trained.trains else ():
            if other.source == "surrogate" and (other.name, other.space) == (trained.name, trained.space):
                found = agreement(frame[frame["benchmark"] == trained.label], other.load())
                rows.append(
                    f"| {trained.label} | {other.label} | {found.trainings} | {found.bias:+.4f} | {found.spread:.4f} "
                    f"| {found.predicted:.4f} | {found.within:.0%} | {found.tau:.2f} |"
                )
    if not rows:
        return []
    return [
        "## Do trainings and predictions agree?",
        "",
        "Every untaught training of these searches, no architecture twice, less what the surrogate predicts for one training of "
        "it: one that is right has a bias of 0, as large a spread as it says, and 90 % of trainings within its intervals. "
        "Searchers went where scores looked good, so the trainings are no random sample.",
        "",
        "| trained | predicted | architectures | bias | spread | spread as predicted | within 90 % | Kendall's tau |",
        f"|{' --- |' * 8}",
        *rows,
    ]
