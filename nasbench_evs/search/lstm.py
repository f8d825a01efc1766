"""The network of the LSTM controller and its gradient, in NumPy.

It is so small that PyTorch would take longer to be called, and far longer to be imported, than this takes to compute.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

_EMBEDDING = 32
_UNITS = 35
_OUTPUT = 32
_WEIGHTS = 0.1  # initial ones are uniform in +- this
_TEMPERATURE = 5.0
_TANH = 2.5
_UNTHREADED = 200_000  # multiplications in one product of matrices that OpenBLAS does in one thread


class Cache(NamedTuple):
    """What `backward` needs of a `forward`; time comes first."""

    tokens: np.ndarray  # (T, N)
    layers: list[dict[str, np.ndarray]]  # of each: input, hidden and cell before and after, the gates
    output: np.ndarray  # (T, N, outputs)
    squashed: np.ndarray  # tanh of the logits, (T, N, options)


class LSTMNetwork:
    """Embedding, two LSTM layers, a linear layer, logits of all options of all choices, squashed (paper 004, appendix D).

    Token 0 is the beginning, token 1 + i what follows option i. All weights are parts of one vector, `weights`.
    """

    def __init__(self, options: int, seed: int) -> None:
        shapes = {
            "embedding": (options + 1, _EMBEDDING),
            "input0": (_EMBEDDING, 4 * _UNITS),
            "recurrent0": (_UNITS, 4 * _UNITS),
            "bias0": (4 * _UNITS,),
            "input1": (_UNITS, 4 * _UNITS),
            "recurrent1": (_UNITS, 4 * _UNITS),
            "bias1": (4 * _UNITS,),
            "output": (_UNITS, _OUTPUT),
            "output_bias": (_OUTPUT,),
            "logits": (_OUTPUT, options),
            "logits_bias": (options,),
        }
        self._places: dict[str, tuple[slice, tuple[int, ...]]] = {}
        size = 0
        for name, shape in shapes.items():
            start, size = size, size + math.prod(shape)
            self._places[name] = slice(start, size), shape
        self.weights = np.random.default_rng(seed).uniform(-_WEIGHTS, _WEIGHTS, size)
        self._parts = self._split(self.weights)

    def _split(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """The parts of a vector as large as `weights`, by name: views."""
        return {name: vector[place].reshape(shape) for name, (place, shape) in self._places.items()}

    def forward(self, tokens: np.ndarray) -> tuple[np.ndarray, Cache]:
        """Tokens (N, T) to logits (N, T, options)."""
        w, (n, length) = self._parts, tokens.shape
        tokens = np.ascontiguousarray(tokens.T)
        entering = (_multiply(w["embedding"], w["input0"]) + w["bias0"])[tokens]
        layers = []
        for layer in (0, 1):
            gates = np.empty((length, n, 4 * _UNITS))
            hidden, cell = np.zeros((2, length + 1, n, _UNITS))
            for t in range(length):
                gates[t], cell[t + 1], hidden[t + 1] = _step(entering[t] + hidden[t] @ w[f"recurrent{layer}"], cell[t])
            layers.append({"hidden": hidden, "cell": cell, "gates": gates})
            if layer == 0:
                entering = hidden[1:] @ w["input1"] + w["bias1"]
        output = layers[1]["hidden"][1:] @ w["output"] + w["output_bias"]
        squashed = np.tanh((output @ w["logits"] + w["logits_bias"]) / _TEMPERATURE)
        return _TANH * squashed.transpose(1, 0, 2), Cache(tokens, layers, output, squashed)

    def backward(self, cache: Cache, slope: np.ndarray) -> np.ndarray:
        """The gradient by `weights` of what has the slope (N, T, options) by the logits."""
        gradient = np.zeros_like(self.weights)
        w, g = self._parts, self._split(gradient)
        inner = slope.transpose(1, 0, 2) * (1 - cache.squashed**2) * (_TANH / _TEMPERATURE)
        g["logits"][:] = _product(cache.output, inner)
        g["logits_bias"][:] = inner.sum((0, 1))
        inner = inner @ w["logits"].T
        g["output"][:] = _product(cache.layers[1]["hidden"][1:], inner)
        g["output_bias"][:] = inner.sum((0, 1))
        inner = inner @ w["output"].T
        for layer in (1, 0):
            kept = cache.layers[layer]
            inner = _through_time(kept, inner, w[f"recurrent{layer}"])
            g[f"recurrent{layer}"][:] = _product(kept["hidden"][:-1], inner)
            g[f"bias{layer}"][:] = inner.sum((0, 1))
            if layer == 1:
                g["input1"][:] = _product(cache.layers[0]["hidden"][1:], inner)
                inner = inner @ w["input1"].T
        entered = np.zeros((len(w["embedding"]), 4 * _UNITS))  # by what each token brings to the gates
        np.add.at(entered, cache.tokens.ravel(), inner.reshape(-1, 4 * _UNITS))
        g["input0"][:] = _multiply(w["embedding"].T, entered)
        g["embedding"][:] = _multiply(entered, w["input0"].T)
        return gradient

    def steps(self, n: int) -> Steps:
        """n sequences, to be gone through one token after another."""
        return Steps(self._parts, n)


class Steps:
    """The network one decision after another, each of which depends on what was drawn before."""

    def __init__(self, weights: dict[str, np.ndarray], n: int) -> None:
        self._w = weights
        self._entering = _multiply(weights["embedding"], weights["input0"]) + weights["bias0"]
        self._logits = weights["output"] @ weights["logits"] / _TEMPERATURE
        self._bias = (weights["output_bias"] @ weights["logits"] + weights["logits_bias"]) / _TEMPERATURE
        self._hidden, self._cell = np.zeros((2, 2, n, _UNITS))

    def take(self, tokens: np.ndarray, rows: slice | np.ndarray, options: slice) -> np.ndarray:
        """One decision of these n rows, each after its token: logits of these options, (n, options)."""
        entering = self._entering[tokens]
        for layer in (0, 1):
            gates = entering + self._hidden[layer, rows] @ self._w[f"recurrent{layer}"]
            _, self._cell[layer, rows], hidden = _step(gates, self._cell[layer, rows])
            self._hidden[layer, rows] = hidden
            if layer == 0:
                entering = hidden @ self._w["input1"] + self._w["bias1"]
        squashed: np.ndarray = _TANH * np.tanh(hidden @ self._logits[:, options] + self._bias[options])
        return squashed


# Input, forget and output gates are sigmoids, sigmoid(x) = (1 + tanh(x / 2)) / 2, the third is a tanh: one call for all.
_HALF = np.full(4 * _UNITS, 0.5)
_HALF[2 * _UNITS : 3 * _UNITS] = 1.0
_SHIFT = 1.0 - _HALF
_SHIFT[2 * _UNITS : 3 * _UNITS] = 0.0


def _step(entering: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gates (n, 4 units: input, forget, cell, output) after their activation, the new cell, the new hidden state."""
    gates = entering * _HALF
    np.tanh(gates, out=gates)
    gates *= _HALF
    gates += _SHIFT
    u = _UNITS
    cell = gates[:, u : 2 * u] * cell
    cell += gates[:, :u] * gates[:, 2 * u : 3 * u]
    return gates, cell, gates[:, 3 * u :] * np.tanh(cell)


