"""What runs on several benchmarks say together: normalized regret, and intervals from a two-level bootstrap.

Regrets come as one array (searchers, seeds) for each benchmark. Only seeds that every searcher has there count (no NaN).
`groups` says which benchmarks are one: a surrogate and the table that it was fitted to are two looks at the same trainings,
so they share one weight and are resampled together (`benchmark_groups`). Intervals are 95 %, percentiles over resamples of
the groups and, within each drawn one, of the seeds: they are about other benchmarks of this kind, not about this suite
alone, and wide where there are few groups.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig
from nasbench_evs.benchmark import find_table
from nasbench_evs.benchmark.landscapes import PREFIX
from nasbench_evs.errors import InvalidQuery

RESAMPLES = 2000
_DIGITS = 9  # equal means tie in whatever order they were added


class Interval(NamedTuple):
    """Values and the ends of their 95 % intervals, arrays of one shape."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def benchmark_groups(benchmarks: Sequence[BenchmarkConfig]) -> list[str]:
    """For each benchmark the table that it answers from or that its surrogate was fitted to; a landscape is its own.

    Of one that was opened elsewhere, its dataset and space.
    """

    def group(each: BenchmarkConfig) -> str:
        if each.opened is not None:
            return f"{each.opened.dataset} {each.opened.space.whole.name}"
        return each.name if each.name.startswith(PREFIX) else str(find_table(each.name, each.space))

    return [group(each) for each in benchmarks]


def normalized_regret(regrets: np.ndarray, scale: float) -> np.ndarray:
    """Regrets of one benchmark as shares of `scale`: 0 is the reference value, 1 what the scale stands for.

    The scale must not depend on the searchers compared, else a regret changes with its company: take what one random
    architecture is expected to lose, or another constant that comes with the benchmark. InvalidQuery unless it is above 0.
    """
    if not scale > 0 or not np.isfinite(scale):
        raise InvalidQuery(f"scale {scale}: expected a finite regret above 0")
    return np.asarray(regrets, np.float64) / scale


def area_under_curve(spent: np.ndarray, regrets: np.ndarray, budget: float, *, before: float = 1.0) -> np.ndarray:
    """The mean regret of the incumbent over the budget, (...): a search that is good early has less.

    `regrets` (..., points) hold from `spent` (points,), ascending, until the next one. Before the first, and where they are
    NaN, the regret is `before`: with normalized regret 1, what a search starts from.
    """
    spent, regrets = np.asarray(spent, np.float64), np.asarray(regrets, np.float64)
    if spent.ndim != 1 or regrets.shape[-1:] != spent.shape or (np.diff(spent) < 0).any() or not budget > 0:
        raise InvalidQuery(
            f"spent of shape {spent.shape}, regrets {regrets.shape}, budget {budget}: expected ascending (points,), "
            "(..., points) and a budget above 0"
        )
    widths = np.diff(np.clip(np.concatenate([[0.0], spent, [budget]]), 0.0, budget))
    known = np.where(np.isnan(regrets), before, regrets)
    return np.asarray((before * widths[0] + known @ widths[1:]) / budget)


def suite_regret(regrets: Sequence[np.ndarray], groups: Sequence[Hashable], *, seed: int = 0) -> Interval:
    """Each searcher's mean regret over the suite, (searchers,). Regrets should be normalized."""
    return _two_level(_complete(regrets), groups, lambda means: means, seed)


def suite_ranks(regrets: Sequence[np.ndarray], groups: Sequence[Hashable], *, seed: int = 0) -> Interval:
    """Each searcher's mean rank, (searchers,), by its mean regret on each benchmark; 1 is best, ties share."""
    from scipy.stats import rankdata

    return _two_level(_complete(regrets), groups, lambda means: rankdata(means.round(_DIGITS), axis=0), seed)


def win_probabilities(regrets: Sequence[np.ndarray], groups: Sequence[Hashable], *, seed: int = 0) -> Interval:
    """How probably the row's searcher ends with a smaller regret than the column's, (searchers, searchers).

    Of the same seed on the same benchmark; ties count half, to both, so that [i, j] and [j, i] add up to 1.
    """
    won = []
    for each in _complete(regrets):
        row, column = each[:, None], each[None]
        won.append((row < column) + 0.5 * (row == column))
    return _two_level(won, groups, lambda means: means, seed)


def _complete(regrets: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Of each benchmark the seeds that every searcher has, (searchers, seeds)."""
    found = []
    for i, each in enumerate(regrets):
        values = np.asarray(each, np.float64)
        if values.ndim != 2 or len(values) != len(regrets[0]):
            raise InvalidQuery(f"regrets of benchmark {i} have shape {values.shape}: expected (searchers, seeds)")
        values = values[:, ~np.isnan(values).any(axis=0)]
        if not values.shape[1]:
            raise InvalidQuery(f"benchmark {i} has no seed that every searcher has ended")
        found.append(values)
    return found


def _two_level(
    samples: Sequence[np.ndarray],
    groups: Sequence[Hashable],
    reduce: Callable[[np.ndarray], np.ndarray],
    seed: int,
) -> Interval:
    """The mean over groups of the mean over their benchmarks of `reduce` of the mean over seeds.

    `samples` (..., seeds) of each benchmark; `reduce` is given such means for many resamples, (..., resamples).
    """
    if not samples or len(groups) != len(samples):
        raise InvalidQuery(
            f"{len(groups)} groups of {len(samples)} benchmarks: expected one for each, and at least one"
        )
    members: dict[Hashable, list[np.ndarray]] = {}
    for group, sample in zip(groups, samples, strict=True):
        members.setdefault(group, []).append(sample)
    parts = list(members.values())
    value = np.mean(
        [np.mean([reduce(each.mean(axis=-1)[..., None]) for each in part], axis=0) for part in parts], axis=0
    )
    rng = np.random.default_rng(seed)
    total = np.zeros((*value.shape[:-1], RESAMPLES))
    for drawn in rng.integers(len(parts), size=(len(parts), RESAMPLES)):
        for i, part in enumerate(parts):
            where = np.flatnonzero(drawn == i)
            if len(where):
                means = [reduce(each @ _weights(rng, each.shape[-1], len(where))) for each in part]
                total[..., where] += np.mean(means, axis=0)
    low, high = np.percentile(total / len(parts), [2.5, 97.5], axis=-1)
    return Interval(value[..., 0], low, high)


def _weights(rng: np.random.Generator, seeds: int, resamples: int) -> np.ndarray:
    """How often each seed is drawn, as a share, (seeds, resamples)."""
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples).T / seeds
