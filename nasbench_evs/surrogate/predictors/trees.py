"""Gradient-boosted trees on the AVec, counts and typical costs: CatBoost (paper 000's choice) and XGBoost, many or one."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nasbench_evs.errors import PredictorError
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate.ensemble import Ensemble, fit_catboost, predict
from nasbench_evs.surrogate.features import Features
from nasbench_evs.surrogate.predictors.predictor import Prediction, Predictor


class CatBoost(Predictor):
    """The surrogate's own ensemble."""

    def _fit(self, choices: np.ndarray, scores: np.ndarray) -> None:
        self._features = Features(self.space, None)
        ranks = self.space.rank_many(choices)
        self._ensemble = Ensemble.fit(self._features.many(choices, False), scores, ranks, self.seed)

    def _predict(self, choices: np.ndarray) -> Prediction:
        mean, std = self._ensemble.predict(self._features.many(choices, False))
        return Prediction(mean, std)


class SingleCatBoost(Predictor):
    """One small CatBoost regressor, which claims to know everything: for a search that fits after every few results."""

    # One border: nearly all features are bits. Without a feature that differs there is nothing to split.
    settings: ClassVar[dict[str, Any]] = {"iterations": 100, "depth": 3, "learning_rate": 0.1, "border_count": 1}

    def _fit(self, choices: np.ndarray, scores: np.ndarray) -> None:
        self._features = Features(self.space, None)
        features = self._features.many(choices, False)
        settings = {**self.settings, "random_seed": self.seed, "boost_from_average": False}
        self._model = fit_catboost(features, scores, settings) if np.ptp(features, axis=0).any() else None

    def _predict(self, choices: np.ndarray) -> Prediction:
        nothing = np.zeros(len(choices))
        if self._model is None:
            return Prediction(nothing, nothing)
        return Prediction(predict(self._model, self._features.many(choices, False)), nothing)


class XGBoost(Predictor):
    """An ensemble of XGBoost regressors, each on other rows and columns."""

    members = 5

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        super().__init__(space, seed)
        try:
            import xgboost  # noqa: F401 - said now, not when it is first fitted
        except ImportError:
            raise PredictorError(
                "the xgboost predictor needs XGBoost: pip install 'nasbench-evs[predictors]'"
            ) from None

    def _fit(self, choices: np.ndarray, scores: np.ndarray) -> None:
        from xgboost import XGBRegressor

        self._features = Features(self.space, None)
        features = self._features.many(choices, False)
        self._models: list[Any] = [
            XGBRegressor(
                n_estimators=200,
                max_depth=4,
                learning_rate=0.05,
                subsample=0.8,
                colsample_bytree=0.3,
                random_state=self.seed * self.members + i,
                n_jobs=1,
            ).fit(features, scores)
            for i in range(self.members)
        ]

    def _predict(self, choices: np.ndarray) -> Prediction:
        features = self._features.many(choices, False)
        members = np.array([model.predict(features) for model in self._models], np.float64)
        return Prediction(members.mean(axis=0), members.std(axis=0, ddof=min(1, self.members - 1)))


class SingleXGBoost(XGBoost):
    """One XGBoost regressor, which claims to know everything: its standard deviations are zero (as in paper 004)."""

    members = 1
