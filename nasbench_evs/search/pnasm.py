"""PNASM (paper 004): REINFORCE on mixed batches, some architectures truly evaluated, the others only predicted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nasbench_evs.arguments import check_bool, check_int, one_of
from nasbench_evs.search.controller import normal_scores
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.reinforce import Reinforce
from nasbench_evs.search.searcher import share_of
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate.predictors import PREDICTORS, Predictor, predictor

_INITIAL_BATCH = 20
MIXES = ("new", "all")
DIVERGENCES = ("architecture", "decision")


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

    `initial` architectures of the untrained controller are evaluated first (a fifth of the budget unless told, from 10 to 100;
    100 in the paper, which leaves little of a budget of 150; they count in it); predictor and controller learn from them. How
    often the controller goes through them the paper does not say: `passes` times, in shuffled batches of 20; many use up the
    entropy that the search is to live on. Adam then begins anew. Rewards are the normal scores of ranks within a batch. With
    several workers as many batches are under way as keep all of them busy: their samples are of somewhat older policies than
    the one that learns from them.

    `k = 5` is the paper's; `learning_rate = 0.01` is ours, the paper has .001.

    `k = 0` is the ablation without truth: after `predicted` samples that only the predictor scored, the architectures it
    likes best are evaluated, best first. `k = n` is the one without predictions. With `adaptive` (PNASM-A) the number
    evaluated is n times the divergence between the last two policies (equation 12).

    Two lines of the paper can be read in two ways. Algorithm 2, line 9, selects k true and n - k predicted pairs: those just
    collected (`mix = "new"`, the default: the policy moves more), or any of all so far ("all"). The divergence of equation 12
    is that of the distributions over architectures (`divergence = "architecture"`, the default: KL of policies is of these),
    or that of a decision's options, the mean over the decisions ("decision").

    `predictor` is a name of `surrogate.predictors`, fitted after every batch; a Gaussian process takes milliseconds for it (the
    paper takes what orders its space best: SemiNAS on one, XGBoost on the other; here "seminas" and "single-xgboost", which
    need the extras train and predictors).
    `bounds` holds the terms of theorem 1, one for each iteration.
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        initial: int | None = None,
        n: int = 20,
        k: int = 5,
        adaptive: bool = False,
        mix: str = "new",
        divergence: str = "architecture",
        predictor: str = "gp",
        predicted: int = 2000,
        passes: int = 5,
        learning_rate: float = 0.01,
        entropy: float = 1e-4,
        baseline: float = 0.9,
        budget: int | None = None,
    ) -> None:
        super().__init__(
            space, seed, batch=check_int("n", n, 1), learning_rate=learning_rate, entropy=entropy, baseline=baseline
        )
        self.initial = share_of(budget, 5, low=10, high=100) if initial is None else check_int("initial", initial, 2)
        self.k = check_int("k", k, 0, self.batch)
        self.adaptive = check_bool("adaptive", adaptive)
        self.mix = one_of("mix", mix, MIXES)
        self.divergence = one_of("divergence", divergence, DIVERGENCES)
        self.predictor = one_of("predictor", predictor, PREDICTORS)
        self._made(self.seed)  # a library that is missing is said now, not after the first evaluations
        self.predicted = check_int("predicted", predicted, 1)
        self.passes = check_int("passes", passes, 1)
        self.bounds: list[Bound] = []
        self._fitted: Predictor | None = None
        self._alpha = 0.0  # of equation 12
        self._queue: list[np.ndarray] = []  # to be evaluated
        self._awaited: dict[bytes, tuple[_Batch, float]] = {}  # evaluated now: of which batch, and what was predicted
        self._imagined: list[tuple[np.ndarray, float]] = []  # D_p, if batches are mixed from all of it

    def _propose(self, n: int) -> np.ndarray:
        found: list[np.ndarray] = []
        while len(found) < n:
            if self._queue:
                found.append(self._queue.pop(0))
                continue
            if self._fitted is not None and self._iterate():
                continue
            drawn = super()._propose(1)
            if not len(drawn):
                break
            found += list(drawn)
        return self._stack(found)

    def _unchanged(self) -> int:
        return max(1, self.initial - len(self._asked)) if self._fitted is None else 1

    def _iterate(self) -> bool:
        """Sample a batch, and queue what of it is to be evaluated; whether there is anything."""
        if self.k == 0 and not self.adaptive:
            return self._imagine()
        k = self.k
        if self.adaptive and self.bounds:
            k = math.ceil(min(1.0, self._alpha) * self.batch)
        drawn = self.sample(self.batch)
        true, rest = np.split(drawn, [max(1, k)])
        if not len(true):
            return False
        self._mark(true)
        predictions = self._predict(drawn)
        batch = _Batch(rest, predictions[len(true) :], size=len(true))
        for row, prediction in zip(true, predictions, strict=False):
            self._awaited[row.tobytes()] = batch, float(prediction)
        self._queue = list(true)
        return True

    def _imagine(self) -> bool:
        """The ablation k = 0: the policy learns from the predictor alone; then the best predictions are evaluated."""
        sampled: dict[bytes, tuple[float, np.ndarray]] = {}
        for _ in range(math.ceil(self.predicted / self.batch)):
            rows = self.sample(self.batch)
            if not len(rows):
                break
            scores = self._predict(rows)
            self._update(rows, scores, math.nan)
            sampled |= {row.tobytes(): (float(s), row) for row, s in zip(rows, scores, strict=True)}
        self._queue = [row for _, row in sorted(sampled.values(), key=lambda each: -each[0])]
        self._mark(self._stack(self._queue))
        return bool(self._queue)

    def _predict(self, choices: np.ndarray) -> np.ndarray:
        return self._fitted.predict(choices).mean if self._fitted else np.zeros(len(choices))

    def _learn(self, choices: np.ndarray, scores: np.ndarray) -> None:
        _, values = self.known
        if self._fitted is None:
            if len(values) >= max(2, min(self.initial, self.domain.size or self.initial)):
                self._initialise()
            return
        for row, score in zip(choices, scores, strict=True):
            if row.tobytes() not in self._awaited:
                continue
            batch, predicted = self._awaited.pop(row.tobytes())
            true = values.min() if np.isnan(score) else float(score)
            batch.arrived.append((row, true))
            batch.errors.append(abs(true - predicted))
            if len(batch.arrived) == batch.size:
                self._learn_batch(batch)

    def _learn_batch(self, batch: _Batch) -> None:
        """One update on true and predicted scores together, then the predictor anew."""
        known, values = self.known
        if self.mix == "new":
            true = self._stack([row for row, _ in batch.arrived]), np.array([score for _, score in batch.arrived])
            imagined = batch.imagined, batch.predictions
        else:
            self._imagined += zip(batch.imagined, batch.predictions.tolist(), strict=True)
            some = self.rng.choice(len(values), batch.size, replace=False)
            true = known[some], values[some]
            others = [
                self._imagined[i] for i in self.rng.choice(len(self._imagined), len(batch.imagined), replace=False)
            ]
            imagined = self._stack([row for row, _ in others]), np.array([score for _, score in others])
        rows, scores = (np.concatenate(parts) for parts in zip(true, imagined, strict=True))
        self._update(rows, scores, max(batch.errors))
        self._refit()

    def _initialise(self) -> None:
        known, values = self.known
        rewards = normal_scores(values, values)
        for _ in range(self.passes):
            order = self.rng.permutation(len(values))
            for part in np.array_split(order, math.ceil(len(order) / _INITIAL_BATCH)):
                self.controller.update(self._draws(known[part]), rewards[part])
        self.controller.restart()  # so many steps in one direction would weigh on those that follow
        self._ready = []
        self._refit()

    def _update(self, rows: np.ndarray, scores: np.ndarray, error: float) -> None:
        draws = self._draws(rows)
        # Within the batch; of one alone, among the true scores, which says something.
        among = scores if len(scores) > 1 else self.known[1]
        before = self.controller.update(draws, normal_scores(scores, among))
        # KL(before | after) from samples of `before` (of a policy some updates older, with several workers).
        shifts = self.controller.divergence(before, draws)
        shift = float(shifts.mean())
        self._alpha = shift if self.divergence == "architecture" else float((shifts / before.active.sum(1)).mean())
        self.bounds.append(Bound(error, shift))

    def _refit(self) -> None:
        self._fitted = self._made(int(self.rng.integers(2**31))).fit(*self.known)

    def _made(self, seed: int) -> Predictor:
        return predictor(self.predictor, self.space, seed)
