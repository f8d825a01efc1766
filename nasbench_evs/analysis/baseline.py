"""The gradient-boosting baseline: what counts and aggregates know, without looking at the order of events.

A sequence model well below it is badly trained. `nasbench-evs data baseline NAME` prints it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nasbench_evs.datasets.aggregate import aggregates
from nasbench_evs.datasets.dataset import Dataset
from nasbench_evs.datasets.split import SPLITS
from nasbench_evs.metrics import score

_PARAMETERS = {"iterations": 1500, "learning_rate": 0.08, "depth": 5, "l2_leaf_reg": 6.0}
_PATIENCE = 100
_FEATURES = 150  # that a tree's level looks at, drawn at random where there are more
_CATEGORIES = 400  # of each field, that are counted one by one
_MODELS = 3  # whose probabilities are averaged, each with a seed of its own


def baseline(
    dataset: Dataset, *, seed: int = 0, threads: int = -1, profile: bool = True, labels: np.ndarray | None = None
) -> dict[str, Any]:
    """Scores of CatBoost on `aggregates`, stopped early on the validation split.

    Returns the score and the accuracy on the validation and the test split, the number of trees and the features that
    mattered most. `profile=False` leaves profile fields out; `labels` replaces the dataset's own (to see what chance
    gives).
    """
    from catboost import CatBoostClassifier, Pool

    features, names = aggregates(dataset, _CATEGORIES)
    if not profile:
        schema = dataset.schema
        kept = features.shape[1] - len(schema.profile_numerical) - len(schema.profile_categorical)
        features, names = features[:, :kept], names[:kept]
    target = np.asarray(dataset.labels if labels is None else labels).astype(np.int64)
    parts = {split: dataset.rows(split) for split in SPLITS}
    pools = {split: Pool(features[rows], target[rows]) for split, rows in parts.items()}
    two = len(dataset.schema.classes) == 2
    models = [
        CatBoostClassifier(
            **_PARAMETERS,
            loss_function="Logloss" if two else "MultiClass",
            rsm=min(1.0, _FEATURES / len(names)),
            random_seed=seed + i,
            thread_count=threads,
            early_stopping_rounds=_PATIENCE,
            verbose=False,
            allow_writing_files=False,
        ).fit(pools["train"], eval_set=pools["valid"])
        for i in range(_MODELS)
    ]
    result: dict[str, Any] = {"dataset": dataset.schema.name, "metric": dataset.schema.metric.name}
    for split in ("valid", "test"):
        probabilities = np.mean([model.predict_proba(pools[split]) for model in models], axis=0)
        result[split] = score(dataset.schema.metric.name, target[parts[split]], probabilities)
        result[f"{split}_accuracy"] = score("accuracy", target[parts[split]], probabilities)
    result["trees"] = sum(int(model.tree_count_) for model in models)
    order = np.argsort(-models[0].get_feature_importance())[:5]
    result["most_important"] = [names[i] for i in order]
    return result
