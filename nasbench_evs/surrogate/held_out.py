"""Predictions for architectures that the model did not see: what every evaluation of a surrogate starts from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nasbench_evs.surrogate.ensemble import Ensemble
from nasbench_evs.surrogate.uncertainty import Uncertainty


class HeldOut(NamedTuple):
    """Of each record, shape (N,): the fold it was held out in, and what the ensemble fitted to the others predicts.

    NaN where the others' scores were all equal: the ensemble of that fold is None.
    """

    fold: np.ndarray
    mean: np.ndarray
    epistemic_std: np.ndarray
    ensembles: list[Ensemble | None]


def held_out(
    features: np.ndarray,
    values: np.ndarray,
    groups: np.ndarray,
    *,
    folds: int,
    seed: int,
    step: Callable[[], None] = lambda: None,
) -> HeldOut:
    """Hold out each of `folds` random parts of the architectures (`groups`); `step` is called after each."""
    fold = split_architectures(groups, folds, seed)
    mean, epistemic_std = np.full((2, len(values)), np.nan)
    ensembles: list[Ensemble | None] = []
    for i in range(int(fold.max()) + 1):
        train, test = fold != i, fold == i
        varied = np.ptp(values[train]) > 0
        ensemble = Ensemble.fit(features[train], values[train], groups[train], seed) if varied else None
        if ensemble is not None:
            mean[test], epistemic_std[test] = ensemble.predict(features[test])
        ensembles.append(ensemble)
        step()
    return HeldOut(fold, mean, epistemic_std, ensembles)


def out_of_fold(
    out: HeldOut, groups: np.ndarray, ensemble: Ensemble, architectures: np.ndarray, features: np.ndarray
) -> np.ndarray:
    """The mean score of each of `architectures` (sorted ranks, (A,)) by an ensemble that saw no record of it: float64 (A,).

    `out` and `groups` are of the records that `ensemble` was fitted to. It predicts the architectures that are not among
    them; each of the others is predicted by the ensemble of the fold that it was held out in, NaN where that is None.
    """
    fold = np.full(len(architectures), -1)
    fold[np.searchsorted(architectures, groups)] = out.fold
    mean = np.full(len(architectures), np.nan)
    for i, each in [(-1, ensemble), *enumerate(out.ensembles)]:
        rows = fold == i
        if each is not None and rows.any():
            mean[rows] = each.predict(features[rows]).mean
    return mean


def fold_taus(fold: np.ndarray, predicted: np.ndarray, values: np.ndarray) -> list[float]:
    """Kendall's tau in each fold; a fold without predictions (NaN), or where all are equal, has none."""
    from scipy.stats import kendalltau

    taus = []
    for i in range(int(fold.max()) + 1):
        test = (fold == i) & ~np.isnan(predicted)
        if len(np.unique(values[test])) > 1 and len(np.unique(predicted[test])) > 1:
            taus.append(float(kendalltau(predicted[test], values[test]).statistic))
    return taus


def fit_uncertainty(features: np.ndarray, values: np.ndarray, out: HeldOut, noise_variance: float) -> Uncertainty:
    """The uncertainty that the errors of held-out predictions show; `noise_variance` as `repeated_variance` gives it."""
    known = ~np.isnan(out.mean)
    return Uncertainty.fit(features[known], (values - out.mean)[known], out.epistemic_std[known], noise_variance)


def split_architectures(groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold of each record: all records of one architecture in the same, folds of nearly equal numbers of those."""
    distinct, owner = np.unique(groups, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(distinct)) % min(folds, len(distinct)))[owner]
