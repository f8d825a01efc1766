"""Regularised evolution (Real et al. 2019): the oldest dies, the best of a tournament has a mutated child."""

from __future__ import annotations

from collections import deque

import numpy as np

from nasbench_evs.arguments import check_int
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.searcher import Searcher, share_of
from nasbench_evs.spaces import SearchSpace


class Evolution(Searcher):
    """Regularised evolution. `population` architectures live, `tournament` of them compete to be a parent.

    Unless told, the population is a fifth of the budget, from 5 to 50, and the tournament a fifth of it, at least 2.
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        budget: int | None = None,
        population: int | None = None,
        tournament: int | None = None,
    ) -> None:
        super().__init__(space, seed)
        if population is None:
            population = share_of(budget, 5, low=5, high=50)
        self.population = check_int("population", population, 1)
        if tournament is None:
            tournament = max(2, self.population // 5)
        self.tournament = check_int("tournament", tournament, 1)
        self._alive: deque[tuple[float, np.ndarray]] = deque(maxlen=self.population)
        self._started = 0

    def _propose(self, n: int) -> np.ndarray:
        first = max(0, min(n, self.population - self._started)) if self._alive else n
        begun = self.new(self.random, first) if first else self._stack([])
        self._started += len(begun)
        return np.concatenate([begun, *(self.new(self._child, 1) for _ in range(n - first))])

    def _child(self, n: int) -> np.ndarray:
        """A mutation of the best of a tournament; a new tournament each time, so that nobody waits for a dead end."""
        drawn = self.rng.integers(len(self._alive), size=(n, self.tournament))
        parents = [max((self._alive[i] for i in contest), key=lambda each: each[0])[1] for contest in drawn]
        return self.domain.mutate_many(np.array(parents), self.rng)

    def _learn(self, choices: np.ndarray, scores: np.ndarray) -> None:
        for row, score in zip(choices, scores, strict=True):
            self._alive.append((-np.inf if np.isnan(score) else float(score), row))
