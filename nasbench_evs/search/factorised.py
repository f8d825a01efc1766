"""The controller of TabNAS (paper 003): independent choices, and the probability of a set of architectures."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from nasbench_evs.search.adam import Adam
from nasbench_evs.spaces import SearchSpace

_EPSILON = 1e-3  # Adam's (appendix B.1)


class FactorisedController:
    """Independent logits for each choice, uniform at first; Adam climbs what `ascend` is given, changing `logits` in place."""

    def __init__(self, space: SearchSpace, learning_rate: float) -> None:
        self.space = space
        self._counts = np.array([len(choice.options) for choice in space.choices])
        self._starts = np.cumsum(self._counts) - self._counts
        self.logits = np.zeros(self._counts.sum())
        self._adam = Adam(self.logits, learning_rate, _EPSILON)

    @property
    def steps(self) -> int:
        """How many steps `ascend` has made."""
        return self._adam.steps

    @property
    def option_log_probabilities(self) -> np.ndarray:
        """The log probabilities of each choice's options, where it is active, of all choices in one array: (options,)."""
        shifted = self.logits - np.repeat(np.maximum.reduceat(self.logits, self._starts), self._counts)
        return shifted - np.repeat(np.log(np.add.reduceat(np.exp(shifted), self._starts)), self._counts)

    @property
    def option_probabilities(self) -> list[np.ndarray]:
        """The probabilities of each choice's options, where it is active."""
        return np.split(np.exp(self.option_log_probabilities), self._starts[1:])

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """n architectures, choice indices (n, C), with repeats."""
        choices = np.full((len(self._counts), n), -1, np.int8).T
        for column, probabilities in enumerate(self.option_probabilities):
            drawn = np.searchsorted(np.cumsum(probabilities)[:-1], rng.random(n), "right")
            active = self.space.is_active(column, choices)
            choices[active, column] = drawn[active]
        return np.ascontiguousarray(choices)

    def log_probabilities(self, choices: np.ndarray) -> np.ndarray:
        """The natural logarithm of each architecture's probability, (N,)."""
        # One more entry for choices that are not active.
        places = np.where(choices >= 0, choices + self._starts, len(self.logits))
        value: np.ndarray = np.append(self.option_log_probabilities, 0.0)[places].sum(axis=1)
        return value

    def indicators(self, choices: np.ndarray) -> csr_matrix:
        """Which options each architecture takes: 1.0 or 0.0, (N, options), sparse."""
        active = choices >= 0
        options = (choices + self._starts)[active]
        ends = np.concatenate([[0], np.cumsum(active.sum(axis=1))])
        return csr_matrix((np.ones(len(options)), options, ends), shape=(len(choices), len(self.logits)))

    def slope(self, taken: np.ndarray) -> np.ndarray:
        """The gradient by the logits of sum_o taken[o] log p(o), where p(o) is option o's probability, (options,)."""
        mass = np.repeat(np.add.reduceat(taken, self._starts), self._counts)
        gradient: np.ndarray = taken - mass * np.exp(self.option_log_probabilities)
        return gradient

    def log_gradient(self, choices: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The gradient of sum_i weights[i] log P(choices[i]) by the logits, (options,)."""
        return self.slope(weights @ self.indicators(choices))

    def ascend(self, gradient: np.ndarray) -> None:
        """One step of Adam."""
        self._adam.descend(-gradient)


class Support:
    """A set of architectures, and what the controller makes of it: its probability, the gradient of that, draws from it.

    `rows` (M, C) are all of the set; or, with `log_proposal` (M,) and `drawn`, those of `drawn` samples that are in it, and
    the logarithms of the probabilities that they were drawn with: then the probability is estimated, by importance sampling
    (paper 003, algorithm 2, line 10).
    """

    def __init__(
        self, controller: FactorisedController, rows: np.ndarray, log_proposal: np.ndarray | None = None, drawn: int = 1
    ) -> None:
        self._controller, self.rows = controller, rows
        self._taken = controller.indicators(rows)
        self._shift = -np.log(drawn) - (0.0 if log_proposal is None else log_proposal)
        self._at = -1  # the step of the controller at which the weights were computed
        self._weights = np.empty(0)

    @property
    def weights(self) -> np.ndarray:
        """What each row contributes to the probability of the set, (M,)."""
        if self._at != self._controller.steps:
            self._weights = np.exp(self._taken @ self._controller.option_log_probabilities + self._shift)
            self._at = self._controller.steps
        return self._weights

    def log_gradient(self) -> tuple[float, np.ndarray]:
        """The probability of the set, and the gradient of its logarithm by the logits; zeros where it is 0."""
        total = float(self.weights.sum())
        if total == 0:  # nothing is known of the gradient
            return 0.0, np.zeros_like(self._controller.logits)
        return total, self._controller.slope((self.weights / total) @ self._taken)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """n rows as the controller draws them if all others are rejected."""
        reached = np.cumsum(self.weights)
        return self.rows[np.minimum(np.searchsorted(reached, rng.random(n) * reached[-1], "right"), len(reached) - 1)]
