"""Answers by training now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nasbench_evs.arguments import of_kind
from nasbench_evs.benchmark.base import Architectures, Benchmark, check_view
from nasbench_evs.benchmark.score import Question, Score
from nasbench_evs.benchmark.tabular import TableBenchmark
from nasbench_evs.errors import InvalidQuery, NotRecorded, UnknownBenchmark
from nasbench_evs.spaces import Architecture, Cost, SearchSpace, lift
from nasbench_evs.tables.header import Header

if TYPE_CHECKING:
    import pandas as pd


class TrainingBenchmark(Benchmark):
    """Answers by training the architecture now, as the records of a table were trained; nothing is looked up there.

    On another device than theirs the scores are those of another training, within the noise between seeds.

    `query(arch)` trains with seed 0, `query(arch, seed=s)` with that seed. Each training is kept for later queries.
    """

    def __init__(self, header: Header, device: str = "cpu", space: SearchSpace | None = None) -> None:
        """`space` may be a view of the header's."""
        try:
            from nasbench_evs.training.retrain import Retrainer
        except ModuleNotFoundError as error:
            raise UnknownBenchmark(
                f"source='train' needs {error.name}, which is not installed: pip install 'nasbench-evs[train]'"
            ) from None

        self.header = of_kind("header", header, Header, "the header of a table")
        self.space = header.space if space is None else space
        self.dataset = header.dataset
        self.metric = header.metric
        self._device = device
        self._retrainer = Retrainer(header, device)
        self._trained: dict[tuple[bytes, int], TableBenchmark] = {}

    def __reduce__(self) -> tuple[object, ...]:
        # The data does not travel with it: it is mapped again where it arrives.
        return TrainingBenchmark, (self.header, self._device, self.space)

    def __repr__(self) -> str:
        return f"<training benchmark {self.dataset}: {self.space.name}, {self.metric.name}>"

    @property
    def epochs(self) -> int:
        return self._retrainer.protocol.epochs

    def view(self, space: SearchSpace) -> TrainingBenchmark:
        check_view(space, self.space)
        other = object.__new__(TrainingBenchmark)  # which need not prepare the data again
        other.__dict__.update(self.__dict__, space=space, _trained={})
        return other

    def _query(self, architecture: Architecture, question: Question) -> Score:
        split, epoch, seed, distilled = question
        if distilled:
            raise NotRecorded("live training has no teachers: use distilled=False")
        if epoch is not None and not 1 <= epoch <= self._retrainer.protocol.epochs:
            raise NotRecorded(f"epoch {epoch}: an architecture is trained for {self._retrainer.protocol.epochs} epochs")
        if seed is not None and seed >= 2**63:
            raise InvalidQuery(f"seed {seed}: expected at most {2**63 - 1}")
        self.space.stack([architecture])  # says what is wrong with it
        return (
            self._training(architecture, seed or 0)
            .query(architecture, split=split, epoch=epoch)
            ._replace(source="train")
        )

    def _training(self, architecture: Architecture, seed: int) -> TableBenchmark:
        key = (architecture.key, seed)
        if key not in self._trained:
            whole = self.header.space
            choices = lift(self.space.stack([architecture]), self.space, whole)
            table = self._retrainer.train(whole.architectures(choices)[0], seed)
            self._trained[key] = TableBenchmark(table.view(self.space))
        return self._trained[key]

    def observed_seed(self, architecture: Architecture, seed: int) -> int:
        return seed  # every seed can be asked for, whatever was trained so far

    def _valued(self, choices: np.ndarray) -> np.ndarray:
        raise NotRecorded(
            f"{self!r} trains when it is asked: what architectures are worth over all seeds is unknown; use regime 'noisy'"
        )

    def seeds(self, architecture: Architecture, *, distilled: bool = False) -> tuple[int, ...]:
        """The seeds trained so far."""
        self.space.stack([architecture])  # says what is wrong with it
        return tuple(sorted(seed for key, seed in self._trained if key == architecture.key and not distilled))

    def records(self, architecture: Architecture) -> pd.DataFrame:
        """Every training of the architecture so far, curves included, as `Table.to_frame` gives it."""
        import pandas as pd

        self.space.stack([architecture])
        frames = [bench.records(architecture) for (key, _), bench in self._trained.items() if key == architecture.key]
        if not frames:
            raise NotRecorded(f"{architecture} was not trained yet: query it first")
        return pd.concat(frames, ignore_index=True)

    def cost_many(self, architectures: Architectures) -> Cost:
        return self.space.cost_many(self._choices(architectures), self._retrainer.inputs.shape)
