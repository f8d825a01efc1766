"""ChoiceTree: what conditions mean for arrays of choice indices. Which are valid, what is active, what lies beside them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from nasbench_evs.arguments import as_array
from nasbench_evs.errors import InvalidArchitecture, InvalidSpace, shown
from nasbench_evs.spaces.choices import Choice

_BLOCK = 1 << 13  # architectures at a time, which stay in the cache


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
        self._counts = [len(choice.options) for choice in choices]
        self.options = np.array(self._counts)
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
        self._permits = [row.tolist() for row in self._active]
        self._most = self.options.astype(np.uint8)[:, None]  # of an index, and 1 for -1
        self._runs = self._runs_of_active()
        self._thresholds = [np.cumsum(choice.weights)[:-1] / np.sum(choice.weights) for choice in choices]

    def _parent(self, column: int, choice: Choice) -> int:
        if choice.parent is None:
            return -1
        parent = self.columns.get(choice.parent, column)
        if parent >= column:
            raise InvalidSpace(
                f"choice {shown(choice.name)} depends on {shown(choice.parent)}: expected the name of an earlier choice"
            )
        return parent

    def _allowed(self, column: int, choice: Choice) -> set[int]:
        if choice.parent is None:
            return set()
        options = self.choices[self.parents[column]].options
        for option in choice.when:
            if option not in options:
                raise InvalidSpace(
                    f"choice {shown(choice.name)} is active when {choice.parent} = {shown(option)}, "
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

    def check(self, choices: np.ndarray, name: str, *, partial: bool = False) -> np.ndarray:
        """The choice indices as int8 of shape (N, C), or InvalidArchitecture naming the first wrong entry.

        `partial`: choices that are active may be missing, and others given.
        """
        given, n = as_array(choices), len(self.choices)
        if given is None or given.ndim != 2 or given.shape[1] != n or given.dtype.kind not in "iu":
            what = shown(choices) if given is None or not given.shape else f"{given.dtype} of shape {given.shape}"
            raise InvalidArchitecture(
                f"expected an integer array of shape (N, {n}), one column per choice of {name}, got {what}"
            )
        found = given.astype(np.int8, copy=False)
        if found is not given and not np.array_equal(found, given):
            raise self._first_wrong(given, partial)
        if len(found) == 1 and not partial:  # many calls are of one, for which arrays take long
            right = self._row_is_valid(found[0].tolist())
        else:
            right = all(self._is_valid(found[at : at + _BLOCK], partial) for at in range(0, len(found), _BLOCK))
        if not right:
            raise self._first_wrong(given, partial)
        return found

    def check_parent(self, column: int, choices: np.ndarray, name: str) -> np.ndarray:
        """The choice indices, of which only those that decide whether this column is active must be valid."""
        found = choices if isinstance(choices, np.ndarray) else np.zeros(0)
        if found.ndim != 2 or found.shape[1] != len(self.choices) or found.dtype.kind not in "iu":
            return self.check(choices, name, partial=True)
        parent = self.parents[column]
        if parent >= 0 and len(found):
            index = found[:, parent]
            if index.min() < -1 or index.max() >= self._counts[parent]:
                return self.check(found, name, partial=True)
        return found

    def check_row(self, indices: Sequence[int], name: str) -> None:
        """`check` of one architecture's choice indices as a plain list, ten times as fast."""
        if len(indices) != len(self.choices) or not self._row_is_valid(indices):
            self.check(np.array([indices]), name)

    def _row_is_valid(self, indices: Sequence[int]) -> bool:
        for index, most, parent, permits in zip(indices, self._counts, self.parents, self._permits, strict=True):
            if not -1 <= index < most or (index >= 0) != (parent < 0 or permits[indices[parent]]):
                return False
        return True

    def _is_valid(self, choices: np.ndarray, partial: bool) -> bool:
        index = np.ascontiguousarray(choices.T)  # where comparisons go through memory in order
        if not ((index + np.int8(1)).view(np.uint8) <= self._most).all():
            return False
        if partial:
            return True
        active = np.zeros(index.shape, bool)
        for columns, parents, lowest, width in self._runs:
            active[columns] |= (index[parents] - lowest).view(np.uint8) <= width
        return np.array_equal(active, index >= 0)

    def _runs_of_active(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """By which comparisons choices are active: columns, parents, and the lowest option of a run and how many follow it.

        The options of a parent that make a choice active are a few runs, mostly one: the n-th of these are the n-th runs. A
        choice without a parent is active whatever it is.
        """
        rows: list[list[tuple[int, int, int, int]]] = []
        for column, (parent, allowed) in enumerate(zip(self.parents, self.allowed, strict=True)):
            starts = [-1] if parent < 0 else [option for option in sorted(allowed) if option - 1 not in allowed]
            for n, first in enumerate(starts):
                end = 127 if parent < 0 else next(i for i in range(first, 128) if i + 1 not in allowed)
                if n == len(rows):
                    rows.append([])
                rows[n].append((column, max(parent, 0), first, end - first))
        runs = []
        for row in rows:
            columns, parents, lowest, width = np.array(row).T
            runs.append((columns, parents, lowest.astype(np.int8)[:, None], width.astype(np.uint8)[:, None]))
        return runs

    def _first_wrong(self, choices: np.ndarray, partial: bool) -> InvalidArchitecture:
        for column, _ in enumerate(self.choices):
            index = choices[:, column]
            wrong = (index >= self.options[column]) | (index < -1)
            if not wrong.any() and not partial:  # only then may the parent's indices select from a table
                wrong = (index >= 0) != self.active(column, choices)
            if wrong.any():
                break
        row = int(np.flatnonzero(wrong)[0])
        expected = f"0 to {self.options[column] - 1}"
        if partial:
            expected += ", or -1 for what is to be drawn"
        elif (choice := self.choices[column]).parent is not None:
            expected += f" where {choice.parent} = {' or '.join(map(str, choice.when))}, -1 elsewhere"
        return InvalidArchitecture(
            f"row {row}: {self.choices[column].name} has index {index[row]}: expected {expected}"
        )

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
