"""The predictor of paper 000: one CatBoost model, whose truncations are an ensemble that knows what it does not know."""

from __future__ import annotations

import numpy as np

from nasbench_evs.spaces import SearchSpace

_PARAMETERS = {"iterations": 200, "learning_rate": 0.05}
_DEPTH = 6  # of the trees; recorded tables depend on all of these
_ENSEMBLE = 10


def virtual_ensembles(
    space: SearchSpace, choices: np.ndarray, scores: np.ndarray, pool: np.ndarray, seed: int, depth: int = _DEPTH
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted score and its knowledge uncertainty (standard deviation) of every architecture of `pool`: two arrays (M,)."""
    from catboost import CatBoostRegressor, Pool

    known = ~np.isnan(scores)
    if len(np.unique(scores[known])) < 2:
        return np.zeros(len(pool)), np.ones(len(pool))
    targets = np.where(known, scores, np.nanmin(scores))
    centre, scale = targets.mean(), targets.std()
    model = CatBoostRegressor(
        **_PARAMETERS,
        depth=depth,
        loss_function="RMSEWithUncertainty",
        posterior_sampling=True,
        random_seed=seed % 2**31,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
    )
    model.fit(Pool(space.encode_many(choices), (targets - centre) / scale))
    drawn = model.virtual_ensembles_predict(
        Pool(space.encode_many(pool)),
        prediction_type="TotalUncertainty",
        virtual_ensembles_count=_ENSEMBLE,
        thread_count=1,
    )
    return drawn[:, 0] * scale + centre, np.sqrt(drawn[:, 1]) * scale
