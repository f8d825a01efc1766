"""What the runs of one regime say: pooled regrets and ranks with intervals, tests, and how much was resolved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nasbench_evs.analysis.comparison import Comparison, control_tests, resolved_pairs
from nasbench_evs.analysis.regrets import Regrets
from nasbench_evs.analysis.suite import Interval, suite_ranks, suite_regret, win_probabilities

CONTROLS = ("random", "evolution")  # labels of searchers that the others are tested against


@dataclass(frozen=True)
class Outcome:
    """Statistics of one regime; each is computed when it is first asked for.

    Regrets that are averaged are normalized. A tested difference is paired over seeds; with one seed nothing is tested.
    """

    regrets: Regrets

    @property
    def searchers(self) -> list[str]:
        return self.regrets.searchers

    @cached_property
    def order(self) -> list[int]:
        """Searchers by mean normalized regret at the end, best first."""
        return np.argsort(self.final.value, kind="stable").tolist()

    @cached_property
    def final(self) -> Interval:
        """Mean normalized regret at the end of each benchmark's budget, (searchers,)."""
        return self.at(None)

    def at(self, mark: int | None) -> Interval:
        """Mean normalized regret at a budget, (searchers,)."""
        return suite_regret(self.regrets.normalized(mark), self.regrets.groups)

    def curves(self, shares: np.ndarray) -> tuple[Interval, Interval]:
        """Mean normalized regret and mean rank at shares of each benchmark's budget, (searchers, points) each."""
        parts = self.regrets.at_shares(shares)
        at = [[each[..., point] for each in parts] for point in range(len(shares))]
        groups = self.regrets.groups
        return (
            _stacked([suite_regret(each, groups) for each in at]),
            _stacked([suite_ranks(each, groups) for each in at]),
        )

    def lead(self, first: int, second: int) -> Interval:
        """Mean normalized regret of one searcher at the end less another's, (1,)."""
        parts = [each[[first]] - each[[second]] for each in self.regrets.normalized()]
        return suite_regret(parts, self.regrets.groups)

    @cached_property
    def ranks(self) -> Interval:
        return suite_ranks(self.regrets.normalized(), self.regrets.groups)

    @cached_property
    def areas(self) -> Interval:
        """The area under the curve of normalized regret."""
        return suite_regret(self.regrets.areas(), self.regrets.groups)

    @cached_property
    def wins(self) -> Interval:
        return win_probabilities(self.regrets.normalized(), self.regrets.groups)

    @cached_property
    def controls(self) -> dict[str, list[Comparison]]:
        """Every other searcher against each of CONTROLS that takes part, by each seed's mean over the suite."""
        return {name: control_tests(self.regrets.suite(), self.searchers, name) for name in self._tested}

    @cached_property
    def controls_by_benchmark(self) -> dict[str, dict[str, list[Comparison]]]:
        """The same on each benchmark, Holm within it: control -> benchmark -> comparisons."""
        return {
            name: {
                benchmark: control_tests(regrets, self.searchers, name)
                for benchmark, regrets in zip(self.regrets.benchmarks, self.regrets.normalized(), strict=True)
            }
            for name in self._tested
        }

    def better_and_worse(self, searcher: str, control: str) -> tuple[int, int]:
        """On how many benchmarks it is significantly better than the control, and on how many worse."""
        found = [
            each.difference
            for tests in self.controls_by_benchmark[control].values()
            for each in tests
            if each.searcher == searcher and each.significant
        ]
        return sum(value < 0 for value in found), sum(value > 0 for value in found)

    @cached_property
    def resolved(self) -> dict[str, int]:
        """How many pairs of searchers each benchmark tells apart (`comparison.resolved_pairs`); none with one seed."""
        if len(self.regrets.seeds) < 2:
            return dict.fromkeys(self.regrets.benchmarks, 0)
        regrets = zip(self.regrets.benchmarks, self.regrets.normalized(), strict=True)
        return {benchmark: len(resolved_pairs(each, self.searchers)) for benchmark, each in regrets}

    @property
    def pairs(self) -> int:
        """Pairs of searchers."""
        return len(self.searchers) * (len(self.searchers) - 1) // 2

    @cached_property
    def detectable(self) -> float:
        """The smallest difference of mean normalized regret over the suite that these seeds find four times in five.

        The median over the tests against the first control; infinite with too few seeds, NaN where nothing is tested.
        """
        tests = next(iter(self.controls.values()), [])
        return float(np.median([each.detectable for each in tests])) if tests else math.nan

    def detectable_on(self, benchmark: str) -> float:
        """The same on one benchmark."""
        tests = next(iter(self.controls_by_benchmark.values()), {}).get(benchmark, [])
        return float(np.median([each.detectable for each in tests])) if tests else math.nan

    @property
    def _tested(self) -> list[str]:
        enough = len(self.regrets.seeds) > 1 and len(self.searchers) > 1
        return [name for name in CONTROLS if enough and name in self.searchers]


def _stacked(points: Sequence[Interval]) -> Interval:
    return Interval(*(np.stack(each, axis=-1) for each in zip(*points, strict=True)))
