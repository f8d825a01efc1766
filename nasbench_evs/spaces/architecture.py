"""Architecture: one option for every active choice of a space."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING

import numpy as np

from nasbench_evs.errors import InvalidArchitecture
from nasbench_evs.spaces.choices import Option
from nasbench_evs.spaces.drawing import draw

if TYPE_CHECKING:
    from nasbench_evs.spaces.space import SearchSpace


class Architecture:
    """An architecture: one option for every active choice of a space. Immutable, hashable, small.

    Prints as its canonical string. `arch["encoder.depth"]` is an active choice's option, and `dict(arch)` and
    `train(**arch)` take all of them.
    Made by a space (sample, parse, unrank, from_options, ...), never directly.
    """

    __slots__ = ("key", "space")

    space: SearchSpace
    key: bytes  # the int8 choice indices, one byte per choice, -1 where inactive

    def __init__(self, space: SearchSpace, key: bytes) -> None:
        object.__setattr__(self, "space", space)
        object.__setattr__(self, "key", key)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Architecture is immutable: use space.mutate, space.parse or space.from_options")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __reduce__(self) -> tuple[type[Architecture], tuple[SearchSpace, bytes]]:
        return Architecture, (self.space, self.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Architecture):
            return NotImplemented
        return self.key == other.key and (self.space is other.space or self.space == other.space)

    def __str__(self) -> str:
        return self.space.format(self)

    def __repr__(self) -> str:
        return f"<{self.space.name} {self}>"

    def __getitem__(self, name: str) -> Option:
        column = self.space.column(name)
        index = self.indices[column]
        if index < 0:
            choice = self.space.choices[column]
            when = " or ".join(map(str, choice.when))
            raise InvalidArchitecture(f"{name} is not active in {self}: it needs {choice.parent} = {when}")
        return self.space.choices[column].options[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.options)

    # What makes it a mapping to `dict` and `**`. It has no length: numpy would take an architecture for a row of its names.

    def keys(self) -> KeysView[str]:
        """The active choices, in the order of the space."""
        return self.options.keys()

    def values(self) -> ValuesView[Option]:
        """Their options."""
        return self.options.values()

    def items(self) -> ItemsView[str, Option]:
        """The active choices with their options."""
        return self.options.items()

    @property
    def indices(self) -> tuple[int, ...]:
        """Choice indices, one per choice of the space, -1 where inactive."""
        return tuple(memoryview(self.key).cast("b"))

    @property
    def options(self) -> dict[str, Option]:
        """The active choices and their options, in the order of the space."""
        pairs = zip(self.space.choices, self.indices, strict=True)
        return {choice.name: choice.options[index] for choice, index in pairs if index >= 0}

    @property
    def rank(self) -> int:
        """The architecture's integer index in its space, 0 to size - 1."""
        return self.space.rank(self)

    @property
    def avec(self) -> np.ndarray:
        """The architecture vector: uint8 bits of shape (space.avec_bits,)."""
        return self.space.encode(self)

    def draw(self) -> str:
        """The architecture drawn, an SVG: its parts from the inputs to the head; a notebook shows it by itself."""
        return draw(self.space.parts(self), f"{self.space.name} {self}")

    def _repr_svg_(self) -> str:
        return self.draw()
