"""BANANAS: Bayesian optimisation with a performance predictor (White et al. 2021; paper 000, algorithm 1)."""

from __future__ import annotations

import numpy as np

from nasbench_evs.search.checks import check_float, check_int, one_of
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.searcher import Searcher
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate.predictors import PREDICTORS, Predictor, predictor
from nasbench_evs.surrogate.predictors.virtual_ensembles import virtual_ensembles

VIRTUAL = "virtual-ensembles"
ACQUISITIONS = ("thompson", "ei", "ucb", "greedy")
CANDIDATES = ("random", "mutation")
_PARENTS = 10  # the best so far, which are mutated


class Bananas(Searcher):
    """After `initial` random architectures, `batch` of `pool_size` candidates at a time, chosen by a predictor.

    `predictor` is "virtual-ensembles" (paper 000: CatBoost, whose ensembles of truncated models give the uncertainty) or a name
    of `surrogate.predictors` ("mlp" is BANANAS as published). `acquisition`: "thompson" draws from each candidate's
    distribution, "ei" is the expected improvement, "ucb" the mean plus `exploration` standard deviations, "greedy" the
    mean. `candidates`: "random" architectures, or "mutation"s of the ten best so far. `depth` is that of the trees of the virtual
    ensembles; CatBoost's own default, 6, takes several times as long.
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        initial: int = 100,
        batch: int = 15,
        pool_size: int = 100,
        predictor: str = VIRTUAL,
        acquisition: str = "thompson",
        candidates: str = "random",
        exploration: float = 1.0,
        depth: int = 4,
    ) -> None:
        super().__init__(space, seed)
        self.initial = check_int("initial", initial, 2)
        self.batch = check_int("batch", batch, 1)
        self.pool_size = check_int("pool_size", pool_size, 1)
        self.predictor = one_of("predictor", predictor, (VIRTUAL, *PREDICTORS))
        if self.predictor != VIRTUAL:
            self._made(self.seed)  # a library that is missing is said now, not after the first evaluations
        self.acquisition = one_of("acquisition", acquisition, ACQUISITIONS)
        self.candidates = one_of("candidates", candidates, CANDIDATES)
        self.exploration = check_float("exploration", exploration, 0)
        self.depth = check_int("depth", depth, 1, 16)
        self._started = 0
        self._queue: list[np.ndarray] = []

    def _propose(self, n: int) -> np.ndarray:
        found: list[np.ndarray] = []
        while len(found) < n:
            if self._started < self.initial or len(np.unique(self.known[1])) < 2:
                drawn = self.new(self.random, 1)
                self._started += 1
            else:
                if not self._queue:
                    self._queue = list(self._chosen())
                drawn = self._stack(self._queue[:1])
                self._queue = self._queue[1:]
            if not len(drawn):
                break
            found += list(drawn)
        return self._stack(found)

    def _chosen(self) -> np.ndarray:
        """The next batch: the candidates with the largest acquisition values, those in need of a result included."""
        # Candidates are architectures not asked for; what is not chosen may be a candidate again.
        asked, skip = set(self._asked), None if self._skip is None else self._skip.copy()
        pool = self.new(self.random if self.candidates == "random" else self._mutations, self.pool_size)
        self._asked, self._skip = asked, skip
        if not len(pool):
            return pool
        choices, scores = self.known
        mean, std = self._predict(choices, scores, pool)
        chosen: list[int] = []
        for _ in range(min(self.batch, len(pool))):
            value = acquire(self.acquisition, mean, std, scores.max(), self.exploration, self.rng)
            value[chosen] = -np.inf
            chosen.append(int(value.argmax()))
        self._mark(pool[chosen])
        return pool[chosen]

    def _mutations(self, n: int) -> np.ndarray:
        choices, scores = self.known
        parents = np.argsort(-scores, kind="stable")[:_PARENTS]
        return self.domain.mutate_many(choices[self.rng.choice(parents, size=n)], self.rng)

    def _predict(self, choices: np.ndarray, scores: np.ndarray, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seed = int(self.rng.integers(2**31))
        if self.predictor == VIRTUAL:
            return virtual_ensembles(self.space, choices, scores, pool, seed, self.depth)
        return self._made(seed).fit(choices, scores).predict(pool)

    def _made(self, seed: int) -> Predictor:
        return predictor(self.predictor, self.space, seed)


def acquire(
    name: str, mean: np.ndarray, std: np.ndarray, best: float, exploration: float, rng: np.random.Generator
) -> np.ndarray:
    """The value (N,) of asking for each candidate, given its predicted mean and standard deviation (N,)."""
    if name == "thompson":
        return rng.normal(mean, std)
    if name == "ucb":
        return mean + exploration * std
    if name == "greedy":
        return mean.copy()
    from scipy.stats import norm

    std = np.maximum(std, 1e-12)
    z = (mean - best) / std
    value: np.ndarray = std * (z * norm.cdf(z) + norm.pdf(z))
    return value
