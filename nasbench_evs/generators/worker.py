"""A worker: a long-lived process that trains one job after another, with one thread and the dataset mapped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.errors import NasbenchError, OutputError, TrainingError, one_line
from nasbench_evs.files import replacing
from nasbench_evs.spaces import SearchSpace


@dataclass(frozen=True)
class Setting:
    """What all jobs of a worker share; it travels to the process."""

    dataset: str
    fingerprint: str  # of the dataset that the driver saw
    subset: int | None
    protocol: dict[str, Any]
    space: SearchSpace
    device: str
    logits: Path


@dataclass(frozen=True)
class Order:
    """One job as a worker gets it."""

    rank: int
    seed: int
    teachers: tuple[int, ...]
    keep_logits: bool
    lineage: Mapping[int, tuple[int, ...]]  # the teachers of everything that may have taught this job's teachers


def logits_file(folder: Path, rank: int) -> Path:
    """Where the logits of a training that may teach are kept."""
    return folder / f"{rank}.npy"


def work(setting: Setting, pipe: Connection) -> None:
    """Answer orders until the driver hangs up; an answer is a record, or the text of an error that a retry may cure."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what an interrupt means
    _die_with_parent()
    import torch

    from nasbench_evs.datasets.store import open_dataset
    from nasbench_evs.generators.inputs import prepare_inputs
    from nasbench_evs.generators.machine import machine
    from nasbench_evs.generators.protocol import Protocol
    from nasbench_evs.generators.shard import record_of
    from nasbench_evs.generators.trainer import train

    torch.set_num_threads(1)
    protocol = Protocol.from_dict(setting.protocol)
    try:
        dataset = open_dataset(setting.dataset)
        if dataset.fingerprint != setting.fingerprint:
            raise TrainingError(f"{setting.dataset} was prepared anew while it was trained on: start the run again")
        inputs = prepare_inputs(setting.space, dataset, setting.subset, protocol, setting.device)
        hardware = machine(setting.device)
    except NasbenchError as error:
        pipe.send({"error": str(error), "fatal": True})
        return

    def mean_logits(teachers: tuple[int, ...], lineage: Mapping[int, tuple[int, ...]]) -> np.ndarray | None:
        """The teachers' logits, averaged; those that are not on disk are trained again, which gives the same."""
        if not teachers:
            return None
        logits = []
        for rank in teachers:
            known = load(rank)
            if known is None:
                taught = mean_logits(lineage[rank], lineage)
                again = train(setting.space.unrank(rank), 0, protocol, inputs, teacher_logits=taught, keep_logits=True)
                keep(rank, again.logits)
                known = again.logits
            logits.append(known)
        return np.mean([each for each in logits if each is not None], axis=0)

    def load(rank: int) -> np.ndarray | None:
        try:
            logits = np.load(logits_file(setting.logits, rank), allow_pickle=False)
        except (OSError, ValueError, EOFError):  # missing or damaged
            return None
        return logits if logits.shape == (len(inputs.rows["train"]), inputs.shape.outputs) else None

    def keep(rank: int, logits: np.ndarray | None) -> None:
        if logits is not None:
            with replacing(logits_file(setting.logits, rank), force=True) as scratch, scratch.open("wb") as file:
                np.save(file, logits)

    pipe.send({})
    while True:
        try:
            order: Order = pipe.recv()
        except EOFError:
            return
        try:
            architecture = setting.space.unrank(order.rank)
            result = train(
                architecture,
                order.seed,
                protocol,
                inputs,
                teacher_logits=mean_logits(order.teachers, order.lineage),
                keep_logits=order.keep_logits,
            )
            keep(order.rank, result.logits)
            pipe.send({"record": record_of(result, architecture, protocol, inputs, hardware)})
        except OutputError as error:  # no training is to blame
            pipe.send({"error": str(error), "fatal": True})
        except Exception as error:  # whatever it is, the driver writes it down and decides
            pipe.send({"error": f"{type(error).__name__}: {one_line(error)}"[:500]})


def _die_with_parent() -> None:
    """A driver that was killed cannot tell its workers."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
