"""Which options still lead to an architecture of a pool: a prefix tree over its rows, walked by many draws at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class PrefixTree:
    """The rows of a pool by the choices that they begin with.

    `rows` (M, C) are choice indices in lexicographic order, none of them twice, `counts` the number of options of each choice.
    A node at depth d is the run of rows that have their first d choices in common, so no node is stored: a child is found
    by bisection in the keys of its level.
    """

    def __init__(self, rows: np.ndarray, counts: Sequence[int]) -> None:
        self.size, self.counts = len(rows), list(counts)
        self._nodes: list[np.ndarray] = []  # of every level and row: the number of the node, int (M,)
        self._keys: list[np.ndarray] = []  # the number of the node and the choice in one, increasing, int (M,)
        node = np.zeros(len(rows), np.int64)
        for column, count in enumerate(self.counts):
            key = node * (count + 1) + rows[:, column] + 1  # inactive, -1, is the first child
            self._nodes.append(node)
            self._keys.append(key)
            node = np.concatenate([[0], np.cumsum(key[1:] != key[:-1])]) if len(rows) else node

    def walk(self, n: int, skip: np.ndarray | None = None) -> Walk:
        """n draws at the root, to end at rows that the mask `skip` (M,) does not name."""
        return Walk(self, n, skip)

    def children(self, column: int, first: np.ndarray) -> np.ndarray:
        """Where the rows of each option begin in the nodes that begin at `first` (n,), and where the last end: (n, K + 1)."""
        count = self.counts[column]
        edges = (self._nodes[column][first] * (count + 1))[:, None] + np.arange(1, count + 2)
        return np.searchsorted(self._keys[column], edges.ravel()).reshape(edges.shape)


class Walk:
    """n draws on their way down; each calls `allowed` and then `take` for its active choices, in their order.

    `first` (n,) is where in the pool the rows begin that a draw can still reach: at the end, the row it has reached.
    """

    def __init__(self, tree: PrefixTree, n: int, skip: np.ndarray | None = None) -> None:
        self._tree = tree
        fresh = np.ones(tree.size, bool) if skip is None else ~skip
        self._before = np.concatenate([[0], np.cumsum(fresh)])  # rows not to be skipped before each
        self.first = np.zeros(n, np.intp)
        self._edges = np.zeros((0, 0), np.intp)

    def allowed(self, column: int, draws: slice | np.ndarray) -> np.ndarray:
        """Which options lead to a row, bool (number of draws, K)."""
        self._edges = self._tree.children(column, self.first[draws])
        below = self._before[self._edges]
        return below[:, 1:] > below[:, :-1]

    def take(self, draws: slice | np.ndarray, options: np.ndarray) -> None:
        """The same draws go on with these options (number of draws,), which were allowed."""
        self.first[draws] = self._edges[np.arange(len(options)), options]
