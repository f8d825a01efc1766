"""TabNAS (paper 003) and the reward-shaping methods it is compared with, on a controller of independent choices."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from nasbench_evs.errors import InvalidQuery
from nasbench_evs.search.checks import check_float, check_int, one_of
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.searcher import Searcher
from nasbench_evs.spaces import Architecture, SearchSpace

_DECAY = 0.9  # of the moving average of rewards (paper 003, algorithm 1)
_BETAS, _EPSILON = (0.9, 0.999), 1e-3  # Adam's (appendix B.1)
_FINAL_DRAWS = 500  # algorithm 3
_SMALLEST = 1e-6  # share of the target that a cost counts as, at least
_INFEASIBLE = 20_000  # samples in a row that break the constraint, after which the policy counts as stuck
_BLOCK = 16  # samples drawn at a time, until the next update


class FactorisedController:
    """Independent logits for each choice, uniform at first; Adam climbs what `ascend` is given."""

    def __init__(self, space: SearchSpace, learning_rate: float) -> None:
        self.space, self.learning_rate = space, learning_rate
        counts = [len(choice.options) for choice in space.choices]
        self._ends = np.cumsum(counts)
        self._starts = self._ends - counts
        self.logits = np.zeros(self._ends[-1])
        self._moments = np.zeros((2, len(self.logits)))
        self._steps = 0

    @property
    def odds(self) -> list[np.ndarray]:
        """The probabilities of each choice's options, where it is active."""
        return [_softmax(self.logits[a:b]) for a, b in zip(self._starts, self._ends, strict=True)]

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """n architectures, choice indices (n, C), with repeats."""
        choices = np.full((len(self._ends), n), -1, np.int8).T
        for column, odds in enumerate(self.odds):
            drawn = np.searchsorted(np.cumsum(odds)[:-1], rng.random(n), "right")
            active = self.space.is_active(column, choices)
            choices[active, column] = drawn[active]
        return np.ascontiguousarray(choices)

    def probabilities(self, choices: np.ndarray) -> np.ndarray:
        """The probability of each architecture, (N,)."""
        # One more entry for choices that are not active.
        return np.prod(
            [np.append(odds, 1.0)[choices[:, column]] for column, odds in enumerate(self.odds)],
            axis=0,
            dtype=np.float64,
        )

    def log_gradient(self, choices: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The gradient of sum_i weights[i] log P(choices[i]) by the logits, (options,)."""
        gradient = np.empty_like(self.logits)
        for column, (odds, a, b) in enumerate(zip(self.odds, self._starts, self._ends, strict=True)):
            active = choices[:, column] >= 0
            taken = np.bincount(choices[active, column], weights[active], minlength=b - a)
            gradient[a:b] = taken - weights[active].sum() * odds
        return gradient

    def ascend(self, gradient: np.ndarray) -> None:
        """One step of Adam."""
        self._steps += 1
        for moment, beta, value in zip(self._moments, _BETAS, (gradient, gradient**2), strict=True):
            moment *= beta
            moment += (1 - beta) * value
        mean, square = (m / (1 - b**self._steps) for m, b in zip(self._moments, _BETAS, strict=True))
        self.logits += self.learning_rate * mean / (np.sqrt(square) + _EPSILON)


class Factorised(Searcher):
    """What the four share: the moving average, the cache, the final draw.

    Samples of the controller that were evaluated before teach it again at no cost, so no architecture is asked for twice.
    A search ends (`ask` gives nothing) after `patience` feasible samples in a row without a new architecture, or `steps` updates.
    `recommend` draws 500 samples and returns, of those within the constraint, the ones with most parameters, or with
    `choose = "score"` the best that it was told; the more probable one of two that are equal. Needs a constraint.
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        learning_rate: float = 0.03,
        steps: int = 3_000,
        patience: int = 2_000,
        choose: str = "params",
    ) -> None:
        super().__init__(space, seed)
        if not self.domain.limits:
            raise InvalidQuery(
                f"{type(self).__name__} searches under a constraint: expected one, such as "
                "constraint={'params': 40000} (--constraint params=40000)"
            )
        self.domain.sample_many(1, np.random.default_rng(self.seed))  # says if nothing keeps the constraint
        if min(self.domain.limits.values()) <= 0:
            raise InvalidQuery("the constraint allows a cost of 0 only: expected a larger limit")
        self.domain = self.domain.relaxed  # it samples what breaks the constraint too, and learns from that
        self._skip = None  # it keeps no count of a pool: what was asked for is answered from `_cache`
        self.limit_name, self.limit = next(iter(self.domain.limits.items()))
        self.controller = FactorisedController(self.space, check_float("learning_rate", learning_rate, 0))
        self.steps = check_int("steps", steps, 1)
        self.patience = check_int("patience", patience, 1)
        self.choose = one_of("choose", choose, ("params", "score"))
        self._cache: dict[bytes, float] = {}
        self._done = 0
        self._average = 0.0
        self._weight = 0.0  # of the rewards in the average: its bias correction
        self._drawn: list[np.ndarray] = []

    @abstractmethod
    def _learns_from(self, row: np.ndarray) -> bool:
        """Whether a sample is evaluated and learnt from at all."""

    @abstractmethod
    def _gradient(self, row: np.ndarray, score: float) -> np.ndarray:
        """The gradient of the objective J by the logits, given one scored sample; updates the moving average."""

    def _propose(self, n: int) -> np.ndarray:
        found: list[np.ndarray] = []
        vain = infeasible = 0
        while len(found) < n and vain < self.patience and self._done < self.steps:
            row = self._next_sample()
            if not self._learns_from(row):
                infeasible += 1
                if infeasible >= _INFEASIBLE:
                    break
                continue
            vain += 1
            infeasible = 0
            if row.tobytes() in self._cache:
                self._update(row)
            elif row.tobytes() not in self._asked:
                self._mark(row[None])
                found.append(row)
                vain = 0
        return self._stack(found)

    def _next_sample(self) -> np.ndarray:
        """One sample of the controller; on recorded architectures only, the one nearest to it."""
        if not self._drawn:
            self._drawn = list(self.controller.sample(_BLOCK, self.rng))
        row = self._drawn.pop()
        if self.domain.pool is None or self.domain.position(row.astype(np.int8).tobytes()) is not None:
            return row
        nearest: np.ndarray = self.domain.pool[self.domain.nearest(row, self.rng)]
        return nearest

    def _learn(self, choices: np.ndarray, scores: np.ndarray) -> None:
        worst = min([*self._cache.values(), *scores[~np.isnan(scores)]], default=0.0)
        for row, score in zip(choices, scores, strict=True):
            self._cache[row.tobytes()] = worst if np.isnan(score) else float(score)
            if self._learns_from(row) and self._done < self.steps:
                self._update(row)

    def _update(self, row: np.ndarray) -> None:
        self._done += 1
        self._drawn = []
        self.controller.ascend(self._gradient(row, self._cache[row.tobytes()]))

    def _advantage(self, reward: float) -> float:
        """The reward minus the average of those before it, which then takes it in (algorithm 1, line 18).

        The first reward has nothing to be compared with, and teaches nothing: so a constant added to all scores changes nothing.
        """
        advantage = reward - self._average / self._weight if self._weight else 0.0
        self._average = _DECAY * self._average + (1 - _DECAY) * reward
        self._weight = _DECAY * self._weight + 1 - _DECAY
        return advantage

    def _cost(self, choices: np.ndarray, name: str | None = None) -> np.ndarray:
        return self.domain.cost(choices, name or self.limit_name).astype(np.float64)

    def recommend(self, n: int = 1) -> list[Architecture]:
        drawn = np.unique(self.controller.sample(_FINAL_DRAWS, self.rng), axis=0)
        if self.domain.pool is not None:
            drawn = np.unique(self.domain.pool[[self.domain.nearest(row, self.rng) for row in drawn]], axis=0)
        drawn = drawn[self.domain.feasible(drawn)]
        if not len(drawn):
            return []
        if self.choose == "params":
            value = self._cost(drawn, "params")
        else:
            value = np.array([self._cache.get(row.tobytes(), -np.inf) for row in drawn])
        order = np.lexsort((-self.controller.probabilities(drawn), -value))
        return self.space.architectures(drawn[order[:n]])


