"""Ranks: a bijection between the architectures of a space and 0 ... size - 1.

The choices form a forest (each has at most one parent). Below one option of a choice, the choices it activates
vary independently, so their counts multiply; the options of a choice exclude each other, so their counts add.
A rank is the mixed-radix number of these blocks, the first choice most significant. Ranks are part of the file
format: they never change meaning within a space version.
"""

from collections.abc import Sequence

import numpy as np

from nasbench_evs.errors import InvalidSpace

MAX_SIZE = 2**64 - 1
_BLOCK = 1 << 13  # architectures at a time, which stay in the cache


class RankCode:
    """Turns choice indices into ranks and back; built once per space.

    `options[c]` is the number of options of column c, `parents[c]` its parent column or -1, `allowed[c]` the
    parent's option indices under which it is active. Parents come before their children.
    """

    def __init__(self, options: Sequence[int], parents: Sequence[int], allowed: Sequence[set[int]]) -> None:
        n = len(options)
        self.children: list[list[int]] = [[c for c in range(n) if parents[c] == p] for p in range(n)]
        self.roots = [c for c in range(n) if parents[c] < 0]
        counts = [0] * n  # architectures of the subtree below (and with) a column
        self._offset: list[np.ndarray] = [np.empty(0, np.uint64)] * n
        self._weight: list[dict[int, np.ndarray]] = [{} for _ in range(n)]
        for c in reversed(range(n)):
            offsets, total = [], 0
            weights: dict[int, list[int]] = {child: [] for child in self.children[c]}
            for option in range(options[c]):
                offsets.append(total)
                below = 1
                for child in reversed(self.children[c]):
                    active = option in allowed[child]
                    weights[child].append(below if active else 0)
                    below *= counts[child] if active else 1
                total += below
            counts[c] = total
            if total > MAX_SIZE:
                break
            # One more entry, 0, so that index -1 (inactive) finds it.
            self._offset[c] = np.array([*offsets, 0], np.uint64)
            self._weight[c] = {child: np.array([*w, 0], np.uint64) for child, w in weights.items()}
        self._counts = counts
        self._root_weight: dict[int, int] = {}
        size = 1
        for c in reversed(self.roots):
            self._root_weight[c] = size
            size *= counts[c]
        if size > MAX_SIZE or 0 in counts:
            raise InvalidSpace("the space has more than 2^64 architectures: ranks would not fit; use fewer choices")
        self.size = size

    def rank(self, choices: np.ndarray) -> np.ndarray:
        """Ranks, uint64 of shape (N,), of valid choice indices of shape (N, C)."""
        total = np.zeros(len(choices), np.uint64)
        for start in range(0, len(choices), _BLOCK):
            self._rank(choices[start : start + _BLOCK], total[start : start + _BLOCK])
        return total

    def _rank(self, choices: np.ndarray, total: np.ndarray) -> None:
        ranks: dict[int, np.ndarray] = {}
        for c in reversed(range(choices.shape[1])):
            index = choices[:, c].astype(np.intp)
            rank = self._offset[c][index]
            for child in self.children[c]:
                rank += self._weight[c][child][index] * ranks.pop(child)
            ranks[c] = rank
        for c in self.roots:
            total += np.uint64(self._root_weight[c]) * ranks[c]

    def unrank(self, ranks: np.ndarray) -> np.ndarray:
        """Choice indices, int8 of shape (N, C), of uint64 ranks below `size`."""
        n = len(self.children)
        choices = np.full((n, len(ranks)), -1, np.int8)
        todo: dict[int, tuple[np.ndarray | None, np.ndarray]] = {}  # column -> (rows where active or None, rank there)
        rest = ranks
        for c in self.roots:
            weight = np.uint64(self._root_weight[c])
            todo[c] = (None, rest // weight)
            rest = rest % weight
        for c in range(n):
            if c not in todo:
                continue
            rows, rank = todo.pop(c)
            if self.children[c]:
                index = np.searchsorted(self._offset[c][:-1], rank, side="right") - 1
                rank = rank - self._offset[c][index]
            else:
                index = rank
            if rows is None:
                choices[c] = index
            else:
                choices[c, rows] = index
            for child in self.children[c]:
                weight_of = self._weight[c][child][index]
                inside = np.flatnonzero(weight_of)
                weights = weight_of[inside]
                part = rank[inside]
                todo[child] = (inside if rows is None else rows[inside], part // weights)
                rank[inside] = part % weights
        return choices.T
