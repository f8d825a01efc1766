"""How alike two datasets order the same architectures: rank correlations, and what noise between trainings leaves of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nasbench_evs.tables import Table

FEWEST = 40  # architectures in common, to say how alike two orders are
BEST, NEAR_BEST = 0.05, 0.25  # shares of the architectures
_FEWEST_BEST = 200  # architectures in common, to speak of a twentieth of them
_TRAINED_TWICE = 20  # architectures, to say how noisy an order is
_RESAMPLED = 1000


class Plan(NamedTuple):
    """Architectures of a space that were drawn alike for every dataset: records of one sampler, so often trained at least."""

    sampler: bytes
    trainings: int
    what: str


# By the label of the space, or of the part of it, that they are drawn from.
PLANS = {
    "seqnas-s": Plan(b"seqnas-s", 2, "the 912 architectures of seqnas-s, in their frozen random order"),
    "seqnas": Plan(b"random", 1, "random architectures of the whole space seqnas, drawn with one seed"),
}


@dataclass(frozen=True)
class Drawn:
    """A plan's architectures in a table, by rank, without teachers; larger scores are better, -inf is a failed training.

    ranks    (M,) in the table's space
    scores   (M, k) validation scores of the first k trainings, k as the plan says
    twice    (M, 2) those of the first two, NaN where there was one
    """

    ranks: np.ndarray
    scores: np.ndarray
    twice: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """Mean scores (M,)."""
        return np.asarray(self.scores.mean(axis=1))

    def of(self, ranks: np.ndarray) -> Drawn:
        """The same of these ranks, in their order; all of them are there."""
        rows = np.searchsorted(self.ranks, ranks)
        return Drawn(self.ranks[rows], self.scores[rows], self.twice[rows])


def drawn(table: Table, plan: Plan) -> Drawn:
    """What a table has of a plan: the architectures with at least as many trainings as it says."""
    rows = np.flatnonzero((table["distilled"] != 1) & (table["sampler"] == plan.sampler))
    ranks, first, counts = np.unique(table["rank"][rows], return_index=True, return_counts=True)
    scores = table.header.metric.sign * table.scores("valid")[rows]
    scores = np.append(np.where(np.isnan(scores), -np.inf, scores), np.nan)  # records are sorted by rank, then by seed
    enough = counts >= plan.trainings
    first, counts = first[enough], counts[enough]
    second = np.where(counts > 1, first + 1, -1)
    return Drawn(
        ranks[enough], scores[first[:, None] + np.arange(plan.trainings)], scores[np.stack([first, second], axis=1)]
    )


@dataclass(frozen=True)
class Correlation:
    """How alike datasets `a` and `b` order the architectures that both have; low and high are 95 % of resampled architectures.

    space       a key of PLANS
    tau         Kendall's, between mean validation scores over `trainings` of each, and its interval
    spearman    Spearman's
    ceiling     what tau would be if the true orders were the same: noise leaves no more (NaN: unknown)
    share       tau / ceiling
    best        of the best 5 % of a, the share among the best 5 % of b and among its best 25 %; then b's in a; one training
                of each dataset, mean over which (by chance .05 and .25); NaN for fewer than 200 architectures
    again       of the best 5 % of a by one training, the share among the best by another of a itself; then b's; NaN: unknown
    """

    space: str
    a: str
    b: str
    architectures: int
    trainings: int
    tau: float
    tau_low: float
    tau_high: float
    spearman: float
    ceiling: float
    ceiling_low: float
    ceiling_high: float
    share: float
    share_low: float
    share_high: float
    best: tuple[float, float, float, float]
    again: tuple[float, float, float, float]


def correlation(space: str, names: tuple[str, str], a: Drawn, b: Drawn) -> Correlation | None:
    """Of two datasets' architectures of a space's plan; None where fewer than FEWEST are in common."""
    from scipy.stats import spearmanr

    common = np.intersect1d(a.ranks, b.ranks)
    if len(common) < FEWEST:
        return None
    a, b = a.of(common), b.of(common)
    rng = np.random.default_rng(0)
    found = [_agreement(a, b)]
    found += [_agreement(a.of(some), b.of(some)) for some in rng.choice(common, (_RESAMPLED, len(common)))]
    tau, ceiling, share = np.array(found).T
    low_high = [_interval(each[1:]) for each in (tau, ceiling, share)]
    trainings = a.scores.shape[1]
    return Correlation(
        space,
        *names,
        len(common),
        trainings,
        *(float(tau[0]), *low_high[0]),
        float(spearmanr(_places(a.means), _places(b.means)).statistic),
        *(float(ceiling[0]), *low_high[1]),
        *(float(share[0]), *low_high[2]),
        (*_found(a.scores, b.scores), *_found(b.scores, a.scores)),
        (*_again(a.scores), *_again(b.scores)),
    )


def reliability(scores: Drawn) -> float:
    """The share of the variance of a mean's rank that is architecture, 0 to 1; NaN where too few were trained twice.

    If scores vary normally, up to any monotone transform, two trainings correlate at s = sin(tau pi / 2), tau Kendall's
    (Greiner's relation), and means of k at k s / (1 + (k - 1) s) (Spearman-Brown).
    """
    twice = scores.twice[~np.isnan(scores.twice).any(axis=1)]
    if len(twice) < _TRAINED_TWICE:
        return math.nan
    tau = _tau(twice[:, 0], twice[:, 1])
    single, k = math.sin(max(tau, 0.0) * math.pi / 2), scores.scores.shape[1]
    return k * single / (1 + (k - 1) * single)


def _agreement(a: Drawn, b: Drawn) -> tuple[float, float, float]:
    """tau, its ceiling (Spearman's attenuation: the root of both reliabilities, as a tau), and the share of it."""
    tau = _tau(a.means, b.means)
    ceiling = 2 / math.pi * math.asin(math.sqrt(reliability(a) * reliability(b)))
    return tau, ceiling, tau / ceiling if ceiling > 0 else math.nan


def _tau(x: np.ndarray, y: np.ndarray) -> float:
    from scipy.stats import kendalltau

    return float(kendalltau(_places(x), _places(y)).statistic)


def _places(values: np.ndarray) -> np.ndarray:
    """Places in the order, the same for equal ones: infinities have one too."""
    return np.unique(values, return_inverse=True)[1]


def _interval(values: np.ndarray) -> tuple[float, float]:
    if np.isnan(values).all():
        return math.nan, math.nan
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(low), float(high)


def _found(chosen: np.ndarray, judged: np.ndarray) -> tuple[float, float]:
    """The shares of the best 5 % by one column of `chosen` among the best 5 and 25 % by one of `judged`, mean over both."""
    if len(chosen) < _FEWEST_BEST:
        return math.nan, math.nan
    pairs = [(x, y) for x in chosen.T for y in judged.T]
    best, near = (float(np.mean([_overlap(x, y, share) for x, y in pairs])) for share in (BEST, NEAR_BEST))
    return best, near


def _again(scores: np.ndarray) -> tuple[float, float]:
    columns = range(scores.shape[1])
    found = [_found(scores[:, [i]], scores[:, [j]]) for i in columns for j in columns if i != j]
    if not found:
        return math.nan, math.nan
    best, near = np.mean(found, axis=0).tolist()
    return best, near


def _overlap(x: np.ndarray, y: np.ndarray, share: float) -> float:
    return float(np.isin(_leading(x, BEST), _leading(y, share)).mean())


def _leading(values: np.ndarray, share: float) -> np.ndarray:
    return np.argsort(-values, kind="stable")[: max(1, round(share * len(values)))]
