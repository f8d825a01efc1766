"""Prepared datasets: a sound one, forged ones, and what is read of one."""

from __future__ import annotations

import json
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzzing.mutations import forged, hostile_number, nested
from nasbench_evs.datasets import Dataset, prepare
from nasbench_evs.datasets.dataset import COLUMNS, MANIFEST
from nasbench_evs.datasets.schema import Schema
from nasbench_evs.datasets.sources import synthetic
from nasbench_evs.datasets.split import SPLITS
from nasbench_evs.tables.format import to_json


def make_dataset(path: Path) -> Path:
    prepare(synthetic.make(60), synthetic.SYNTHETIC.rules).save(path)
    return path


def read_dataset(path: Path) -> Any:
    """Schema, fingerprint and every batch of a network, within what the schema says."""
    dataset = Dataset.open(path)
    schema = dataset.schema
    batch = dataset.batch(np.arange(len(dataset)))
    rows = np.concatenate([dataset.rows(split) for split in SPLITS])
    assert sorted(rows.tolist()) == list(range(len(dataset))), "a sequence that is on no side of the split, or on two"
    assert len(set(dataset.ids.tolist())) == len(dataset), "an id that is there twice"
    assert (dataset.full_lengths >= dataset.lengths).all(), "a sequence with fewer events than it has"
    assert 0 < batch.lengths.min(initial=1) <= batch.lengths.max(initial=1) <= schema.max_length, "a length"
    assert np.isfinite(batch.inputs).all(), "an input that is no number"
    assert np.isfinite(batch.profile_inputs).all(), "a profile that is no number"
    assert np.isfinite(batch.time).all(), "a time that is no number"
    assert all((np.diff(time[:n]) >= 0).all() for time, n in zip(batch.time, batch.lengths, strict=True)), (
        "out of order"
    )
    for codes, fields in (
        (batch.categorical[batch.mask], schema.categorical),
        (batch.profile_categorical, schema.profile_categorical),
    ):
        for column, field in zip(codes.T, fields, strict=True):
            assert ((column > 0) & (column < field.cardinality)).all(), f"a code that {field.name} does not have"
    assert ((batch.labels >= 0) & (batch.labels < len(schema.classes))).all(), "a label that is no class"
    part = dataset.subset(max(1, len(dataset) // 2))
    return [dataset.fingerprint, part.fingerprint, to_json(schema.to_dict()), dataset.source, dataset.scenario_names]


def forge_dataset(path: Path, generator: random.Random) -> str:
    manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    if generator.random() < 0.4:
        kept = {name: value for name, value in manifest.items() if name not in ("fingerprint", "checksum")}
        manifest, did = forged(kept, generator)
        if not isinstance(manifest, dict):
            manifest = {"format_version": manifest}
    else:
        file = path / f"{generator.choice(sorted(COLUMNS))}.npy"
        values = np.load(file)
        how = generator.choice([*["value"] * 6, "all", "order", "rows", "type"])
        if how in ("value", "all") and values.size:
            at = tuple(generator.randrange(n) for n in values.shape) if how == "value" else ...
            values[at] = (
                generator.choice(["", "x", "s000001"])
                if values.dtype.kind == "U"
                else hostile_number(values.dtype, generator)
            )
        elif how == "order":
            values = np.random.default_rng(generator.randrange(99)).permutation(values)
        elif how == "rows":
            values = values[: generator.randrange(len(values) + 1)]
        else:
            kinds = ["S9", "U9"] if values.dtype.kind == "U" else ["U9", "int8", "float16", "uint64", "complex64"]
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                values = values.astype(generator.choice(kinds))
        np.save(file, values)
        did = f"{file.name} {how}"
    try:
        columns = {name: np.load(path / f"{name}.npy") for name in COLUMNS}
        schema = Schema.from_dict(manifest["schema"])
        dataset = Dataset(schema, columns, tuple(manifest["scenarios"]), manifest["source"])
        manifest |= {"fingerprint": dataset.fingerprint, "checksum": dataset._checksum}
    except Exception as error:  # what it holds now cannot be hashed
        did += f", not sealed, {type(error).__name__}"
    text = nested() if generator.random() < 0.02 else json.dumps(manifest)
    (path / MANIFEST).write_text(text, encoding="utf-8")
    return did
