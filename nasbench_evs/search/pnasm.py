"""PNASM (paper 004): REINFORCE on mixed batches, some architectures truly evaluated, the others only predicted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nasbench_evs.search.checks import check_bool, check_int, one_of
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.reinforce import Reinforce
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate.predictors import PREDICTORS, Predictor, predictor

_INITIAL_BATCH = 20


class Bound(NamedTuple):
    """The two terms of theorem 1 in one iteration. NaN where no true score was predicted before."""

    predictor_error: float  # the largest difference between predicted and true scores of the newest architectures
    policy_shift: float  # the divergence of the policy before the update from that after it


@dataclass
class _Batch:
    """A mixed batch under way."""

    imagined: np.ndarray  # architectures that the predictor alone scores
    predictions: np.ndarray  # their scores
    size: int  # how many are evaluated
    arrived: list[tuple[np.ndarray, float]] = field(default_factory=list)  # these, and their scores
    errors: list[float] = field(default_factory=list)  # of the predictions of these


class PNASM(Reinforce):
    """Mixed batches: `k` of `n` samples of the controller are evaluated, the others are scored by the predictor.

    `initial` architectures of the untrained controller are evaluated first; predictor and controller learn from them. How
    often the controller goes through them the paper does not say: `passes` times, in shuffled batches of 20; once moves
    a learning rate of 0.001 nowhere. With several workers as many batches are under way as keep all of them
    busy: their samples are of somewhat older policies than the one that learns from them.
    `k = 0` is the ablation without truth: after `predicted` samples that only the predictor scored, the architectures it
    likes best are evaluated, best first. `k = n` is the one without predictions. With `adaptive` (PNASM-A) the number
    evaluated is n times the divergence between the last two policies (equation 12). `predictor` is a name of
    `surrogate.predictors` (the paper takes what orders its space best: SemiNAS on one, XGBoost on the other; here "seminas" and
    "single-xgboost", which need the extras train and predictors).
    `bounds` holds the terms of theorem 1, one for each iteration.
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        initial: int = 100,
        n: int = 20,
        k: int = 5,
        adaptive: bool = False,
        predictor: str = "single-catboost",
        predicted: int = 2000,
        passes: int = 50,
        learning_rate: float = 1e-3,
        entropy: float = 1e-4,
        baseline: float = 0.9,
    ) -> None:
        super().__init__(
            space, seed, batch=check_int("n", n, 1), learning_rate=learning_rate, entropy=entropy, baseline=baseline
        )
        self.initial = check_int("initial", initial, 2)
        self.k = check_int("k", k, 0, self.batch)
        self.adaptive = check_bool("adaptive", adaptive)
        self.predictor = one_of("predictor", predictor, PREDICTORS)
        self._made(self.seed)  # a library that is missing is said now, not after the first evaluations
        self.predicted = check_int("predicted", predicted, 1)
        self.passes = check_int("passes", passes, 1)
        self.bounds: list[Bound] = []
        self._fitted: Predictor | None = None
        self._divergence = 0.0
        self._queue: list[np.ndarray] = []  # to be evaluated
        self._awaited: dict[bytes, tuple[_Batch, float]] = {}  # evaluated now: of which batch, and what was predicted

    def _propose(self, n: int) -> np.ndarray:
        found: list[np.ndarray] = []
        while len(found) < n:
            if self._queue:
                found.append(self._queue.pop(0))
                continue
            if self._fitted is not None and self._iterate():
                continue
            drawn = self.new(self.policy, 1)
            if not len(drawn):
                break
            found += list(drawn)
        return self._stack(found)

    def _iterate(self) -> bool:
        """Sample a batch, and queue what of it is to be evaluated; whether there is anything."""
        if self.k == 0 and not self.adaptive:
            return self._imagine()
        k = self.k
        if self.adaptive and self.bounds:
            k = math.ceil(min(1.0, self._divergence) * self.batch)
        true = self.new(self.policy, max(1, k))
        if not len(true):
            return False
        rest = self.policy(self.batch - len(true)) if len(true) < self.batch else true[:0]
        predictions = self._predict(np.concatenate([true, rest]))
        batch = _Batch(rest, predictions[len(true) :], size=len(true))
        for row, prediction in zip(true, predictions, strict=False):
            self._awaited[row.tobytes()] = batch, float(prediction)
        self._queue = list(true)
        return True

    def _imagine(self) -> bool:
        """The ablation k = 0: the policy learns from the predictor alone; then the best predictions are evaluated."""
        sampled: dict[bytes, tuple[float, np.ndarray]] = {}
        for _ in range(math.ceil(self.predicted / self.batch)):
            rows = self.policy(self.batch)
            scores = self._predict(rows)
            self._update(rows, scores, math.nan)
            sampled |= {row.tobytes(): (float(s), row) for row, s in zip(rows, scores, strict=True)}
        best = [row for _, row in sorted(sampled.values(), key=lambda each: -each[0])]
        best = [row for row in best if row.tobytes() not in self._asked]
        self._queue = list(self.new(lambda m: self._stack(best[:m]), len(best))) if best else []
        return bool(self._queue)

    def _predict(self, choices: np.ndarray) -> np.ndarray:
        return self._fitted.predict(choices).mean if self._fitted else np.zeros(len(choices))

    def _learn(self, choices: np.ndarray, scores: np.ndarray) -> None:
        known, values = self.known
        if self._fitted is None:
            if len(values) >= max(2, min(self.initial, self.domain.size or self.initial)):
                self._initialise(known, values)
            return
        for row, score in zip(choices, scores, strict=True):
            if row.tobytes() not in self._awaited:
                continue
            batch, predicted = self._awaited.pop(row.tobytes())
            true = values.min() if np.isnan(score) else float(score)
            batch.arrived.append((row, true))
            batch.errors.append(abs(true - predicted))
            if len(batch.arrived) == batch.size:
                rows = np.concatenate([self._stack([row for row, _ in batch.arrived]), batch.imagined])
                rewards = np.concatenate([[true for _, true in batch.arrived], batch.predictions])
                self._update(rows, rewards, max(batch.errors))
                self._refit()

    def _initialise(self, choices: np.ndarray, scores: np.ndarray) -> None:
        for _ in range(self.passes):
            order = self.rng.permutation(len(scores))
            for part in np.array_split(order, math.ceil(len(order) / _INITIAL_BATCH)):
                self.controller.update(choices[part], scores[part])
        self._refit()

    def _update(self, rows: np.ndarray, rewards: np.ndarray, error: float) -> None:
        before = self.controller.log_probabilities(rows)
        self.controller.update(rows, rewards)
        change = self.controller.log_probabilities(rows) - before
        # KL(before | after) from samples of `before` (of a policy some updates older, with several workers):
        # exp(x) - 1 - x has the mean of -x, and is never negative.
        self._divergence = float(np.mean(np.expm1(change) - change))
        self.bounds.append(Bound(error, self._divergence))

    def _refit(self) -> None:
        self._fitted = self._made(int(self.rng.integers(2**31))).fit(*self.known)

    def _made(self, seed: int) -> Predictor:
        return predictor(self.predictor, self.space, seed)
