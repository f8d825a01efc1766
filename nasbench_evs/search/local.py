"""Local search (White et al. 2020, "Local search is state of the art for NAS benchmarks")."""

from __future__ import annotations

import numpy as np

from nasbench_evs.arguments import check_bool, check_int
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.searcher import Searcher
from nasbench_evs.spaces import SearchSpace


class LocalSearch(Searcher):
    """Starts from the best of `initial` random architectures, goes to the best neighbour, and restarts where none is better.

    The initial ones count in the budget.
    `greedy` goes to the first neighbour that is better instead of asking for all of them. A restart draws one random
    architecture.
    """

    def __init__(self, space: SearchSpace | Domain, seed: int = 0, *, initial: int = 10, greedy: bool = False) -> None:
        super().__init__(space, seed)
        self.initial = check_int("initial", initial, 1)
        self.greedy = check_bool("greedy", greedy)
        self._scored: dict[bytes, float] = {}
        self._at: np.ndarray | None = None  # where the search stands
        self._around: list[np.ndarray] = []  # its neighbours
        self._queue: list[np.ndarray] = []  # those of them that were not asked for
        self._starting: set[bytes] = set()  # random starts whose scores are awaited
        self._starts: list[np.ndarray] = []

    def _propose(self, n: int) -> np.ndarray:
        found: list[np.ndarray] = []
        while len(found) < n:
            if self._queue:
                row = self._queue.pop()
                if row.tobytes() not in self._asked:
                    self._mark(row[None])
                    found.append(row)
                continue
            if self._at is not None and self._settled():
                self._step()
                continue
            # At the start, at a restart, or while other workers' results are awaited.
            drawn = self.new(self.random, 1)
            if not len(drawn):
                break
            found.append(drawn[0])
            if self._at is None and len(self._starts) < self._wanted:
                self._starting.add(drawn[0].tobytes())
                self._starts.append(drawn[0])
        return self._stack(found)

    def _learn(self, choices: np.ndarray, scores: np.ndarray) -> None:
        for row, score in zip(choices, scores, strict=True):
            value = -np.inf if np.isnan(score) else float(score)
            self._scored[row.tobytes()] = value
            self._starting.discard(row.tobytes())
            if self.greedy and self._at is not None and value > self._scored[self._at.tobytes()]:
                self._go(row)
        if self._at is None and not self._starting and len(self._starts) >= self._wanted:
            self._go(max(self._starts, key=lambda row: self._scored[row.tobytes()]))

    @property
    def _wanted(self) -> int:
        """How many random architectures a start is the best of: fewer after the first."""
        return self.initial if not self._around else 1

    def _settled(self) -> bool:
        """Whether all neighbours have scores."""
        return all(row.tobytes() in self._scored for row in self._around)

    def _step(self) -> None:
        """To the best neighbour, or to nowhere: then the next random architecture is the start."""
        if self._at is None:
            return
        best = max(self._around, key=lambda row: self._scored[row.tobytes()], default=self._at)
        if self._scored[best.tobytes()] > self._scored[self._at.tobytes()]:
            self._go(best)
        else:
            self._at, self._starts = None, []

    def _go(self, row: np.ndarray) -> None:
        self._at = row
        self._around = list(self.domain.neighbors_many(row[None], self.rng)[0])
        order = self.rng.permutation(len(self._around))
        self._queue = [self._around[i] for i in order if self._around[i].tobytes() not in self._asked]
