"""Means with intervals, ranks, and tests of differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np

SIGNIFICANT = 0.05
_RESAMPLED = 1000  # times, for an interval


class Mean(NamedTuple):
    """A mean over seeds and half the width of its 95 % interval (see `ci_half_width`)."""

    value: float
    ci_half_width: float


def mean(values: Sequence[float] | np.ndarray) -> Mean:
    """Mean and interval of what is not NaN."""
    known = np.array(values, float)
    known = known[~np.isnan(known)]
    return Mean(float(known.mean()) if len(known) else math.nan, float(ci_half_width(known)))


def ci_half_width(values: np.ndarray) -> np.ndarray:
    """Half the width of the 95 % interval (Student's t) of the means over the first axis; NaN for fewer than two values."""
    from scipy import stats

    count = len(values)
    if count < 2:
        return np.full(values.shape[1:], math.nan)
    return np.asarray(stats.t.ppf(0.975, count - 1) * values.std(axis=0, ddof=1) / math.sqrt(count))


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


def holm(p: np.ndarray) -> np.ndarray:
    """P-values adjusted for their number by Holm's step-down method."""
    # scipy has no Holm (false_discovery_control bounds another error), and statsmodels is large for these five lines.
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
    p = np.array([wilcoxon_p(table[:, a], table[:, b]) for a, b in pairs])
    return dict(zip(pairs, holm(p).tolist(), strict=True))


def wilcoxon_p(a: np.ndarray, b: np.ndarray) -> float:
    """The p-value of Wilcoxon's signed-rank test, two-sided, that paired values do not differ; 1 where none does."""
    from scipy.stats import wilcoxon

    if np.allclose(a, b, rtol=0, atol=1e-12):
        return 1.0
    sizes = np.abs(a - b)
    # Left to itself, scipy permutes signs thousands of times where differences are tied: seconds for each pair.
    exact = len(np.unique(sizes)) == len(sizes) <= 50 and sizes.min() > 0
    return float(wilcoxon(a, b, zero_method="zsplit", method="exact" if exact else "approx").pvalue)


def effect_size(a: np.ndarray, b: np.ndarray) -> float:
    """The mean of paired differences in their standard deviations (Cohen's d); infinite where all differ by the same."""
    differences = a - b
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread == 0:
        return math.copysign(math.inf, mean) if mean else 0.0
    return mean / spread


@cache
def detectable_effect(pairs: int, *, tests: int = 1, power: float = 0.8) -> float:
    """The smallest true `effect_size` that Wilcoxon's test over so many pairs finds with that power.

    Two-sided at SIGNIFICANT / `tests`, Holm's strictest step where so many tests are made together. The power is that of
    the paired t-test (noncentral t), to which Wilcoxon's has the efficiency 3 / pi for normal differences; from twenty pairs
    on it is right to .03. Infinite where no p-value of so few pairs is significant.
    """
    from scipy import optimize, stats

    level = SIGNIFICANT / tests
    if pairs < 2 or 2.0 ** (1 - pairs) >= level:
        return math.inf
    count = pairs * 3 / math.pi
    critical = stats.t.ppf(1 - level / 2, count - 1)
    # The noncentral t as a normal over a chi: scipy's own is NaN far from its center.
    spread = np.sqrt(stats.chi2.ppf((np.arange(2000) + 0.5) / 2000, count - 1) / (count - 1))

    def missing(effect: float) -> float:
        shift = effect * math.sqrt(count)
        tails = stats.norm.cdf(shift - critical * spread) + stats.norm.cdf(-shift - critical * spread)
        return float(tails.mean()) - power

    # No power is reached without an effect, and any with one far above the critical value.
    return float(optimize.brentq(missing, 0.0, (2 * critical + 10) / math.sqrt(count)))
