"""Random search."""

from __future__ import annotations

import numpy as np

from nasbench_evs.search.checks import truth
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.searcher import Searcher
from nasbench_evs.spaces import SearchSpace


class RandomSearch(Searcher):
    """Random architectures; with `replacement` the same one may be asked for again."""

    blind = True

    def __init__(self, space: SearchSpace | Domain, seed: int = 0, *, replacement: bool = False) -> None:
        super().__init__(space, seed)
        self.replacement = truth("replacement", replacement)

    def _propose(self, n: int) -> np.ndarray:
        if self.replacement:
            return self.domain.sample_many(n, self.rng)
        return self.new(self.random, n)
