"""What regret is measured against, and in which unit it is averaged over benchmarks: fixed for each benchmark and regime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nasbench_evs.analysis.runs import rounded
from nasbench_evs.benchmark.landscapes import LandscapeBenchmark
from nasbench_evs.errors import NotRecorded
from nasbench_evs.search.domain import Domain

if TYPE_CHECKING:
    from nasbench_evs.benchmark import Benchmark, Best
    from nasbench_evs.tables import Table

_DRAWN = 2000  # random architectures, for the scale
_LISTED = 100  # best ones looked through for one within a constraint, ten times as many each time


class Reference(NamedTuple):
    """The value that regret is measured against, and the unit of normalized regret.

    how     "exact", "best known" (of the benchmark: `Benchmark.optimum`), or "best of these runs" where it knows none: only then
            it moves with what is compared
    scale   what a random architecture loses: the reference less the median of 2,000 random ones (all, of a smaller pool) within
            the constraint. 1 is the middle of what random search draws, 0 the reference. The median, because the mean is that of
            the few trainings that failed. It depends on the benchmark and its reference alone; NaN where all are alike
    """

    value: float
    how: str
    scale: float


def reference(bench: Benchmark, limits: Mapping[str, float], regime: str, found: Iterable[float]) -> Reference:
    """The reference of a benchmark under a constraint in a regime; `found`: true values of what was found by any run.

    NotRecorded where architectures have no value in that regime.
    """
    domain, sign = Domain.on(bench, limits), bench.metric.sign
    pool = domain.pool
    drawn = domain.sample_many(_DRAWN, 0) if pool is None or len(pool) > _DRAWN else pool
    values = bench.true_values(drawn, regime)
    try:
        best, how = _best(bench, domain, regime)
    except NotRecorded:
        known = sign * np.array([*values, *found])
        best, how = float(sign * np.nanmax(known)) if np.isfinite(known).any() else np.nan, "best of these runs"
    scale = sign * (best - float(np.nanmedian(values))) if np.isfinite(values).any() else np.nan
    return Reference(rounded(best), how, rounded(scale) if scale > 0 else np.nan)


def reference_of_trainings(table: Table, regime: str, found: Iterable[float]) -> Reference:
    """The reference of searches that are judged by new trainings: what was found by any run is all that is known there.

    The median that the scale is measured from is that of the architectures of the `table` whose protocol they have, each by
    the mean of its recorded scores: test scores in the transfer regime.
    """
    sign = table.header.metric.sign
    known = sign * np.array([*found], float)
    best = float(sign * np.nanmax(known)) if np.isfinite(known).any() else np.nan
    _, means = table.architecture_means("test" if regime == "transfer" else "valid")
    scale = sign * (best - float(np.median(means))) if len(means) else np.nan
    return Reference(rounded(best), "best of these runs", rounded(scale) if scale > 0 else np.nan)


def _best(bench: Benchmark, domain: Domain, regime: str) -> tuple[float, str]:
    optimum = bench.optimum(regime)
    if not domain.limits:
        return optimum.value, optimum.how
    if isinstance(bench, LandscapeBenchmark):
        return bench.best_within(domain.limits).value, optimum.how
    listed, count = _LISTED, len(bench.recorded_choices)
    while True:
        best: list[Best] = bench.top(listed, regime)
        fits = domain.feasible(bench.space.stack([each.architecture for each in best]))
        if fits.any():
            return best[int(fits.argmax())].value, optimum.how
        if listed >= count:
            raise NotRecorded("nothing that is recorded is within the constraint")
        listed *= 10
