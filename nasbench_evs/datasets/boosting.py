"""Gradient-boosting baselines: what counts and aggregates know, what the last events add, and what is left without order.

A sequence model well below the first is badly trained; one below the second gains nothing from looking at all events; where
the second does not fall when events are shuffled, their order does not matter. `nasbench-evs data baseline NAME` prints them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench_evs.datasets.aggregate import aggregates
from nasbench_evs.datasets.dataset import COLUMNS, Dataset
from nasbench_evs.datasets.prepare import GAP, LEFT, network_inputs
from nasbench_evs.datasets.split import SPLITS, blocks, subset
from nasbench_evs.errors import DatasetError
from nasbench_evs.metrics import block_scores, score

if TYPE_CHECKING:
    import pandas as pd

FORMS = ("counts", "last events")
BASELINES = {"boosting": "counts", "boosting-last-events": "last events"}  # as baselines.json has them, and their forms
_SCORED = ("valid", "test")
_FIXED = {"depth": 5, "l2_leaf_reg": 6.0, "verbose": False, "allow_writing_files": False}
_CATEGORIES = 400  # of each field, that are counted one by one
_LAST = 16  # events at most that "last events" sees one by one
_LARGE = 200_000  # training sequences times classes from which fewer, bolder trees are enough, and minutes matter
_ONE_HOT = 255  # codes of a field at most that are told apart; where there are more, they are ordered by frequency


class _Effort(NamedTuple):
    models: int  # whose probabilities are averaged, each with a seed of its own
    trees: int
    rate: float
    patience: int  # trees without a better score on validation
    features: int  # that a tree's level looks at, drawn at random where there are more


_THOROUGH = _Effort(models=3, trees=1500, rate=0.08, patience=100, features=150)
_QUICK = _Effort(models=1, trees=500, rate=0.2, patience=30, features=60)


def boosting(
    dataset: Dataset,
    *,
    form: str = "counts",
    shuffled: bool = False,
    train: int | None = None,
    seed: int = 0,
    threads: int = -1,
    profile: bool = True,
    labels: np.ndarray | None = None,
) -> dict[str, Any]:
    """Scores of CatBoost, stopped early on the validation split.

    It sees `aggregates`; in the form "last events" also the fields of the last 16 events (or `max_length`, if smaller), one
    by one; with `shuffled`, of the dataset that `shuffle` makes. `train` takes that many training sequences, those with the
    smallest id hashes; validation and test stay whole.

    Returns the score, the ten scores without a block each (see `metrics.block_scores`) and the accuracy on the validation and
    the test split, the number of trees and the features that mattered most. `profile=False` leaves profile fields out;
    `labels` replaces the dataset's own (to see what chance gives). DatasetError if there is no such form, or too large a `train`.
    """
    from catboost import CatBoostClassifier, Pool

    if form not in FORMS:
        raise DatasetError(f"unknown form {form!r} of the baseline: expected one of {', '.join(FORMS)}")
    name, metric = dataset.schema.name, dataset.schema.metric.name
    parts = split_rows(dataset, train)
    block = blocks(dataset.groups)
    seen = shuffle(dataset, seed) if shuffled else dataset
    features: np.ndarray | pd.DataFrame
    features, names = aggregates(seen, _CATEGORIES)
    if not profile:
        schema = dataset.schema
        kept = features.shape[1] - len(schema.profile_numerical) - len(schema.profile_categorical)
        features, names = features[:, :kept], names[:kept]
    coded: list[str] = []
    if form == "last events":
        features, coded = _with_last_events(seen, features, names)
        names = list(features.columns)
    target = np.asarray(dataset.labels if labels is None else labels).astype(np.int64)

    def pool(rows: np.ndarray) -> Pool:
        chosen = features[rows] if isinstance(features, np.ndarray) else features.iloc[rows]
        return Pool(chosen, target[rows], cat_features=coded)

    pools = {split: pool(rows) for split, rows in parts.items()}
    classes = len(dataset.schema.classes)
    effort = _THOROUGH if len(parts["train"]) * classes < _LARGE else _QUICK
    models = [
        CatBoostClassifier(
            **_FIXED,
            iterations=effort.trees,
            learning_rate=effort.rate,
            early_stopping_rounds=effort.patience,
            loss_function="Logloss" if classes == 2 else "MultiClass",
            rsm=min(1.0, effort.features / len(names)),
            one_hot_max_size=_ONE_HOT if coded else None,
            random_seed=seed + i,
            thread_count=threads,
        ).fit(pools["train"], eval_set=pools["valid"])
        for i in range(effort.models)
    ]
    result: dict[str, Any] = {"dataset": name, "form": form, "shuffled": shuffled, "train": len(parts["train"])}
    result["metric"] = metric
    for split in _SCORED:
        rows = parts[split]
        probabilities = np.mean([model.predict_proba(pools[split]) for model in models], axis=0)
        result[split] = score(metric, target[rows], probabilities)
        result[f"{split}_accuracy"] = score("accuracy", target[rows], probabilities)
        result[f"{split}_blocks"] = block_scores(metric, target[rows], probabilities, block[rows]).tolist()
    result["trees"] = sum(int(model.tree_count_) for model in models)
    order = np.argsort(-models[0].get_feature_importance())[:5]
    result["most_important"] = [names[i] for i in order]
    return result


def boosting_baseline(
    dataset: Dataset,
    form: str,
    *,
    train: int | None = None,
    seeds: int = 3,
    report: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """`boosting` with several seeds, as `over_seeds` has it; its name is one of BASELINES."""
    found = []
    for seed in range(seeds):  # no model has the seed of another
        found.append(boosting(dataset, form=form, train=train, seed=100 * seed))
        report(seed + 1, seeds)
    return over_seeds(
        next(name for name, each in BASELINES.items() if each == form),
        dataset,
        train,
        [[each[split] for split in _SCORED] for each in found],
        [[np.array(each[f"{split}_blocks"]) for split in _SCORED] for each in found],
    )


def over_seeds(
    name: str,
    dataset: Dataset,
    train: int | None,
    scores: Sequence[Sequence[float]],
    without: Sequence[Sequence[np.ndarray]],
) -> dict[str, Any]:
    """A baseline without settings, as baselines.json has it: means and standard deviations over seeds.

    `scores` are those of each seed on validation and test, (S, 2), `without` those without a block each, (S, 2, BLOCKS).
    """
    mean, std = np.mean(scores, axis=0), np.std(scores, axis=0, ddof=1)
    result: dict[str, Any] = {"network": name, "dataset": dataset.schema.name, "train": train}
    result |= {"metric": dataset.schema.metric.name, "trials": 1, "seeds": len(scores)}
    for i, split in enumerate(_SCORED):
        result |= {f"{split}_mean": float(mean[i]), f"{split}_std": float(std[i])}
        result[f"{split}_blocks"] = np.mean([each[i] for each in without], axis=0).tolist()
    return result | {"valid_curves": []}


def split_rows(dataset: Dataset, train: int | None) -> dict[str, np.ndarray]:
    """Positions of the sequences of each split; of training, of the `train` with the smallest id hashes (None: all)."""
    parts = {split: dataset.rows(split) for split in SPLITS}
    if train is not None:
        available = len(parts["train"])
        if not 1 <= train <= available:
            raise DatasetError(
                f"train = {train:,} of {dataset.schema.name}: expected 1 to {available:,}, its training sequences"
            )
        parts["train"] = parts["train"][subset(dataset.ids[parts["train"]], train)]
    return parts


def shuffle(dataset: Dataset, seed: int = 0) -> Dataset:
    """The dataset with the events of each sequence dealt to its times at random.

    Times stay, and with them `gap` and `left`, which belong to a time and not to what happened then: their order could be
    read off them.
    """
    owner = np.repeat(np.arange(len(dataset)), dataset.lengths)
    order = np.lexsort((np.random.default_rng(seed).random(len(owner)), owner))
    columns = {name: getattr(dataset, name) for name in COLUMNS}
    columns["categorical"] = dataset.categorical[order]
    timing = np.array([field.name in (GAP.name, LEFT.name) for field in dataset.schema.numerical], bool)
    columns["numerical"] = np.where(timing, dataset.numerical, dataset.numerical[order])
    columns["inputs"] = network_inputs(dataset.schema.numerical, columns["numerical"], dataset.offsets)
    return Dataset(dataset.schema, columns, dataset.scenario_names, dataset.source)


def _with_last_events(dataset: Dataset, counts: np.ndarray, names: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """The counts and, for each of the last events, its fields: NaN (code 0) where a sequence is shorter.

    Returns them and the names of the columns that hold codes to be told apart.
    """
    import pandas as pd

    columns: dict[str, np.ndarray] = dict(zip(names, counts.T, strict=True))
    coded: list[str] = []
    for back in range(min(_LAST, dataset.schema.max_length)):
        there = dataset.lengths > back
        at = np.where(there, dataset.offsets[1:] - 1 - back, 0)
        for i, number in enumerate(dataset.schema.numerical):
            columns[f"{number.name} -{back}"] = np.where(there, dataset.numerical[at, i], np.float32(np.nan))
        for i, category in enumerate(dataset.schema.categorical):
            name = f"{category.name} -{back}"
            columns[name] = np.where(there, dataset.categorical[at, i], 0)
            if category.cardinality <= _ONE_HOT:
                coded.append(name)
    return pd.DataFrame(columns), coded
