"""How much of a table's scores is architecture, and how much is chance: of a training, and of which sequences judge it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nasbench_evs.tables.table import Table

RANDOM_SAMPLERS = [b"random", b"exhaustive", b"seqnas-s"]  # samplers that look at no score
REPEAT = b"repeat"  # more seeds of what had good scores: no searcher, but chosen
_LEADING = 0.25  # the share of architectures that counts as the good ones
_FEWEST = 40  # architectures: ten good ones


class SeedNoise(NamedTuple):
    """Of the scores of random architectures trained with several seeds (without teachers).

    architectures   how many have several seeds; the other figures are NaN below 3 of them
    correlation     between the first two seeds of the same architecture (Pearson)
    std             standard deviation between seeds of one architecture, pooled
    between         standard deviation between architectures, noise taken off
    share           of the variance of a single score that is architecture: between² / (between² + std²)
    """

    architectures: int
    correlation: float
    std: float
    between: float
    share: float


class SplitAgreement(NamedTuple):
    """How much of the order by validation scores holds on the test split; no searcher's choices, no teachers.

    architectures   how many have scores on both splits; the taus are NaN below 40 of them
    tau             Kendall's, between their validation and test scores, means over seeds
    leading         how many are the quarter with the best validation scores
    leading_tau     the same among those only: what a search can still decide among the good ones
    """

    architectures: int
    tau: float
    leading: int
    leading_tau: float


def seed_noise(table: Table, split: str = "valid") -> SeedNoise:
    """One-way analysis of variance over architectures; only architectures that no search chose count.

    A searcher's choices are the good ones, so their variance says little about the space.
    """
    score = table.scores(split)
    known = ~np.isnan(score) & (table["seed"] >= 0) & _drawn(table)
    _, group, size = np.unique(table["rank"][known], return_inverse=True, return_counts=True)
    several = size[group] > 1
    score, group = score[known][several], np.unique(group[several], return_inverse=True)[1]
    first = np.flatnonzero(np.diff(group, prepend=-1))  # records are sorted by rank, then by seed
    n = len(first)
    if n < 3:
        return SeedNoise(n, *[float("nan")] * 4)
    within, between = variances(score, group)
    total = within + between
    share = between / total if total > 0 else float("nan")
    pair = score[first], score[first + 1]
    correlation = float(np.corrcoef(*pair)[0, 1]) if min(map(np.ptp, pair)) > 0 else float("nan")
    return SeedNoise(n, correlation, within**0.5, between**0.5, share)


def split_agreement(table: Table) -> SplitAgreement:
    """Between the validation and the test scores of the trainings."""
    from scipy.stats import kendalltau

    valid, test = table.scores("valid"), table.scores("test")
    known = ~np.isnan(valid) & ~np.isnan(test) & _drawn(table)
    _, owner, counts = np.unique(table["rank"][known], return_inverse=True, return_counts=True)
    n = len(counts)
    leading = round(_LEADING * n)
    if n < _FEWEST:
        return SplitAgreement(n, float("nan"), leading, float("nan"))
    means = [np.bincount(owner, table.header.metric.sign * split[known]) / counts for split in (valid, test)]
    best = np.argsort(-means[0], kind="stable")[:leading]
    taus = [float(kendalltau(means[0][rows], means[1][rows]).statistic) for rows in (slice(None), best)]
    return SplitAgreement(n, taus[0], leading, taus[1])


def _drawn(table: Table) -> np.ndarray:
    """Which trainings are of architectures that no search chose, without teachers: bool (N,)."""
    return np.asarray((table["distilled"] != 1) & np.isin(table["sampler"], RANDOM_SAMPLERS))


def variances(values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Variance between trainings of one architecture, and between architectures, noise taken off.

    `groups` (N,) says which architecture each of the values (N,) is of; only those with several count, at least two.
    """
    _, owner, counts = np.unique(groups, return_inverse=True, return_counts=True)
    several = counts[owner] > 1
    values, owner = values[several], np.unique(owner[several], return_inverse=True)[1]
    count = np.bincount(owner)
    n = len(count)
    mean = np.bincount(owner, values) / count
    within = float(((values - mean[owner]) ** 2).sum() / (len(values) - n))
    # With unequal counts, the mean square between architectures estimates within + size * between².
    each = (len(values) - (count**2).sum() / len(values)) / (n - 1)
    square = float((count * (mean - values.mean()) ** 2).sum() / (n - 1))
    return within, float(max(0.0, (square - within) / each))
