"""Fitting a surrogate to a table: its parts, and the sidecar that says what they belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.errors import InvalidQuery, SurrogateError
from nasbench_evs.surrogate.ensemble import Ensemble, fit_catboost, predict
from nasbench_evs.surrogate.features import LAYOUT, Features
from nasbench_evs.surrogate.file import read_parts, write_out_of_fold
from nasbench_evs.surrogate.held_out import HeldOut, fit_uncertainty, fold_taus, held_out, out_of_fold
from nasbench_evs.surrogate.sidecar import FORMAT_NAME, FORMAT_VERSION
from nasbench_evs.surrogate.targets import EpochOffsets, Parts, ScoreTarget, SecondsTarget, with_epoch
from nasbench_evs.surrogate.uncertainty import NORMAL_80, repeated_variance
from nasbench_evs.tables.table import SPLITS, Table
from nasbench_evs.version import __version__

MIN_RECORDS = 20
MIN_ARCHITECTURES = 5

_SECONDS_SETTINGS = {"iterations": 200, "depth": 6, "learning_rate": 0.05}
_EPOCH_SETTINGS = {"iterations": 200, "depth": 6, "learning_rate": 0.1}
_EPOCH_ROWS = 20_000  # an epoch of a record each; more take long and add little


def fit(table: Table, *, seed: int, folds: int, progress: Callable[[int, int], None] | None) -> Parts:
    """The parts of `Surrogate.fit`, which says what the arguments are."""
    import catboost

    folds, seed = _integer("folds", folds, 2), _integer("seed", seed, 0)
    header = table.header
    features = Features(header.space, header.shape).many(table["choices"], table["distilled"] == 1)
    outcomes = {split: table.scores(split) for split in SPLITS}
    valid = outcomes["valid"]
    scored = ~np.isnan(valid)
    architectures = len(np.unique(table["rank"][scored]))
    if scored.sum() < MIN_RECORDS or architectures < MIN_ARCHITECTURES or np.ptp(valid[scored]) == 0:
        raise SurrogateError(
            f"the table of {header.dataset} has {int(scored.sum())} scored records of {architectures} "
            f"architectures with {len(np.unique(valid[scored]))} distinct scores: expected at least {MIN_RECORDS} "
            f"records of {MIN_ARCHITECTURES} architectures, with scores that are not all equal"
        )
    names = [n for n, v in outcomes.items() if (~np.isnan(v)).sum() >= MIN_RECORDS and np.nanmax(v) > np.nanmin(v)]
    with_epochs = header.curves != "best" and table.epochs > 1
    folds = min(folds, architectures)
    step = _Steps(len(names) * (folds + 1 + with_epochs) + 1, progress)
    targets, metrics, outs = {}, {}, {}
    for name in names:
        known = ~np.isnan(outcomes[name])
        rows = table["rank"][known]
        fitted = _fit_score(features[known], outcomes[name][known], rows, table["distilled"][known], folds, seed, step)
        targets[name], out = fitted
        outs[name] = out
        metrics[name] = _first_figures(out, outcomes[name][known])
        if with_epochs:
            epochs = _fit_epochs(table.select(np.flatnonzero(known)), name, features[known], out, targets[name], seed)
            targets[name] = targets[name]._replace(epochs=epochs)
            step()
    seconds = _fit_seconds(table, features, seed)
    step()
    sidecar = {
        "format": FORMAT_NAME,
        "version": FORMAT_VERSION,
        "space": header.space.spec,
        "dataset": header.dataset,
        **header.metric.to_dict(),
        "shape": header.protocol.get("shape"),
        "features": LAYOUT,
        "table_sha256": table.reference_sha256,
        "records": int(scored.sum()),
        "architectures": architectures,
        "fitted": datetime.now(UTC).isoformat(timespec="seconds"),
        "distilled": sorted({bool(d) for d in table["distilled"][scored] == 1}),
        "seed": seed,
        "libraries": {"catboost": catboost.__version__, "nasbench-evs": __version__},
        "metrics": metrics,
    }
    ensembles = {name: target.ensemble for name, target in targets.items()}
    return Parts(
        sidecar, targets, seconds, _out_of_fold(table, outs, ensembles) if False in sidecar["distilled"] else None
    )


def add_out_of_fold(folder: Path, table: Table, progress: Callable[[int, int], None] | None = None) -> None:
    """Add to the files of a surrogate the out-of-fold predictions that `fit` makes now; its models and card stay as they are.

    SurrogateError if it was fitted to another table, or to trainings with teachers alone.
    """
    sidecar, targets = read_parts(folder)[:2]
    if sidecar["table_sha256"] != table.reference_sha256:
        raise SurrogateError(
            f"{folder} was fitted to another table, or to this one before it changed: fit it again with "
            "nasbench-evs surrogate fit --force"
        )
    if False not in sidecar["distilled"]:
        raise SurrogateError(f"{folder} was fitted to trainings with teachers alone: it has no out-of-fold predictions")
    folds = {name: sidecar["metrics"][name]["folds"] for name in targets}
    step = _Steps(sum(folds.values()), progress)
    features = Features(table.header.space, table.header.shape).many(table["choices"], table["distilled"] == 1)
    outs = {}
    for name in targets:
        values = table.scores(name)
        known = ~np.isnan(values)
        outs[name] = held_out(
            features[known], values[known], table["rank"][known], folds=folds[name], seed=sidecar["seed"], step=step
        )
    ensembles = {name: target.ensemble for name, target in targets.items()}
    write_out_of_fold(folder, _out_of_fold(table, outs, ensembles))


def _out_of_fold(table: Table, outs: Mapping[str, HeldOut], ensembles: Mapping[str, Ensemble]) -> np.ndarray:
    """For every architecture of the table, by rank, what a training without teachers would reach in each split.

    A structured array: "rank", and the name of each split, predicted by an ensemble that saw no record of the architecture.
    """
    ranks, first = np.unique(table["rank"], return_index=True)
    features = Features(table.header.space, table.header.shape).many(table["choices"][first], False)
    made = np.empty(len(ranks), [("rank", "<u8"), *((name, "<f4") for name in outs)])
    made["rank"] = ranks
    for name, out in outs.items():
        groups = table["rank"][~np.isnan(table.scores(name))]
        made[name] = out_of_fold(out, groups, ensembles[name], ranks, features)
    return made


def _integer(name: str, value: int, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value < 2**31:
        raise InvalidQuery(f"{name} = {value!r}: expected an integer from {low} to 2147483647")
    return int(value)


def _fit_score(
    features: np.ndarray,
    values: np.ndarray,
    ranks: np.ndarray,
    distilled: np.ndarray,
    folds: int,
    seed: int,
    step: Callable[[], None],
) -> tuple[ScoreTarget, HeldOut]:
    out = held_out(features, values, ranks, folds=folds, seed=seed, step=step)
    ensemble = Ensemble.fit(features, values, ranks, seed)
    step()
    if np.isnan(out.mean).all():
        raise SurrogateError("scores are too alike to hold any out: expected more records with different scores")
    noise = repeated_variance(values, ranks * np.uint64(2) + (distilled == 1).astype(np.uint64))
    return ScoreTarget(ensemble, fit_uncertainty(features, values, out, noise), None), out


def _first_figures(out: HeldOut, values: np.ndarray) -> dict[str, Any]:
    """The figures that fitting gives for nothing; the card has all of them, with intervals."""
    taus = fold_taus(out.fold, out.mean, values)
    return {
        "folds": int(out.fold.max()) + 1,
        "kendall_tau": round(float(np.mean(taus)), 4) if taus else None,
        "mean_absolute_error": float(np.nanmean(np.abs(out.mean - values))),
    }


def _fit_epochs(
    table: Table, split: str, features: np.ndarray, out: HeldOut, target: ScoreTarget, seed: int
) -> EpochOffsets | None:
    """Of the records of `table`, which all have a score; None if the curves say nothing beyond it."""
    best = table.scores(split)
    offset = table[f"{split}_curve"].astype(np.float64) - best[:, None]
    record, epoch = np.nonzero(np.isfinite(offset))
    if not len(record):
        return None
    offset = offset[record, epoch]
    scale = float(offset.std())
    if not scale or len(np.unique(epoch)) < table.epochs:
        return None
    generator = np.random.default_rng(seed)
    if len(record) > _EPOCH_ROWS:
        few = np.sort(generator.permutation(len(record))[:_EPOCH_ROWS])
        record, epoch, offset = record[few], epoch[few], offset[few]
    rows = with_epoch(features[record], epoch + 1)
    fold = out.fold[record]
    predicted = np.full(len(record), np.nan)
    for i in range(int(fold.max()) + 1):
        train = fold != i
        if np.ptp(offset[train]) > 0 and not train.all():
            model = fit_catboost(rows[train], offset[train] / scale, {**_EPOCH_SETTINGS, "random_seed": seed})
            predicted[~train] = predict(model, rows[~train]) * scale
    noise, epistemic = target.uncertainty.predict(features, out.epistemic_std)
    ratio = np.abs((best - out.mean)[record] + offset - predicted) / np.hypot(noise, epistemic)[record]
    factors = []
    for each in range(table.epochs):
        known = ratio[(epoch == each) & ~np.isnan(ratio)]
        factors.append(float(np.quantile(known, 0.8)) / NORMAL_80 if len(known) else 1.0)
    model = fit_catboost(rows, offset / scale, {**_EPOCH_SETTINGS, "random_seed": seed})
    return EpochOffsets(model, scale, factors)


def _fit_seconds(table: Table, features: np.ndarray, seed: int) -> SecondsTarget | None:
    spent, total = table.epoch_seconds.astype(np.float64), table.seconds()
    whole = (table["status"] == b"ok") & (total > 0) & np.isfinite(total)
    if whole.sum() < MIN_RECORDS or np.ptp(total[whole]) == 0:
        return None
    logarithms = np.log(total[whole])
    mean, scale = float(logarithms.mean()), float(logarithms.std())
    model = fit_catboost(features[whole], (logarithms - mean) / scale, {**_SECONDS_SETTINGS, "random_seed": seed})
    shares = np.cumsum(np.nansum(spent[whole], axis=0)) / total[whole].sum()
    return SecondsTarget(model, mean, scale, shares.tolist())


class _Steps:
    """Counts fitted models for a progress report."""

    def __init__(self, total: int, report: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._report = 0, total, report

    def __call__(self) -> None:
        self._done += 1
        if self._report is not None:
            self._report(self._done, self._total)