class TabNAS(Factorised):
    """Rejection: what breaks the constraint is skipped, the rest learnt from with its probability among feasible ones.

    P(V), the probability that a sample is feasible, is estimated from `samples` Monte-Carlo samples, or summed exactly over the
    pool of a small space or of recorded architectures (`samples = 0`: exactly where it can be, 2,048 samples elsewhere).
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        samples: int = 0,
        learning_rate: float = 0.03,
        steps: int = 3_000,
        patience: int = 2_000,
        choose: str = "params",
    ) -> None:
        super().__init__(space, seed, learning_rate=learning_rate, steps=steps, patience=patience, choose=choose)
        self.samples = check_int("samples", samples, 0)
        self._feasible: np.ndarray | None = None
        pool = self.domain.pool
        if self.samples == 0 and pool is not None:
            self._feasible = pool[self.domain.feasible(pool)]

    def _learns_from(self, row: np.ndarray) -> bool:
        return bool(self.domain.feasible(row[None])[0])

    def _gradient(self, row: np.ndarray, score: float) -> np.ndarray:
        gradient = self.controller.log_gradient(row[None], np.ones(1)) - self.feasible_gradient()[1]
        return self._advantage(score) * gradient

    def feasible_gradient(self) -> tuple[float, np.ndarray]:
        """P(V) and the gradient of log P(V) by the logits: exact, or algorithm 2's estimate with q = stop_grad(p)."""
        if self._feasible is not None:
            weights = self.controller.probabilities(self._feasible)
            drawn = self._feasible
        else:
            drawn = self.controller.sample(self.samples or 2_048, self.rng)
            drawn = drawn[self.domain.feasible(drawn)]
            weights = np.full(len(drawn), 1 / (self.samples or 2_048))
        total = float(weights.sum())
        if total == 0:  # no sample was feasible: nothing is known of the gradient
            return 0.0, np.zeros_like(self.controller.logits)
        return total, self.controller.log_gradient(drawn, weights / total)


class _Shaped(Factorised):
    """A reward that prices the cost T against the target T0, which is the constraint's limit. `beta` <= 0; None: `usual_beta`."""

    usual_beta: float

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        beta: float | None = None,
        learning_rate: float = 0.03,
        steps: int = 3_000,
        patience: int = 2_000,
        choose: str = "params",
    ) -> None:
        super().__init__(space, seed, learning_rate=learning_rate, steps=steps, patience=patience, choose=choose)
        self.beta = check_float("beta", self.usual_beta if beta is None else beta, high=0)
        if len(self.domain.limits) > 1:
            raise InvalidQuery(
                f"{type(self).__name__} prices one cost: expected one constraint, got {len(self.domain.limits)}"
            )

    @abstractmethod
    def reward(self, score: float, ratio: float) -> float:
        """The reward of a score Q at T / T0."""

    def _learns_from(self, row: np.ndarray) -> bool:
        return True

    def _gradient(self, row: np.ndarray, score: float) -> np.ndarray:
        ratio = float(self._cost(row[None])[0]) / self.limit
        return self._advantage(self.reward(score, ratio)) * self.controller.log_gradient(row[None], np.ones(1))


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


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())