def _through_time(kept: dict[str, np.ndarray], slope: np.ndarray, recurrent: np.ndarray) -> np.ndarray:
    """From the slopes by a layer's hidden states (T, N, units) to those by what its gates activate (T, N, 4 units)."""
    u, gates, after = _UNITS, kept["gates"], np.tanh(kept["cell"][1:])
    # The slope of each activation, from its value: tanh is 1 - y^2, the sigmoid y (1 - y).
    steep = gates * (1 - gates)
    steep[..., 2 * u : 3 * u] = 1 - gates[..., 2 * u : 3 * u] ** 2
    through = gates[..., 3 * u :] * (1 - after**2)
    result = np.empty_like(gates)
    by_cell = np.zeros(slope.shape[1:])
    by_hidden = np.zeros(slope.shape[1:])
    for t in reversed(range(len(slope))):
        by_hidden = by_hidden + slope[t]
        by_cell = by_cell + by_hidden * through[t]
        inner = result[t]
        inner[:, :u] = by_cell * gates[t, :, 2 * u : 3 * u]
        inner[:, u : 2 * u] = by_cell * kept["cell"][t]
        inner[:, 2 * u : 3 * u] = by_cell * gates[t, :, :u]
        inner[:, 3 * u :] = by_hidden * after[t]
        inner *= steep[t]
        by_cell = by_cell * gates[t, :, u : 2 * u]
        by_hidden = inner @ recurrent.T
    return result


def _product(inputs: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The gradient of a matrix, from its inputs (T, N, a) and the slopes by its outputs (T, N, b)."""
    return _multiply(inputs.reshape(-1, inputs.shape[2]).T, slopes.reshape(-1, slopes.shape[2]))


def _multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b, in parts for which BLAS starts no threads: on busy cores these wait for each other longer than all takes."""
    rows = max(1, _UNTHREADED // b.size)
    if rows >= len(a):
        whole: np.ndarray = a @ b
        return whole
    return np.concatenate([a[start : start + rows] @ b for start in range(0, len(a), rows)])
