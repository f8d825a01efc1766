"""The LSTM controller (paper 004, appendices A and D): a distribution over architectures that REINFORCE improves.

It emits the active choices of a space in their order, each given those before it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from nasbench_evs.search.adam import Adam
from nasbench_evs.search.lstm import Cache, LSTMNetwork
from nasbench_evs.search.masks import Walk
from nasbench_evs.spaces import SearchSpace


class Draws(NamedTuple):
    """Architectures of a controller, and the options that it had at each decision, of which its probabilities are."""

    choices: np.ndarray  # choice indices (n, C)
    allowed: np.ndarray | None  # bool (n, C, largest number of options); None: all options of each choice


class Decisions(NamedTuple):
    """The distributions of the active choices, moved to the left: log probabilities and what they are of."""

    logs: np.ndarray  # (N, T, K); -inf for what is no option
    taken: np.ndarray  # the option of each, (N, T)
    active: np.ndarray  # bool (N, T)
    options: np.ndarray  # the first option of each choice among all options of the space, (N, T)
    cache: Cache

    @property
    def log_probabilities(self) -> np.ndarray:
        """Of each architecture, (N,)."""
        chosen = np.take_along_axis(self.logs, self.taken[..., None], axis=2)[..., 0]
        return np.where(self.active, chosen, 0.0).sum(1)

    @property
    def entropies(self) -> np.ndarray:
        """The entropies of the decisions of each architecture, summed, (N,)."""
        return np.where(self.active, -_expectation(self.logs, self.logs), 0.0).sum(1)


class _Switch(NamedTuple):
    """When a choice is active: the column of the choice that decides it, and with which of its options, the last one none."""

    parent: int
    active: np.ndarray


def _switch(space: SearchSpace, column: int) -> _Switch | None:
    """None of a choice that is always active."""
    name = space.choices[column].parent
    if name is None:
        return None
    parent = [choice.name for choice in space.choices].index(name)
    probe = np.full((len(space.choices[parent].options) + 1, len(space.choices)), -1, np.int8)
    probe[:-1, parent] = np.arange(len(probe) - 1)
    return _Switch(parent, space.is_active(column, probe))


class Controller:
    """Samples architectures, tells their probabilities, and learns from rewards.

    `learning_rate` is Adam's; `entropy` weighs a sample's entropy in its reward; `baseline` is the decay of the moving
    average of rewards that is subtracted from them (Zoph & Le 2017; 0: nothing is subtracted).
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        *,
        learning_rate: float = 0.01,
        entropy: float = 1e-4,
        baseline: float = 0.9,
    ) -> None:
        self.space, self.entropy, self.decay = space, entropy, baseline
        self._counts = np.array([len(choice.options) for choice in space.choices])
        self._first = np.cumsum(self._counts) - self._counts  # of each choice's options among all options
        self._most = int(self._counts.max())
        self._switches = [_switch(space, column) for column in range(len(self._counts))]
        self._network = LSTMNetwork(int(self._counts.sum()), seed)
        self._adam = Adam(self._network.weights, learning_rate)
        self._average: float | None = None

    def sample(self, n: int, rng: np.random.Generator, walk: Walk | None = None) -> Draws:
        """n architectures, with repeats; with a `walk` of n draws only such as it allows."""
        steps = self._network.steps(n)
        choices = np.full((len(self._counts), n), -1, np.int8).T
        allowed = None if walk is None else np.zeros((n, len(self._counts), self._most), bool)
        token = np.zeros(n, np.intp)
        for column, (first, count) in enumerate(zip(self._first.tolist(), self._counts.tolist(), strict=True)):
            rows: slice | np.ndarray = slice(None)
            size = n
            if switch := self._switches[column]:
                active = switch.active[choices[:, switch.parent]]
                size = int(np.count_nonzero(active))
                if not size:
                    continue
                if size < n:
                    rows = np.flatnonzero(active)
            logits = steps.take(token[rows], rows, slice(first, first + count))
            weights = np.exp(logits)  # squashed: neither large nor small
            if walk is not None and allowed is not None:
                options = walk.allowed(column, rows)
                allowed[rows, column, :count] = options
                weights *= options
            reached = weights.cumsum(axis=1)
            # Above what a draw reaches: an option without weight is never taken, not even by a draw of 0.
            drawn = (reached <= rng.random((size, 1)) * reached[:, -1:]).sum(axis=1)
            if walk is not None:
                walk.take(rows, drawn)
            choices[rows, column] = drawn
            token[rows] = drawn + first + 1
        return Draws(np.ascontiguousarray(choices), allowed)

    def log_probabilities(self, choices: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
        """The natural logarithm of each architecture's probability, (N,)."""
        return self.decide(Draws(choices, allowed)).log_probabilities

    def decide(self, draws: Draws) -> Decisions:
        """The distributions of the decisions that lead to these architectures."""
        index = np.asarray(draws.choices, np.intp)
        columns = np.argsort(index < 0, axis=1, kind="stable")
        index = np.take_along_axis(index, columns, axis=1)
        length = int((index >= 0).sum(1).max())
        index, columns = index[:, :length], columns[:, :length]
        active, taken, first = index >= 0, np.maximum(index, 0), self._first[columns]
        tokens = np.concatenate([np.zeros((len(index), 1), np.intp), (taken + first + 1)[:, :-1]], axis=1)
        logits, cache = self._network.forward(tokens)
        legal = np.arange(self._most) < self._counts[columns][..., None]
        if draws.allowed is not None:
            legal &= draws.allowed[np.arange(len(index))[:, None], columns] | ~active[..., None]
        places = np.minimum(first[..., None] + np.arange(self._most), logits.shape[2] - 1)
        weights = np.where(legal, np.exp(np.take_along_axis(logits, places, axis=2)), 0.0)
        with np.errstate(divide="ignore"):
            logs = np.log(weights / weights.sum(axis=2, keepdims=True))
        return Decisions(logs, taken, active, first, cache)

    def update(self, draws: Draws, rewards: np.ndarray) -> Decisions:
        """One REINFORCE step on a batch and its rewards (N,) (paper 004, equation 5); the decisions as they were before it."""
        before = self.decide(draws)
        total = np.asarray(rewards, np.float64) + self.entropy * before.entropies
        mean = float(total.mean())
        advantage = total - (self._average if self._average is not None else mean) * (self.decay > 0)
        self._average = mean if self._average is None else self.decay * self._average + (1 - self.decay) * mean
        # Of -mean(advantage * log probability), by the logits.
        slope = np.exp(before.logs)
        np.put_along_axis(
            slope, before.taken[..., None], np.take_along_axis(slope, before.taken[..., None], axis=2) - 1.0, axis=2
        )
        slope *= (advantage[:, None] * before.active / len(advantage))[..., None]
        # As wide as the last choice's options need, if it had as many as the choice with most.
        everything = np.zeros((*slope.shape[:2], int(self._counts.sum()) + self._most))
        np.put_along_axis(everything, before.options[..., None] + np.arange(self._most), slope, axis=2)
        self._adam.descend(self._network.backward(before.cache, everything[..., : -self._most]))
        return before

    def divergence(self, before: Decisions, draws: Draws) -> np.ndarray:
        """For each of the draws (N,) the divergence of each decision's distribution `before` from the one now, summed.

        Its mean over draws of the policy before is the divergence KL(before | now) of the distributions over architectures.
        """
        now = self.decide(draws).logs
        with np.errstate(invalid="ignore"):
            apart = before.logs - now
        return np.where(before.active, _expectation(before.logs, apart), 0.0).sum(1)

    def restart(self) -> None:
        """Forget the moments of past gradients and the average of past rewards, but not what was learnt."""
        self._adam.restart()
        self._average = None


def normal_scores(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The normal score of each value's rank among scores (M,): as far from 0 as the rank's share of a normal distribution.

    Whatever their scale and outliers, the scores have normal scores of mean 0 and about unit variance.
    """
    ordered = np.sort(among)
    place = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2
    result: np.ndarray = ndtri(np.clip(place, 0.5, len(ordered) - 0.5) / len(ordered))
    return result


def _expectation(logs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The mean of the values under the probabilities, over the last axis; what has no probability has no value."""
    return np.where(np.isneginf(logs), 0.0, np.exp(logs) * np.where(np.isneginf(logs), 0.0, values)).sum(axis=-1)
