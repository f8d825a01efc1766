"""Random search."""

from __future__ import annotations

import math

import numpy as np

from nasbench_evs.arguments import check_bool
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.searcher import Searcher
from nasbench_evs.spaces import SearchSpace

_BLOCK = 64  # architectures drawn together


class RandomSearch(Searcher):
    """Random architectures; with `replacement` the same one may be asked for again."""

    non_adaptive = True

    def __init__(self, space: SearchSpace | Domain, seed: int = 0, *, replacement: bool = False) -> None:
        super().__init__(space, seed)
        self.replacement = check_bool("replacement", replacement)
        self._drawn = self._stack([])  # architectures in their random order, from `_taken` on still to be asked for
        self._taken = 0

    def _propose(self, n: int) -> np.ndarray:
        if self.replacement:
            return self._draw(n)
        if self.domain.pool is None:
            return self.new(self._draw, n)
        if not len(self._drawn):
            self._drawn = self.rng.permutation(self.domain.pool)
        found = self._stack([])
        while len(found) < n and self._taken < len(self._drawn):
            found = np.concatenate([found, self._stack(self._unseen(self._draw(n - len(found))))])
        self._mark(found)
        return found

    def _draw(self, n: int) -> np.ndarray:
        """The next n of the order, which does not depend on how many are asked for at once."""
        if len(self._drawn) - self._taken < n and (self.replacement or self.domain.pool is None):
            more = [self.domain.sample_many(_BLOCK, self.rng) for _ in range(math.ceil(n / _BLOCK))]
            self._drawn, self._taken = np.concatenate([self._drawn[self._taken :], *more]), 0
        self._taken += n
        return self._drawn[self._taken - n : self._taken]
