"""One training as every module passes it on: which it is, its record, and a table of them and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.errors import TrainingError, one_line
from nasbench_evs.metrics import BLOCKS
from nasbench_evs.tables import Header, Table, build
from nasbench_evs.tables.format import COLUMNS, FINAL, MISSING, STATUSES
from nasbench_evs.training.machine import Machine, code_commit

if TYPE_CHECKING:
    from nasbench_evs.training.train import Training

# A record names curves, and what is measured at the end, as a table's file does.
_CURVES = {column.stored: name for name, column in COLUMNS.items() if column.width == "epochs"}
_FINAL = {COLUMNS[name].stored: name for name in FINAL}
_LATENCIES = ("latency_ms_b1", "latency_ms_b256")
_NO_BLOCKS = (math.nan,) * BLOCKS


@dataclass(frozen=True)
class Job:
    """One training: of the architecture of a rank, with a seed. `teachers` are ranks of trainings with seed 0."""

    rank: int
    seed: int
    sampler: str
    teachers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Final:
    """What a training measures once, by its last weights on whole splits; NaN for what it did not.

    The score without each block is in `valid_blocks` and `test_blocks`, CPU seconds of the validation split are part of
    `cpu_seconds`, and `eval_seconds` are of the wall.
    """

    valid_loss: float = math.nan
    test_loss: float = math.nan
    valid_score: float = math.nan
    test_score: float = math.nan
    valid_blocks: tuple[float, ...] = _NO_BLOCKS
    test_blocks: tuple[float, ...] = _NO_BLOCKS
    valid_cpu_seconds: float = math.nan
    cpu_seconds: float = math.nan
    eval_seconds: float = math.nan

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Final:
        """Of plain values by these names; those that are missing were not measured."""
        plain = _checked(cls, values)
        return cls(**plain | {name: tuple(value) for name, value in plain.items() if isinstance(value, list)})


@dataclass(frozen=True)
class Record:
    """What is written down of one training.

    status, reason   "ok", "diverged" or "failed" (of tables.format.STATUSES), and why
    curves           one number an epoch that ran, by the names of trainer.CURVES; none of a failed training
    final            what was measured at the end, if the protocol says so
    latency_ms_b1    of one forward pass of 1 sample (b256: 256), None if it was not measured
    code_commit      of the code that trained, "" if nothing trained
    """

    status: str
    reason: str = ""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    code_commit: str = ""
    machine: Machine = field(default_factory=Machine)
    latency_ms_b1: float | None = None
    latency_ms_b256: float | None = None
    final: Final | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, as a journal has them; what was not measured is left out."""
        values = asdict(self)
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        """What `to_dict` made plain values of, now or in an earlier version.

        TrainingError if a later one made them, or nothing that is no record.
        """
        import msgspec

        plain = _checked(cls, values)
        for name, part in (("machine", Machine), ("final", Final)):
            if name in plain:
                _checked(part, plain[name])
        try:
            found = msgspec.convert(plain, cls)
        except (msgspec.ValidationError, OverflowError) as error:
            raise TrainingError(f"a record that is none: {one_line(error)[:200]}") from None
        lengths = {len(curve) for curve in found.curves.values()}
        blocks = (
            {len(each) for each in (found.final.valid_blocks, found.final.test_blocks)} if found.final else {BLOCKS}
        )
        latencies = [each for each in (found.latency_ms_b1, found.latency_ms_b256) if each is not None]
        for wrong, what in (
            (found.status not in STATUSES, f"status {found.status[:50]!r}, expected one of {', '.join(STATUSES)}"),
            (not set(found.curves) <= set(_CURVES), f"curves other than {', '.join(_CURVES)}"),
            (len(lengths) > 1, f"curves of {sorted(lengths)} epochs, expected the same number"),
            (blocks != {BLOCKS}, f"scores without each of {sorted(blocks)} blocks, expected {BLOCKS}"),
            (not all(0 <= each < math.inf for each in latencies), f"latencies of {latencies} ms"),
        ):
            if wrong:
                raise TrainingError(f"a record that is none: {what}")
        return found


