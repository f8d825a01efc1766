"""The CatBoost surrogate of a table: scores of trainings and of any epoch, and training seconds, of every architecture.

Scores come with two kinds of uncertainty, noise and epistemic, which errors on held-out architectures scale (paper 000,
section 3.3, and `uncertainty`). It is fitted in `fit`, and `file` keeps it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs import spaces
from nasbench_evs.arguments import as_path, check_bool, is_int, of_kind, one_of
from nasbench_evs.errors import InvalidQuery, NotRecorded, SurrogateError, shown
from nasbench_evs.metrics import Metric, metric_from_dict
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate.card import read_card
from nasbench_evs.surrogate.ensemble import as_pool, blocks
from nasbench_evs.surrogate.features import Features
from nasbench_evs.surrogate.file import SECONDS, SUMS, read_out_of_fold, read_parts, write_parts
from nasbench_evs.surrogate.fit import fit
from nasbench_evs.surrogate.noise import standard_normal
from nasbench_evs.surrogate.reference import Reference, read_reference
from nasbench_evs.surrogate.sidecar import OUT_OF_FOLD, check_plausible
from nasbench_evs.surrogate.targets import Parts, Prediction, ScoreTarget, SecondsTarget
from nasbench_evs.tables.format import to_json
from nasbench_evs.tables.table import SPLITS, Table

_BLOCK = 1 << 16  # architectures at a time, so that their features stay in the cache
_REFERENCES = 20
_TOLERANCE = 1e-6


class Surrogate:
    """Predicts what a table would record. Make one with `Surrogate.fit(table)` or `Surrogate.load(folder)`."""

    def __init__(
        self,
        sidecar: Mapping[str, Any],
        targets: Mapping[str, ScoreTarget],
        seconds: SecondsTarget | None,
        out_of_fold: np.ndarray | None = None,
    ) -> None:
        self._sidecar = dict(sidecar)
        self._targets, self._seconds = dict(targets), seconds
        self.space: SearchSpace = spaces.from_spec(sidecar["space"])
        self.dataset: str = sidecar["dataset"]
        self.metric: Metric = metric_from_dict(sidecar)
        self.shape = spaces.shape_from_dict(sidecar["shape"]) if sidecar["shape"] else None
        self.features = Features(self.space, self.shape)
        self._out_of_fold = out_of_fold
        self._folder: Path | None = None

    def __repr__(self) -> str:
        return f"<surrogate of {self.space.name} on {self.dataset}, fitted to {self._sidecar['records']:,} records>"

    @property
    def card(self) -> dict[str, Any]:
        """What the surrogate was fitted to and how far to trust it.

        "metrics" come from fitting; "evaluated" from `nasbench-evs surrogate evaluate`, "searches" from `surrogate
        fidelity`, if they were run for this table. SurrogateError if its card is damaged, or about another table.
        """
        hidden = ("format", "version", "reference", "targets", "seconds", SUMS, OUT_OF_FOLD)
        card = {key: value for key, value in self._sidecar.items() if key not in hidden}
        kept = read_card(self._folder, card["table_sha256"]) if self._folder else None
        if kept is not None:
            card["evaluated"] = kept["splits"]
            card["searches"] = kept.get("searches")
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
        return cls(*fit(table, seed=seed, folds=folds, progress=progress))

    @property
    def splits(self) -> tuple[str, ...]:
        """Whose scores it predicts."""
        return tuple(split for split in SPLITS if split in self._targets)

    @property
    def identity(self) -> str:
        """A hash of what the models in its files are: of another fit it is another one. SurrogateError before it is saved."""
        if "targets" not in self._sidecar:
            raise SurrogateError(f"{self!r} was not saved yet: only what is in files has an identity")
        named = {key: self._sidecar[key] for key in ("space", "features", "table_sha256", "targets")}
        return hashlib.sha256(to_json(named).encode()).hexdigest()

    @cached_property
    def references(self) -> dict[str, Reference]:
        """Of each split the best known mean, by which regret is measured; those that ship with it, read when first asked for.

        SurrogateError if they are damaged, or another surrogate's.
        """
        return read_reference(self._folder, self) if self._folder else {}

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

    def predict_mean(self, choices: np.ndarray, split: str = "valid") -> np.ndarray:
        """The mean alone of `predict`, of trainings without teachers: float64 (N,)."""
        choices = self.space.check(choices)
        ensemble = self._target(split, None).ensemble
        parts = [ensemble.predict(features).mean for features in self._blocks(choices, False)]
        return np.concatenate(parts) if parts else np.empty(0)

    def predict_seconds(self, choices: np.ndarray, *, epoch: int | None = None, distilled: bool = False) -> np.ndarray:
        """Predicted training seconds up to `epoch`, or of the whole training, shape (N,); NaN if the table had none."""
        choices, distilled = self.space.check(choices), check_bool("distilled", distilled)
        self._target("valid", epoch)
        parts = [self._predict_seconds(as_pool(features), epoch) for features in self._blocks(choices, distilled)]
        return np.concatenate(parts) if parts else np.empty(0)

    def predict_all(
        self, choices: np.ndarray, split: str = "valid", *, epoch: int | None = None, distilled: bool = False
    ) -> tuple[Prediction, np.ndarray]:
        """`predict` and `predict_seconds` of the same architectures in one pass."""
        choices = self.space.check(choices)
        if check_bool("distilled", distilled) not in self._sidecar["distilled"]:
            raise NotRecorded(
                f"the surrogate of {self.dataset} saw no training {'with' if distilled else 'without'} teachers: "
                f"use distilled={not distilled}"
            )
        target = self._target(split, epoch)
        parts = []
        for features in self._blocks(choices, distilled):
            pool = as_pool(features)
            parts.append((*target.predict(features, pool, epoch), self._predict_seconds(pool, epoch)))
        if len(parts) == 1:
            columns = list(parts[0])
        else:
            columns = [np.concatenate(part) for part in zip(*parts, strict=True)] if parts else [np.empty(0)] * 4
        return Prediction(*columns[:3]), columns[3]

    def out_of_fold(self, choices: np.ndarray, split: str = "valid") -> np.ndarray:
        """Predicted means of recorded architectures by models that saw no training of them: float64 (N,).

        By such a prediction a search is judged that was shown the trainings themselves. It is about trainings without
        teachers; NaN where all that was left to fit to was equal.
        NotRecorded if the surrogate ships none (nasbench-evs surrogate out-of-fold adds them), for a split that it does not
        predict, and for an architecture that its table does not hold.
        """
        self._target(split, None)
        held = self._read_out_of_fold()
        if held is None:
            raise NotRecorded(
                f"the surrogate of {self.dataset} ships no out-of-fold predictions: add them with "
                "nasbench-evs surrogate out-of-fold TABLE"
            )
        ranks = self.space.rank_many(choices)
        rows = np.minimum(np.searchsorted(held["rank"], ranks), len(held) - 1)
        unknown = np.flatnonzero(held["rank"][rows] != ranks)
        if len(unknown):
            raise NotRecorded(
                f"{self.space.unrank(int(ranks[unknown[0]]))} was in no fold: the table of {self.dataset} that the surrogate was "
                "fitted to does not hold it; ask for recorded architectures, or use predict"
            )
        return held[split][rows].astype(np.float64)

    def _read_out_of_fold(self) -> np.ndarray | None:
        """Read when it is first asked for."""
        if self._out_of_fold is None and self._folder is not None and OUT_OF_FOLD in self._sidecar:
            self._out_of_fold = read_out_of_fold(self._folder, self._sidecar)
        return self._out_of_fold

    def noise(self, choices: np.ndarray, split: str, seed: int, *, distilled: bool = False) -> np.ndarray:
        """Standard normal numbers, shape (N,), that seed `seed` draws for these architectures; the same at every epoch."""
        if not is_int(seed) or seed < 0:
            raise InvalidQuery(f"seed {shown(seed)}: expected an integer of 0 or more")
        one_of("split", split, SPLITS)
        check_bool("distilled", distilled)
        stream = f"{self._sidecar['table_sha256']}/{split}/{int(distilled)}"
        return standard_normal(stream, self.space.rank_many(choices), int(seed))

    def _blocks(self, choices: np.ndarray, distilled: bool) -> Iterator[Any]:
        """The features in blocks that stay in the cache; of a single architecture as a list."""
        if len(choices) == 1:
            yield self.features.one(choices, distilled)
            return
        for block in blocks(len(choices), _BLOCK):
            yield self.features.many(choices[block], distilled)

    def _target(self, split: str, epoch: int | None) -> ScoreTarget:
        if not isinstance(split, str) or split not in self._targets:
            known = ", ".join(s for s in SPLITS if s in self._targets)
            raise NotRecorded(
                f"the surrogate of {self.dataset} predicts no {shown(split)} scores: expected split {known}"
            )
        target = self._targets[split]
        if epoch is not None:
            if target.epochs is None:
                raise NotRecorded(
                    f"the surrogate of {self.dataset} predicts no {split} scores of single epochs: leave epoch out"
                )
            if not is_int(epoch) or not 1 <= epoch <= len(target.epochs.factors):
                raise NotRecorded(f"epoch {shown(epoch)} is not predicted: expected 1 to {len(target.epochs.factors)}")
        return target

    def _predict_seconds(self, features: Any, epoch: int | None) -> np.ndarray:
        if self._seconds is None:
            return np.full(as_pool(features).num_row(), np.nan)
        return self._seconds.predict(features, epoch)

    def check_belongs_to(self, reference_sha256: str, path: str | Path) -> None:
        """SurrogateError unless it was fitted to the table of this `Table.reference_sha256`; `path` is for the message."""
        of_kind("reference_sha256", reference_sha256, str, "a table's reference_sha256", SurrogateError)
        path = shown(str(as_path("path", path)))[1:-1]
        if self._sidecar["table_sha256"] != reference_sha256:
            raise SurrogateError(
                f"the surrogate of {path} was fitted to another table, or to this one before it changed: "
                f"fit it again with nasbench-evs surrogate fit {path} --force, or use source='table'"
            )

    # Files

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write the models and their sidecar as one folder, complete or not at all (OutputError)."""
        choices = self.space.sample_many(_REFERENCES, seed=0, method="uniform")
        reference = {"ranks": self.space.rank_many(choices).tolist(), **self._reference(choices)}
        parts = Parts(self._sidecar, self._targets, self._seconds, self._read_out_of_fold())
        write_parts(as_path("folder", folder), parts, reference, force=force)

    @classmethod
    def load(cls, folder: str | Path) -> Surrogate:
        """Open a saved surrogate; SurrogateError if a file is missing, damaged, or not what the sidecar says."""
        folder = as_path("folder", folder)
        surrogate = cls(*read_parts(folder))
        surrogate._check_reference(folder)
        surrogate._folder = folder
        return surrogate

    def _reference(self, choices: np.ndarray) -> dict[str, list[list[float]]]:
        """What each model predicts for these architectures."""
        features = self.features.many(choices, False)
        pool = as_pool(features)
        found: dict[str, list[list[float]]] = {}
        for name, target in self._targets.items():
            found[name] = [part.tolist() for part in target.predict(features, pool, None)]
            if target.epochs is not None:
                first = target.predict(features, pool, 1)
                found[f"{name}.epochs"] = [part.tolist() for part in first]
        if self._seconds is not None:
            found[SECONDS] = [self._predict_seconds(pool, None).tolist()]
        return found

    def _check_reference(self, folder: Path) -> None:
        reference = self._sidecar["reference"]
        for name, found in self._reference(self.space.unrank_many(reference["ranks"])).items():
            if name in self._targets:
                check_plausible(np.array(found[0]), self.metric, folder / f"{name}.cbm")
            if not np.allclose(found, reference[name], rtol=_TOLERANCE, atol=_TOLERANCE):
                raise SurrogateError(
                    f"{folder / f'{name}.cbm'} does not predict what it did when it was saved: "
                    "this CatBoost reads it differently; fit the surrogate again"
                )
