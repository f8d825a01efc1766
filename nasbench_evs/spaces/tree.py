"""ChoiceTree: what conditions mean for arrays of choice indices. Which are valid, what is active, what lies beside them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from nasbench_evs.errors import InvalidArchitecture, InvalidSpace
from nasbench_evs.spaces.choices import Choice


class ChoiceTree:
    """The choices of a space, each below the one it depends on; arrays have one column per choice, -1 where inactive.

    `options[c]` is the number of options of column c, `parents[c]` its parent column or -1, `allowed[c]` the parent's option
    indices under which it is active; for the columns in `never` there is none.
    """

    def __init__(self, choices: Sequence[Choice], never: Collection[int] = ()) -> None:
        if not choices:
            raise InvalidSpace("a search space needs at least one choice")
        self.choices = choices
        self.columns = {choice.name: column for column, choice in enumerate(choices)}
        if len(self.columns) < len(choices):
            raise InvalidSpace(f"choice names must be distinct, got {', '.join(choice.name for choice in choices)}")
        self.options = np.array([len(choice.options) for choice in choices])
        self.parents: list[int] = []
        self.allowed: list[set[int]] = []
        for column, choice in enumerate(choices):
            self.parents.append(self._parent(column, choice))
            self.allowed.append(set() if column in never else self._allowed(column, choice))
        # Per column one more entry, for index -1 of the parent.
        self._active = [
            np.array([option in allowed for option in range(self.options[parent])] + [False])
            for parent, allowed in zip(self.parents, self.allowed, strict=True)
        ]
        self._thresholds = [np.cumsum(choice.weights)[:-1] / np.sum(choice.weights) for choice in choices]

    def _parent(self, column: int, choice: Choice) -> int:
        if choice.parent is None:
            return -1
        parent = self.columns.get(choice.parent, column)
        if parent >= column:
            raise InvalidSpace(
                f"choice {choice.name!r} depends on {choice.parent!r}: expected the name of an earlier choice"
            )
        return parent

    def _allowed(self, column: int, choice: Choice) -> set[int]:
        if choice.parent is None:
            return set()
        options = self.choices[self.parents[column]].options
        for option in choice.when:
            if option not in options:
                raise InvalidSpace(
                    f"choice {choice.name!r} is active when {choice.parent} = {option!r}, "
                    f"which is no option: expected one of {', '.join(map(str, options))}"
                )
        return {options.index(option) for option in choice.when}

    def active(self, column: int, choices: np.ndarray) -> np.ndarray:
        """In which rows the choice of this column is active, given the columns before it: bool (N,)."""
        parent = self.parents[column]
        if parent < 0:
            return np.ones(len(choices), bool)
        return self._active[column][choices[:, parent]]

    def active_in(self, column: int, indices: Sequence[int]) -> bool:
        """The same of one architecture's choice indices, those before the column."""
        parent = self.parents[column]
        return parent < 0 or bool(self._active[column][indices[parent]])

    def check(self, choices: np.ndarray, name: str) -> np.ndarray:
        """The choice indices as int8 of shape (N, C), or InvalidArchitecture naming the first wrong entry."""
        choices = np.asarray(choices)
        n = len(self.choices)
        if choices.ndim != 2 or choices.shape[1] != n or not np.issubdtype(choices.dtype, np.integer):
            raise InvalidArchitecture(
                f"expected an integer array of shape (N, {n}), one column per choice of {name}, "
                f"got {choices.dtype} of shape {choices.shape}"
            )
        for column, choice in enumerate(self.choices):
            index = choices[:, column]
            wrong = (index >= self.options[column]) | (index < -1)
            if not wrong.any():  # only then may the parent's indices select from a table
                wrong = (index >= 0) != self.active(column, choices)
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                expected = f"0 to {self.options[column] - 1}"
                if choice.parent is not None:
                    expected += f" where {choice.parent} = {' or '.join(map(str, choice.when))}, -1 elsewhere"
                raise InvalidArchitecture(f"row {row}: {choice.name} has index {index[row]}: expected {expected}")
        return choices.astype(np.int8, copy=False)

    def empty(self, n: int) -> np.ndarray:
        """n rows of which nothing is chosen, int8 (n, C), column by column in memory, as they are filled."""
        return np.full((len(self.choices), n), -1, np.int8).T

    def complete(self, choices: np.ndarray, generator: np.random.Generator | None) -> None:
        """In place: fill active choices that are -1 (by their probabilities; without a generator by the first option) and
        clear those that are not active."""
        for column in range(len(self.choices)):
            index = choices[:, column]
            active = self.active(column, choices)
            fill = active & (index < 0)
            if generator is None:
                index[fill] = 0
            else:
                uniform = generator.random(len(choices))
                limits = self._thresholds[column]
                drawn = np.searchsorted(limits, uniform, "right") if len(limits) else uniform * self.options[column]
                np.copyto(index, drawn.astype(np.int8), where=fill)
            index[~active] = -1

    def mutate(self, choices: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Of valid rows: in each, one active choice with other options takes one of them, and what depends on it is completed."""
        mutated = np.array(choices, order="F")
        mutable = (mutated >= 0) & (self.options > 1)
        column = np.where(mutable, generator.random(mutated.shape), -1.0).argmax(axis=1)
        rows = np.flatnonzero(mutable.any(axis=1))
        column = column[rows]
        steps = 1 + (generator.random(len(rows)) * (self.options[column] - 1)).astype(np.int64)
        mutated[rows, column] = (mutated[rows, column] + steps) % self.options[column]
        self.complete(mutated, generator)
        return mutated

    def neighbors(self, choices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of valid rows: each with every other option of every active choice, what that activates at its first option; and
        the row that each belongs to, in order."""
        found, origin = [choices[:0]], [np.empty(0, np.intp)]
        for column in range(len(self.choices)):
            for option in range(self.options[column]):
                rows = np.flatnonzero((choices[:, column] >= 0) & (choices[:, column] != option))
                changed = np.array(choices[rows], order="F")
                changed[:, column] = option
                self.complete(changed, None)
                found.append(changed)
                origin.append(rows)
        owner = np.concatenate(origin)
        order = np.argsort(owner, kind="stable")
        return np.concatenate(found)[order], owner[order]
