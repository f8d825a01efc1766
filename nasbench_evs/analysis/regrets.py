"""Regrets of an experiment in one regime: at budgets, over evaluations and time, and as numbers that a suite can average."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig, Experiment
from nasbench_evs.analysis.references import Reference, reference, reference_of_trainings
from nasbench_evs.analysis.runs import SHARE, Run
from nasbench_evs.analysis.suite import area_under_curve, benchmark_groups, normalized_regret
from nasbench_evs.benchmark import find_table
from nasbench_evs.benchmark.landscapes import PREFIX
from nasbench_evs.errors import InvalidQuery, NotRecorded
from nasbench_evs.tables import read


class Regrets:
    """How far the true values of incumbents are behind each benchmark's reference, in `regime` (transfer: of noisy searches).

    `benchmarks` are the labels of those that were searched so and have values in the regime (a made landscape has no test split
    to transfer to). Only `seeds` that every searcher has
    ended on every benchmark count, so that all are compared on the same. Regret is in the metric's unit, larger is worse; below
    0 is what is better than a reference that is not exact, or luckier in the trainings that judge it.
    """

    def __init__(self, experiment: Experiment, runs: Sequence[Run], regime: str) -> None:
        self.experiment, self.regime = experiment, regime
        self.searchers = [each.label for each in experiment.searchers]
        searched = "noisy" if regime == "transfer" else regime
        configs = [each for each in experiment.benchmarks if searched in each.regimes]
        cells = {(each.benchmark, each.searcher, each.seed): each for each in runs if each.regime == searched}
        self.seeds = [
            seed
            for seed in range(experiment.seeds)
            if configs and all((b.label, s, seed) in cells for b in configs for s in self.searchers)
        ]
        # In an order of their own: means must not depend on which run ended first.
        self.runs = {key: cells[key] for key in sorted(cells) if key[2] in self.seeds}
        self.references: dict[str, Reference] = {}
        for config in configs if self.seeds else ():
            found = [
                getattr(point, regime)
                for run in self.runs.values()
                if run.benchmark == config.label
                for point in run.points
            ]
            if np.isfinite(found).any() and not (regime == "transfer" and config.name.startswith(PREFIX)):
                with contextlib.suppress(NotRecorded):
                    self.references[config.label] = self._reference(config, found)
        self._configs = {each.label: each for each in configs if each.label in self.references}
        self.benchmarks = list(self._configs)
        self.groups = benchmark_groups(list(self._configs.values()))

    @property
    def marks(self) -> tuple[int, ...]:
        """The budgets that every benchmark reports."""
        shared = set.intersection(*(set(each.marks) for each in self._configs.values())) if self._configs else set()
        return tuple(sorted(shared))

    def config(self, benchmark: str) -> BenchmarkConfig:
        return self._configs[benchmark]

    def at(
        self, benchmark: str, searcher: str, points: Sequence[float] | np.ndarray, over: str = "evaluations"
    ) -> np.ndarray:
        """Regrets (seeds, points) when so much was spent: evaluations, or `over="seconds"`; NaN before the first result."""
        rows = []
        for seed in self.seeds:
            curve = self.runs[benchmark, searcher, seed].curve
            place = np.searchsorted([getattr(each, over) for each in curve], np.asarray(points) + SHARE, "right") - 1
            regret = self._regret(benchmark, [getattr(each, self.regime) for each in curve])
            rows.append(np.where(place >= 0, regret[np.maximum(place, 0)], np.nan))
        return np.array(rows).reshape(len(self.seeds), len(points))

    def final(self, benchmark: str, searcher: str, mark: int | None = None) -> np.ndarray:
        """The regret at the end, or at a smaller budget, of each seed's run, (seeds,); NaN where nothing has a true value."""
        return self.at(benchmark, searcher, [mark or self.config(benchmark).budget])[:, 0]

    def finals(self, benchmark: str, mark: int | None = None) -> np.ndarray:
        """`final` of every searcher, (searchers, seeds); a run that found nothing counts as the worst seen there."""
        found = np.array([self.final(benchmark, searcher, mark) for searcher in self.searchers])
        return np.where(np.isnan(found), np.nanmax(found) if np.isfinite(found).any() else 0.0, found)

    def normalized(self, mark: int | None = None) -> list[np.ndarray]:
        """`finals` of each benchmark as shares of its scale; 0 where all its architectures are alike."""
        return [self._shares(benchmark, self.finals(benchmark, mark)) for benchmark in self.benchmarks]

    def suite(self, mark: int | None = None) -> np.ndarray:
        """Mean normalized regret over the suite, (searchers, seeds); benchmarks of one group share its weight."""
        return self._pooled(self.normalized(mark))

    def areas(self) -> list[np.ndarray]:
        """The area under each run's curve of normalized regret, a mean over its budget: (searchers, seeds) of each benchmark."""
        found = []
        for benchmark in self.benchmarks:
            budget = self.config(benchmark).budget
            rows = np.empty((len(self.searchers), len(self.seeds)))
            for i, searcher in enumerate(self.searchers):
                for j, seed in enumerate(self.seeds):
                    curve = self.runs[benchmark, searcher, seed].curve
                    regret = self._regret(benchmark, [getattr(each, self.regime) for each in curve])
                    spent = np.array([each.evaluations for each in curve])
                    rows[i, j] = area_under_curve(spent, self._shares(benchmark, regret), budget)
            found.append(rows)
        return found

    def at_shares(self, points: np.ndarray) -> list[np.ndarray]:
        """Normalized regrets at shares of each benchmark's budget, (searchers, seeds, points) of each; 1 before a result."""
        found = []
        for benchmark in self.benchmarks:
            spent = points * self.config(benchmark).budget
            values = np.array([self.at(benchmark, searcher, spent) for searcher in self.searchers])
            found.append(np.nan_to_num(self._shares(benchmark, values), nan=1.0))
        return found

    def answers(self, benchmark: str, searcher: str) -> np.ndarray:
        """The regret of what each run recommends, (seeds,): of up to three architectures the best by what the search sees."""
        values = [getattr(self.runs[benchmark, searcher, seed].answer, self.regime) for seed in self.seeds]
        return self._regret(benchmark, values)

    def own_seconds(self, searcher: str, benchmark: str | None = None) -> float:
        """Real seconds of the searcher's own work per run, mean over all runs or those on one benchmark."""
        runs = [run for run in self.runs.values() if run.searcher == searcher and benchmark in (None, run.benchmark)]
        return float(np.mean([run.own_seconds for run in runs]))

    def timed(self, benchmark: str) -> bool:
        """Whether simulated seconds are those of trainings."""
        return not any(
            math.isnan(run.curve[-1].seconds) for (label, *_), run in self.runs.items() if label == benchmark
        )

    def _reference(self, config: BenchmarkConfig, found: Sequence[float]) -> Reference:
        if config.retrain and self.regime != "clean":
            table = read(find_table(config.name, config.space))
            return reference_of_trainings(table, self.regime, found)
        return reference(config.load(), config.limits, self.regime, found)

    def _regret(self, benchmark: str, values: Sequence[float]) -> np.ndarray:
        sign = self.config(benchmark).metric.sign
        # Rounded, so that equal ones tie.
        return np.asarray((sign * (self.references[benchmark].value - np.asarray(values, float))).round(9))

    def _shares(self, benchmark: str, regrets: np.ndarray) -> np.ndarray:
        scale = self.references[benchmark].scale
        return normalized_regret(regrets, scale) if scale > 0 else np.zeros_like(regrets)

    def _pooled(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        found = {
            group: np.mean([part for part, own in zip(parts, self.groups, strict=True) if own == group], axis=0)
            for group in self.groups
        }
        return np.mean(list(found.values()), axis=0)


def all_regrets(experiment: Experiment, runs: Sequence[Run]) -> list[Regrets]:
    """The regimes in which there is something to compare, clean before noisy and transfer; InvalidQuery if there is none."""
    regimes = [*experiment.regimes, *(["transfer"] if "noisy" in experiment.regimes else [])]
    found = [each for each in (Regrets(experiment, runs, regime) for regime in regimes) if each.benchmarks]
    if not found:
        raise InvalidQuery("no seed has ended for every searcher on every benchmark yet: let the experiment go on")
    return found
