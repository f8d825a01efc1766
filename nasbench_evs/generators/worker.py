"""A worker: what trains one job after another, with one thread and the dataset mapped, in whatever process it lives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasbench_evs.errors import OutputError, TrainingError, one_line
from nasbench_evs.files import replacing, save_array
from nasbench_evs.generators.messages import Answer, Failed, Fatal, Trained, TrainingRequest, WorkerConfig

if TYPE_CHECKING:
    from nasbench_evs.training.train import Training


def logits_file(folder: Path, rank: int) -> Path:
    """Where the logits of a training that may teach are kept."""
    return folder / f"{rank}.npy"


class Worker:
    """Trains what is requested. TrainingError, DatasetError or RecipeError if it cannot train by this configuration here."""

    def __init__(self, config: WorkerConfig) -> None:
        import torch

        from nasbench_evs.datasets.store import open_dataset
        from nasbench_evs.training.inputs import prepare_inputs
        from nasbench_evs.training.machine import Machine, code_commit
        from nasbench_evs.training.protocol import trainer_name

        torch.set_num_threads(1)
        if config.trainer != trainer_name():
            raise TrainingError(
                f"the driver's trainer is {config.trainer}, a worker's {trainer_name()}: install the same"
            )
        self.config = config
        dataset = open_dataset(config.dataset)
        if dataset.fingerprint != config.fingerprint:
            raise TrainingError(
                f"{config.dataset} is not the dataset that the driver saw: prepare it again, and start again"
            )
        self.inputs = prepare_inputs(
            config.space, dataset, config.subset, config.protocol, config.device, train=config.train
        )
        self.machine = Machine.here(config.device)
        code_commit()  # what is running is what the checkout holds now, whatever is committed there meanwhile

    def answer(self, request: TrainingRequest) -> Answer:
        """What came of the training, or what stopped it."""
        from nasbench_evs.training.record import record_of

        try:
            return Trained(record_of(self._train(request), self.machine))
        except OutputError as error:
            return Fatal(str(error))
        except Exception as error:  # whatever it is, the driver writes it down and decides
            return Failed(f"{type(error).__name__}: {one_line(error)}"[:500])

    def _train(self, request: TrainingRequest) -> Training:
        """Train, and keep the logits of a training that may teach."""
        from nasbench_evs.training.train import train

        result = train(
            self.config.space.unrank(request.rank),
            request.seed,
            self.config.protocol,
            self.inputs,
            teacher_logits=self._mean_logits(request.teachers, request.lineage),
            keep_logits=request.keep_logits,
        )
        if result.logits is not None:
            file = logits_file(self.config.logits, request.rank)
            with replacing(file, force=True) as scratch:
                save_array(scratch, result.logits)
        return result

    def _mean_logits(self, teachers: tuple[int, ...], lineage: Mapping[int, tuple[int, ...]]) -> np.ndarray | None:
        """The teachers' logits, averaged; those that are not on disk are trained again."""
        if not teachers:
            return None
        logits = []
        for rank in teachers:
            known = self._load(rank)
            if known is None:
                known = self._train(TrainingRequest(rank, 0, lineage[rank], True, lineage)).logits
            logits.append(known)
        return np.mean([each for each in logits if each is not None], axis=0)

    def _load(self, rank: int) -> np.ndarray | None:
        try:
            logits = np.load(logits_file(self.config.logits, rank), allow_pickle=False)
        except (OSError, ValueError, EOFError):  # missing or damaged
            return None
        return logits if logits.shape == (len(self.inputs.rows["train"]), self.inputs.shape.outputs) else None
