"""The parts of a surrogate, one for each thing it predicts: fitted models with the numbers that scale what they give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench_evs.surrogate.ensemble import Ensemble, as_pool, predict
from nasbench_evs.surrogate.uncertainty import Uncertainty

if TYPE_CHECKING:
    from catboost import CatBoost, Pool


class Prediction(NamedTuple):
    """Arrays of shape (N,): the predicted mean over seeds, and two kinds of uncertainty as standard deviations."""

    mean: np.ndarray
    noise_std: np.ndarray
    epistemic_std: np.ndarray


class EpochOffsets(NamedTuple):
    """How far the score at each epoch is from that of the training, and how much larger the errors are there.

    The model sees the features and the epoch; `factors` is one for each epoch.
    """

    model: CatBoost
    scale: float
    factors: list[float]


class ScoreTarget(NamedTuple):
    """The scores of one split."""

    ensemble: Ensemble
    uncertainty: Uncertainty
    epochs: EpochOffsets | None

    def predict(self, features: Any, pool: Pool, epoch: int | None) -> Prediction:
        """Of features as `Ensemble.predict` takes them; `pool` is `as_pool(features)`."""
        estimate = self.ensemble.predict(pool)
        noise, epistemic = self.uncertainty.predict(pool, estimate.epistemic_std)
        if epoch is None or self.epochs is None:
            return Prediction(estimate.mean, noise, epistemic)
        model, scale, factors = self.epochs
        rows = [*features, epoch] if isinstance(features, list) else with_epoch(features, epoch)
        factor = factors[epoch - 1]
        return Prediction(estimate.mean + predict(model, rows) * scale, noise * factor, epistemic * factor)


class SecondsTarget(NamedTuple):
    """A model of the standardised logarithm of training seconds; `shares` of them are spent up to each epoch."""

    model: CatBoost
    mean: float
    scale: float
    shares: list[float]

    def predict(self, features: Any, epoch: int | None) -> np.ndarray:
        """Seconds up to `epoch`, or of the whole training, shape (N,)."""
        share = 1.0 if epoch is None else self.shares[epoch - 1]
        return np.exp(predict(self.model, as_pool(features)) * self.scale + self.mean) * share


class Parts(NamedTuple):
    """What a surrogate is made of: what fitting gives, and what a folder of files holds."""

    sidecar: dict[str, Any]
    targets: dict[str, ScoreTarget]
    seconds: SecondsTarget | None
    out_of_fold: np.ndarray | None = None  # of every architecture of the table: "rank", and its means


def with_epoch(features: np.ndarray, epoch: int | np.ndarray) -> np.ndarray:
    """The features (N, F) with the epoch as one more column."""
    return np.column_stack([features, np.broadcast_to(np.float32(epoch), len(features))]).astype(np.float32)
