"""Gradient-boosted trees on the AVec, counts and typical costs: CatBoost (paper 000's choice) and XGBoost."""

from __future__ import annotations

from typing import Any

import numpy as np

from nasbench_evs.errors import PredictorError
from nasbench_evs.surrogate.ensemble import Ensemble, Estimate
from nasbench_evs.surrogate.features import Features
from nasbench_evs.surrogate.predictors.predictor import Predictor


class CatBoost(Predictor):
    """The surrogate's own ensemble."""

    def _fit(self, choices: np.ndarray, scores: np.ndarray) -> None:
        self._features = Features(self.space, None)
        ranks = self.space.rank_many(choices)
        self._ensemble = Ensemble.fit(self._features.many(choices, False), scores, ranks, self.seed)

    def _predict(self, choices: np.ndarray) -> Estimate:
        return self._ensemble.predict(self._features.many(choices, False))


class XGBoost(Predictor):
    """An ensemble of XGBoost regressors, each on other rows and columns."""

    members = 5

    def _fit(self, choices: np.ndarray, scores: np.ndarray) -> None:
        try:
            from xgboost import XGBRegressor
        except ImportError:
            raise PredictorError(
                "the xgboost predictor needs XGBoost: pip install 'nasbench-evs[predictors]'"
            ) from None
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

    def _predict(self, choices: np.ndarray) -> Estimate:
        features = self._features.many(choices, False)
        members = np.array([model.predict(features) for model in self._models], np.float64)
        return Estimate(members.mean(axis=0), members.std(axis=0, ddof=min(1, self.members - 1)))


class SingleXGBoost(XGBoost):
    """One XGBoost regressor, which claims to know everything: its standard deviations are zero (as in paper 004)."""

    members = 1
