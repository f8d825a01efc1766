"""TabNAS (paper 003) and the reward-shaping methods it is compared with, on a controller of independent choices."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np

from nasbench_evs.arguments import check_float, check_int, one_of
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.factorised import FactorisedController, Support
from nasbench_evs.search.searcher import Searcher
from nasbench_evs.spaces import Architecture, SearchSpace

_DECAY = 0.9  # of the moving average of scores (paper 003, algorithm 1, line 18)
_FINAL_DRAWS = 500  # algorithm 3
_SMALLEST = 1e-6  # share of the target that a cost counts as, at least
_INFEASIBLE = 20_000  # samples in a row that break the constraint, after which the policy counts as stuck
_BLOCK = 16  # samples drawn at a time, until the next update
_LARGEST_BLOCK = 4_096  # where those drawn before were all rejected
_USES = 10  # updates on the same Monte-Carlo samples


class Factorised(Searcher):
    """What the four share: the moving average, the cache, the final draw.

    What the benchmark did not record is rejected, as what breaks the constraint is by `TabNAS`: where the set that is left is
    known, samples are drawn from it directly. Samples that were evaluated before teach the controller again at no cost, so
    no architecture is asked for twice. A search ends (`ask` gives nothing) after `patience` samples in a row without a new
    architecture, or `steps` updates. `learning_rate` is the upper end of the paper's range (appendix E.2), which is for the
    thousands of updates that shared weights allow; for a few hundred evaluations 0.05 is better.
    `recommend` returns the best within the constraint that it was told; with `choose = "params"` (paper 003, algorithm 3) it
    draws 500 samples and returns, of those within the constraint, the ones with most parameters, the more probable one of
    two that are equal.
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        learning_rate: float = 0.01,
        steps: int = 3_000,
        patience: int = 2_000,
        choose: str = "score",
    ) -> None:
        super().__init__(space, seed)
        self.domain.sample_many(1, np.random.default_rng(self.seed))  # says if nothing keeps the constraint
        self.domain = self.domain.relaxed  # it samples what breaks the constraint too, and learns from that
        self._skip = None  # it keeps no count of a pool: what was asked for is answered from `_cache`
        self.controller = FactorisedController(self.space, check_float("learning_rate", learning_rate, 0))
        self.steps = check_int("steps", steps, 1)
        self.patience = check_int("patience", patience, 1)
        self.choose = one_of("choose", choose, ("score", "params"))
        self._cache: dict[bytes, float] = {}
        self._done = 0
        self._average = 0.0
        self._weight = 0.0  # of the scores in the average: its bias correction
        self._drawn: list[np.ndarray] = []
        pool = self.domain.pool
        rows = None if pool is None else pool[self._learns_from(pool)]
        # The whole space has the probability 1, and needs no sum.
        self._support = None if rows is None or len(rows) == self.space.size else Support(self.controller, rows)

    @abstractmethod
    def _learns_from(self, rows: np.ndarray) -> np.ndarray:
        """Which samples are evaluated and learnt from at all, bool (N,)."""

    def _recorded(self, rows: np.ndarray) -> np.ndarray:
        """Which rows can be answered for, bool (N,)."""
        if self.domain.size == self.space.size:
            return np.ones(len(rows), bool)
        return np.array([self.domain.position(row.tobytes()) is not None for row in np.asarray(rows, np.int8)], bool)

    @abstractmethod
    def _reward(self, row: np.ndarray, score: float) -> float:
        """The reward r of a sample with the score Q."""

    def log_gradient(self) -> tuple[float, np.ndarray]:
        """The probability of what is not rejected and the gradient of its logarithm by the logits."""
        return (1.0, np.zeros_like(self.controller.logits)) if self._support is None else self._support.log_gradient()

    def _propose(self, n: int) -> np.ndarray:
        found: list[np.ndarray] = []
        attempts = 0
        while len(found) < n and attempts < self.patience and self._done < self.steps:
            if not self._drawn:
                self._drawn = list(self._sample(_BLOCK))
                if not self._drawn:
                    break
            row = self._drawn.pop()
            attempts += 1
            if row.tobytes() in self._cache:
                self._update(row)
            elif row.tobytes() not in self._asked:
                self._mark(row[None])
                found.append(row)
                attempts = 0
        return self._stack(found)

    def _sample(self, n: int) -> np.ndarray:
        """Samples of the controller to learn from, about n; none if it seems to draw nothing but what is rejected."""
        if self._support is not None:
            return self._support.sample(n, self.rng)
        drawn = 0
        while drawn < _INFEASIBLE:
            rows = self.controller.sample(n, self.rng)
            drawn += n
            if len(kept := rows[self._learns_from(rows)]):
                return kept
            n = min(2 * n, _LARGEST_BLOCK)
        return self._stack([])

    def _learn(self, choices: np.ndarray, scores: np.ndarray) -> None:
        worst = min([*self._cache.values(), *scores[~np.isnan(scores)]], default=0.0)
        for row, score, fits in zip(choices, scores, self._learns_from(choices), strict=True):
            self._cache[row.tobytes()] = worst if np.isnan(score) else float(score)
            if fits and self._done < self.steps:
                self._update(row)

    def _update(self, row: np.ndarray) -> None:
        """One step up J = (r - mean of Q) log (P(y) / P(V)), then the mean takes the score in (algorithms 1 and 2)."""
        score = self._cache[row.tobytes()]
        advantage = self._reward(row, score) - self._mean(score)
        self._average = _DECAY * self._average + (1 - _DECAY) * score
        self._weight = _DECAY * self._weight + 1 - _DECAY
        gradient = self.controller.log_gradient(row[None], np.ones(1)) - self.log_gradient()[1]
        self._done += 1
        self._drawn = []
        self.controller.ascend(advantage * gradient)

    def _mean(self, score: float) -> float:
        """The moving average of the scores so far; of the first score itself, so that a constant added to all changes nothing."""
        return self._average / self._weight if self._weight else score

    def recommend(self, n: int = 1) -> list[Architecture]:
        if self.choose == "score":
            return super().recommend(n)
        if self._support is not None:
            drawn = self._support.sample(_FINAL_DRAWS, self.rng)
        else:
            drawn = self.controller.sample(_FINAL_DRAWS, self.rng)
        drawn = np.unique(drawn[self.domain.feasible(drawn)], axis=0)
        if not len(drawn):
            return []
        params = self.domain.cost(drawn, "params").astype(np.float64)
        order = np.lexsort((-self.controller.log_probabilities(drawn), -params))
        return self.space.architectures(drawn[order[:n]])


