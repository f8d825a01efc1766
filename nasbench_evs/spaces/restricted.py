"""Restricted spaces: a view of some architectures of a space, made by `SearchSpace.restrict`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nasbench_evs.arguments import as_list
from nasbench_evs.errors import InvalidArchitecture, InvalidSpace, shown
from nasbench_evs.spaces.architecture import Architecture
from nasbench_evs.spaces.choices import Choice, Option
from nasbench_evs.spaces.drawing import Part
from nasbench_evs.spaces.shapes import Cost, Shape
from nasbench_evs.spaces.space import SearchSpace, check_space

_OUTSIDE = -2  # stands for an option of the parent that is not kept


class RestrictedSpace(SearchSpace):
    """The architectures of `parent` all of whose active choices take an option that is kept.

    It has the parent's choices, in its columns, with fewer options: own choice indices, ranks and size; sampling, mutation
    and neighbours stay inside. Canonical strings, AVecs and costs are the parent's. A choice whose condition no kept option
    meets is never active.
    """

    def __init__(
        self, parent: SearchSpace, options: Mapping[str, Sequence[Option]], *, name: str | None = None
    ) -> None:
        """`options` maps names of choices to the options they keep, in any order; InvalidSpace if one is unknown."""
        check_space(parent)
        if name is None:
            name = f"restricted {parent.name}"
        if not isinstance(options, Mapping):
            raise InvalidSpace(f"options = {shown(options)}: expected those to keep as {{choice: [options]}}")
        self.parent = parent
        names = [choice.name for choice in parent.choices]
        unknown = [each for each in options if each not in names]
        if unknown:
            raise InvalidSpace(f"{parent.name} has no choice {shown(unknown[0])}: expected some of {', '.join(names)}")
        kept = [_kept(choice, options.get(choice.name, choice.options)) for choice in parent.choices]
        remaining = {
            choice.name: {choice.options[i] for i in rows} for choice, rows in zip(parent.choices, kept, strict=True)
        }
        never: set[int] = set()  # columns whose condition no kept option meets
        choices = []
        for column, (choice, rows) in enumerate(zip(parent.choices, kept, strict=True)):
            when = tuple(option for option in choice.when if option in remaining[str(choice.parent)])
            if choice.when and not when:
                never.add(column)
            choices.append(
                replace(
                    choice,
                    options=tuple(choice.options[i] for i in rows),
                    when=when or choice.when,
                    weights=tuple(choice.weights[i] for i in rows) if choice.weights else (),
                    bits=tuple(choice.bits[i] for i in rows),
                )
            )
        fewer = {
            choice.name: list(choice.options)
            for choice, whole in zip(choices, parent.choices, strict=True)
            if len(choice.options) < len(whole.options)
        }
        self._never = never
        super().__init__(choices, name=name, parameters={"parent": parent.spec, "options": fewer})
        # Per column the indices in the other space, and one more row for index -1.
        self._up = [np.array([*rows, -1], np.int8) for rows in kept]
        self._down = [np.full(len(choice.options) + 1, _OUTSIDE, np.int8) for choice in parent.choices]
        for down, rows in zip(self._down, kept, strict=True):
            down[rows] = range(len(rows))
            down[-1] = -1

    def __reduce__(self) -> tuple[Any, ...]:
        return _restricted, (self.parent, self.parameters["options"], self.name)

    @property
    def whole(self) -> SearchSpace:
        return self.parent.whole

    def to_parent(self, choices: np.ndarray) -> np.ndarray:
        """The same architectures as choice indices of the parent, int8 (N, C); InvalidArchitecture for none of this space."""
        choices = self.check(choices)
        found = np.empty_like(choices, order="F")
        for column, up in enumerate(self._up):
            found[:, column] = up[choices[:, column]]
        return found

    def from_parent(self, choices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of choice indices of the parent (N, C): those of this space, int8 (N, C), and which are inside, bool (N,).

        Rows outside are -1 everywhere.
        """
        choices = self.parent.check(choices)
        found = np.empty_like(choices, order="F")
        for column, down in enumerate(self._down):
            found[:, column] = down[choices[:, column]]
        inside = (found != _OUTSIDE).all(axis=1)
        found[~inside] = -1
        return found, inside

    def _other_space(self, architecture: Architecture) -> InvalidArchitecture:
        if architecture.space != self.parent:
            return super()._other_space(architecture)
        return InvalidArchitecture(
            f"{architecture} is of the space {self.parent.name}: expected one of {self.name}, "
            "which space.parse(str(architecture)) gives"
        )

    # What is the parent's

    def format(self, architecture: Architecture) -> str:
        return self.format_many(self.stack([architecture]))[0]

    def format_many(self, choices: np.ndarray) -> list[str]:
        return self.parent.format_many(self.to_parent(choices))

    def parse(self, text: str) -> Architecture:
        architecture = self.parent.parse(text)
        choices, inside = self.from_parent(self.parent.stack([architecture]))
        if not inside[0]:
            for choice in self.choices:
                option = architecture.options.get(choice.name, choice.options[0])
                if option not in choice.options:
                    raise InvalidArchitecture(
                        f"{shown(text)} is outside {self.name}: {choice.name} = {option}, "
                        f"expected {' or '.join(map(str, choice.options))}"
                    )
        return self._one(choices)

    def parts(self, architecture: Architecture) -> list[Part]:
        (whole,) = self.parent.architectures(self.to_parent(self.stack([architecture])))
        return self.parent.parts(whole)

    def cost_many(self, choices: np.ndarray, shape: Shape) -> Cost:
        return self.parent.cost_many(self.to_parent(choices), shape)


def _restricted(parent: SearchSpace, options: Mapping[str, Sequence[Option]], name: str) -> RestrictedSpace:
    return RestrictedSpace(parent, options, name=name)


def _kept(choice: Choice, options: Iterable[Option]) -> list[int]:
    """Positions of the options that a choice keeps, in its own order."""
    rows = set()
    for option in as_list(f"choice {shown(choice.name)}", options, "a list of options to keep", InvalidSpace):
        try:
            rows.add(choice.index(option))
        except InvalidArchitecture:
            known = ", ".join(map(str, choice.options))
            raise InvalidSpace(
                f"choice {shown(choice.name)}: {shown(option)} is no option, expected some of {known}"
            ) from None
    if not rows:
        raise InvalidSpace(
            f"choice {shown(choice.name)} keeps no option: expected some of {', '.join(map(str, choice.options))}"
        )
    return sorted(rows)


def lift(choices: np.ndarray, space: SearchSpace, whole: SearchSpace) -> np.ndarray:
    """Valid choice indices of `space` (N, C) as those of `whole`, of which it is a view, or a view of one, or the same.

    InvalidSpace if it is none.
    """
    if space is whole:
        return choices
    for each in (space, whole):
        check_space(each)
    if space == whole:
        return choices
    if not isinstance(space, RestrictedSpace):
        raise InvalidSpace(
            f"{shown(space)} is no view of {shown(whole)}: make one with its restrict({{choice: options}})"
        )
    return lift(space.to_parent(choices), space.parent, whole)
