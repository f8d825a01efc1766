"""REINFORCE with an LSTM controller (Zoph & Le 2017), with the settings of paper 004."""

from __future__ import annotations

import numpy as np

from nasbench_evs.search.checks import check_float, check_int
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.searcher import Searcher
from nasbench_evs.spaces import SearchSpace


class Reinforce(Searcher):
    """The controller's samples, no repeats; it learns from every `batch` results.

    `learning_rate`, `entropy` and `baseline` are the controller's. A failed evaluation counts as the worst score so far.
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        batch: int = 1,
        learning_rate: float = 1e-3,
        entropy: float = 1e-4,
        baseline: float = 0.9,
    ) -> None:
        from nasbench_evs.search.controller import Controller

        super().__init__(space, seed)
        self.batch = check_int("batch", batch, 1)
        self.controller = Controller(
            self.space,
            self.seed,
            learning_rate=check_float("learning_rate", learning_rate, 0),
            entropy=check_float("entropy", entropy, 0),
            baseline=check_float("baseline", baseline, 0, 1),
        )
        self._learnt = 0  # results the controller has seen

    def policy(self, n: int) -> np.ndarray:
        """n samples of the controller."""
        return self.controller.sample(n, self.rng)

    def _propose(self, n: int) -> np.ndarray:
        return self.new(self.policy, n)

    def _learn(self, choices: np.ndarray, scores: np.ndarray) -> None:
        known, rewards = self.known
        while len(rewards) - self._learnt >= self.batch:
            part = slice(self._learnt, self._learnt + self.batch)
            self.controller.update(known[part], rewards[part])
            self._learnt += self.batch
