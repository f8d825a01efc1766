"""Choices: what a search space is made of, and what one of its architectures looks like."""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nasbench_evs.errors import InvalidArchitecture, InvalidSpace

if TYPE_CHECKING:
    from nasbench_evs.spaces.space import SearchSpace

Option = str | int | float | bool

MAX_OPTIONS = 127  # choice indices are int8, -1 means inactive


@dataclass(frozen=True)
class Choice:
    """One decision of a search space.

    `options` are distinct values. With a `parent` (the name of an earlier choice) the choice is active only
    where the parent is active and takes one of the options in `when`. In hierarchical sampling the probabilities of the
    options are proportional to `weights` (uniform if empty). `bits` are the AVec bits of each option, all of one length; by
    default one bit for (False, True) and one-hot otherwise.
    """

    name: str
    options: tuple[Option, ...]
    parent: str | None = None
    when: tuple[Option, ...] = ()
    weights: tuple[float, ...] = ()
    bits: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        reserved = set(",=#\n\r")
        if (
            not isinstance(self.name, str)
            or not self.name
            or self.name != self.name.strip()
            or reserved & set(self.name)
        ):
            raise InvalidSpace(
                f"choice name {self.name!r}: expected text without ',', '=', '#', line breaks or outer spaces"
            )
        if not 1 <= len(self.options) <= MAX_OPTIONS:
            raise InvalidSpace(f"choice {self.name!r} has {len(self.options)} options: expected 1 to {MAX_OPTIONS}")
        for option in self.options:
            if not isinstance(option, str | int | float) or (isinstance(option, float) and not math.isfinite(option)):
                raise InvalidSpace(
                    f"choice {self.name!r}: option {option!r} is a {type(option).__name__}; "
                    "expected text, a finite number or a truth value"
                )
            if isinstance(option, str) and (not option or option != option.strip() or reserved & set(option)):
                raise InvalidSpace(
                    f"choice {self.name!r}, option {option!r}: "
                    "expected text without ',', '=', '#', line breaks or outer spaces"
                )
        written = [str(option) for option in self.options]
        if len(set(self.options)) < len(self.options) or len(set(written)) < len(written):
            raise InvalidSpace(f"choice {self.name!r}: options {written} are not all distinct")
        if (self.parent is None) != (not self.when):
            raise InvalidSpace(f"choice {self.name!r}: a parent and the parent's options (when) go together")
        if self.weights and (len(self.weights) != len(self.options) or min(self.weights) <= 0):
            raise InvalidSpace(
                f"choice {self.name!r}: expected {len(self.options)} positive weights, got {self.weights}"
            )
        if not self.bits:
            default = ((0,), (1,)) if self.options == (False, True) else one_hot(len(self.options))
            object.__setattr__(self, "bits", default)
        elif len(self.bits) != len(self.options) or len({len(row) for row in self.bits}) != 1:
            raise InvalidSpace(f"choice {self.name!r}: expected one row of AVec bits per option, all of one length")

    def index(self, option: Option) -> int:
        """The position of `option` among the options, or InvalidArchitecture."""
        try:
            return self.options.index(option)
        except ValueError:
            raise InvalidArchitecture(
                f"{self.name} = {option!r} is no option: expected one of {', '.join(map(str, self.options))}"
            ) from None


def one_hot(n: int) -> tuple[tuple[int, ...], ...]:
    """Row i has bit i set: shape (n, n)."""
    return tuple(tuple(int(i == j) for j in range(n)) for i in range(n))


def thermometer(counts: tuple[int, ...], length: int) -> tuple[tuple[int, ...], ...]:
    """Row i has the first counts[i] of `length` bits set."""
    return tuple(tuple(int(j < count) for j in range(length)) for count in counts)


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
