"""From a training to its record, and from a journal's records to a table and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasbench_evs.datasets import Dataset
from nasbench_evs.generators.inputs import Inputs
from nasbench_evs.generators.journal import Entry
from nasbench_evs.generators.latency import latency
from nasbench_evs.generators.plan import Job
from nasbench_evs.generators.protocol import Protocol, trainer_name
from nasbench_evs.generators.recipe import Recipe
from nasbench_evs.generators.trainer import CURVES, Training
from nasbench_evs.spaces import Architecture, SearchSpace, SequenceShape, VectorShape, shape_to_dict
from nasbench_evs.tables import Header, Table


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


def record_of(
    result: Training, architecture: Architecture, protocol: Protocol, inputs: Inputs, machine: Mapping[str, Any]
) -> dict[str, Any]:
    """What is written down of a training that has just ended on this machine, latency included: plain JSON values."""
    one, many = latency(architecture, protocol, inputs)
    return {
        "status": result.status,
        "reason": result.reason,
        "curves": result.curves,
        "latency_ms_b1": one,
        "latency_ms_b256": many,
        "machine": dict(machine),
    }


def table_of(header: Header, entries: Sequence[Entry], epochs: int) -> Table:
    """The table of these entries, all of which ended."""
    space = header.space
    choices = space.unrank_many(np.array([entry.job.rank for entry in entries], np.uint64))
    machines: list[dict[str, Any]] = []
    for entry in entries:
        if entry.record["machine"] not in machines:
            machines.append(entry.record["machine"])
    cost = space.cost_many(choices, header.shape)  # type: ignore[arg-type]
    curves = {name: np.full((len(entries), epochs), np.nan) for name in CURVES}
    for row, entry in enumerate(entries):
        for name, values in entry.record["curves"].items():
            curves[name][row, : len(values)] = values
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
        latency_ms_b1=[entry.record.get("latency_ms_b1", np.nan) for entry in entries],
        latency_ms_b256=[entry.record.get("latency_ms_b256", np.nan) for entry in entries],
        machines=machines,
        hardware=[machines.index(entry.record["machine"]) for entry in entries],
        **curves,
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
    for row in range(len(table)):
        at = {name: table[name][row] for name in table.columns}
        job = Job(
            int(at["rank"]), int(at["seed"]), at["sampler"].decode(), tuple(map(int, at["teachers"].decode().split()))
        )
        records[job] = {
            "status": at["status"].decode(),
            "reason": at["reason"].decode(),
            "curves": {name: at[name][: at["epochs_run"]].tolist() for name in CURVES},
            "latency_ms_b1": float(at["latency_ms_b1"]),
            "latency_ms_b256": float(at["latency_ms_b256"]),
            "machine": machines[at["hardware"]],
        }
    return records