class TabNAS(Factorised):
    """Rejection: what breaks the constraint is skipped, the rest learnt from with its probability among feasible ones.

    Weights are not shared yet: every architecture asked for is a training of its own, where the paper trains one SuperNet.
    P(V), the probability that a sample is feasible, is summed exactly over a small space or over recorded architectures, and
    elsewhere estimated from `samples` Monte-Carlo samples, which serve ten updates with importance weights. `samples = 0`:
    exactly where it can be, elsewhere 20 times the root of the space's size, from 2,048 to 32,768: about what the paper
    takes for its spaces (appendix B.2.3). Without a constraint this is algorithm 1 without rejection.
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        samples: int = 0,
        learning_rate: float = 0.01,
        steps: int = 3_000,
        patience: int = 2_000,
        choose: str = "score",
    ) -> None:
        super().__init__(space, seed, learning_rate=learning_rate, steps=steps, patience=patience, choose=choose)
        self.samples = check_int("samples", samples, 0)
        self._estimated: Support | None = None
        self._uses = 0
        if self.samples:
            self._support = None
        elif self._support is None:
            self.samples = int(min(max(20 * math.sqrt(self.space.size), 2_048), 32_768))

    def _learns_from(self, rows: np.ndarray) -> np.ndarray:
        return self.domain.feasible(rows) & self._recorded(rows)

    def _reward(self, row: np.ndarray, score: float) -> float:
        return score

    def log_gradient(self) -> tuple[float, np.ndarray]:
        """P(V) and the gradient of log P(V) by the logits: exact, or algorithm 2's estimate."""
        if self._support is not None or (not self.domain.limits and self.domain.size == self.space.size):
            return super().log_gradient()
        if self._estimated is None or self._uses == _USES:
            drawn = self.controller.sample(self.samples, self.rng)
            drawn = drawn[self._learns_from(drawn)]
            proposal = self.controller.log_probabilities(drawn)
            self._estimated, self._uses = Support(self.controller, drawn, proposal, self.samples), 0
        self._uses += 1
        return self._estimated.log_gradient()


