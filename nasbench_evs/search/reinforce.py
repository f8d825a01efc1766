"""REINFORCE with an LSTM controller (Zoph & Le 2017), with the network of paper 004."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from nasbench_evs.arguments import check_float, check_int
from nasbench_evs.search.controller import Controller, Draws, normal_scores
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.masks import PrefixTree
from nasbench_evs.search.searcher import Searcher
from nasbench_evs.spaces import SearchSpace

_ATTEMPTS = 20  # batches of samples without a new one, before random architectures take their place
_LARGEST = 128  # samples at a time


class Reinforce(Searcher):
    """The controller's samples, no repeats; it learns from every `batch` results.

    On a pool each decision is drawn among the options that lead to an architecture of the pool that was not asked for, and these
    masked probabilities are those it learns from; elsewhere what was asked for and what breaks the constraint is rejected.
    The reward is the normal score of the score's rank among all so far: neither their scale nor outliers matter. A
    failed evaluation counts as the worst score so far. `learning_rate`, `entropy` and `baseline` are the controller's;
    `learning_rate = 0.01` is ours, paper 004 has .001. It learns from its first samples on: there are no `initial` ones.
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        batch: int = 1,
        learning_rate: float = 0.01,
        entropy: float = 1e-4,
        baseline: float = 0.9,
    ) -> None:
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
        self._ready: list[np.ndarray] = []  # samples of the policy as it is, to be asked for
        self._allowed: dict[bytes, np.ndarray] = {}  # architecture -> the options that each decision was drawn among

    def sample(self, n: int) -> np.ndarray:
        """Up to n different samples of the controller that may be asked for and were not, choice indices (m, C).

        They do not count as asked for yet.
        """
        if self.domain.pool is not None:
            return self._sample_pool(n)
        found: dict[bytes, np.ndarray] = {}
        attempts, drawn = 0, n
        while len(found) < n and attempts < _ATTEMPTS:
            before = len(found)
            self._keep(found, self.controller.sample(drawn, self.rng).choices)
            attempts = 0 if len(found) > before else attempts + 1
            drawn = max(n - len(found), min(2 * drawn, _LARGEST))  # where most are known, it takes many
        if len(found) < n:
            self._keep(found, self.random(n - len(found)))
        return self._stack(list(found.values())[:n])

    def _keep(self, found: dict[bytes, np.ndarray], choices: np.ndarray) -> None:
        """Add what may be asked for and was not."""
        for row in choices[self.domain.feasible(choices)] if self.domain.limits else choices:
            if (key := row.tobytes()) not in self._asked:
                found.setdefault(key, row)

    def _sample_pool(self, n: int) -> np.ndarray:
        skip = np.zeros(self._tree.size, bool) if self._skip is None else self._skip.copy()
        n = min(n, int((~skip).sum()))
        found: list[np.ndarray] = []
        while len(found) < n:
            walk = self._tree.walk(n - len(found), skip)
            choices, allowed = self.controller.sample(n - len(found), self.rng, walk)
            for row, at, options in zip(choices, walk.first, allowed if allowed is not None else (), strict=True):
                if not skip[at]:
                    skip[at] = True
                    found.append(row)
                    self._allowed[row.tobytes()] = options
        return self._stack(found)

    @cached_property
    def _tree(self) -> PrefixTree:
        pool = self._stack([]) if self.domain.pool is None else self.domain.pool
        return PrefixTree(pool, [len(choice.options) for choice in self.space.choices])

    def _draws(self, choices: np.ndarray) -> Draws:
        """These architectures with the options they were drawn among."""
        if not self._allowed:
            return Draws(choices, None)
        every = np.ones((len(self.space.choices), max(len(choice.options) for choice in self.space.choices)), bool)
        return Draws(choices, np.array([self._allowed.get(row.tobytes(), every) for row in choices]))

    def _propose(self, n: int) -> np.ndarray:
        found: list[np.ndarray] = []
        while len(found) < n:
            if not self._ready:
                # Until it learns the policy stays: what is asked for until then is drawn together.
                self._ready = list(self.sample(max(n - len(found), self._unchanged())))
                if not self._ready:
                    break
            row = self._ready.pop(0)
            if row.tobytes() not in self._asked:
                self._mark(row[None])
                found.append(row)
        return self._stack(found)

    def _unchanged(self) -> int:
        """How many results the policy will not change before, at least."""
        return self.batch - (len(self._scores) - self._learnt) % self.batch

    def _learn(self, choices: np.ndarray, scores: np.ndarray) -> None:
        known, values = self.known
        while len(values) - self._learnt >= self.batch:
            part = slice(self._learnt, self._learnt + self.batch)
            rewards = normal_scores(values[part], values[: part.stop])
            self.controller.update(self._draws(known[part]), rewards)
            self._learnt += self.batch
            self._ready = []
