"""The predictor of paper 000: one CatBoost model, whose truncations are an ensemble that knows what it does not know."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nasbench_evs.surrogate.predictors.predictor import Prediction, Predictor


class VirtualEnsembles(Predictor):
    """CatBoost on the AVec with posterior sampling (Ustimenko and Prokhorenkova 2021), as the authors of paper 000 set it.

    The absolute error, 100 trees, everything else CatBoost's own; the standard deviation is that of `members` truncations of
    the one model (Malinin et al. 2021). It is far smaller than the errors.
    """

    settings: ClassVar[dict[str, Any]] = {"loss_function": "MAE", "iterations": 100, "posterior_sampling": True}
    members = 5

    def _fit(self, choices: np.ndarray, scores: np.ndarray) -> None:
        from catboost import CatBoostRegressor

        features = self._avec(choices)
        self._model: Any = None
        if np.ptp(features, axis=0).any():  # CatBoost refuses features none of which differs
            self._model = CatBoostRegressor(
                **self.settings, random_seed=self.seed, thread_count=1, verbose=False, allow_writing_files=False
            ).fit(features, scores)

    def _predict(self, choices: np.ndarray) -> Prediction:
        if self._model is None:
            return Prediction(np.zeros(len(choices)), np.ones(len(choices)))
        from catboost import Pool

        members = self._model.virtual_ensembles_predict(
            Pool(self._avec(choices)),
            prediction_type="VirtEnsembles",
            virtual_ensembles_count=self.members,
            thread_count=1,
        )
        members = np.asarray(members, np.float64).reshape(len(choices), -1)
        return Prediction(members.mean(axis=1), members.std(axis=1, ddof=1))

    def _avec(self, choices: np.ndarray) -> np.ndarray:
        return np.asarray(self.space.encode_many(choices), np.float32)
