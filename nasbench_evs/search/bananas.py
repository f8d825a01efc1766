"""BANANAS: Bayesian optimisation with a performance predictor (after White et al. 2021 and paper 000, algorithm 1)."""

from __future__ import annotations

import numpy as np

from nasbench_evs.arguments import check_float, check_int, one_of
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.searcher import Searcher, share_of
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate.predictors import PREDICTORS, Predictor, predictor
from nasbench_evs.surrogate.predictors.predictor import normal_scores

ACQUISITIONS = ("thompson", "ei", "ucb", "greedy")
CANDIDATES = ("mixed", "random", "mutation")
_PARENTS = 10  # the best so far, which are mutated


class Bananas(Searcher):
    """After `initial` random architectures, `batch` of `pool_size` candidates at a time, chosen by a predictor.

    What it is told unasked counts among the initial ones.
    `initial` is a fifth of the budget unless told, from 10 to 50 and less than half; these evaluations count in the budget, and
    with `initial` of the whole budget it is random search. `predictor` is a name of
    `surrogate.predictors`; it is fitted to all results before each batch. `acquisition` is the value of asking for a
    candidate, given the mean and standard deviation of its normal score: "thompson" draws once from that distribution,
    "ei" is the expected improvement, "ucb" the mean plus `exploration` standard deviations, "greedy" the mean; the
    `batch` largest values win. `candidates`: "random" architectures, "mutation"s of the ten best so far, or "mixed", half of
    each. Where no more than `pool_size` of a pool are left, all are candidates.

    The defaults are ours. The registry's `bananas-paper` has the settings of paper 000 and its authors' code, without their
    ensemble of teachers, `bananas-published` those of White et al. 2021, whose networks here read the AVec, no path encoding.
    In both the predictor learns normal scores of ranks where the papers' learn the scores themselves.
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        budget: int | None = None,
        initial: int | None = None,
        batch: int = 5,
        pool_size: int = 1000,
        predictor: str = "leaf-gp",
        acquisition: str = "ei",
        candidates: str = "mixed",
        exploration: float = 1.0,
    ) -> None:
        super().__init__(space, seed)
        if initial is None:
            initial = share_of(budget, 5, low=10, high=50)
        self.initial = check_int("initial", initial, 2)
        self.batch = check_int("batch", batch, 1)
        self.pool_size = check_int("pool_size", pool_size, 1)
        self.predictor = one_of("predictor", predictor, PREDICTORS)
        self._made(self.seed)  # a library that is missing is said now, not after the first evaluations
        self.acquisition = one_of("acquisition", acquisition, ACQUISITIONS)
        self.candidates = one_of("candidates", candidates, CANDIDATES)
        self.exploration = check_float("exploration", exploration, 0)
        self._started = 0
        self._queue: list[np.ndarray] = []

    def _propose(self, n: int) -> np.ndarray:
        found: list[np.ndarray] = []
        while len(found) < n:
            begun = max(self._started, len(self._choices))  # of what it was told unasked it learns as well
            if not self._queue and begun >= self.initial and len(np.unique(self.known[1])) > 1:
                self._queue = list(self._chosen())
            if self._queue:
                found.append(self._queue.pop(0))
                continue
            drawn = self.new(self.random, 1)
            self._started += 1
            if not len(drawn):
                break
            found += list(drawn)
        return self._stack(found)

    def _chosen(self) -> np.ndarray:
        """The next batch: of the candidates those with the largest acquisition values; none where no candidate is new."""
        candidates = self._candidates()
        if not len(candidates):
            return candidates
        model = self._made(int(self.rng.integers(2**31)))
        chosen = choose(
            model, *self.known, candidates, self.batch, self.rng,
            acquisition=self.acquisition, exploration=self.exploration,
        )  # fmt: skip
        self._mark(chosen)
        return chosen

    def _candidates(self) -> np.ndarray:
        """Up to `pool_size` different architectures that were not asked for."""
        if self._skip is not None and self.domain.pool is not None:
            left = self.domain.pool[~self._skip]
            if len(left) <= self.pool_size:
                return left
        mutated = {"mixed": self.pool_size // 2, "random": 0, "mutation": self.pool_size}[self.candidates]
        drawn = [self._mutations(mutated)] if mutated else []
        if mutated < self.pool_size:
            drawn.append(self.random(self.pool_size - mutated))
        rows = {row.tobytes(): row for row in np.concatenate(drawn).astype(np.int8)}
        return self._stack([row for key, row in rows.items() if key not in self._asked])

    def _mutations(self, n: int) -> np.ndarray:
        choices, scores = self.known
        parents = np.argsort(-scores, kind="stable")[:_PARENTS]
        return self.domain.mutate_many(choices[self.rng.choice(parents, size=n)], self.rng)

    def _made(self, seed: int) -> Predictor:
        return predictor(self.predictor, self.space, seed)


def choose(
    model: Predictor,
    choices: np.ndarray,
    scores: np.ndarray,
    candidates: np.ndarray,
    n: int,
    rng: np.random.Generator,
    *,
    acquisition: str = "thompson",
    exploration: float = 1.0,
) -> np.ndarray:
    """The n candidates with the largest acquisition values, choice indices (n, C), the largest first.

    `model` is fitted to `choices` (N, C), N >= 2, and their `scores` (N,), larger is better; a NaN counts as the worst.
    """
    failed = np.isnan(scores)
    scores = np.where(failed, 0.0 if failed.all() else scores[~failed].min(initial=np.inf), scores)
    mean, std = model.fit(choices, scores).predict_normal(candidates)
    value = acquire(acquisition, mean, std, float(normal_scores(scores)[1][-1]), exploration, rng)
    return candidates[np.argsort(-value, kind="stable")[:n]]


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
    from scipy.special import ndtr

    std = np.maximum(std, 1e-12)
    z = (mean - best) / std
    value: np.ndarray = std * (z * ndtr(z) + np.exp(-0.5 * z**2) / (2 * np.pi) ** 0.5)
    return value
