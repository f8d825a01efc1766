"""What runs of an experiment show: regret over evaluations and time, ranks, and tests of differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nasbench_evs.analysis.experiment import Experiment, Ground, Run, best_known
from nasbench_evs.benchmark import find_table
from nasbench_evs.spaces.subspaces import SUBSPACES

SIGNIFICANT = 0.05
_RESAMPLED = 1000  # times, for an interval


class Mean(NamedTuple):
    """A mean over seeds and half the width of its 95 % interval (Student's t; NaN for one seed)."""

    value: float
    margin: float


def mean(values: Sequence[float] | np.ndarray) -> Mean:
    """Mean and margin of what is not NaN."""
    from scipy import stats

    known = np.array(values, float)
    known = known[~np.isnan(known)]
    if not len(known):
        return Mean(math.nan, math.nan)
    if len(known) == 1:
        return Mean(float(known[0]), math.nan)
    margin = stats.t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known))
    return Mean(float(known.mean()), float(margin))


class Regrets:
    """The regrets of an experiment: how far the incumbent's score is below the best known one, on the test split.

    Where a benchmark has no test scores, on the validation split. `split[benchmark]` says which; `best[benchmark]` is the best
    known score: of what is recorded within the constraint, and of all that any run met. Only seeds that every searcher has
    ended on every benchmark count, so that all are compared on the same.
    """

    def __init__(self, experiment: Experiment, runs: Sequence[Run]) -> None:
        self.experiment = experiment
        self.searchers = [each.label for each in experiment.searchers]
        self.benchmarks = [each.label for each in experiment.benchmarks]
        cells = {(each.benchmark, each.searcher, each.seed): each for each in runs}
        self.seeds = [
            seed
            for seed in range(experiment.seeds)
            if all((b, s, seed) in cells for b in self.benchmarks for s in self.searchers)
        ]
        # In an order of their own: means must not depend on which run ended first.
        self.runs = {key: cells[key] for key in sorted(cells) if key[2] in self.seeds}
        self.split: dict[str, str] = {}
        self.best: dict[str, float] = {}
        for ground in experiment.benchmarks:
            own = [each for each in self.runs.values() if each.benchmark == ground.label]
            has_test = any(not math.isnan(value) for each in own for value in each.test[-1:])
            self.split[ground.label] = split = "test" if has_test else "valid"
            self.best[ground.label] = round(best_known(ground, own, split), 6) if own else math.nan

    def ground(self, benchmark: str) -> Ground:
        return self.experiment.benchmarks[self.benchmarks.index(benchmark)]

    def final(self, benchmark: str, searcher: str) -> np.ndarray:
        """The regret at the end of each seed's run, (seeds,); NaN where nothing feasible was found."""
        return np.array([self._regret(benchmark, searcher, seed)[-1] for seed in self.seeds])

    def finals(self, benchmark: str) -> np.ndarray:
        """`final` of every searcher, (searchers, seeds); a run that found nothing feasible counts as the worst seen there."""
        found = np.array([self.final(benchmark, searcher) for searcher in self.searchers])
        return np.where(np.isnan(found), np.nanmax(found) if np.isfinite(found).any() else 0.0, found)

    def recommended(self, benchmark: str, searcher: str) -> np.ndarray:
        """The regret of the best (by validation) of the up to three architectures each run recommends, (seeds,)."""
        sign = self.ground(benchmark).load().metric.sign
        found = []
        for seed in self.seeds:
            run = self.runs[benchmark, searcher, seed]
            values = np.array(getattr(run, f"recommended_{self.split[benchmark]}"), float)
            valid = sign * np.array(run.recommended_valid, float)
            found.append(
                sign * (self.best[benchmark] - values[np.nanargmax(valid)]) if np.isfinite(valid).any() else math.nan
            )
        return np.array(found)

    def curve(self, benchmark: str, searcher: str, points: np.ndarray, over: str = "spent") -> np.ndarray:
        """Regrets (seeds, points) when so much was spent: evaluations, or `over="seconds"`; NaN before the first result."""
        rows = []
        for seed in self.seeds:
            run = self.runs[benchmark, searcher, seed]
            at = np.searchsorted(np.array(getattr(run, over), float), points + 1e-6, "right") - 1
            regret = self._regret(benchmark, searcher, seed)
            rows.append(np.where(at >= 0, regret[np.maximum(at, 0)], np.nan))
        return np.array(rows)

    def _regret(self, benchmark: str, searcher: str, seed: int) -> np.ndarray:
        sign = self.ground(benchmark).load().metric.sign
        values = np.array(getattr(self.runs[benchmark, searcher, seed], self.split[benchmark]), float)
        if not len(values):
            return np.array([math.nan])
        return sign * (self.best[benchmark] - values)

    def own_seconds(self, searcher: str, benchmark: str | None = None) -> float:
        """Real seconds of the searcher's own work per run, mean over all runs or those on one benchmark."""
        runs = [run for run in self.runs.values() if run.searcher == searcher and benchmark in (None, run.benchmark)]
        return float(np.mean([run.own_seconds for run in runs]))

    def table(self) -> np.ndarray:
        """Mean final regrets, (benchmarks, searchers), of `finals`."""
        # Rounded, so that equal ones tie in whatever order they were added.
        return np.array([self.finals(benchmark).mean(axis=1).round(9) for benchmark in self.benchmarks])


