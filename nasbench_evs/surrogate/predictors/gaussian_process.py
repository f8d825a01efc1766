"""Gaussian processes, for searches that fit after every few results: on the features alone, or on CatBoost's trees too."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate.ensemble import blocks, fit_catboost
from nasbench_evs.surrogate.features import Features
from nasbench_evs.surrogate.predictors.predictor import Prediction, Predictor

_NOISE = (0.02, 0.1, 0.5)  # variances of the noise that are tried, in units of the kernel's
_BLOCK = 1 << 12  # architectures that are predicted together


class _Rows(NamedTuple):
    """What the kernel compares: the features, (N, F), and the leaf of every tree as bits, float32 (N, leaves)."""

    features: np.ndarray
    leaves: np.ndarray


class GaussianProcess(Predictor):
    """A Gaussian process whose kernel is half a squared exponential of the features, half a constant, the mean's.

    The length scale is the median distance between the known architectures. The noise is the one of a few with the largest
    marginal likelihood, the kernel's variance the most likely one. A fit to 300 takes a tenth of the time of `LeafGP`'s.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        super().__init__(space, seed)
        self._features = Features(space, None)

    def _fit(self, choices: np.ndarray, scores: np.ndarray) -> None:
        with _threads().limit(limits=1):
            self._fit_alone(self._features.many(choices, False), scores)

    def _fit_alone(self, features: np.ndarray, scores: np.ndarray) -> None:
        from scipy.linalg import cholesky, solve_triangular

        self._known = self._rows(features)
        distances = _distances(self._known.features, self._known.features)
        self._length = float(np.median(distances)) or 1.0
        kernel = self._kernel(self._known).astype(np.float64)
        best = -np.inf
        for noise in _NOISE:
            factor = cholesky(kernel + noise * np.eye(len(kernel)), lower=True, overwrite_a=True, check_finite=False)
            whitened = solve_triangular(factor, scores, lower=True, check_finite=False)
            variance = float(whitened @ whitened) / len(scores)  # the most likely one
            likelihood = -0.5 * len(scores) * np.log(variance) - np.log(np.diagonal(factor)).sum()
            if likelihood > best:
                best, self._variance = likelihood, variance
                self._factor, self._whitened = factor.astype(np.float32), whitened.astype(np.float32)

    def _predict(self, choices: np.ndarray) -> Prediction:
        from scipy.linalg import solve_triangular

        mean, unknown = np.empty((2, len(choices)))
        with _threads().limit(limits=1):
            for part in blocks(len(choices), _BLOCK):
                kernel = self._kernel(self._rows(self._features.many(choices[part], False)))
                across = solve_triangular(self._factor, kernel.T, lower=True, overwrite_b=True, check_finite=False)
                mean[part] = self._whitened @ across
                unknown[part] = 1 - np.einsum("kn,kn->n", across, across)
        return Prediction(mean, np.sqrt(self._variance * np.maximum(unknown, 1e-9)))

    def _rows(self, features: np.ndarray) -> _Rows:
        return _Rows(features, np.ones((len(features), 1), np.float32))

    def _kernel(self, rows: _Rows) -> np.ndarray:
        """Between these rows and the known ones, float32 (N, K); 1 where they are the same."""
        smooth = np.exp(_distances(rows.features, self._known.features) / -self._length)
        smooth += rows.leaves @ self._known.leaves.T
        smooth *= 0.5
        return smooth


class LeafGP(GaussianProcess):
    """A Gaussian process whose kernel is half a squared exponential of the features, half the share of trees that agree.

    Trees that are fitted to the scores agree on two architectures where both fall into the same leaf (a tree ensemble kernel,
    Thebelt et al. 2022, "Tree ensemble kernels for Bayesian optimization with known constraints over mixed-feature
    spaces"): that part learns which choices matter together, the other one that similar architectures score alike. The
    trees are CatBoost's, small ones: a fit takes a tenth of the time of an ensemble, and the standard deviations are of
    the size of the errors.
    """

    # One border: nearly all features are bits. Without a feature that differs there is nothing to split.
    settings: ClassVar[dict[str, Any]] = {"iterations": 40, "depth": 3, "learning_rate": 0.2, "border_count": 1}

    def _fit_alone(self, features: np.ndarray, scores: np.ndarray) -> None:
        settings = {**self.settings, "random_seed": self.seed, "boost_from_average": False}
        self._trees = fit_catboost(features, scores, settings) if np.ptp(features, axis=0).any() else None
        super()._fit_alone(features, scores)

    def _rows(self, features: np.ndarray) -> _Rows:
        if self._trees is None:
            return super()._rows(features)
        found = self._trees.calc_leaf_indexes(features, thread_count=1)
        trees, leaves = found.shape[1], 2 ** self.settings["depth"]
        bits = np.zeros((len(features), trees * leaves), np.float32)
        np.put_along_axis(bits, found + leaves * np.arange(trees), 1 / trees**0.5, axis=1)
        return _Rows(features, bits)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances between rows, float32 (len(a), len(b))."""
    found = a @ (-2 * b.T)
    found += np.einsum("nf,nf->n", a, a)[:, None]
    found += np.einsum("nf,nf->n", b, b)
    return np.maximum(found, 0, out=found)


@cache
def _threads() -> Any:
    """What limits the threads of linear algebra: on matrices as small as these they wait for each other, long if others run."""
    import scipy.linalg  # noqa: F401 - what is not loaded cannot be limited
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
