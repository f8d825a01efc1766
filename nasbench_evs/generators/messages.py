"""What a driver and its workers say to each other; all of it travels between processes and machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nasbench_evs.spaces import SearchSpace
from nasbench_evs.training.machine import Machine
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.record import Record


@dataclass(frozen=True)
class WorkerConfig:
    """What all trainings of a worker share.

    `trainer` is the driver's, `fingerprint` that of the dataset which the driver saw; `logits` is the folder for those of
    teachers.
    """

    trainer: str
    dataset: str
    fingerprint: str
    subset: int | None
    train: int | None
    protocol: Protocol
    space: SearchSpace
    device: str
    logits: Path


@dataclass(frozen=True)
class TrainingRequest:
    """One training as a worker gets it.

    `lineage`: the teachers of everything that may have taught this training's teachers, which may have to be trained again.
    """

    rank: int
    seed: int
    teachers: tuple[int, ...]
    keep_logits: bool
    lineage: Mapping[int, tuple[int, ...]]


@dataclass(frozen=True)
class Ready:
    """A worker on this machine waits for requests."""

    machine: Machine


@dataclass(frozen=True)
class Trained:
    """What came of a request."""

    record: Record


@dataclass(frozen=True)
class Failed:
    """A request could not be carried out; the worker waits for the next."""

    reason: str


@dataclass(frozen=True)
class Fatal:
    """Nothing can be trained like this, and no training is to blame."""

    reason: str


@dataclass(frozen=True)
class Died:
    """A worker is no more. Its executor says so."""

    reason: str


Answer = Trained | Failed | Fatal  # to a request
Message = Ready | Answer | Died
