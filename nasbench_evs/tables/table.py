"""Table: the records of one space on one dataset under one protocol, in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs import spaces
from nasbench_evs.errors import InvalidQuery, InvalidSpace, NotRecorded, TableFormatError
from nasbench_evs.metrics import BLOCKS, RANGE, Metric, metric_from_dict, own_metric
from nasbench_evs.spaces import RestrictedSpace, SearchSpace
from nasbench_evs.tables.format import (
    COLUMNS,
    CURVE_OF,
    FINAL,
    FORMAT_1,
    FORMAT_NAME,
    FORMAT_VERSION,
    HARDWARE,
    HARDWARE_1,
    KEY,
    METRIC_RANGE,
    MISSING,
    SCORE_AT,
    Column,
    storage_dtype,
)
from nasbench_evs.version import __version__

if TYPE_CHECKING:
    import pandas as pd

CURVES = ("epochs", "best")
SPLITS = ("valid", "test")  # that scores are of


@dataclass(frozen=True)
class Header:
    """What all records of a table share; tables merge only if all but created, library, code and verified agree."""

    space: SearchSpace
    dataset: str
    fingerprint: str  # of the prepared dataset and its split; says so where it is unknown
    protocol: dict[str, Any]  # everything but architecture and seed that decides a training
    metric: Metric
    curves: str = "epochs"  # see format.ATTRIBUTES
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    library: str = f"nasbench-evs {__version__}"
    code: str = __version__
    verified: tuple[str, ...] = ()  # which machines trained some of their records again, and that they came out exactly

    def __post_init__(self) -> None:
        for name, kind in (("space", SearchSpace), ("protocol", dict), ("metric", Metric), ("dataset", str)):
            if not isinstance(getattr(self, name), kind):
                raise TableFormatError(f"header: {name} is {getattr(self, name)!r}, expected a {kind.__name__}")
        if self.curves not in CURVES:
            raise TableFormatError(f"header: curves is {self.curves!r}, expected one of {', '.join(CURVES)}")
        try:
            own_metric(*self.metric)
        except InvalidQuery as error:
            raise TableFormatError(f"header: {error}") from None
        try:  # as a file gives it back: lists for tuples, text for keys
            object.__setattr__(self, "protocol", json.loads(to_json(self.protocol)))
        except (TypeError, ValueError) as error:
            raise TableFormatError(f"header: the protocol is not what JSON can hold: {error}") from None
        if self.score_at not in SCORE_AT:
            raise TableFormatError(
                f"header: the protocol has score_at = {self.score_at!r}, expected one of {', '.join(SCORE_AT)}"
            )

    @property
    def score_at(self) -> str:
        """Where a training's score is read: "best epoch" by validation score, or "end", after the last step."""
        return self.protocol.get("score_at", SCORE_AT[0])

    @property
    def identity(self) -> dict[str, Any]:
        """The parts that decide whether two tables may be merged, as JSON holds them."""
        return {
            "space": self.space.spec,
            "dataset": self.dataset,
            "dataset fingerprint": self.fingerprint,
            "protocol": self.protocol,
            **self.metric.to_dict(),
            "curves": self.curves,
        }

    @property
    def shape(self) -> spaces.SequenceShape | spaces.VectorShape | None:
        """The protocol's input shape and widths, from which costs follow; None if it does not say."""
        return spaces.shape_from_dict(self.protocol["shape"]) if self.protocol.get("shape") else None

    def attributes(self) -> dict[str, str]:
        """The root attributes of the file that are about the header: no version, optional columns or hashes."""
        own = self.metric.to_dict().get(RANGE)
        return ({} if own is None else {METRIC_RANGE: to_json(own)}) | {
            "format": FORMAT_NAME,
            "space_json": to_json(self.space.spec),
            "dataset": self.dataset,
            "dataset_fingerprint": self.fingerprint,
            "protocol_json": to_json(self.protocol),
            "metric": self.metric.name,
            "direction": self.metric.direction,
            "curves": self.curves,
            "score_at": self.score_at,
            "created": self.created,
            "library": self.library,
            "code": self.code,
            "verified_json": to_json(self.verified),
        }

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, str]) -> Header:
        """The header that `attributes` wrote."""
        described: dict[str, Any] = {"metric": attributes["metric"], "direction": attributes["direction"]}
        if METRIC_RANGE in attributes:
            described[RANGE] = json.loads(attributes[METRIC_RANGE])
        protocol = json.loads(attributes["protocol_json"])
        if not isinstance(protocol, dict):
            raise TableFormatError(f"protocol {protocol!r} is no JSON object")
        header = cls(
            space=spaces.from_spec(json.loads(attributes["space_json"])),
            dataset=attributes["dataset"],
            fingerprint=attributes["dataset_fingerprint"],
            protocol=protocol,
            metric=metric_from_dict(described),
            curves=attributes["curves"],
            created=attributes["created"],
            library=attributes["library"],
            code=attributes["code"],
            verified=tuple(map(str, json.loads(attributes.get("verified_json", "[]")))),
        )
        if attributes.get("score_at", header.score_at) != header.score_at:
            raise TableFormatError(f"score_at {attributes['score_at']!r}: the protocol has {header.score_at!r}")
        return header


