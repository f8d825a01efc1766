"""How much of a table's scores is architecture, and how much is chance: from architectures with several seeds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nasbench_evs.tables.table import Table

DRAWN = [b"random", b"exhaustive"]  # samplers that look at no score


class SeedNoise(NamedTuple):
    """Of the best validation scores of random architectures trained with several seeds (without teachers).

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


def seed_noise(table: Table, split: str = "valid") -> SeedNoise:
    """One-way analysis of variance over architectures; only architectures that no search chose count.

    A searcher's choices are the good ones, so their variance says little about the space.
    """
    score = table.at_epoch(f"{split}_score", table.best_epoch)
    known = ~np.isnan(score) & (table["distilled"] != 1) & (table["seed"] >= 0)
    known &= np.isin(table["sampler"], DRAWN)
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