class Fidelity(NamedTuple):
    """Whether searchers rank alike on a dataset's surrogate and among its recorded trainings.

    `dataset` and `space` as in the experiment file (space "": the dataset's default). `tau` is Kendall's tau between their
    mean final regrets, `low` and `high` its 95 % interval over resampled seeds; `agree` of `pairs` that differ significantly
    on both (Wilcoxon over seeds, Holm) differ in the same direction.
    """

    dataset: str
    space: str
    searchers: int
    seeds: int
    tau: float
    low: float
    high: float
    agree: int
    pairs: int


def search_fidelity(regrets: Regrets) -> list[Fidelity]:
    """For every dataset of which the experiment has both the surrogate and the table, the whole space without a constraint.

    Empty for searchers of which none can be ranked before another.
    """
    sources: dict[Path, dict[str, Ground]] = {}
    for ground in regrets.experiment.benchmarks:
        if not ground.limits and ground.space not in SUBSPACES:
            sources.setdefault(find_table(ground.name, ground.space), {})[ground.source] = ground
    found = []
    for grounds in sources.values():
        if not {"surrogate", "table"} <= set(grounds):
            continue
        pair = regrets.finals(grounds["surrogate"].label), regrets.finals(grounds["table"].label)
        tau, low, high = rank_agreement(*pair)
        if math.isnan(tau):
            continue
        tests = [pairwise(each.T) for each in pair]
        both = [two for two in tests[0] if tests[0][two] < SIGNIFICANT and tests[1][two] < SIGNIFICANT]
        signs = [[np.sign(each[a].mean() - each[b].mean()) for a, b in both] for each in pair]
        agree = sum(x == y for x, y in zip(*signs, strict=True))
        ground = grounds["surrogate"]
        searchers, seeds = pair[0].shape
        found.append(Fidelity(ground.name, ground.space or "", searchers, seeds, tau, low, high, agree, len(both)))
    return found


def rank_agreement(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """Kendall's tau between the row means of two (searchers, seeds), and its interval over resampled seeds."""
    from scipy.stats import kendalltau

    rng = np.random.default_rng(0)
    taus = []
    for _ in range(_RESAMPLED):
        means = [each[:, rng.integers(each.shape[1], size=each.shape[1])].mean(axis=1) for each in (first, second)]
        taus.append(kendalltau(*means).statistic)
    low, high = np.nanpercentile(taus, [2.5, 97.5]) if np.isfinite(taus).any() else (math.nan, math.nan)
    return float(kendalltau(first.mean(axis=1), second.mean(axis=1)).statistic), float(low), float(high)


def mean_ranks(table: np.ndarray) -> np.ndarray:
    """The mean rank of every column, 1 is the smallest of a row; ties share."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(table, axis=1).mean(axis=0))


def friedman(table: np.ndarray) -> float:
    """The p-value that the columns do not differ (Friedman); NaN for fewer than three columns or two rows."""
    from scipy.stats import friedmanchisquare

    if table.shape[1] < 3 or table.shape[0] < 2 or np.ptp(table) == 0:
        return math.nan
    return float(friedmanchisquare(*table.T).pvalue)


def holm(p: np.ndarray) -> np.ndarray:
    """P-values adjusted for their number by Holm's step-down method."""
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def pairwise(table: np.ndarray) -> dict[tuple[int, int], float]:
    """For every pair of columns the p-value of Wilcoxon's signed-rank test over the rows, adjusted by Holm."""
    pairs = list(combinations(range(table.shape[1]), 2))
    if not pairs:
        return {}
    p = np.array([_wilcoxon(table[:, a], table[:, b]) for a, b in pairs])
    return dict(zip(pairs, holm(p).tolist(), strict=True))


def _wilcoxon(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.stats import wilcoxon

    if np.allclose(a, b, rtol=0, atol=1e-12):
        return 1.0
    sizes = np.abs(a - b)
    # Left to itself, scipy permutes signs thousands of times where differences are tied: seconds for each pair.
    exact = len(np.unique(sizes)) == len(sizes) <= 50 and sizes.min() > 0
    return float(wilcoxon(a, b, zero_method="zsplit", method="exact" if exact else "approx").pvalue)


def wins(regrets: Regrets) -> np.ndarray:
    """On how many benchmarks the row's searcher beats the column's: Wilcoxon over seeds, Holm over the benchmark's pairs."""
    n = len(regrets.searchers)
    found = np.zeros((n, n), int)
    for benchmark in regrets.benchmarks:
        finals = regrets.finals(benchmark)
        for (a, b), p in pairwise(finals.T).items():
            if p < SIGNIFICANT and len(regrets.seeds) > 1:
                better, worse = (a, b) if finals[a].mean() < finals[b].mean() else (b, a)
                found[better, worse] += 1
    return found


def cliques(ranks: np.ndarray, p: dict[tuple[int, int], float]) -> list[tuple[int, int]]:
    """Longest stretches of the order by rank within which no pair differs significantly: (first, last) places."""
    order = np.argsort(ranks, kind="stable")
    found: list[tuple[int, int]] = []
    for first in range(len(order)):
        last = first
        while last + 1 < len(order) and all(
            p[min(order[i], order[last + 1]), max(order[i], order[last + 1])] >= SIGNIFICANT
            for i in range(first, last + 1)
        ):
            last += 1
        if last > first and not any(a <= first and last <= b for a, b in found):
            found.append((first, last))
    return found
