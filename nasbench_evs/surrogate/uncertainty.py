"""Two kinds of uncertainty: noise (what another seed would give) and epistemic (what more records would teach).

Both are scaled by errors on held-out architectures, because a model is too sure of itself on what it has seen:

1. The errors' variance over the space is fitted by CatBoost's `RMSEWithUncertainty` (some architectures are far noisier than
   others). Its share that is noise is the variance between trainings of one architecture, where there are enough of them;
   where there are none, all of it, an upper bound.
2. The epistemic one is the standard deviation between the ensemble's members, scaled so that the two variances add up to
   that of the errors.
3. Errors have heavier tails than a normal distribution: one factor on both makes 80 % intervals cover 80 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench_evs.surrogate.ensemble import fit_catboost, predict
from nasbench_evs.tables.noise import variances

if TYPE_CHECKING:
    from catboost import CatBoost

NORMAL_80 = 1.2815515655446004  # 80 % of a normal distribution lie within this many standard deviations
LOSS = "RMSEWithUncertainty"
MIN_REPEATED = 10  # architectures trained several times, to say what is noise
_SETTINGS = {"iterations": 100, "depth": 3, "learning_rate": 0.05, "random_seed": 0}
_LEAST_SHARE = 0.05  # of the errors' variance that counts as noise


class Uncertainty(NamedTuple):
    """The fitted noise model, and the factors that scale its output and the deviation between an ensemble's members."""

    model: CatBoost
    noise_factor: float
    epistemic_factor: float

    @classmethod
    def fit(
        cls, features: np.ndarray, errors: np.ndarray, member_std: np.ndarray, noise_variance: float
    ) -> Uncertainty:
        """Fit to the errors (N,) of held-out records; `noise_variance` as `repeated_variance` gives it."""
        scale = float(np.sqrt(np.mean(errors**2)))
        model = fit_catboost(features, errors / scale, _SETTINGS, LOSS)
        shape = _noise(model, features)
        share = 1.0 if np.isnan(noise_variance) else float(np.clip(noise_variance / scale**2, _LEAST_SHARE, 1.0))
        noise_factor = scale * np.sqrt(share / np.mean(shape**2))
        mean_square = np.mean(member_std**2)
        epistemic_factor = scale * np.sqrt((1 - share) / mean_square) if mean_square > 0 else 0.0
        # Where noise seems to explain every error, the members' disagreement is still not nothing.
        epistemic_factor = max(float(epistemic_factor), 1.0)
        total = np.hypot(noise_factor * shape, epistemic_factor * member_std)
        tails = float(np.quantile(np.abs(errors) / total, 0.8)) / NORMAL_80 or 1.0
        return cls(model, float(noise_factor * tails), float(epistemic_factor * tails))

    def predict(self, features: Any, member_std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Noise and epistemic standard deviations, each of shape (N,); features as `Ensemble.predict` takes them."""
        return self.noise_factor * _noise(self.model, features), self.epistemic_factor * member_std


def _noise(model: CatBoost, features: Any) -> np.ndarray:
    return np.exp(predict(model, features)[:, 1])  # CatBoost fits the logarithm of the standard deviation


def repeated_variance(values: np.ndarray, groups: np.ndarray) -> float:
    """Variance between trainings of one architecture (`groups`), pooled; NaN below MIN_REPEATED architectures."""
    counts = np.unique(groups, return_counts=True)[1]
    return variances(values, groups)[0] if (counts > 1).sum() >= MIN_REPEATED else float("nan")
