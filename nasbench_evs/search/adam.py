"""Adam in NumPy, for the controllers: their vectors are too small for PyTorch to pay."""

from __future__ import annotations

import numpy as np

_BETAS = (0.9, 0.999)


class Adam:
    """Adam (Kingma & Ba 2015) on one vector of weights, which it changes in place.

    `steps` counts the steps since the moments of the gradients were empty.
    """

    def __init__(self, weights: np.ndarray, learning_rate: float, epsilon: float = 1e-8) -> None:
        self._weights, self._rate, self._epsilon = weights, learning_rate, epsilon
        self.restart()

    def restart(self) -> None:
        """Forget the moments of the gradients so far."""
        self._moments = np.zeros((2, len(self._weights)))
        self.steps = 0

    def descend(self, gradient: np.ndarray) -> None:
        """One step against the gradient."""
        self.steps += 1
        for moment, beta, value in zip(self._moments, _BETAS, (gradient, gradient**2), strict=True):
            moment *= beta
            moment += (1 - beta) * value
        first, second = (1 - beta**self.steps for beta in _BETAS)  # what the moments are short of
        scale = np.sqrt(self._moments[1] / second)
        scale += self._epsilon
        self._weights -= self._moments[0] * (self._rate / first) / scale
