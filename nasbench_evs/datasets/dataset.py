"""Dataset: event sequences in canonical form, ragged columns with a split, prepared once and mapped read-only.

A prepared dataset is a folder: `dataset.json` (schema, fingerprint, where it came from) and one `.npy` file per column.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np

from nasbench_evs.arguments import known
from nasbench_evs.datasets.schema import PADDING, Schema
from nasbench_evs.datasets.split import SPLITS, subset
from nasbench_evs.errors import DatasetError, NasbenchError, one_line, shown
from nasbench_evs.files import replacing, save_array
from nasbench_evs.reader import Source, array_header, check_ordinary

FORMAT_VERSION = 1
MANIFEST = "dataset.json"

# (dtype, shape); S: sequences, E: events, C, R: categorical and real-valued fields, P, Q: those of the profile, I: inputs.
COLUMNS: dict[str, tuple[str, str]] = {
    "ids": ("U", "S"),
    "labels": ("int16", "S"),
    "groups": ("int64", "S"),  # sequences of one owner share it
    "scenarios": ("int16", "S"),  # position in the manifest's scenarios; 0 where there are none
    "split": ("int8", "S"),  # codes of SPLITS
    "full_lengths": ("int32", "S"),  # events before the cut to max_length
    "offsets": ("int64", "S+1"),  # events of sequence i are offsets[i]:offsets[i + 1]
    "time": ("float64", "E"),  # on the dataset's clock, in its time unit
    "categorical": ("int32", "EC"),
    "numerical": ("float32", "ER"),  # raw, NaN where missing
    "profile_categorical": ("int32", "SP"),
    "profile_numerical": ("float32", "SQ"),  # raw, NaN where missing
    "inputs": ("float32", "EI"),  # numerical made ready for a network, with indicators; follows from the others
    "profile_inputs": ("float32", "SQ"),
}
DERIVED = ("inputs", "profile_inputs")


class Batch(NamedTuple):
    """Sequences padded at the end to one length L; zeros where there is no event.

    time (B, L), categorical (B, L, C), inputs (B, L, I), lengths (B,), labels (B,), profile_categorical (B, P),
    profile_inputs (B, Q), rows (B,): positions in the dataset.
    """

    time: np.ndarray
    categorical: np.ndarray
    inputs: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    profile_categorical: np.ndarray
    profile_inputs: np.ndarray
    rows: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Where there is an event: bool (B, L)."""
        return np.arange(self.time.shape[1]) < self.lengths[:, None]


