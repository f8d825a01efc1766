"""What a surrogate sees of an architecture: AVec, counts over layers, costs. Nothing that needs a training.

In the AVec, "a GRU in layer 1" and "a GRU in layer 3" are unrelated bits, and so are a network's parts and its size. A model
fitted to a few hundred architectures cannot find out by itself what they have in common.
"""

from __future__ import annotations

import re

import numpy as np

from nasbench_evs.models.networks import typical_shape
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.spaces.choices import Choice, one_hot
from nasbench_evs.spaces.shapes import Shape

LAYOUT = "avec, counts over layers, log costs, distilled"  # the columns, in order; part of every saved model


class Features:
    """The feature columns of a space: `names`, and how choice indices become them.

    Costs are those on inputs of `shape`; where a table does not know it (None), those of a typical one, which orders
    architectures alike. A space without cost formulas has no such columns. A view has the features of the whole space.
    """

    def __init__(self, space: SearchSpace, shape: Shape | None) -> None:
        self.space = space
        self.shape = shape or typical_shape(space)
        self._sums, names = _sums(space.whole)
        costs = ["log params", "log flops"] if self.shape else []
        self.names = [*(f"avec.{i}" for i in range(space.avec_bits)), *names, *costs, "distilled"]

    def __len__(self) -> int:
        return len(self.names)

    def many(self, choices: np.ndarray, distilled: bool | np.ndarray) -> np.ndarray:
        """Float32 of shape (N, len(self)), column-major (which CatBoost reads twice as fast), of valid choice indices."""
        features = np.empty((len(choices), len(self)), np.float32, order="F")
        self.space.encode_into(choices, features)
        column = self.space.avec_bits
        for members in self._sums:
            total = features[:, column]
            total[:] = features[:, members[0]]
            for bit in members[1:]:
                total += features[:, bit]
            column += 1
        if self.shape:
            features[:, column : column + 2] = self._costs(choices).T
        features[:, -1] = distilled
        return features

    def one(self, choices: np.ndarray, distilled: bool) -> list[float]:
        """The same of choice indices (1, C) as a plain list: for a single architecture, CatBoost's fastest way in."""
        row: list[float] = self.space.encode_row(choices[0])  # type: ignore[assignment]
        row += [sum([row[bit] for bit in members]) for members in self._sums]
        if self.shape:
            row += self._costs(choices)[:, 0].tolist()
        row.append(int(distilled))
        return row

    def _costs(self, choices: np.ndarray) -> np.ndarray:
        """Float32 of shape (2, N)."""
        return np.log(np.array(self.space.cost_many(choices, self.shape), np.float32) + 1)  # type: ignore[arg-type]


def _sums(space: SearchSpace) -> tuple[list[list[int]], list[str]]:
    """The AVec bits that each count adds up, and its name.

    Choices whose names differ in their numbers only are the same decision in several layers ("encoder.0.ops",
    "encoder.1.ops"). Each of its bits is counted over the layers; so are the parts of options written "a+b".
    """
    layers: dict[str, list[int]] = {}
    starts, start = [], 0
    for column, choice in enumerate(space.choices):
        layers.setdefault(re.sub(r"\d+", "*", choice.name), []).append(column)
        starts.append(start)
        start += len(choice.bits[0])
    sums, names = [], []
    for name, columns in layers.items():
        first = space.choices[columns[0]]
        if len(columns) < 2 or any(space.choices[c].bits != first.bits for c in columns):
            continue
        for bit in range(len(first.bits[0])):
            sums.append([starts[c] + bit for c in columns])
            names.append(f"{name}.{bit}")
        for part, bits in _parts(first).items():
            sums.append([starts[c] + bit for c in columns for bit in bits])
            names.append(f"{name}.{part}")
    return sums, names


def _parts(choice: Choice) -> dict[str, list[int]]:
    """The bits of the options that hold each part, where some options are several parts joined by "+"."""
    options = [str(option).split("+") for option in choice.options]
    if choice.bits != one_hot(len(options)) or all(len(parts) == 1 for parts in options):
        return {}
    names = dict.fromkeys(part for parts in options for part in parts)
    return {name: [i for i, parts in enumerate(options) if name in parts] for name in names}
