"""Table: the records of one space on one dataset under one protocol, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.arguments import as_array, as_integers, check_bool, check_int, is_int, known, of_kind, one_of
from nasbench_evs.errors import InvalidQuery, InvalidSpace, NotRecorded, shown
from nasbench_evs.metrics import BLOCKS
from nasbench_evs.spaces import RestrictedSpace, SearchSpace
from nasbench_evs.spaces.space import check_space
from nasbench_evs.tables.canonical import canonical
from nasbench_evs.tables.format import (
    COLUMNS,
    CURVE_OF,
    FORMAT_1,
    FORMAT_VERSION,
    HARDWARE,
    HARDWARE_1,
    KEY,
    MISSING,
    storage_dtype,
    to_json,
)
from nasbench_evs.tables.header import Header
from nasbench_evs.tables.stored import StoredColumns

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("valid", "test")  # that scores are of
_CURVES = tuple(name for name, column in COLUMNS.items() if column.width == "epochs")


class Table:
    """Records in canonical order (by rank, seed, distilled, sampler), column by column, read-only.

    `table["seed"]` is an array of format.COLUMNS; text is UTF-8 bytes, and what no record has reads as missing.
    `valid_score`, `test_score`, `valid_loss` and `test_loss`, float64 (N,), are *the* scores and losses of the trainings: as
    measured at the end, or read from the curves at the best epoch by validation score, as the header's `score_at` says;
    which of them count, `scores` says.
    `columns` holds what a file does; of a file of format 2 each is read when it is first used (TableFormatError if it is
    damaged, or if another file stands there by then), and the table pickles as the file's place; else as its arrays.

    version     the format of the file it was read from; 2 otherwise, which is what is written
    """

    def __init__(
        self,
        header: Header,
        columns: Mapping[str, np.ndarray],
        hardware: Mapping[str, np.ndarray],
        version: int = FORMAT_VERSION,
        hashes: Mapping[str, str] | None = None,
    ) -> None:
        """Takes canonical columns as they are: use `tables.build` to make a table, `tables.read` to open one.

        `hashes` are those of all columns by their paths, for columns that are read only when they are used.
        """
        self.header = header
        self.columns = columns
        self.hardware = dict(hardware)
        self.version = version
        self._hashes = hashes
        self._arrays: dict[str, np.ndarray] = {}
        for array in (*(columns.values() if hashes is None else ()), *self.hardware.values()):
            array.flags.writeable = False

    def __getstate__(self) -> tuple[Any, ...]:
        return self.header, self.columns, self.hardware, self.version, self._hashes

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self.columns["rank"])

    def __getitem__(self, name: str) -> np.ndarray:
        if not isinstance(name, str):
            one_of("column", name, COLUMNS)
        array = self._arrays.get(name)
        if array is None:
            array = self.columns[name] if name in self.columns else self._read_off(name)
            array.flags.writeable = False
            self._arrays[name] = array
        return array

    def _read_off(self, name: str) -> np.ndarray:
        """A column that is not stored: a score at the best epoch, or missing values."""
        column = COLUMNS[one_of("column", name, COLUMNS)]
        if name in CURVE_OF and self.header.score_at != "end":
            return self.at_epoch(CURVE_OF[name], self.best_epoch)
        widths = {None: (), "epochs": (self.epochs,), "blocks": (BLOCKS,)}
        missing = np.array(column.default, storage_dtype(column.kind))
        return np.broadcast_to(missing, (len(self), *widths[column.width]))

    def __repr__(self) -> str:
        return (
            f"<table of {len(self):,} records of {self.header.space.name} on {self.header.dataset}, "
            f"{self.header.metric.name}>"
        )

    @property
    def epochs(self) -> int:
        """Columns of the curves (1 if only best epochs were recorded)."""
        if isinstance(self.columns, StoredColumns):
            return self.columns.shapes["valid_curve"][1]
        return int(self.columns["valid_curve"].shape[1])

    @cached_property
    def best_epoch(self) -> np.ndarray:
        """The best epoch of each record by the curve of validation scores; int32 (N,), from 1; 0 if there is none."""
        score = self.columns["valid_curve"] * self.header.metric.sign
        known = ~np.isnan(score).all(axis=1)
        best = np.zeros(len(self), np.int32)
        best[known] = np.nanargmax(score[known], axis=1) + 1
        return best

    def training(self, row: int) -> str:
        """Which training a record is of, for messages."""
        row = check_int("row", row, 0, len(self) - 1)
        rank, seed = int(self["rank"][row]), int(self["seed"][row])
        return f"{self.header.space.unrank(rank)} (rank {rank}), seed {'not recorded' if seed == MISSING else seed}"

    def at_epoch(self, name: str, epoch: np.ndarray | int) -> np.ndarray:
        """The value of a curve at an epoch (from 1; 0 gives NaN) for every record: float64 (N,)."""
        epoch = as_integers("epoch", epoch, 0, self.epochs)
        if epoch.shape not in ((), (len(self),)):
            raise InvalidQuery(f"epoch of shape {epoch.shape}: expected one, or {len(self)}, one for each record")
        if COLUMNS[one_of("column", name, COLUMNS)].width != "epochs":
            raise InvalidQuery(f"column {name!r} is no curve: expected one of {', '.join(_CURVES)}")
        epoch = np.broadcast_to(epoch, len(self))
        values = self[name][np.arange(len(self)), np.maximum(epoch, 1) - 1].astype(np.float64)
        values[epoch == 0] = np.nan
        return values

    def scores(self, split: str = "valid", epoch: int | None = None, rows: slice = slice(None)) -> np.ndarray:
        """What counts as each training's score, or as its score at an epoch (from 1): float64 (N,), NaN where there is none.

        Whoever compares, averages or fits scores reads them here. A training that failed has none, whatever it was recorded
        to have reached, and what is not finite is none. One that diverged has the best it reached where `score_at` is "best
        epoch". Trainings with teachers are not told apart. InvalidQuery for another split or epoch.
        """
        known("split", split, SPLITS)
        self._check(epoch, rows)
        if epoch is None:
            found = self[f"{split}_score"][rows].astype(np.float64)
        else:
            found = self[f"{split}_curve"][rows, epoch - 1].astype(np.float64)
        found[(self["status"][rows] == b"failed") | ~np.isfinite(found)] = np.nan
        return found

    @cached_property
    def epoch_seconds(self) -> np.ndarray:
        """What a simulated clock reads of each epoch: float32 (N, E), NaN where an epoch did not run.

        CPU seconds of training and of evaluating the curves where a record has them, else wall seconds of training.
        """
        if "cpu_seconds" not in self.columns:
            return self["train_seconds"]
        known = self._on_cpu
        return np.where(known[:, None], self["cpu_seconds"], self["train_seconds"])

    def seconds(self, epoch: int | None = None, rows: slice = slice(None)) -> np.ndarray:
        """What a simulated clock reads of each training up to an epoch, or of the whole: float64 (N,), NaN if unknown.

        The whole includes the CPU seconds of the whole validation split at the end, where they are recorded.
        """
        self._check(epoch, rows)
        spent = self.epoch_seconds[rows, :epoch]
        known = ~np.isnan(spent)
        if known.any():
            total = np.where(known.any(axis=1), np.where(known, spent, 0.0).sum(axis=1, dtype=np.float64), np.nan)
        else:
            total = np.full(len(spent), np.nan)
        if epoch is None and "final_valid_cpu_seconds" in self.columns:
            total += np.where(self._on_cpu[rows], np.nan_to_num(self["final_valid_cpu_seconds"][rows]), 0.0)
        return total

    def _check(self, epoch: int | None, rows: slice) -> None:
        if epoch is not None and (not is_int(epoch) or not 1 <= epoch <= self.epochs):
            raise InvalidQuery(f"epoch {shown(epoch)}: expected 1 to {self.epochs}")
        right = isinstance(rows, slice) and all(
            each is None or is_int(each) for each in (rows.start, rows.stop, rows.step)
        )
        if not right:
            raise InvalidQuery(f"rows = {shown(rows)}: expected a slice of records")

    @cached_property
    def _on_cpu(self) -> np.ndarray:
        """Which records have CPU seconds: bool (N,)."""
        return ~np.isnan(self["cpu_seconds"]).all(axis=1)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """The hash of every column, by its path in the file."""
        if self._hashes is not None:
            return dict(self._hashes)
        stored = [(COLUMNS[name], array) for name, array in self.columns.items()]
        stored += [(column, self.hardware[name]) for name, column in HARDWARE.items()]
        return {column.path: column.sha256(array) for column, array in stored}

    @cached_property
    def content_sha256(self) -> str:
        """A hash of the header's identity and of all records: equal for equal tables, whoever wrote them when."""
        if self.version > 1:
            return self._sha256(self.hashes)
        digest = hashlib.sha256(to_json(self.header.identity).encode())
        arrays = [(COLUMNS[name].stored, self[name]) for name in FORMAT_1]
        for name, array in (*arrays, *((name, self.hardware[name]) for name in HARDWARE_1)):
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data if array.size else b"")
        return digest.hexdigest()

    @cached_property
    def results_sha256(self) -> str:
        """A hash of what was trained and what came out, not of how long it took, where, and by which commit."""
        paths = {column.path for name, column in COLUMNS.items() if column.compared or name in KEY}
        return self._sha256({path: sha256 for path, sha256 in self.hashes.items() if path in paths})

    def _sha256(self, hashes: Mapping[str, str]) -> str:
        return hashlib.sha256(to_json({"header": self.header.identity, "columns": hashes}).encode()).hexdigest()

    @property
    def reference_sha256(self) -> str:
        """What surrogates call the table that they were fitted to: its results; of format 1 the content."""
        return self.results_sha256 if self.version > 1 else self.content_sha256

    def stating(self, verified: str) -> Table:
        """The same records, and in the header one more line of what was verified."""
        of_kind("verified", verified, str, "a line of text")
        header = replace(self.header, verified=tuple(sorted({*self.header.verified, verified})))
        return Table(header, self.columns, self.hardware)

    def select(self, rows: np.ndarray) -> Table:
        """The records at these positions or under this mask."""
        found = as_array(rows)
        if found is None or found.ndim != 1 or found.dtype != bool:
            found = as_integers("rows", [] if found is None and not rows else rows, -len(self), len(self) - 1)
        if found.ndim != 1 or (found.dtype == bool and len(found) != len(self)):
            raise InvalidQuery(f"rows = {shown(rows)}: expected positions of records, or a mask of {len(self)}")
        columns = {name: np.ascontiguousarray(array[found]) for name, array in self.columns.items()}
        return Table(self.header, *canonical(columns, self.hardware), self.version)

    def view(self, space: SearchSpace) -> Table:
        """The records whose architecture is in a view of this table's space (or in a view of one), under its ranks and choices.

        InvalidSpace if it is none, NotRecorded if there are no such records.
        """
        check_space(space)
        whole = self.header.space
        if space == whole:
            return self
        if not isinstance(space, RestrictedSpace):
            raise InvalidSpace(
                f"{shown(space)} is no view of {shown(whole)}: make one with its restrict({{choice: options}})"
            )
        if space.parent != whole:
            return self.view(space.parent).view(space)
        choices, inside = space.from_parent(self["choices"])
        if not inside.any():
            raise NotRecorded(
                f"the table of {self.header.dataset} holds no architecture of {space.name}: use source='surrogate' if one is "
                "fitted, or another dataset"
            )
        columns = {name: array[inside] for name, array in self.columns.items()}
        columns |= {"choices": choices[inside], "rank": space.rank_many(choices[inside])}
        return Table(replace(self.header, space=space), *canonical(columns, self.hardware), self.version)

    def architecture_means(self, split: str, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Choice indices (M, C) of the architectures that have a score, in order of rank, and the mean of each, (M,).

        The mean is over trainings without teachers, of those in the mask `rows` (N,) (None: of all).
        """
        scores = self.scores(split)
        if rows is not None and (not isinstance(rows, np.ndarray) or rows.dtype != bool or rows.shape != (len(self),)):
            raise InvalidQuery(f"rows = {shown(rows)}: expected a mask of the records, bool of shape ({len(self)},)")
        known = ~np.isnan(scores) & (self["distilled"] != 1)
        kept = np.flatnonzero(known if rows is None else known & rows)
        _, first, owner = np.unique(self["rank"][kept], return_index=True, return_inverse=True)
        return self["choices"][kept[first]], np.bincount(owner, scores[kept]) / np.bincount(owner)

    def to_frame(self, *, curves: bool = False) -> pd.DataFrame:
        """Every record as one row of a DataFrame.

        Columns are named as in memory, with `architecture` (the canonical string) before them and `best_epoch` behind.
        `valid_score`, `test_score`, `valid_loss` and `test_loss` are those of the training, `train_loss` of the same
        moment, seconds are summed over the epochs; `curves=True` adds every epoch as `valid_curve.1`, `valid_curve.2`,
        ... and the scores without each block as `valid_blocks.0`, ... What was not recorded is <NA>.
        """
        import pandas as pd

        check_bool("curves", curves)
        space = self.header.space
        frame: dict[str, Any] = {"architecture": space.format_many(self["choices"]), "rank": self["rank"]}
        several: dict[str, Any] = {}
        at_end = self.header.score_at == "end"
        for name, column in COLUMNS.items():
            if name in ("rank", "choices", "avec") or not (name in self.columns or name in CURVE_OF):
                continue
            values = self[name]
            if column.kind == "text":
                frame[name] = np.char.decode(values, "utf-8").astype(object)
            elif column.missing:
                frame[name] = pd.array(values, dtype=f"Int{8 * values.dtype.itemsize}")
                frame[name][values == MISSING] = pd.NA
            elif column.width is None:
                frame[name] = values
            elif column.unit == "s":
                known = ~np.isnan(values).all(axis=1)
                frame[name] = np.where(known, np.nansum(values, axis=1, dtype=np.float64), np.nan)
            elif name == "train_loss":
                frame[name] = self.at_epoch(name, np.maximum(self["epochs_run"], 0) if at_end else self.best_epoch)
            if curves and values.ndim == 2:
                first = 1 if column.width == "epochs" else 0
                several |= {f"{name}.{i + first}": values[:, i] for i in range(values.shape[1])}
        best = pd.array(self.best_epoch, dtype="Int32")
        best[(self.best_epoch == 0) | (self.header.curves == "best") | at_end] = pd.NA
        frame["best_epoch"] = best
        return pd.DataFrame(frame | several)
