"""The CatBoost surrogate of a table: scores of trainings and of any epoch, and training seconds, of every architecture.

Scores come with two kinds of uncertainty, noise and knowledge, which errors on held-out architectures scale (paper 000,
section 3.3, and `uncertainty`). Models are `.cbm` files with a JSON beside them that says what they belong to; nothing is
pickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench_evs import spaces
from nasbench_evs.errors import InvalidQuery, NasbenchError, NotRecorded, SurrogateError, one_line
from nasbench_evs.files import replacing
from nasbench_evs.metrics import Metric, metric_from_dict
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate import uncertainty
from nasbench_evs.surrogate.ensemble import Ensemble, as_pool, blocks, fit_catboost, loss_of, predict
from nasbench_evs.surrogate.features import LAYOUT, Features
from nasbench_evs.surrogate.held_out import HeldOut, fit_uncertainty, fold_taus, held_out
from nasbench_evs.surrogate.noise import standard_normal
from nasbench_evs.surrogate.uncertainty import NORMAL_80, Uncertainty, repeated_variance
from nasbench_evs.tables.table import Table, to_json
from nasbench_evs.version import __version__

if TYPE_CHECKING:
    from catboost import CatBoost, Pool

FORMAT_NAME = "nasbench-evs surrogate"
FORMAT_VERSION = 2
SIDECAR = "surrogate.json"
CARD = "card.json"
SCORES = ("valid", "test")
SECONDS = "seconds"
MIN_RECORDS = 20
MIN_ARCHITECTURES = 5

_BLOCK = 1 << 16  # architectures at a time, so that their features stay in the cache
_REFERENCES = 20
_TOLERANCE = 1e-6
_SECONDS_SETTINGS = {"iterations": 200, "depth": 6, "learning_rate": 0.05}
_EPOCH_SETTINGS = {"iterations": 200, "depth": 6, "learning_rate": 0.1}
_EPOCH_ROWS = 20_000  # an epoch of a record each; more take long and add little


class Prediction(NamedTuple):
    """Arrays of shape (N,): the predicted mean over seeds, and two kinds of uncertainty as standard deviations."""

    mean: np.ndarray
    noise_std: np.ndarray
    knowledge_std: np.ndarray


class _Epochs(NamedTuple):
    """How far the score at each epoch is from that of the training, and how much larger the errors are there.

    The model sees the features and the epoch; `factors` is one for each epoch.
    """

    model: CatBoost
    scale: float
    factors: list[float]


class _ScoreTarget(NamedTuple):
    ensemble: Ensemble
    uncertainty: Uncertainty
    epochs: _Epochs | None


class _SecondsTarget(NamedTuple):
    """A model of the standardised logarithm of training seconds; `shares` of them are spent up to each epoch."""

    model: CatBoost
    mean: float
    scale: float
    shares: list[float]


class Surrogate:
    """Predicts what a table would record. Make one with `Surrogate.fit(table)` or `Surrogate.load(folder)`."""

    def __init__(
        self, sidecar: Mapping[str, Any], targets: Mapping[str, _ScoreTarget], seconds: _SecondsTarget | None
    ) -> None:
        self._sidecar = dict(sidecar)
        self._targets, self._seconds = dict(targets), seconds
        self.space: SearchSpace = spaces.from_spec(sidecar["space"])
        self.dataset: str = sidecar["dataset"]
        self.metric: Metric = metric_from_dict(sidecar)
        self.shape = spaces.shape_from_dict(sidecar["shape"]) if sidecar["shape"] else None
        self.features = Features(self.space, self.shape)
        self._folder: Path | None = None

    def __repr__(self) -> str:
        return f"<surrogate of {self.space.name} on {self.dataset}, fitted to {self._sidecar['records']:,} records>"

    @property
    def card(self) -> dict[str, Any]:
        """What the surrogate was fitted to and how far to trust it.

        "metrics" come from fitting; "judged" from `nasbench-evs surrogate card`, "searches" from `surrogate
        fidelity`, if they were run for this table.
        """
        from nasbench_evs.surrogate.card import read_card

        hidden = ("format", "version", "reference", "targets", "seconds")
        card = {key: value for key, value in self._sidecar.items() if key not in hidden}
        judged = read_card(self._folder) if self._folder else None
        if judged is not None and judged.get("table_sha256") == card["table_sha256"]:
            card["judged"] = judged["splits"]
            card["searches"] = judged.get("searches")
        return card

    @classmethod
    def fit(
        cls, table: Table, *, seed: int = 0, folds: int = 5, progress: Callable[[int, int], None] | None = None
    ) -> Surrogate:
        """Fit to all records of a table that have a score.

        `folds` folds over architectures (all seeds of one in the same fold) scale the uncertainties and give the card's
        first figures. Same table, seed and CatBoost: same predictions. `progress(done, total)` is called after every
        model.
        SurrogateError if there are fewer than MIN_RECORDS scored records or their scores are all equal.
        """
        import catboost

        folds, seed = _integer("folds", folds, 2), _integer("seed", seed, 0)
        header = table.header
        features = Features(header.space, header.shape).many(table["choices"], table["distilled"] == 1)
        outcomes = {split: table.scores(split) for split in SCORES}
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
        targets, metrics = {}, {}
        for name in names:
            known = ~np.isnan(outcomes[name])
            rows = table["rank"][known]
            fitted = _fit_score(
                features[known], outcomes[name][known], rows, table["distilled"][known], folds, seed, step
            )
            targets[name], out = fitted
            metrics[name] = _first_figures(out, outcomes[name][known])
            if with_epochs:
                epochs = _fit_epochs(
                    table.select(np.flatnonzero(known)), name, features[known], out, targets[name], seed
                )
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
        return cls(sidecar, targets, seconds)

    # Predicting

    @property
    def epochs(self) -> int:
        """How many epochs can be asked for; 0 if the table had best epochs only."""
        found = self._targets["valid"].epochs
        return 0 if found is None else len(found.factors)

    def predict(
        self, choices: np.ndarray, split: str = "valid", *, epoch: int | None = None, distilled: bool = False
    ) -> Prediction:
        """Predicted scores of valid choice indices (N, C): of the training, or at `epoch`, from 1.

        NotRecorded for a split or an epoch that was not fitted.
        """
        return self.predict_all(choices, split, epoch=epoch, distilled=distilled)[0]

    def predict_seconds(self, choices: np.ndarray, *, epoch: int | None = None, distilled: bool = False) -> np.ndarray:
        """Predicted training seconds up to `epoch`, or of the whole training, shape (N,); NaN if the table had none."""
        parts = [self._predict_seconds(as_pool(features), epoch) for features in self._blocks(choices, distilled)]
        return np.concatenate(parts) if parts else np.empty(0)

    def predict_all(
        self, choices: np.ndarray, split: str = "valid", *, epoch: int | None = None, distilled: bool = False
    ) -> tuple[Prediction, np.ndarray]:
        """`predict` and `predict_seconds` of the same architectures in one pass."""
        if distilled not in self._sidecar["distilled"]:
            raise NotRecorded(
                f"the surrogate of {self.dataset} saw no training {'with' if distilled else 'without'} teachers: "
                f"use distilled={not distilled}"
            )
        target = self._target(split, epoch)
        parts = []
        for features in self._blocks(choices, distilled):
            pool = as_pool(features)
            parts.append((*_predict_score(target, features, pool, epoch), self._predict_seconds(pool, epoch)))
        if len(parts) == 1:
            columns = list(parts[0])
        else:
            columns = [np.concatenate(part) for part in zip(*parts, strict=True)] if parts else [np.empty(0)] * 4
        return Prediction(*columns[:3]), columns[3]

    def noise(self, choices: np.ndarray, split: str, seed: int, *, distilled: bool = False) -> np.ndarray:
        """Standard normal numbers, shape (N,), that seed `seed` draws for these architectures; the same at every epoch."""
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise InvalidQuery(f"seed {seed!r}: expected an integer of 0 or more")
        stream = f"{self._sidecar['table_sha256']}/{split}/{int(distilled)}"
        return standard_normal(stream, self.space.rank_many(choices), int(seed))

    def _blocks(self, choices: np.ndarray, distilled: bool) -> Iterator[Any]:
        """The features in blocks that stay in the cache; of a single architecture as a list."""
        if len(choices) == 1:
            yield self.features.one(choices, distilled)
            return
        for block in blocks(len(choices), _BLOCK):
            yield self.features.many(choices[block], distilled)

    def _target(self, split: str, epoch: int | None) -> _ScoreTarget:
        if split not in self._targets:
            known = ", ".join(s for s in SCORES if s in self._targets)
            raise NotRecorded(f"the surrogate of {self.dataset} predicts no {split} scores: expected split {known}")
        target = self._targets[split]
        if epoch is not None:
            if target.epochs is None:
                raise NotRecorded(
                    f"the surrogate of {self.dataset} predicts no {split} scores of single epochs: leave epoch out"
                )
            if not 1 <= epoch <= len(target.epochs.factors):
                raise NotRecorded(f"epoch {epoch} is not predicted: expected 1 to {len(target.epochs.factors)}")
        return target

    def _predict_seconds(self, features: Any, epoch: int | None) -> np.ndarray:
        target = self._seconds
        if target is None:
            return np.full(as_pool(features).num_row(), np.nan)
        share = 1.0 if epoch is None else target.shares[epoch - 1]
        return np.exp(predict(target.model, features) * target.scale + target.mean) * share

    def check_belongs_to(self, reference_sha256: str, path: str | Path) -> None:
        """SurrogateError unless it was fitted to the table of this `Table.reference_sha256`; `path` is for the message."""
        if self._sidecar["table_sha256"] != reference_sha256:
            raise SurrogateError(
                f"the surrogate of {path} was fitted to another table, or to this one before it changed: "
                f"fit it again with nasbench-evs surrogate fit {path} --force, or use source='table'"
            )

    # Files

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write the models and their sidecar as one folder, complete or not at all (OutputError)."""
        reference = self._reference_choices()
        sidecar = {**self._sidecar, "targets": {}, "seconds": None}
        sidecar["reference"] = {"ranks": self.space.rank_many(reference).tolist(), **self._reference(reference)}
        with replacing(Path(folder), force=force, marker=SIDECAR) as scratch:
            scratch.mkdir()
            for name, target in self._targets.items():
                ensemble, noise, epochs = target
                sidecar["targets"][name] = {
                    "mean": ensemble.mean,
                    "scale": ensemble.scale,
                    "noise_factor": noise.noise_factor,
                    "knowledge_factor": noise.knowledge_factor,
                    "model": _write(ensemble.model, scratch / f"{name}.cbm"),
                    "noise": _write(noise.model, scratch / f"{name}.noise.cbm"),
                    "epochs": epochs
                    and {
                        "scale": epochs.scale,
                        "factors": epochs.factors,
                        "model": _write(epochs.model, scratch / f"{name}.epochs.cbm"),
                    },
                }
            if self._seconds is not None:
                model, mean, scale, shares = self._seconds
                written = _write(model, scratch / f"{SECONDS}.cbm")
                sidecar["seconds"] = {"mean": mean, "scale": scale, "shares": shares, "model": written}
            sidecar["sha256"] = hashlib.sha256(to_json(sidecar).encode()).hexdigest()
            (scratch / SIDECAR).write_text(json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Surrogate:
        """Open a saved surrogate; SurrogateError if a file is missing, damaged, or not what the sidecar says."""
        folder = Path(folder)
        sidecar = _read_sidecar(folder)
        targets = {}
        for name, entry in sidecar["targets"].items():
            epochs = entry["epochs"]
            targets[name] = _ScoreTarget(
                Ensemble(_read_model(folder, entry["model"], "RMSE"), entry["mean"], entry["scale"]),
                Uncertainty(
                    _read_model(folder, entry["noise"], uncertainty.LOSS),
                    entry["noise_factor"],
                    entry["knowledge_factor"],
                ),
                epochs and _Epochs(_read_model(folder, epochs["model"], "RMSE"), epochs["scale"], epochs["factors"]),
            )
        entry = sidecar["seconds"]
        seconds = entry and _SecondsTarget(
            _read_model(folder, entry["model"], "RMSE"), entry["mean"], entry["scale"], entry["shares"]
        )
        surrogate = cls(sidecar, targets, seconds)
        surrogate._check_reference(folder)
        surrogate._folder = folder
        return surrogate

    def _reference_choices(self) -> np.ndarray:
        return self.space.sample_many(_REFERENCES, seed=0, method="uniform")

    def _reference(self, choices: np.ndarray) -> dict[str, list[list[float]]]:
        """What each model predicts for these architectures."""
        features = self.features.many(choices, False)
        pool = as_pool(features)
        found: dict[str, list[list[float]]] = {}
        for name, target in self._targets.items():
            found[name] = [part.tolist() for part in _predict_score(target, features, pool, None)]
            if target.epochs is not None:
                first = _predict_score(target, features, pool, 1)
                found[f"{name}.epochs"] = [part.tolist() for part in first]
        if self._seconds is not None:
            found[SECONDS] = [self._predict_seconds(pool, None).tolist()]
        return found

    def _check_reference(self, folder: Path) -> None:
        reference = self._sidecar["reference"]
        for name, found in self._reference(self.space.unrank_many(reference["ranks"])).items():
            if not np.allclose(found, reference[name], rtol=_TOLERANCE, atol=_TOLERANCE):
                raise SurrogateError(
                    f"{folder / f'{name}.cbm'} does not predict what it did when it was saved: "
                    "this CatBoost reads it differently; fit the surrogate again"
                )


def _read_sidecar(folder: Path) -> dict[str, Any]:
    path = folder / SIDECAR
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
        if sidecar["format"] != FORMAT_NAME:
            raise SurrogateError(f"{path} is no sidecar of a surrogate")
        if sidecar["version"] != FORMAT_VERSION:
            raise SurrogateError(
                f"{path} has format version {sidecar['version']}, this nasbench-evs reads {FORMAT_VERSION}: "
                "upgrade with pip install --upgrade nasbench-evs"
            )
        written = sidecar.pop("sha256")
        if hashlib.sha256(to_json(sidecar).encode()).hexdigest() != written:
            raise SurrogateError(f"{path} is damaged or was edited: fit the surrogate again")
        if sidecar["features"] != LAYOUT:
            raise SurrogateError(f"{path} has the features {sidecar['features']!r}: expected {LAYOUT!r}")
        spaces.from_spec(sidecar["space"])
    except OSError as error:
        raise SurrogateError(f"cannot open {path}: {error.strerror}; fit the surrogate again") from None
    except SurrogateError:
        raise
    except NasbenchError as error:
        raise SurrogateError(f"{path}: {error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise SurrogateError(f"{path} is damaged ({type(error).__name__}): fit the surrogate again") from None
    return sidecar


def _write(model: CatBoost, path: Path) -> dict[str, str]:
    model.save_model(str(path))
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _read_model(folder: Path, entry: Mapping[str, str], loss: str) -> CatBoost:
    from catboost import CatBoost, CatBoostError

    file = folder / entry["file"]
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SurrogateError(f"cannot open {file}: {error.strerror}; fit the surrogate again") from None
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise SurrogateError(f"{file} is damaged or was replaced: it does not match the hash in {SIDECAR}")
    model = CatBoost()
    try:
        model.load_model(blob=content)
        found = loss_of(model)
    except (CatBoostError, ValueError, KeyError) as error:
        raise SurrogateError(f"{file} is no CatBoost model: {one_line(error)}") from None
    if found != loss:
        raise SurrogateError(f"{file} is a model for {found}: expected {loss}")
    return model


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
) -> tuple[_ScoreTarget, HeldOut]:
    out = held_out(features, values, ranks, folds=folds, seed=seed, step=step)
    ensemble = Ensemble.fit(features, values, ranks, seed)
    step()
    if np.isnan(out.mean).all():
        raise SurrogateError("scores are too alike to hold any out: expected more records with different scores")
    noise = repeated_variance(values, ranks * np.uint64(2) + (distilled == 1).astype(np.uint64))
    return _ScoreTarget(ensemble, fit_uncertainty(features, values, out, noise), None), out


def _first_figures(out: HeldOut, values: np.ndarray) -> dict[str, Any]:
    """The figures that fitting gives for nothing; the card has all of them, with intervals."""
    taus = fold_taus(out.fold, out.mean, values)
    return {
        "folds": int(out.fold.max()) + 1,
        "kendall_tau": round(float(np.mean(taus)), 4) if taus else None,
        "mean_absolute_error": float(np.nanmean(np.abs(out.mean - values))),
    }


def _fit_epochs(
    table: Table, split: str, features: np.ndarray, out: HeldOut, target: _ScoreTarget, seed: int
) -> _Epochs | None:
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
    noise, knowledge = target.uncertainty.predict(features, out.spread)
    ratio = np.abs((best - out.mean)[record] + offset - predicted) / np.hypot(noise, knowledge)[record]
    factors = []
    for each in range(table.epochs):
        known = ratio[(epoch == each) & ~np.isnan(ratio)]
        factors.append(float(np.quantile(known, 0.8)) / NORMAL_80 if len(known) else 1.0)
    model = fit_catboost(rows, offset / scale, {**_EPOCH_SETTINGS, "random_seed": seed})
    return _Epochs(model, scale, factors)


def with_epoch(features: np.ndarray, epoch: int | np.ndarray) -> np.ndarray:
    """The features (N, F) with the epoch as one more column."""
    return np.column_stack([features, np.broadcast_to(np.float32(epoch), len(features))]).astype(np.float32)


def _fit_seconds(table: Table, features: np.ndarray, seed: int) -> _SecondsTarget | None:
    spent, total = table.epoch_seconds.astype(np.float64), table.seconds()
    whole = (table["status"] == b"ok") & (total > 0) & np.isfinite(total)
    if whole.sum() < MIN_RECORDS or np.ptp(total[whole]) == 0:
        return None
    logarithms = np.log(total[whole])
    mean, scale = float(logarithms.mean()), float(logarithms.std())
    model = fit_catboost(features[whole], (logarithms - mean) / scale, {**_SECONDS_SETTINGS, "random_seed": seed})
    shares = np.cumsum(np.nansum(spent[whole], axis=0)) / total[whole].sum()
    return _SecondsTarget(model, mean, scale, shares.tolist())


def _predict_score(target: _ScoreTarget, features: Any, pool: Pool, epoch: int | None) -> Prediction:
    """`pool` is `as_pool(features)`."""
    estimate = target.ensemble.predict(pool)
    noise, knowledge = target.uncertainty.predict(pool, estimate.spread)
    if epoch is None or target.epochs is None:
        return Prediction(estimate.mean, noise, knowledge)
    model, scale, factors = target.epochs
    rows = [*features, epoch] if isinstance(features, list) else with_epoch(features, epoch)
    factor = factors[epoch - 1]
    return Prediction(estimate.mean + predict(model, rows) * scale, noise * factor, knowledge * factor)


class _Steps:
    """Counts fitted models for a progress report."""

    def __init__(self, total: int, report: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._report = 0, total, report

    def __call__(self) -> None:
        self._done += 1
        if self._report is not None:
            self._report(self._done, self._total)
