"""Searchers compared in pairs over the same seeds: tests, how large a difference is, and what the seeds could have shown.

Regrets come as an array (searchers, seeds): those of one benchmark, or of a suite, each seed's mean over its benchmarks.
Smaller is better; NaN where a searcher has no run of that seed. A run that found nothing feasible must have a value (as
`Regrets.finals` gives it): leaving it out would favour whoever failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from nasbench_evs.analysis.statistics import (
    SIGNIFICANT,
    ci_half_width,
    detectable_effect,
    effect_size,
    holm,
    wilcoxon_p,
)
from nasbench_evs.errors import InvalidQuery

RESOLVED_EFFECT = 0.4  # standard deviations of the paired differences
RESOLVED_SEEDS = 50


class Comparison(NamedTuple):
    """A searcher against another over the `seeds` seeds that both have.

    difference      mean regret of `searcher` less that of `reference`; negative where `searcher` is better
    ci_half_width   of the difference: half the width of its 95 % interval
    effect_size     the difference in standard deviations of the paired differences (Cohen's d)
    p, p_holm       Wilcoxon's signed-rank test, two-sided; adjusted by Holm for the tests made together with this one
    detectable      the smallest true difference that would be found in four of five such comparisons, at Holm's strictest step
    """

    searcher: str
    reference: str
    seeds: int
    difference: float
    ci_half_width: float
    effect_size: float
    p: float
    p_holm: float
    detectable: float

    @property
    def significant(self) -> bool:
        return self.p_holm < SIGNIFICANT

    @property
    def resolved(self) -> bool:
        """Told apart, and by enough to matter."""
        return self.significant and abs(self.effect_size) >= RESOLVED_EFFECT


def control_tests(regrets: np.ndarray, searchers: Sequence[str], control: str) -> list[Comparison]:
    """Every other searcher against `control` (random search, say), Holm over these tests; InvalidQuery for another name."""
    if control not in searchers:
        raise InvalidQuery(f"control {control!r}: expected one of {', '.join(searchers)}")
    last = list(searchers).index(control)
    return _compare(regrets, searchers, [(i, last) for i in range(len(searchers)) if i != last])


def all_pairs(regrets: np.ndarray, searchers: Sequence[str], *, most_seeds: int | None = None) -> list[Comparison]:
    """Every pair of searchers, Holm over all pairs; each over the first `most_seeds` seeds that both have (None: all)."""
    return _compare(regrets, searchers, list(combinations(range(len(searchers)), 2)), most_seeds)


def resolved_pairs(regrets: np.ndarray, searchers: Sequence[str]) -> list[Comparison]:
    """The pairs that RESOLVED_SEEDS seeds or fewer tell apart: significant after Holm, and |d| of RESOLVED_EFFECT or more.

    Of how many: `len(searchers)` choose 2. What a benchmark resolves compares with another's only for the same searchers.
    """
    return [each for each in all_pairs(regrets, searchers, most_seeds=RESOLVED_SEEDS) if each.resolved]


def _compare(
    regrets: np.ndarray, searchers: Sequence[str], pairs: Sequence[tuple[int, int]], most_seeds: int | None = None
) -> list[Comparison]:
    regrets = np.asarray(regrets, np.float64)
    if regrets.ndim != 2 or len(regrets) != len(searchers):
        raise InvalidQuery(
            f"regrets of shape {regrets.shape}: expected (searchers, seeds) of {len(searchers)} searchers"
        )
    samples = []
    for i, j in pairs:
        both = np.flatnonzero(~np.isnan(regrets[i]) & ~np.isnan(regrets[j]))[:most_seeds]
        if len(both) < 2:
            raise InvalidQuery(
                f"{searchers[i]} and {searchers[j]} have {len(both)} seeds in common: a comparison needs two or more"
            )
        samples.append((regrets[i, both], regrets[j, both]))
    p = np.array([wilcoxon_p(a, b) for a, b in samples])
    found = []
    for (i, j), (a, b), value, adjusted in zip(pairs, samples, p, holm(p), strict=True):
        differences = a - b
        effect = detectable_effect(len(a), tests=len(pairs))
        found.append(
            Comparison(
                searchers[i],
                searchers[j],
                len(a),
                float(differences.mean()),
                float(ci_half_width(differences)),
                effect_size(a, b),
                float(value),
                float(adjusted),
                effect * float(differences.std(ddof=1)),
            )
        )
    return found
