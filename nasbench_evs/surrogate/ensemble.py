"""CatBoost models, each fitted to other architectures: their mean predicts, how far they differ says how far to trust it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench_evs.errors import SurrogateError, one_line

if TYPE_CHECKING:
    from catboost import CatBoost, Pool

MEMBERS = 5
TREES = 250  # of each member
SHARE = 0.8  # of the architectures, drawn for each member
LARGE = 2000  # records from which on deeper trees win
_SETTINGS = {"learning_rate": 0.05, "rsm": 0.3, "boost_from_average": False}
_WAKE = 1 << 13  # rows from which on other threads are worth waking up


class Estimate(NamedTuple):
    """Arrays of shape (N,): the mean over an ensemble's members, and the standard deviation between them."""

    mean: np.ndarray
    epistemic_std: np.ndarray


class Ensemble:
    """MEMBERS regressors of standardised values, merged into one CatBoost model, TREES trees after TREES trees."""

    def __init__(self, model: CatBoost, mean: float, scale: float) -> None:
        self.model, self.mean, self.scale = model, mean, scale

    @classmethod
    def fit(cls, features: np.ndarray, values: np.ndarray, groups: np.ndarray, seed: int) -> Ensemble:
        """Fit to `values` (N,); a member sees all records of an architecture (`groups`, its rank) or none."""
        from catboost import sum_models

        mean, scale = float(values.mean()), float(values.std()) or 1.0
        architectures, owner = np.unique(groups, return_inverse=True)
        generator = np.random.default_rng(seed)
        members = []
        for _ in range(MEMBERS):
            drawn = generator.permutation(len(architectures)) < SHARE * len(architectures)
            rows = drawn[owner]
            if np.ptp(values[rows]) == 0:  # CatBoost refuses to fit a constant
                rows[:] = True
            depth = 6 if rows.sum() > LARGE else 4
            settings = {**_SETTINGS, "iterations": TREES, "depth": depth, "random_seed": int(generator.integers(2**31))}
            members.append(fit_catboost(features[rows], (values[rows] - mean) / scale, settings))
        return cls(sum_models(members, weights=[1.0] * MEMBERS), mean, scale)

    def predict(self, features: Any) -> Estimate:
        """Of feature rows (N, F), N > 0, or of one as a list, or of `as_pool` of them."""
        # The trees of a member follow on those of the one before it: what they add is what it predicts.
        pool = as_pool(features)
        sums = np.array(list(self.model.staged_predict(pool, eval_period=TREES, thread_count=threads(pool))))
        mean = sums[-1] / MEMBERS
        sums[1:] -= sums[:-1].copy()
        epistemic_std = np.sqrt(((sums - mean) ** 2).sum(axis=0) / (MEMBERS - 1))
        return Estimate(mean * self.scale + self.mean, epistemic_std * self.scale)


def fit_catboost(features: np.ndarray, values: np.ndarray, settings: dict[str, Any], loss: str = "RMSE") -> CatBoost:
    """One CatBoost regressor; the same arguments give the same model."""
    from catboost import CatBoostError, CatBoostRegressor, sum_models

    model = CatBoostRegressor(
        **settings,
        loss_function=loss,
        thread_count=1,  # the fit depends on it
        verbose=False,
        allow_writing_files=False,
    )
    try:
        # What the single model says about its training is read again at every prediction, and takes longer than that.
        return sum_models([model.fit(features, values)], weights=[1.0])
    except CatBoostError as error:
        raise SurrogateError(f"CatBoost cannot fit {len(values)} records: {one_line(error)}") from None


def loss_of(model: CatBoost) -> str:
    """What a loaded model was fitted to minimise: a regressor silently loads a classifier's file."""
    metadata = model.get_metadata()
    keys = list(metadata.keys())
    if "loss_function" in keys:  # of merged models
        return str(json.loads(metadata["loss_function"])["type"])
    return str(json.loads(metadata["params"])["loss_function"]["type"]) if "params" in keys else "an unknown loss"


def as_pool(features: Any) -> Pool:
    """Feature rows (N, F), or one of them as a list, as CatBoost reads them: made once, used by several models."""
    from catboost import Pool

    if isinstance(features, Pool):
        return features
    return Pool([features] if isinstance(features, list) else features)


def predict(model: CatBoost, features: Any) -> np.ndarray:
    """What the trees add up to: (N,), or (N, 2) of a model with two outputs."""
    pool = as_pool(features)
    return np.asarray(model.predict(pool, prediction_type="RawFormulaVal", thread_count=threads(pool)))


def threads(pool: Pool) -> int:
    """Threads to predict with."""
    return 1 if pool.num_row() < _WAKE else -1


def blocks(n: int, size: int) -> Iterator[slice]:
    """Slices that cover n rows."""
    for start in range(0, n, size):
        yield slice(start, start + size)
