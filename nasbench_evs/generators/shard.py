"""From a training to its record, and from a journal's records to a table and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasbench_evs.datasets import Dataset
from nasbench_evs.generators.journal import Entry
from nasbench_evs.generators.machine import code_commit
from nasbench_evs.generators.plan import Job
from nasbench_evs.generators.protocol import trainer_name
from nasbench_evs.generators.recipe import Recipe
from nasbench_evs.generators.trainer import Training
from nasbench_evs.metrics import BLOCKS
from nasbench_evs.spaces import SearchSpace, SequenceShape, VectorShape, shape_to_dict
from nasbench_evs.tables import Header, Table
from nasbench_evs.tables.format import COLUMNS, FINAL

# A record names curves, and what is measured at the end, as a table's file does.
_CURVES = {column.stored: name for name, column in COLUMNS.items() if column.width == "epochs"}
_FINAL = {COLUMNS[name].stored: name for name in FINAL}
_LATENCIES = ("latency_ms_b1", "latency_ms_b256")


def header_of(recipe: Recipe, space: SearchSpace, dataset: Dataset, shape: SequenceShape | VectorShape) -> Header:
    """The header of every shard of the recipe."""
    return Header(
        space=space,
        dataset=recipe.dataset,
        fingerprint=dataset.fingerprint,
        protocol={
            "trainer": trainer_name(),
            "subset": recipe.subset,
            **({} if recipe.train is None else {"train": recipe.train}),
            **recipe.protocol.to_dict(),
            "shape": shape_to_dict(shape),
        },
        metric=dataset.schema.metric,
    )


def record_of(result: Training, machine: Mapping[str, Any]) -> dict[str, Any]:
    """What is written down of a training that has just ended on this machine: plain JSON values."""
    record = {
        "status": result.status,
        "reason": result.reason,
        "curves": result.curves,
        "code_commit": code_commit(),
        "machine": dict(machine),
    }
    return record if result.final is None else record | {"final": result.final}


def score_of(record: Mapping[str, Any], header: Header) -> float:
    """The validation score of a record, as exactly as a table holds it; NaN if it has none."""
    if header.score_at == "end":
        return float(record.get("final", {}).get("valid_score", np.nan))
    sign = header.metric.sign
    scores = np.array(record.get("curves", {}).get("valid_score", []), np.float32) * sign
    return float(np.nanmax(scores)) * sign if len(scores) and not np.isnan(scores).all() else float("nan")


def table_of(header: Header, entries: Sequence[Entry], epochs: int) -> Table:
    """The table of these entries, all of which ended."""
    space = header.space
    choices = space.unrank_many(np.array([entry.job.rank for entry in entries], np.uint64))
    machines: list[dict[str, Any]] = []
    for entry in entries:
        if entry.record["machine"] not in machines:
            machines.append(entry.record["machine"])
    cost = space.cost_many(choices, header.shape)  # type: ignore[arg-type]
    columns = {name: np.full((len(entries), epochs), np.nan) for name in _CURVES.values()}
    if header.score_at == "end":
        columns |= {
            name: np.full((len(entries), BLOCKS) if COLUMNS[name].width else len(entries), np.nan) for name in FINAL
        }
    for row, entry in enumerate(entries):
        for name, values in entry.record["curves"].items():
            columns[_CURVES[name]][row, : len(values)] = values
        for name, value in entry.record.get("final", {}).items():
            columns[_FINAL[name]][row] = value
    return Table.build(
        header,
        choices=choices,
        seed=[entry.job.seed for entry in entries],
        status=[entry.record["status"] for entry in entries],
        reason=[entry.record["reason"] for entry in entries],
        sampler=[entry.job.sampler for entry in entries],
        distilled=[int(bool(entry.job.teachers)) for entry in entries],
        teachers=[" ".join(map(str, entry.job.teachers)) for entry in entries],
        epochs_run=[len(entry.record["curves"].get("train_loss", ())) for entry in entries],
        params=cost.params,
        flops=cost.flops,
        code_commit=[entry.record.get("code_commit", "") for entry in entries],
        **{name: [entry.record.get(name, np.nan) for entry in entries] for name in _LATENCIES},
        machines=machines,
        hardware=[machines.index(entry.record["machine"]) for entry in entries],
        **columns,
    )


def records_of(table: Table) -> dict[Job, dict[str, Any]]:
    """What `table_of` made a table of: the record of every job."""
    machines = [
        {
            name: row.decode() if isinstance(row, bytes) else int(row)
            for name, row in zip(table.hardware, values, strict=True)
        }
        for values in zip(*table.hardware.values(), strict=True)
    ]
    records = {}
    curves = {name: column for name, column in _CURVES.items() if column in table.columns}
    final = {name: column for name, column in _FINAL.items() if column in table.columns}
    for row in range(len(table)):
        at = {name: array[row] for name, array in table.columns.items()}
        job = Job(
            int(at["rank"]), int(at["seed"]), at["sampler"].decode(), tuple(map(int, at["teachers"].decode().split()))
        )
        record = {
            "status": at["status"].decode(),
            "reason": at["reason"].decode(),
            "curves": {name: at[column][: at["epochs_run"]].tolist() for name, column in curves.items()},
            "code_commit": table["code_commit"][row].decode(),
            "machine": machines[at["hardware"]],
        }
        record |= {name: float(at[name]) for name in _LATENCIES if not np.isnan(at[name])}
        if not all(np.isnan(at[column]).all() for column in final.values()):
            record["final"] = {name: at[column].tolist() for name, column in final.items()}
        records[job] = record
    return records
