"""One training as every module passes it on: which it is, its record, and a table of them and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nasbench_evs.metrics import BLOCKS
from nasbench_evs.tables import Header, Table, build
from nasbench_evs.tables.format import COLUMNS, FINAL
from nasbench_evs.training.machine import code_commit
from nasbench_evs.training.trainer import Training

# A record names curves, and what is measured at the end, as a table's file does.
_CURVES = {column.stored: name for name, column in COLUMNS.items() if column.width == "epochs"}
_FINAL = {COLUMNS[name].stored: name for name in FINAL}
_LATENCIES = ("latency_ms_b1", "latency_ms_b256")


class Job(NamedTuple):
    """One training: of the architecture of a rank, with a seed. `teachers` are ranks of trainings with seed 0."""

    rank: int
    seed: int
    sampler: str
    teachers: tuple[int, ...] = ()


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


def table_of(header: Header, trained: Sequence[tuple[Job, Mapping[str, Any]]]) -> Table:
    """The table of these trainings, which all ended, each with its record."""
    space, n, epochs = header.space, len(trained), header.protocol["epochs"]
    jobs, records = [job for job, _ in trained], [record for _, record in trained]
    choices = space.unrank_many(np.array([job.rank for job in jobs], np.uint64))
    machines: list[dict[str, Any]] = []
    for record in records:
        if record["machine"] not in machines:
            machines.append(record["machine"])
    cost = space.cost_many(choices, header.shape)  # type: ignore[arg-type]
    columns = {name: np.full((n, epochs), np.nan) for name in _CURVES.values()}
    if header.score_at == "end":
        columns |= {name: np.full((n, BLOCKS) if COLUMNS[name].width else n, np.nan) for name in FINAL}
    for row, record in enumerate(records):
        for name, values in record["curves"].items():
            columns[_CURVES[name]][row, : len(values)] = values
        for name, value in record.get("final", {}).items():
            columns[_FINAL[name]][row] = value
    return build(
        header,
        choices=choices,
        seed=[job.seed for job in jobs],
        status=[record["status"] for record in records],
        reason=[record["reason"] for record in records],
        sampler=[job.sampler for job in jobs],
        distilled=[int(bool(job.teachers)) for job in jobs],
        teachers=[" ".join(map(str, job.teachers)) for job in jobs],
        epochs_run=[len(record["curves"].get("train_loss", ())) for record in records],
        params=cost.params,
        flops=cost.flops,
        code_commit=[record.get("code_commit", "") for record in records],
        **{name: [record.get(name, np.nan) for record in records] for name in _LATENCIES},
        machines=machines,
        hardware=[machines.index(record["machine"]) for record in records],
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
