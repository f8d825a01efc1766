"""The one interface of performance predictors."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from nasbench_evs.errors import InvalidQuery
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate.ensemble import Estimate


class Predictor(ABC):
    """Learns scores from architectures: `fit(choices, scores)`, then `predict(choices)`.

    Architectures are valid choice indices (N, C) of the space, of which every predictor makes the encoding it reads (AVec,
    graph, sequence of choices). The same seed, architectures and scores give the same predictions on the same machine.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        self.space, self.seed = space, seed
        self._scale: tuple[float, float] | None = None

    def fit(self, choices: np.ndarray, scores: np.ndarray) -> Predictor:
        """Learn from the scores (N,), all finite, N >= 2; forgets what it learnt before. Returns itself."""
        choices, scores = self.space.check(choices), np.asarray(scores, np.float64)
        if scores.shape != (len(choices),) or len(scores) < 2 or not np.isfinite(scores).all():
            raise InvalidQuery(
                f"scores of shape {scores.shape} for {len(choices)} architectures: expected one finite score for each of "
                "at least 2 architectures"
            )
        self._scale = float(scores.mean()), float(scores.std())
        if self._scale[1] > 0:
            self._fit(choices, (scores - self._scale[0]) / self._scale[1])
        return self

    def predict(self, choices: np.ndarray) -> Estimate:
        """Predicted scores and the standard deviations of what the predictor does not know, arrays of shape (N,).

        InvalidQuery before `fit`. Where all scores it saw were equal, it knows nothing: that score, and 1.
        """
        if self._scale is None:
            raise InvalidQuery("a predictor must see scores before it predicts: call fit")
        choices = self.space.check(choices)
        mean, scale = self._scale
        if not len(choices) or not scale:
            return Estimate(np.full(len(choices), mean), np.ones(len(choices)))
        estimate = self._predict(choices)
        return Estimate(estimate.mean * scale + mean, estimate.epistemic_std * scale)

    @abstractmethod
    def _fit(self, choices: np.ndarray, scores: np.ndarray) -> None:
        """Learn from standardised scores."""

    @abstractmethod
    def _predict(self, choices: np.ndarray) -> Estimate:
        """Predict standardised scores of at least one architecture."""
