"""What all benchmarks share, and what a search may ask of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nasbench_evs.benchmark.score import Question, Score, Scores, check_question, check_seeds
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.metrics import Metric
from nasbench_evs.spaces import Architecture, Cost, SearchSpace, lift

Architectures = Sequence[Architecture] | np.ndarray


class Benchmark:
    """What all benchmarks share: a space, a dataset, a metric, and one query.

    `query` takes an Architecture of the space; `query_many` a sequence of them or choice indices of shape (N, C).
    Both read the score of a training: after its last step on the whole split, or at its best epoch by validation score, as
    the protocol's `score_at` says. `epoch` (from 1) reads the curve instead, also at the last one; `distilled=True` asks
    for trainings with teachers. Errors: NotRecorded, InvalidQuery, InvalidArchitecture.
    """

    space: SearchSpace
    dataset: str
    metric: Metric
    # Whether answers are looked up or predicted, all of them by `query_many`: then a search may ask for many ahead of its
    # clock. A subclass that says nothing is asked for one after another.
    instant = False

    @property
    def epochs(self) -> int:
        """How many epochs `epoch=` may name; 0 if only the best epoch is known."""
        raise NotImplementedError

    def query(
        self,
        architecture: Architecture,
        *,
        split: str = "valid",
        epoch: int | None = None,
        seed: int | None = None,
        distilled: bool = False,
    ) -> Score:
        """The score of one architecture: mean over seeds, or of the training with this `seed`."""
        return self._query(architecture, check_question(split, epoch, seed, distilled))

    def query_many(
        self,
        architectures: Architectures,
        *,
        split: str = "valid",
        epoch: int | None = None,
        seed: int | Sequence[int] | np.ndarray | None = None,
        distilled: bool = False,
    ) -> Scores:
        """The scores of many architectures, in their order; of the training with this `seed`, or each with its own."""
        if isinstance(architectures, Architecture | str):
            raise InvalidQuery(f"query_many takes a sequence of architectures, got one: {architectures}; use query")
        if seed is None or isinstance(seed, int | np.integer):
            question = check_question(split, epoch, seed, distilled)
            return self._query_many(self._choices(architectures), question)
        question = check_question(split, epoch, None, distilled)
        choices = self._choices(architectures)
        return self._query_each(choices, question, check_seeds(seed, len(choices)))

    def _query(self, architecture: Architecture, question: Question) -> Score:
        raise NotImplementedError

    def _query_many(self, choices: np.ndarray, question: Question) -> Scores:
        """Answers for valid choice indices."""
        raise NotImplementedError

    def _query_each(self, choices: np.ndarray, question: Question, seeds: np.ndarray) -> Scores:
        """Answers for valid choice indices, each with its seed (N,)."""
        found, owner = np.unique(seeds, return_inverse=True)
        groups = [np.flatnonzero(owner == i) for i in range(len(found))]
        parts = [
            self._query_many(choices[rows], question._replace(seed=int(seed)))
            for seed, rows in zip(found, groups, strict=True)
        ]
        if not parts:
            return self._query_many(choices, question)
        back = np.argsort(np.concatenate(groups))
        columns: Any = (
            np.concatenate(column)[back] if isinstance(column[0], np.ndarray) else column[0]
            for column in zip(*parts, strict=True)
        )
        return Scores(*columns)

    def view(self, space: SearchSpace) -> Benchmark:
        """The same answers for the architectures of a view of this benchmark's space: `bench.space.restrict({...})`.

        It asks for that space's architectures. InvalidSpace if it is no view of this one, NotRecorded if only recorded
        architectures are answered for and it holds none.
        """
        raise InvalidQuery(f"{self!r} has no views: make it of the space {space.name} in the first place")

    def seeds(self, architecture: Architecture, *, distilled: bool = False) -> tuple[int, ...]:
        """The seeds recorded for an architecture, in order; empty if its records name none."""
        raise NotImplementedError

    def cost(self, architecture: Architecture) -> Cost:
        """Exact parameters and FLOPs of the architecture on this dataset."""
        params, flops = self.cost_many([architecture])
        return Cost(int(np.asarray(params)[0]), int(np.asarray(flops)[0]))

    def cost_many(self, architectures: Architectures) -> Cost:
        """Parameters and FLOPs, int64 arrays of shape (N,)."""
        raise NotImplementedError

    def costs(self, architectures: Architectures, name: str) -> np.ndarray:
        """One of the costs, "params" or "flops", int64 (N,): the other need not be known."""
        if name not in Cost._fields:
            raise InvalidQuery(f"unknown cost {name!r}: expected one of {', '.join(Cost._fields)}")
        return self._costs(self._choices(architectures), name)

    def _costs(self, choices: np.ndarray, name: str) -> np.ndarray:
        return np.asarray(getattr(self.cost_many(choices), name))

    def _choices(self, architectures: Architectures) -> np.ndarray:
        if isinstance(architectures, np.ndarray):
            return self.space.check(architectures)
        return self.space.stack(architectures)


def check_view(space: SearchSpace, whole: SearchSpace) -> None:
    """InvalidSpace unless `space` is `whole`, a view of it, or a view of one."""
    lift(np.empty((0, len(space.choices)), np.int8), space, whole)