class Table:
    """Records in canonical order (by rank, seed, distilled, sampler), column by column, read-only.

    `table["seed"]` is an array of format.COLUMNS; text is UTF-8 bytes, and what no record has reads as missing.
    `valid_score`, `test_score`, `valid_loss` and `test_loss`, float64 (N,), are *the* scores and losses of the trainings: as
    measured at the end, or read from the curves at the best epoch by validation score, as the header's `score_at` says;
    which of them count, `scores` says.
    `columns` holds what a file does. Pickles as its arrays.

    version     the format of the file it was read from; 2 otherwise, which is what is written
    """

    def __init__(
        self,
        header: Header,
        columns: Mapping[str, np.ndarray],
        hardware: Mapping[str, np.ndarray],
        version: int = FORMAT_VERSION,
    ) -> None:
        """Takes canonical columns as they are: use `Table.build` to make a table, `tables.read` to open one."""
        self.header = header
        self.columns = dict(columns)
        self.hardware = dict(hardware)
        self.version = version
        self._not_stored: dict[str, np.ndarray] = {}
        for array in (*self.columns.values(), *self.hardware.values()):
            array.flags.writeable = False

    @classmethod
    def build(
        cls,
        header: Header,
        *,
        choices: np.ndarray,
        machines: Sequence[Mapping[str, Any]] = (),
        **columns: Any,
    ) -> Table:
        """A table from choice indices (N, C) and any of the other columns; what is not given is missing.

        A column is one value for all records, or an array of exactly its shape; masked entries are missing. Curves
        (`valid_curve`, `train_loss`, ...) are (N, E) with one E for all, blocks (N, 10). rank and avec follow from the
        choices. `valid_score` and what else is measured at the end goes with a protocol whose `score_at` is "end".
        `machines` lists what the hardware column refers to (cpu, gpu, threads, versions, family, model,
        instruction_set). The table is what `verify` accepts, or a TableFormatError.
        """
        space = header.space
        choices = np.asarray(space.check(choices))
        n = len(choices)
        if n == 0:
            raise TableFormatError("a table needs at least one record")
        unknown = set(columns) - set(COLUMNS) | set(columns) & {"rank", "avec"}
        if unknown:
            raise TableFormatError(
                f"no such columns: {', '.join(sorted(unknown))}; expected some of {', '.join(COLUMNS)}"
            )
        final = [name for name in FINAL if name in columns]
        if final and header.score_at != "end":
            raise TableFormatError(
                f"{final[0]} is measured at the end, but the protocol's score_at is {header.score_at!r}: give "
                f'{CURVE_OF.get(final[0], "curves")}, shape (N, epochs), or a protocol with score_at "end"'
            )
        columns.setdefault("status", "ok")
        epochs = {
            _epochs(column, columns[name])
            for name, column in COLUMNS.items()
            if column.width == "epochs" and name in columns
        }
        if len(epochs) > 1:
            raise TableFormatError(f"curves have {' and '.join(map(str, sorted(epochs)))} epochs: expected one length")
        widths = {"choices": len(space.choices), "bits": space.avec_bits, "blocks": BLOCKS}
        widths["epochs"] = next(iter(epochs), 1)
        full: dict[str, np.ndarray] = {}
        for name, column in COLUMNS.items():
            if name == "choices":
                full[name] = choices
            elif name == "rank":
                full[name] = space.rank_many(choices)
            elif name == "avec":
                full[name] = space.encode_many(choices)
            elif name in columns or not column.optional:
                full[name] = _column(column, columns.get(name, column.default), n, widths)
        for machine in machines:
            if set(machine) - set(HARDWARE):
                raise TableFormatError(
                    f"machine {dict(machine)} has unknown keys: expected some of {', '.join(HARDWARE)}"
                )
        hardware = {
            name: _column(column, [row.get(name, column.default) for row in machines], len(machines), {})
            for name, column in HARDWARE.items()
        }
        table = cls(header, *canonical(full, hardware))
        twice = np.flatnonzero(same_key_as_previous(table.columns))
        if len(twice):
            raise TableFormatError(f"two records of one training: {table.training(int(twice[0]))}")
        from nasbench_evs.tables.verify import verify

        verify(table)
        return table

    def __getstate__(self) -> tuple[Any, ...]:
        return self.header, self.columns, self.hardware, self.version

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self.columns["rank"])

    def __getitem__(self, name: str) -> np.ndarray:
        array = self.columns.get(name)
        if array is None:
            array = self._not_stored.get(name)
        if array is None:
            array = self._not_stored[name] = self._read_off(name)
            array.flags.writeable = False
        return array

    def _read_off(self, name: str) -> np.ndarray:
        """A column that is not stored: a score at the best epoch, or missing values."""
        column = COLUMNS[name]
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
        rank, seed = int(self["rank"][row]), int(self["seed"][row])
        return f"{self.header.space.unrank(rank)} (rank {rank}), seed {'not recorded' if seed == MISSING else seed}"

    def at_epoch(self, name: str, epoch: np.ndarray | int) -> np.ndarray:
        """The value of a curve at an epoch (from 1; 0 gives NaN) for every record: float64 (N,)."""
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
        if split not in SPLITS:
            raise InvalidQuery(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
        if epoch is None:
            found = self[f"{split}_score"][rows].astype(np.float64)
        elif 1 <= epoch <= self.epochs:
            found = self[f"{split}_curve"][rows, epoch - 1].astype(np.float64)
        else:
            raise InvalidQuery(f"epoch {epoch!r}: expected 1 to {self.epochs}")
        found[(self["status"][rows] == b"failed") | ~np.isfinite(found)] = np.nan
        return found

    @cached_property
    def epoch_seconds(self) -> np.ndarray:
        """What a simulated clock reads of each epoch: float32 (N, E), NaN where an epoch did not run.

        CPU seconds of training and of evaluating the curves where a record has them, else wall seconds of training.
        """
        known = self._on_cpu
        if not known.any():
            return self["train_seconds"]
        return np.where(known[:, None], self["cpu_seconds"], self["train_seconds"])

    def seconds(self, epoch: int | None = None, rows: slice = slice(None)) -> np.ndarray:
        """What a simulated clock reads of each training up to an epoch, or of the whole: float64 (N,), NaN if unknown.

        The whole includes the CPU seconds of the whole validation split at the end, where they are recorded.
        """
        spent = self.epoch_seconds[rows, :epoch]
        total = np.where(np.isnan(spent).all(axis=1), np.nan, np.nansum(spent, axis=1, dtype=np.float64))
        if epoch is None and "final_valid_cpu_seconds" in self.columns:
            total += np.where(self._on_cpu[rows], np.nan_to_num(self["final_valid_cpu_seconds"][rows]), 0.0)
        return total

    @cached_property
    def _on_cpu(self) -> np.ndarray:
        """Which records have CPU seconds: bool (N,)."""
        return ~np.isnan(self["cpu_seconds"]).all(axis=1)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """The hash of every column, by its path in the file."""
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
        header = replace(self.header, verified=tuple(sorted({*self.header.verified, verified})))
        return Table(header, self.columns, self.hardware)

    def select(self, rows: np.ndarray) -> Table:
        """The records at these positions or under this mask."""
        columns = {name: np.ascontiguousarray(array[rows]) for name, array in self.columns.items()}
        return Table(self.header, *canonical(columns, self.hardware), self.version)

    def view(self, space: SearchSpace) -> Table:
        """The records whose architecture is in a view of this table's space (or in a view of one), under its ranks and choices.

        InvalidSpace if it is none, NotRecorded if there are no such records.
        """
        whole = self.header.space
        if space == whole:
            return self
        if not isinstance(space, RestrictedSpace):
            raise InvalidSpace(f"{space!r} is no view of {whole!r}: make one with its restrict({{choice: options}})")
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

    def to_frame(self, *, curves: bool = False) -> pd.DataFrame:
        """Every record as one row of a DataFrame.

        Columns are named as in memory, with `architecture` (the canonical string) before them and `best_epoch` behind.
        `valid_score`, `test_score`, `valid_loss` and `test_loss` are those of the training, `train_loss` of the same
        moment, seconds are summed over the epochs; `curves=True` adds every epoch as `valid_curve.1`, `valid_curve.2`,
        ... and the scores without each block as `valid_blocks.0`, ... What was not recorded is <NA>.
        """
        import pandas as pd

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


def to_json(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def record_order(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """The order of records by key: indices (N,)."""
    return np.lexsort(
        (columns["distilled"], columns["sampler"], columns["distilled"] == 1, columns["seed"], columns["rank"])
    )


def same_key_as_previous(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """For sorted records, whether each has the key of the one before it: bool (N,), the first False."""
    same = np.zeros(len(columns["rank"]), bool)
    rank, seed, sampler, taught = (*(columns[name] for name in ("rank", "seed", "sampler")), columns["distilled"] == 1)
    same[1:] = (rank[1:] == rank[:-1]) & (seed[1:] == seed[:-1]) & (taught[1:] == taught[:-1])
    same[1:] &= (seed[1:] != MISSING) | (sampler[1:] == sampler[:-1])
    return same


def _epochs(column: Column, values: Any) -> int:
    try:
        shape = np.shape(values)
    except ValueError:
        shape = ()
    if len(shape) != 2 or shape[1] < 1:
        raise TableFormatError(
            f"column {column.path}: expected a curve per record, shape (N, epochs), got shape {shape}"
        )
    return int(shape[1])


def _column(column: Column, values: Any, n: int, widths: Mapping[str, int]) -> np.ndarray:
    dtype = storage_dtype(column.kind)
    shape = (n,) if column.width is None else (n, widths[column.width])
    try:
        if column.kind == "text":
            texts = [values] * n if isinstance(values, str | bytes) else list(values)
            array = np.array([_utf8(text) for text in texts], "S") if n else np.zeros(0, "S1")
            array = array.astype(f"S{max(array.dtype.itemsize, 1)}")
        else:
            if isinstance(values, np.ma.MaskedArray):
                mask = np.ma.getmaskarray(values)
                values = np.array(values.data, dtype)
                values[mask] = column.default
            given = np.asarray(values)
            if dtype.kind in "iu" and given.size and given.dtype.kind not in "iub":
                raise TypeError("expected integers")
            if given.ndim:
                if given.shape != shape:
                    raise ValueError(f"shape {given.shape}, expected {shape}, or one value for all records")
                array = given.astype(dtype)
            else:
                array = np.full(shape, given.astype(dtype))
            if dtype.kind in "iu" and (array != given).any():
                raise OverflowError(f"values do not fit {dtype}")
        if array.shape != shape:
            raise ValueError(f"shape {array.shape}, expected {shape}")
    except (TypeError, ValueError, OverflowError) as error:
        raise TableFormatError(f"column {column.path}: {error}") from None
    return array


def _utf8(text: Any) -> bytes:
    if isinstance(text, bytes):
        text.decode()  # a UnicodeDecodeError is a ValueError
        return bytes(text)
    if not isinstance(text, str) or "\0" in text:
        raise TypeError(f"expected text, got {text!r}")
    return text.encode()


def canonical(
    columns: dict[str, np.ndarray], hardware: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Sorted records, shortest text, one NaN, one zero, only what is used and recorded: equal tables, equal bytes."""
    rows = list(zip(*(hardware[name].tolist() for name in HARDWARE), strict=True))
    index = columns["hardware"]
    if len(index) and not (index.min() >= MISSING and index.max() < len(rows)):
        raise TableFormatError(f"training/hardware refers to machine {index.max()}, of {len(rows)} listed")
    used = sorted({rows[i] for i in np.unique(index) if i != MISSING})
    renumber = np.array([used.index(row) if row in used else MISSING for row in rows] + [MISSING], np.int32)
    columns = {**columns, "hardware": renumber[index]}
    machines = {
        name: np.array([row[i] for row in used], storage_dtype(column.kind) if column.kind != "text" else "S")
        if used
        else np.zeros(0, storage_dtype(column.kind))
        for i, (name, column) in enumerate(HARDWARE.items())
    }
    order = record_order(columns)
    for name, array in columns.items():
        array = array[order]
        if array.dtype.kind == "S":
            array = array.astype(f"S{max(1, int(np.char.str_len(array).max(initial=1)))}")
        elif array.dtype.kind == "f":
            array = np.where(np.isnan(array), array.dtype.type(np.nan), array + 0)
        columns[name] = np.ascontiguousarray(array)
    return {name: array for name, array in columns.items() if recorded(name, array)}, machines


def recorded(name: str, array: np.ndarray) -> bool:
    """Whether a table holds this column: all but optional ones that no record has."""
    if not COLUMNS[name].optional:
        return True
    return bool(array.any() if array.dtype.kind == "S" else not np.isnan(array).all())
