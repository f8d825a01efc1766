"""The CatBoost surrogate of a table: score and training seconds of every architecture, noise apart from knowledge.

Scores are fitted with `RMSEWithUncertainty` and posterior sampling (paper 000, section 3.3; Malinin et al. 2021): the
predicted variance is noise (what another seed would give), the spread of the virtual ensemble is knowledge (what more
records would teach). Models are `.cbm` files with a JSON beside them that says what they belong to; nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import nasbench_evs
from nasbench_evs import spaces
from nasbench_evs.errors import InvalidQuery, NasbenchError, NotRecorded, SurrogateError, one_line
from nasbench_evs.files import replacing
from nasbench_evs.metrics import Metric, metric
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate.noise import standard_normal
from nasbench_evs.tables.table import Table, to_json

if TYPE_CHECKING:
    from catboost import CatBoostRegressor

FORMAT_NAME = "nasbench-evs surrogate"
FORMAT_VERSION = 1
SIDECAR = "surrogate.json"
FEATURES = "avec, distilled"  # the columns a model sees, in order
SCORES = ("valid", "test")
SECONDS = "seconds"
MIN_RECORDS = 20
MIN_ARCHITECTURES = 5

_ENSEMBLE = 10
_BLOCK = 1 << 16
_NORMAL_80 = 1.2815515655446004  # 80 % of a normal distribution lie within this many standard deviations
_REFERENCES = 20
_TOLERANCE = 1e-6
_SCORE_LOSS = "RMSEWithUncertainty"
_SECONDS_LOSS = "RMSE"
_PARAMETERS = {"iterations": 200, "depth": 6, "learning_rate": 0.05}


class Prediction(NamedTuple):
    """Arrays of shape (N,): the predicted mean over seeds, and two kinds of uncertainty as standard deviations."""

    mean: np.ndarray
    noise_std: np.ndarray
    knowledge_std: np.ndarray


@dataclass(frozen=True)
class _Target:
    """One fitted model, the standardisation of what it predicts (for seconds, of their logarithm), and the factor on
    the noise that makes 80 % intervals cover 80 % of held-out scores."""

    model: CatBoostRegressor
    mean: float
    scale: float
    noise_factor: float = 1.0


class Surrogate:
    """Predicts what a table would record. Make one with `Surrogate.fit(table)` or `Surrogate.load(folder)`."""

    def __init__(self, sidecar: Mapping[str, Any], targets: Mapping[str, _Target]) -> None:
        self._sidecar = dict(sidecar)
        self._targets = dict(targets)
        self.space: SearchSpace = spaces.from_spec(sidecar["space"])
        self.dataset: str = sidecar["dataset"]
        self.metric: Metric = metric(sidecar["metric"])
        self.shape = spaces.shape_from_dict(sidecar["shape"]) if sidecar["shape"] else None

    def __repr__(self) -> str:
        return f"<surrogate of {self.space.name} on {self.dataset}, fitted to {self._sidecar['records']:,} records>"

    @property
    def card(self) -> dict[str, Any]:
        """What the surrogate was fitted to and how well it predicts held-out architectures."""
        hidden = ("format", "version", "reference", "targets")
        return {key: value for key, value in self._sidecar.items() if key not in hidden}

    @classmethod
    def fit(
        cls, table: Table, *, seed: int = 0, folds: int = 5, progress: Callable[[int, int], None] | None = None
    ) -> Surrogate:
        """Fit to all records of a table that have a score.

        `folds` folds over architectures (all seeds of one in the same fold) give the card's Kendall tau and mean
        absolute error, and scale the noise, which CatBoost underestimates on records it has seen,
        to what it is on records it has not. Same table, seed and CatBoost: same predictions. `progress(done, total)` is
        called after every model.
        SurrogateError if there are fewer than MIN_RECORDS scored records or their scores are all equal.
        """
        import catboost

        folds, seed = _integer("folds", folds, 2), _integer("seed", seed, 0)
        features = _features(table.header.space, table["choices"], table["distilled"] == 1)
        outcomes = _outcomes(table)
        valid = outcomes["valid"]
        scored = ~np.isnan(valid)
        architectures = len(np.unique(table["rank"][scored]))
        if scored.sum() < MIN_RECORDS or architectures < MIN_ARCHITECTURES or np.ptp(valid[scored]) == 0:
            raise SurrogateError(
                f"the table of {table.header.dataset} has {int(scored.sum())} scored records of {architectures} "
                f"architectures with {len(np.unique(valid[scored]))} distinct scores: expected at least {MIN_RECORDS} "
                f"records of {MIN_ARCHITECTURES} architectures, with scores that are not all equal"
            )
        fitted = {
            name: values
            for name, values in outcomes.items()
            if (~np.isnan(values)).sum() >= MIN_RECORDS and np.nanmax(values) > np.nanmin(values)
        }
        models = sum(1 + folds * (name in SCORES) for name in fitted)
        step = _Steps(models, progress)
        targets, metrics = {}, {}
        for name, values in fitted.items():
            known = ~np.isnan(values)
            target = _fit_target(name, features[known], values[known], seed)
            step()
            if name in SCORES:
                held_out = _held_out(features[known], values[known], table["rank"][known], seed, folds, step)
                target = replace(target, noise_factor=held_out.noise_factor)
                metrics[name] = held_out.metrics
            targets[name] = target
        sidecar = {
            "format": FORMAT_NAME,
            "version": FORMAT_VERSION,
            "space": table.header.space.spec,
            "dataset": table.header.dataset,
            "metric": table.header.metric.name,
            "shape": table.header.protocol.get("shape"),
            "features": FEATURES,
            "table_sha256": table.content_sha256,
            "records": int(scored.sum()),
            "architectures": architectures,
            "fitted": datetime.now(UTC).isoformat(timespec="seconds"),
            "distilled": sorted({bool(d) for d in table["distilled"][scored] == 1}),
            "seed": seed,
            "parameters": _PARAMETERS,
            "libraries": {"catboost": catboost.__version__, "nasbench-evs": nasbench_evs.__version__},
            "metrics": metrics,
        }
        return cls(sidecar, targets)

    # Predicting

    def predict(self, choices: np.ndarray, split: str = "valid", *, distilled: bool = False) -> Prediction:
        """Predicted scores at the best epoch of valid choice indices (N, C); NotRecorded for a split not fitted."""
        if distilled not in self._sidecar["distilled"]:
            raise NotRecorded(
                f"the surrogate of {self.dataset} saw no training {'with' if distilled else 'without'} teachers: "
                f"use distilled={not distilled}"
            )
        target = self._target(split)
        parts = [_predict(target, features) for features in _blocks(self.space, choices, distilled)]
        return parts[0] if len(parts) == 1 else Prediction(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def predict_seconds(self, choices: np.ndarray, *, distilled: bool = False) -> np.ndarray:
        """Predicted training seconds, shape (N,); NaN if the table had none."""
        if SECONDS not in self._targets or not len(choices):
            return np.full(len(choices), np.nan)
        target = self._targets[SECONDS]
        logarithms = [
            np.atleast_1d(target.model.predict(features, thread_count=_threads(features)))
            for features in _blocks(self.space, choices, distilled)
        ]
        return np.exp(np.concatenate(logarithms) * target.scale + target.mean)

    def noise(self, choices: np.ndarray, split: str, seed: int, *, distilled: bool = False) -> np.ndarray:
        """Standard normal numbers, shape (N,), that seed `seed` draws for these architectures."""
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise InvalidQuery(f"seed {seed!r}: expected an integer of 0 or more")
        stream = f"{self._sidecar['table_sha256']}/{split}/{int(distilled)}"
        return standard_normal(stream, self.space.rank_many(choices), int(seed))

    def _target(self, split: str) -> _Target:
        if split not in self._targets:
            known = ", ".join(s for s in SCORES if s in self._targets)
            raise NotRecorded(f"the surrogate of {self.dataset} predicts no {split} scores: expected split {known}")
        return self._targets[split]

    def check_belongs_to(self, content_sha256: str, path: str | Path) -> None:
        """SurrogateError unless it was fitted to the table with this content hash; `path` is for the message."""
        if self._sidecar["table_sha256"] != content_sha256:
            raise SurrogateError(
                f"the surrogate of {path} was fitted to another table, or to this one before it changed: "
                f"fit it again with nasbench-evs surrogate fit {path} --force, or use source='table'"
            )

    # Files

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write the models and their sidecar as one folder, complete or not at all (OutputError)."""
        reference = self._reference_choices()
        sidecar = {**self._sidecar, "targets": {}, "reference": {"ranks": self.space.rank_many(reference).tolist()}}
        with replacing(Path(folder), force=force, marker=SIDECAR) as scratch:
            scratch.mkdir()
            for name, target in self._targets.items():
                file = scratch / f"{name}.cbm"
                target.model.save_model(str(file))
                sidecar["targets"][name] = {
                    "file": file.name,
                    "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                    "loss": _loss(name),
                    "mean": target.mean,
                    "scale": target.scale,
                    "noise_factor": target.noise_factor,
                }
                sidecar["reference"][name] = self._reference(name, reference)
            sidecar["sha256"] = hashlib.sha256(to_json(sidecar).encode()).hexdigest()
            (scratch / SIDECAR).write_text(json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Surrogate:
        """Open a saved surrogate; SurrogateError if a file is missing, damaged, or not what the sidecar says."""
        from catboost import CatBoostError, CatBoostRegressor

        folder = Path(folder)
        sidecar = _read_sidecar(folder)
        targets = {}
        for name, entry in sidecar["targets"].items():
            file = folder / f"{name}.cbm"
            try:
                content = file.read_bytes()
            except OSError as error:
                raise SurrogateError(f"cannot open {file}: {error.strerror}; fit the surrogate again") from None
            if hashlib.sha256(content).hexdigest() != entry["sha256"]:
                raise SurrogateError(f"{file} is damaged or was replaced: it does not match the hash in {SIDECAR}")
            model = CatBoostRegressor()
            try:
                model.load_model(blob=content)
                loss = model.get_all_params().get("loss_function")
            except CatBoostError as error:
                raise SurrogateError(f"{file} is no CatBoost model: {one_line(error)}") from None
            if loss != _loss(name):
                raise SurrogateError(f"{file} is a model for {loss}: expected {_loss(name)}")
            targets[name] = _Target(model, entry["mean"], entry["scale"], entry["noise_factor"])
        surrogate = cls(sidecar, targets)
        surrogate._check_reference(folder)
        return surrogate

    def _reference_choices(self) -> np.ndarray:
        return self.space.sample_many(_REFERENCES, seed=0, method="uniform")

    def _reference(self, name: str, choices: np.ndarray) -> list[list[float]]:
        parts = [self.predict_seconds(choices)] if name == SECONDS else self.predict(choices, name)
        return [part.tolist() for part in parts]

    def _check_reference(self, folder: Path) -> None:
        reference = self._sidecar["reference"]
        choices = self.space.unrank_many(reference["ranks"])
        for name in self._targets:
            if not np.allclose(self._reference(name, choices), reference[name], rtol=_TOLERANCE, atol=_TOLERANCE):
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
        if sidecar["features"] != FEATURES:
            raise SurrogateError(f"{path} has the features {sidecar['features']!r}: expected {FEATURES!r}")
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


def _features(space: SearchSpace, choices: np.ndarray, distilled: bool | np.ndarray) -> np.ndarray:
    """FEATURES as float32, shape (N, avec_bits + 1), column-major (which CatBoost reads twice as fast)."""
    features = np.empty((len(choices), space.avec_bits + 1), np.float32, order="F")
    space.encode_into(choices, features)
    features[:, -1] = distilled
    return features


def _outcomes(table: Table) -> dict[str, np.ndarray]:
    """What is fitted, each of shape (N,), NaN where a record has none."""
    outcomes = {split: table.at_epoch(f"{split}_score", table.best_epoch) for split in SCORES}
    failed = table["status"] == b"failed"
    for values in outcomes.values():
        values[failed | ~np.isfinite(values)] = np.nan
    spent = table["train_seconds"]
    seconds = np.asarray(np.nansum(spent, axis=1, dtype=np.float64))
    whole = (table["status"] == b"ok") & ~np.isnan(spent).all(axis=1) & (seconds > 0) & np.isfinite(seconds)
    outcomes[SECONDS] = np.full(len(table), np.nan)
    outcomes[SECONDS][whole] = np.log(seconds[whole])
    return outcomes


def _integer(name: str, value: int, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value < 2**31:
        raise InvalidQuery(f"{name} = {value!r}: expected an integer from {low} to 2147483647")
    return int(value)


def _loss(name: str) -> str:
    return _SECONDS_LOSS if name == SECONDS else _SCORE_LOSS


def _fit_target(name: str, features: np.ndarray, values: np.ndarray, seed: int) -> _Target:
    from catboost import CatBoostError, CatBoostRegressor

    mean, scale = float(values.mean()), float(values.std())
    model = CatBoostRegressor(
        **_PARAMETERS,
        loss_function=_loss(name),
        posterior_sampling=name != SECONDS,
        random_seed=seed,
        thread_count=1,  # the fit depends on it
        verbose=False,
        allow_writing_files=False,
    )
    try:
        model.fit(features, (values - mean) / scale)
    except CatBoostError as error:
        raise SurrogateError(f"CatBoost cannot fit {name}: {one_line(error)}") from None
    return _Target(model, mean, scale)


def _blocks(space: SearchSpace, choices: np.ndarray, distilled: bool) -> Iterator[Any]:
    """The features in blocks that stay in the cache; of a single architecture as a list, CatBoost's fastest way in."""
    if len(choices) == 1:
        yield [*space.encode_row(choices[0]), int(distilled)]
        return
    for start in range(0, max(len(choices), 1), _BLOCK):
        yield _features(space, choices[start : start + _BLOCK], distilled)


def _threads(features: Any) -> int:
    """Threads to predict with: small batches are not worth waking others up."""
    return 1 if len(features) < _BLOCK // 8 else -1


def _predict(target: _Target, features: Any) -> Prediction:
    if not len(features):
        return Prediction(*(np.empty(0) for _ in Prediction._fields))
    parts = target.model.virtual_ensembles_predict(
        features,
        prediction_type="TotalUncertainty",
        virtual_ensembles_count=_ENSEMBLE,
        thread_count=_threads(features),
    )
    mean, knowledge, noise = np.asarray(parts).reshape(-1, 3).T
    return Prediction(
        mean * target.scale + target.mean,
        np.sqrt(np.maximum(noise, 0.0)) * (target.scale * target.noise_factor),
        np.sqrt(np.maximum(knowledge, 0.0)) * target.scale,
    )


class _HeldOut(NamedTuple):
    metrics: dict[str, float | int | None]
    noise_factor: float


class _Steps:
    """Counts fitted models for a progress report."""

    def __init__(self, total: int, report: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._report = 0, total, report

    def __call__(self) -> None:
        self._done += 1
        if self._report is not None:
            self._report(self._done, self._total)


def _held_out(
    features: np.ndarray, values: np.ndarray, ranks: np.ndarray, seed: int, folds: int, step: Callable[[], None]
) -> _HeldOut:
    """How predictions of held-out architectures compare with their records."""
    from scipy.stats import kendalltau

    distinct, group = np.unique(ranks, return_inverse=True)
    folds = min(folds, len(distinct))
    fold = (np.random.default_rng(seed).permutation(len(distinct)) % folds)[group]
    predictions = np.full((3, len(values)), np.nan)
    taus = []
    for i in range(folds):
        train, test = fold != i, fold == i
        if np.ptp(values[train]) == 0:
            continue
        predictions[:, test] = _predict(_fit_target(SCORES[0], features[train], values[train], seed), features[test])
        if len(np.unique(values[test])) > 1 and len(np.unique(predictions[0, test])) > 1:
            taus.append(kendalltau(predictions[0, test], values[test]).statistic)
        step()
    mean, noise, knowledge = predictions
    error = np.abs(mean - values)
    standardised = error / np.hypot(noise, knowledge)
    factor = float(np.nanquantile(standardised, 0.8) / _NORMAL_80)
    metrics: dict[str, float | int | None] = {
        "folds": folds,
        "kendall_tau": round(float(np.mean(taus)), 4) if taus else None,
        "mean_absolute_error": float(np.nanmean(error)),
        "coverage_80_before_noise_factor": round(float(np.mean(standardised < _NORMAL_80)), 4),
    }
    return _HeldOut(metrics, factor)