class _Shaped(Factorised):
    """A reward that prices the cost T against the target T0, which is the constraint's limit. `beta` <= 0; None: `usual_beta`."""

    usual_beta: float

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        beta: float | None = None,
        learning_rate: float = 0.01,
        steps: int = 3_000,
        patience: int = 2_000,
        choose: str = "score",
    ) -> None:
        super().__init__(space, seed, learning_rate=learning_rate, steps=steps, patience=patience, choose=choose)
        self.beta = check_float("beta", self.usual_beta if beta is None else beta, high=0)
        name = type(self).__name__
        if not self.domain.limits:
            raise InvalidQuery(
                f"{name} prices a constraint: expected one, such as constraint={{'params': 40000}} (--constraint params=40000)"
            )
        if len(self.domain.limits) > 1:
            raise InvalidQuery(f"{name} prices one cost: expected one constraint, got {len(self.domain.limits)}")
        self.limit_name, self.limit = next(iter(self.domain.limits.items()))
        if self.limit <= 0:
            raise InvalidQuery(f"{name} prices the cost relative to its limit: expected a limit above 0")

    def _learns_from(self, rows: np.ndarray) -> np.ndarray:
        return self._recorded(rows)

    def _reward(self, row: np.ndarray, score: float) -> float:
        return self.reward(score, float(self.domain.cost(row[None], self.limit_name)[0]) / self.limit)

    @abstractmethod
    def reward(self, score: float, ratio: float) -> float:
        """The reward of a score Q at T / T0."""


class TuNASAbs(_Shaped):
    """The absolute reward of TuNAS: Q + beta |T / T0 - 1|."""

    usual_beta = -1.0

    def reward(self, score: float, ratio: float) -> float:
        return score + self.beta * abs(ratio - 1)


class MnasNetSoft(_Shaped):
    """The soft reward of MnasNet: Q (T / T0)^beta, with its beta = -0.07."""

    usual_beta = -0.07

    def reward(self, score: float, ratio: float) -> float:
        return _positive(score) * max(ratio, _SMALLEST) ** self.beta


class MnasNetHard(MnasNetSoft):
    """The hard reward of MnasNet: Q below the target, Q (T / T0)^beta above it, with its beta = -1.

    Paper 003 prints it as Q max(1, (T / T0)^beta), which for beta < 0 prices nothing above the target; this is MnasNet's own
    (Tan et al. 2019, equation 3 with alpha = 0).
    """

    usual_beta = -1.0

    def reward(self, score: float, ratio: float) -> float:
        return _positive(score) * min(1.0, max(ratio, _SMALLEST) ** self.beta)


def _positive(score: float) -> float:
    """The score, or InvalidQuery: times a factor below one, a negative score would grow with what breaks the constraint."""
    if score < 0:
        raise InvalidQuery(
            f"MnasNet's rewards multiply scores, which must not be negative, got {score:g} (larger is better): use tunas-abs"
        )
    return score