class Dataset:
    """Event sequences with one label each. Columns are attributes; see COLUMNS for their meaning and shapes."""

    ids: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    scenarios: np.ndarray
    split: np.ndarray
    full_lengths: np.ndarray
    offsets: np.ndarray
    time: np.ndarray
    categorical: np.ndarray
    numerical: np.ndarray
    profile_categorical: np.ndarray
    profile_numerical: np.ndarray
    inputs: np.ndarray
    profile_inputs: np.ndarray

    def __init__(
        self,
        schema: Schema,
        columns: Mapping[str, np.ndarray],
        scenario_names: tuple[str, ...] = ("",),
        source: str = "",
    ) -> None:
        self.schema = schema
        self.scenario_names = scenario_names
        self.source = source
        for name in COLUMNS:
            setattr(self, name, columns[name])

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<dataset {self.schema.name}: {len(self):,} sequences, {len(self.time):,} events>"

    @property
    def lengths(self) -> np.ndarray:
        """Events of every sequence, at most max_length: int64 (S,)."""
        return np.diff(self.offsets)

    def rows(self, split: str) -> np.ndarray:
        """Positions of the sequences of a split ("train", "valid", "test")."""
        known("split", split, SPLITS, DatasetError)
        return np.flatnonzero(self.split == SPLITS.index(split))

    def batch(self, rows: np.ndarray, length: int | None = None) -> Batch:
        """These sequences, padded to the longest of them, or to `length`."""
        rows = np.asarray(rows)
        starts, lengths = self.offsets[rows], self.lengths[rows]
        longest = int(lengths.max(initial=1)) if length is None else length
        if lengths.max(initial=0) > longest:
            raise DatasetError(f"a sequence has {lengths.max()} events: cannot be padded to {longest}")
        steps = np.arange(longest)
        mask = steps < lengths[:, None]
        index = np.where(mask, starts[:, None] + steps, 0)
        return Batch(
            time=np.where(mask, self.time[index], 0.0),
            categorical=np.where(mask[..., None], self.categorical[index], 0),
            inputs=np.where(mask[..., None], self.inputs[index], np.float32(0)),
            lengths=lengths,
            labels=self.labels[rows].astype(np.int64),
            profile_categorical=self.profile_categorical[rows],
            profile_inputs=self.profile_inputs[rows],
            rows=rows,
        )

    def subset(self, n: int) -> Dataset:
        """The n sequences with the smallest id hashes; each keeps its side of the split and all preprocessing."""
        if not 1 <= n <= len(self):
            raise DatasetError(f"a subset of {n} sequences of {self.schema.name}: expected 1 to {len(self)}")
        rows = subset(self.ids, n)
        events = np.concatenate([np.arange(self.offsets[r], self.offsets[r + 1]) for r in rows])
        columns = {
            name: getattr(self, name)[events if shape.startswith("E") else rows]
            for name, (_, shape) in COLUMNS.items()
            if name != "offsets"
        }
        columns["offsets"] = np.concatenate([[0], np.cumsum(self.lengths[rows])])
        return Dataset(self.schema, columns, self.scenario_names, self.source)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over schema, content and split: equal for equal data on any machine."""
        content = {"version": FORMAT_VERSION, "schema": self.schema.content(), "scenarios": self.scenario_names}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
        for name, (dtype, _) in COLUMNS.items():
            if name not in DERIVED:
                array = getattr(self, name)
                digest.update(f"{name} {array.shape}".encode())
                if dtype == "U":
                    digest.update("\n".join(array.tolist()).encode())
                else:
                    digest.update(_bytes(array))
        return digest.hexdigest()

    @property
    def _checksum(self) -> str:
        """SHA-256 over everything that is stored, what follows from the rest included."""
        digest = hashlib.sha256(self.fingerprint.encode())
        digest.update(json.dumps(self.schema.to_dict(), sort_keys=True).encode())
        for name in DERIVED:
            digest.update(_bytes(getattr(self, name)))
        return digest.hexdigest()

    # Files

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write the prepared dataset as a folder, complete or not at all (OutputError)."""
        manifest = {
            "format_version": FORMAT_VERSION,
            "schema": self.schema.to_dict(),
            "fingerprint": self.fingerprint,
            "checksum": self._checksum,
            "scenarios": list(self.scenario_names),
            "source": self.source,
        }
        with replacing(Path(folder), force=force, marker=MANIFEST) as scratch:
            scratch.mkdir()
            for name in COLUMNS:
                save_array(scratch / f"{name}.npy", np.ascontiguousarray(getattr(self, name)))
            (scratch / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def open(cls, folder: str | Path) -> Dataset:
        """Map a prepared dataset read-only; DatasetError if it is damaged, of a newer format, or not one."""
        folder = Path(folder)
        again = "prepare it again with nasbench-evs data add"
        try:
            file = Source(folder / MANIFEST, DatasetError, "the manifest of a prepared dataset", again)
            content = file.content() if (folder / MANIFEST).exists() else _missing(folder / MANIFEST)
            version = file.json(dict[str, Any], content)["format_version"]
            if version != FORMAT_VERSION:
                raise DatasetError(
                    f"{folder} has format version {shown(version)}, this nasbench-evs reads {FORMAT_VERSION}: {again}"
                )
            manifest = file.json(_Manifest, content)
            schema = Schema.from_dict(manifest["schema"])
            columns = {name: _map(folder / f"{name}.npy", again) for name in COLUMNS}
            _check_shapes(schema, columns)
            dataset = cls(schema, columns, tuple(manifest["scenarios"]), manifest["source"])
            sound = (dataset.fingerprint, dataset._checksum) == (manifest["fingerprint"], manifest["checksum"])
        except (NasbenchError, MemoryError):
            raise
        except FileNotFoundError as error:
            raise DatasetError(f"{error.filename} is missing: {again}") from None
        except Exception as error:  # damage shows as whatever the parsers of JSON and .npy headers make of it
            raise DatasetError(f"{folder} is damaged ({one_line(error)[:200]}): {again}") from None
        if sound:
            _check_values(dataset, folder, again)
        else:
            raise DatasetError(f"{folder} does not match its fingerprint: the files were damaged or edited; {again}")
        return dataset


class _Manifest(TypedDict):
    format_version: int
    schema: dict[str, Any]
    fingerprint: str
    checksum: str
    scenarios: list[str]
    source: str


def _missing(path: Path) -> bytes:
    raise FileNotFoundError(errno.ENOENT, "No such file", str(path))


def _map(path: Path, advice: str) -> np.ndarray:
    """An array of a file, mapped: its header is compared with the file's size before anything is made of it."""
    if not path.exists():
        _missing(path)
    size = check_ordinary(path, DatasetError, "a column of a prepared dataset")
    with path.open("rb") as file:
        dtype, shape, start = array_header(
            file, size, Source(path, DatasetError, "a column of a prepared dataset", advice)
        )
    if size == start:  # nothing cannot be mapped
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", start, shape)


def _check_values(dataset: Dataset, folder: Path, advice: str) -> None:
    """DatasetError for values that no prepared dataset of that schema has, however right the checksums are."""
    schema, offsets, ids, time = dataset.schema, dataset.offsets, dataset.ids, dataset.time
    ends = {"labels": len(schema.classes), "split": len(SPLITS), "scenarios": max(len(dataset.scenario_names), 1)}
    wrong = [name for name, end in ends.items() if not _within(getattr(dataset, name), 0, end)]
    for name, fields in (("categorical", schema.categorical), ("profile_categorical", schema.profile_categorical)):
        codes = getattr(dataset, name)
        wrong += [name for i, field in enumerate(fields) if not _within(codes[:, i], PADDING + 1, field.cardinality)]
    wrong += [name for name in ("time", *DERIVED) if not np.isfinite(getattr(dataset, name)).all()]
    lengths = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != len(time) or not _within(lengths, 1, schema.max_length + 1):
        wrong.append("offsets")
    elif (np.delete(np.diff(time), offsets[1:-1] - 1) < 0).any():
        wrong.append("time")
    if (dataset.full_lengths < lengths).any():
        wrong.append("full_lengths")
    if not (ids[1:] > ids[:-1]).all():
        wrong.append("ids")
    if wrong:
        raise DatasetError(f"{folder} holds {wrong[0]} that its schema does not have: the files were edited; {advice}")


def _within(array: np.ndarray, low: int, end: int) -> bool:
    return not array.size or bool(array.min() >= low and array.max() < end)


def _bytes(array: np.ndarray) -> memoryview | bytes:
    return np.ascontiguousarray(array).data if array.size else b""


def _check_shapes(schema: Schema, columns: Mapping[str, np.ndarray]) -> None:
    sizes: dict[str, int] = {
        "S": len(columns["labels"]),
        "E": len(columns["time"]),
        "C": len(schema.categorical),
        "R": len(schema.numerical),
        "P": len(schema.profile_categorical),
        "Q": len(schema.profile_numerical),
        "I": len(schema.inputs),
    }
    for name, (dtype, shape) in COLUMNS.items():
        expected: tuple[Any, ...] = (sizes["S"] + 1,) if shape == "S+1" else tuple(sizes[letter] for letter in shape)
        array = columns[name]
        if array.shape != expected or (array.dtype.kind != "U" if dtype == "U" else array.dtype != dtype):
            raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, expected {dtype} of shape {expected}")
