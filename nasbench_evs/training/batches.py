"""Which training sequences share a batch: an order that can be saved and taken up again between any two batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


class BatchOrder:
    """Batches of training sequences, epoch after epoch.

    An epoch is the next `size` of an endless concatenation of fresh permutations of `rows`, cut into about `batches`
    batches of nearly equal size, in random order; those of a pool of about `pool` batches are sorted by length, so that
    they need little padding. `lengths` are of all sequences of the dataset. The order owns `generator`.

    epoch      how many epochs have begun
    """

    def __init__(
        self,
        rows: np.ndarray,
        lengths: np.ndarray,
        size: int,
        batches: int,
        pool: int,
        generator: np.random.Generator,
    ) -> None:
        self.epoch = 0
        self._rows, self._lengths, self._size, self._batches, self._pool = rows, lengths, size, batches, pool
        self._generator = generator
        self._left = rows[:0]  # of the last permutation
        self._cut: list[np.ndarray] = []  # the epoch's batches
        self._taken = 0  # of them
        self._begin = self._position()

    def take(self) -> np.ndarray:
        """The next batch: positions of its sequences, int64 (B,)."""
        if self.ended:
            self._begin = self._position()
            self._draw()
            self.epoch += 1
        self._taken += 1
        return self._cut[self._taken - 1]

    @property
    def ended(self) -> bool:
        """Whether the next batch begins an epoch."""
        return self._taken == len(self._cut)

    def rest(self) -> Iterator[np.ndarray]:
        """The batches that are left of this epoch; all of the next one if none is."""
        yield self.take()
        while not self.ended:
            yield self.take()

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` of an order of the same rows, lengths and sizes goes on from: numbers and tensors."""
        generator, left = self._begin
        return {
            "generator": generator,
            "left": torch.from_numpy(left.copy()),
            "epoch": self.epoch,
            "taken": self._taken,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # The epoch is drawn again from where it began: that is less to store than its batches.
        self._generator.bit_generator.state = state["generator"]
        self._left = state["left"].numpy(force=True)
        self._begin = self._position()
        self.epoch, self._cut = state["epoch"], []
        if self.epoch:
            self._draw()
        self._taken = state["taken"]

    def _position(self) -> tuple[dict[str, Any], np.ndarray]:
        return dict(self._generator.bit_generator.state), self._left  # each access makes a new state

    def _draw(self) -> None:
        """The batches of the next epoch."""
        while len(self._left) < self._size:
            self._left = np.concatenate([self._left, self._generator.permutation(self._rows)])
        rows, self._left = self._left[: self._size], self._left[self._size :]
        cut: list[np.ndarray] = []
        for part in np.array_split(rows, max(1, round(self._batches / self._pool))):
            part = part[np.argsort(self._lengths[part], kind="stable")]
            cut += np.array_split(part, max(1, round(len(part) * self._batches / len(rows))))
        self._cut = [cut[i] for i in self._generator.permutation(len(cut))]
        self._taken = 0