def _checked(cls: type[Final | Record | Machine], values: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise TrainingError(f"a record that is none: {cls.__name__.lower()} {str(values)[:50]!r}")
    known = [each.name for each in fields(cls)]
    if unknown := sorted(set(values) - set(known)):
        raise TrainingError(
            f"a record has {', '.join(map(str, unknown))[:200]}, expected some of {', '.join(known)}: it is of a later version "
            f"of nasbench-evs, go on with that"
        )
    return dict(values)


def record_of(result: Training, machine: Machine) -> Record:
    """What is written down of a training that has just ended on this machine."""
    return Record(
        status=result.status,
        reason=result.reason,
        curves=result.curves,
        code_commit=code_commit(),
        machine=machine,
        final=None if result.final is None else Final.from_dict(result.final),
    )


def score_of(record: Record, header: Header) -> float:
    """The validation score of a record, as exactly as a table holds it; NaN if it has none."""
    if header.score_at == "end":
        return math.nan if record.final is None else float(record.final.valid_score)
    sign = header.metric.sign
    scores = np.array(record.curves.get("valid_score", []), np.float32) * sign
    return float(np.nanmax(scores)) * sign if len(scores) and not np.isnan(scores).all() else float("nan")


def table_of(header: Header, trained: Mapping[Job, Record]) -> Table:
    """The table of these trainings, in their order, which all ended."""
    space, n, epochs = header.space, len(trained), header.protocol["epochs"]
    jobs, records = list(trained), list(trained.values())
    choices = space.unrank_many(np.array([job.rank for job in jobs], np.uint64))
    machines = list(dict.fromkeys(record.machine for record in records if record.machine != Machine()))
    cost = space.cost_many(choices, header.shape)  # type: ignore[arg-type]
    columns = {name: np.full((n, epochs), np.nan) for name in _CURVES.values()}
    if header.score_at == "end":
        columns |= {name: np.full((n, BLOCKS) if COLUMNS[name].width else n, np.nan) for name in FINAL}
    for row, record in enumerate(records):
        for name, values in record.curves.items():
            columns[_CURVES[name]][row, : len(values)] = values
        if record.final is not None:
            for name, column in _FINAL.items():
                columns[column][row] = getattr(record.final, name)
    return build(
        header,
        choices=choices,
        seed=[job.seed for job in jobs],
        status=[record.status for record in records],
        reason=[record.reason for record in records],
        sampler=[job.sampler for job in jobs],
        distilled=[int(bool(job.teachers)) for job in jobs],
        teachers=[" ".join(map(str, job.teachers)) for job in jobs],
        epochs_run=[len(record.curves.get("train_loss", ())) for record in records],
        params=cost.params,
        flops=cost.flops,
        code_commit=[record.code_commit for record in records],
        **{
            name: [np.nan if (ms := getattr(record, name)) is None else ms for record in records] for name in _LATENCIES
        },
        machines=[machine.to_dict() for machine in machines],
        hardware=[machines.index(record.machine) if record.machine in machines else MISSING for record in records],
        **columns,
    )


def machines_of(table: Table) -> list[Machine]:
    """The machines to which a table's hardware column refers."""
    columns: list[list[Any]] = [
        [value.decode() if isinstance(value, bytes) else value for value in column.tolist()]
        for column in table.hardware.values()
    ]
    return [Machine(**dict(zip(table.hardware, values, strict=True))) for values in zip(*columns, strict=True)]


def records_of(table: Table) -> dict[Job, Record]:
    """What `table_of` made a table of: the record of every job."""
    machines = machines_of(table)
    records = {}
    curves = {name: column for name, column in _CURVES.items() if column in table.columns}
    final = {name: column for name, column in _FINAL.items() if column in table.columns}
    for row in range(len(table)):
        at = {name: array[row] for name, array in table.columns.items()}
        job = Job(
            int(at["rank"]), int(at["seed"]), at["sampler"].decode(), tuple(map(int, at["teachers"].decode().split()))
        )
        measured = not all(np.isnan(at[column]).all() for column in final.values())
        records[job] = Record(
            status=at["status"].decode(),
            reason=at["reason"].decode(),
            curves={name: at[column][: at["epochs_run"]].tolist() for name, column in curves.items()},
            code_commit=table["code_commit"][row].decode(),
            machine=machines[at["hardware"]] if at["hardware"] >= 0 else Machine(),
            **{name: float(at[name]) for name in _LATENCIES if not np.isnan(at[name])},
            final=Final.from_dict({name: at[column].tolist() for name, column in final.items()}) if measured else None,
        )
    return records
