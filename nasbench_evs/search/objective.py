"""Objective: a benchmark as a search sees it; scores where larger is better, costs, and the domain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from nasbench_evs.errors import InvalidQuery, NotRecorded
from nasbench_evs.metrics import Metric
from nasbench_evs.search.checks import number, truth
from nasbench_evs.search.domain import Domain
from nasbench_evs.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from nasbench_evs.benchmark import Score

COSTS = ("params", "flops")


class Evaluable(Protocol):
    """What of a benchmark a search uses. `pool` is there if only those architectures are answered for."""

    space: SearchSpace
    metric: Metric

    @property
    def epochs(self) -> int: ...
    def query(self, architecture: Architecture, *, epoch: int | None = None, seed: int | None = None) -> Score: ...
    def seeds(self, architecture: Architecture) -> tuple[int, ...]: ...
    def costs(self, architectures: Any, name: str) -> np.ndarray: ...


class Observation(NamedTuple):
    """One training as a searcher sees it. `score`: larger is better; `seconds` of the training up to that epoch."""

    score: float
    seconds: float


class Objective:
    """Observes trainings of a benchmark under a constraint.

    An observation is one training: of the recorded seeds of an architecture, `seed` decides which is read; a surrogate adds
    its noise of that seed. Where no seeds are recorded it is the mean. So one search sees one training of each
    architecture, and other seeds see other ones. Without `noise` every observation is the mean.
    """

    def __init__(
        self, bench: Evaluable, *, constraint: Mapping[str, float] | None = None, seed: int = 0, noise: bool = True
    ) -> None:
        self.bench = bench
        self.noise = truth("noise", noise)
        self.seed = seed
        self.sign = bench.metric.sign
        self.epochs = bench.epochs
        self.domain = Domain(
            bench.space, pool=getattr(bench, "pool", None), limits=_limits(constraint), costs=self._cost
        )

    def observe(self, architecture: Architecture, epoch: int | None = None) -> Observation:
        """The score at an epoch, or that of the whole training."""
        answer = self.bench.query(architecture, seed=self._training(architecture), epoch=epoch)
        return Observation(self.sign * answer.value, answer.seconds)

    def observe_many(self, choices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`observe` of every row, the whole training, of an instant benchmark: scores and seconds, (N,)."""
        return self._observed(self.bench, choices)

    def _observed(self, bench: Any, choices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if hasattr(bench, "recorded"):
            recorded = bench.recorded.holds(choices, False)
            scores, seconds = np.empty((2, len(choices)))
            for part, rows in ((bench.recorded, recorded), (bench.predicted, ~recorded)):
                if rows.any():
                    scores[rows], seconds[rows] = self._observed(part, choices[rows])
            return scores, seconds
        if not self.noise:
            answers = bench.query_many(choices)
        elif not hasattr(bench, "seeds_many"):
            answers = bench.query_many(choices, seed=self.seed)
        else:
            return self._recorded(bench, choices)
        return self.sign * answers.value, answers.seconds

    def _recorded(self, bench: Any, choices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seeds, counts = bench.seeds_many(choices)
        seeded = counts > 0
        scores, seconds = np.empty((2, len(choices)))
        if not seeded.all():
            answers = bench.query_many(choices[~seeded])
            scores[~seeded], seconds[~seeded] = answers.value, answers.seconds
        if seeded.any():
            first, counts = (np.cumsum(counts) - counts)[seeded], counts[seeded]
            turn = np.array([self.seed % max(1, count) for count in range(counts.max() + 1)])[counts]
            rank = self.domain.space.rank_many(choices[seeded]) % counts.astype(np.uint64)
            chosen = seeds[first + (rank.astype(np.int64) + turn) % counts]
            answers = bench.query_many(choices[seeded], seed=chosen)
            scores[seeded], seconds[seeded] = answers.value, answers.seconds
        return self.sign * scores, seconds

    def _training(self, architecture: Architecture) -> int | None:
        if not self.noise:
            return None
        if getattr(self.bench, "live", False):
            return self.seed
        try:
            seeds = self.bench.seeds(architecture)
        except NotRecorded:
            return self.seed
        return seeds[(self.seed + architecture.rank) % len(seeds)] if seeds else None

    def _cost(self, choices: np.ndarray, name: str) -> np.ndarray:
        return self.bench.costs(choices, name)


def _limits(constraint: Mapping[str, float] | None) -> dict[str, float]:
    if not isinstance(constraint or {}, Mapping):
        raise InvalidQuery(
            f"constraint {constraint!r}: expected the largest allowed costs, such as {{'params': 40000}}"
        )
    for name in constraint or {}:
        if name not in COSTS:
            raise InvalidQuery(f"constraint on {name!r}: expected some of {', '.join(COSTS)}")
    return {name: number(f"constraint {name}", limit, 0, math.inf) for name, limit in (constraint or {}).items()}
