"""A worker: what trains one job after another, with one thread and the dataset mapped, in whatever process it lives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.errors import OutputError, TrainingError, one_line
from nasbench_evs.files import replacing
from nasbench_evs.spaces import SearchSpace

if TYPE_CHECKING:
    from nasbench_evs.training.train import Training


@dataclass(frozen=True)
class Setting:
    """What all jobs of a worker share; it travels to the process.

    `trainer` is the driver's, `fingerprint` that of the dataset which the driver saw.
    """

    trainer: str
    dataset: str
    fingerprint: str
    subset: int | None
    train: int | None
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


class Worker:
    """Trains what it is ordered to. TrainingError, DatasetError or RecipeError if it cannot train by this setting here."""

    def __init__(self, setting: Setting) -> None:
        import torch

        from nasbench_evs.datasets.store import open_dataset
        from nasbench_evs.training.inputs import prepare_inputs
        from nasbench_evs.training.machine import code_commit, machine
        from nasbench_evs.training.protocol import Protocol, trainer_name

        torch.set_num_threads(1)
        if setting.trainer != trainer_name():
            raise TrainingError(
                f"the driver's trainer is {setting.trainer}, a worker's {trainer_name()}: install the same"
            )
        self.setting = setting
        self.protocol = Protocol.from_dict(setting.protocol)
        dataset = open_dataset(setting.dataset)
        if dataset.fingerprint != setting.fingerprint:
            raise TrainingError(
                f"{setting.dataset} is not the dataset that the driver saw: prepare it again, and start again"
            )
        self.inputs = prepare_inputs(
            setting.space, dataset, setting.subset, self.protocol, setting.device, train=setting.train
        )
        self.machine = machine(setting.device)
        code_commit()  # what is running is what the checkout holds now, whatever is committed there meanwhile

    def answer(self, order: Order) -> dict[str, Any]:
        """{"record"} of the training, or the {"error"} that stopped it; {"fatal": True} if no training is to blame."""
        from nasbench_evs.training.record import record_of

        try:
            result = self._train(order)
            return {"record": record_of(result, self.machine)}
        except OutputError as error:
            return {"error": str(error), "fatal": True}
        except Exception as error:  # whatever it is, the driver writes it down and decides
            return {"error": f"{type(error).__name__}: {one_line(error)}"[:500]}

    def _train(self, order: Order) -> Training:
        """Train, and keep the logits of a training that may teach."""
        from nasbench_evs.training.train import train

        result = train(
            self.setting.space.unrank(order.rank),
            order.seed,
            self.protocol,
            self.inputs,
            teacher_logits=self._mean_logits(order.teachers, order.lineage),
            keep_logits=order.keep_logits,
        )
        if result.logits is not None:
            file = logits_file(self.setting.logits, order.rank)
            with replacing(file, force=True) as scratch, scratch.open("wb") as opened:
                np.save(opened, result.logits)
        return result

    def _mean_logits(self, teachers: tuple[int, ...], lineage: Mapping[int, tuple[int, ...]]) -> np.ndarray | None:
        """The teachers' logits, averaged; those that are not on disk are trained again."""
        if not teachers:
            return None
        logits = []
        for rank in teachers:
            known = self._load(rank)
            if known is None:
                known = self._train(Order(rank, 0, lineage[rank], True, lineage)).logits
            logits.append(known)
        return np.mean([each for each in logits if each is not None], axis=0)

    def _load(self, rank: int) -> np.ndarray | None:
        try:
            logits = np.load(logits_file(self.setting.logits, rank), allow_pickle=False)
        except (OSError, ValueError, EOFError):  # missing or damaged
            return None
        return logits if logits.shape == (len(self.inputs.rows["train"]), self.inputs.shape.outputs) else None
