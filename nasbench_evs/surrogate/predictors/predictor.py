"""The one interface of performance predictors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from nasbench_evs.errors import InvalidQuery
from nasbench_evs.spaces import SearchSpace


class Prediction(NamedTuple):
    """Arrays of shape (N,): predicted means, and the standard deviations of what the predictor does not know."""

    mean: np.ndarray
    epistemic_std: np.ndarray


class Predictor(ABC):
    """Learns scores from architectures: `fit(choices, scores)`, then `predict(choices)`.

    Architectures are valid choice indices (N, C) of the space, of which every predictor makes the encoding it reads (AVec,
    graph, sequence of choices). The same seed, architectures and scores give the same predictions on the same machine.

    What is learned are the normal scores of the ranks (equal scores share one), so that a few failed architectures, however
    bad, do not hide how the others differ. `predict_normal` stays on that scale, on which a search compares
    candidates; `predict` goes back to that of the scores by the quantiles of those that were seen.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        self.space, self.seed = space, seed
        self._seen: tuple[np.ndarray, np.ndarray] | None = None  # different scores, ascending, and their normal scores

    def fit(self, choices: np.ndarray, scores: np.ndarray) -> Predictor:
        """Learn from the scores (N,), all finite, N >= 2; forgets what it learned before. Returns itself."""
        choices, scores = self.space.check(choices), np.asarray(scores, np.float64)
        if scores.shape != (len(choices),) or len(scores) < 2 or not np.isfinite(scores).all():
            raise InvalidQuery(
                f"scores of shape {scores.shape} for {len(choices)} architectures: expected one finite score for each of "
                "at least 2 architectures"
            )
        values, normal, owner = normal_scores(scores)
        self._seen = values, normal
        if len(values) > 1:
            self._fit(choices, normal[owner])
        return self

    def predict(self, choices: np.ndarray) -> Prediction:
        """Predicted scores and the standard deviations of what the predictor does not know.

        InvalidQuery before `fit`. Where all scores it saw were equal, it knows nothing: that score, and 1.
        """
        mean, std = self.predict_normal(choices)
        if self._constant:
            return Prediction(self._scores(mean), std)
        return Prediction(self._scores(mean), (self._scores(mean + std) - self._scores(mean - std)) / 2)

    def predict_normal(self, choices: np.ndarray) -> Prediction:
        """As `predict`, of normal scores: 0 is the median of what was seen, 1 better than 84 % of it."""
        if self._seen is None:
            raise InvalidQuery("a predictor must see scores before it predicts: call fit")
        choices = self.space.check(choices)
        if not len(choices) or self._constant:
            return Prediction(np.zeros(len(choices)), np.ones(len(choices)))
        return self._predict(choices)

    @property
    def _constant(self) -> bool:
        return self._seen is not None and len(self._seen[0]) < 2

    def _scores(self, normal: np.ndarray) -> np.ndarray:
        """The scores that these normal scores stand for: linear between those seen, and beyond them as from median to end."""
        if self._seen is None or self._constant:
            return np.full(len(normal), self._seen[0][0] if self._seen else np.nan)
        values, known = self._seen
        middle = float(np.interp(0.0, known, values))
        inside = np.interp(normal, known, values)
        above = np.maximum(normal - known[-1], 0) * (values[-1] - middle) / known[-1]
        below = np.minimum(normal - known[0], 0) * (middle - values[0]) / -known[0]
        return np.asarray(inside + above + below)

    @abstractmethod
    def _fit(self, choices: np.ndarray, scores: np.ndarray) -> None:
        """Learn from normal scores."""

    @abstractmethod
    def _predict(self, choices: np.ndarray) -> Prediction:
        """Predict normal scores of at least one architecture."""


def normal_scores(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different ones of the scores (N,), ascending, the normal score of each, and which of them each score is, (N,).

    A normal score is the quantile of a standard normal distribution at (rank - 3/8) / (N + 1/4) (Blom 1958); equal scores
    have their mean rank.
    """
    from scipy.special import ndtri

    values, owner, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return values, ndtri((ranks - 0.375) / (len(scores) + 0.25)), owner
