"""What runs of an experiment show: regret over evaluations and time, and whether surrogates rank searchers as tables do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig, Experiment
from nasbench_evs.analysis.experiment import best_known
from nasbench_evs.analysis.runs import Run
from nasbench_evs.analysis.statistics import SIGNIFICANT, pairwise, rank_agreement
from nasbench_evs.benchmark import find_table
from nasbench_evs.spaces.subspaces import SUBSPACES


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
        for config in experiment.benchmarks:
            own = [each for each in self.runs.values() if each.benchmark == config.label]
            has_test = any(not math.isnan(value) for each in own for value in each.test[-1:])
            self.split[config.label] = split = "test" if has_test else "valid"
            self.best[config.label] = round(best_known(config, own, split), 6) if own else math.nan

    def config(self, benchmark: str) -> BenchmarkConfig:
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
        sign = self.config(benchmark).load().metric.sign
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
        sign = self.config(benchmark).load().metric.sign
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
    sources: dict[Path, dict[str, BenchmarkConfig]] = {}
    for config in regrets.experiment.benchmarks:
        if not config.limits and config.space not in SUBSPACES:
            sources.setdefault(find_table(config.name, config.space), {})[config.source] = config
    found = []
    for configs in sources.values():
        if not {"surrogate", "table"} <= set(configs):
            continue
        pair = regrets.finals(configs["surrogate"].label), regrets.finals(configs["table"].label)
        tau, low, high = rank_agreement(*pair)
        if math.isnan(tau):
            continue
        tests = [pairwise(each.T) for each in pair]
        both = [two for two in tests[0] if tests[0][two] < SIGNIFICANT and tests[1][two] < SIGNIFICANT]
        signs = [[np.sign(each[a].mean() - each[b].mean()) for a, b in both] for each in pair]
        agree = sum(x == y for x, y in zip(*signs, strict=True))
        config = configs["surrogate"]
        searchers, seeds = pair[0].shape
        found.append(Fidelity(config.name, config.space or "", searchers, seeds, tau, low, high, agree, len(both)))
    return found


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
