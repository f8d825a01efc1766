"""Choices: what a search space is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nasbench_evs.arguments import as_list
from nasbench_evs.errors import InvalidArchitecture, InvalidSpace, did_you_mean, shown

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
                f"choice name {shown(self.name)}: expected text without ',', '=', '#', line breaks or outer spaces"
            )
        for field in ("options", "when", "weights", "bits"):
            values = as_list(f"choice {shown(self.name)}, {field}", getattr(self, field), "a tuple", InvalidSpace)
            object.__setattr__(self, field, tuple(values))
        if not 1 <= len(self.options) <= MAX_OPTIONS:
            raise InvalidSpace(
                f"choice {shown(self.name)} has {len(self.options)} options: expected 1 to {MAX_OPTIONS}"
            )
        for option in self.options:
            if not isinstance(option, str | int | float) or (isinstance(option, float) and not math.isfinite(option)):
                raise InvalidSpace(
                    f"choice {shown(self.name)}: option {shown(option)} is a {type(option).__name__}; "
                    "expected text, a finite number or a truth value"
                )
            if isinstance(option, str) and (not option or option != option.strip() or reserved & set(option)):
                raise InvalidSpace(
                    f"choice {shown(self.name)}, option {shown(option)}: "
                    "expected text without ',', '=', '#', line breaks or outer spaces"
                )
        written = [str(option) for option in self.options]
        if len(set(self.options)) < len(self.options) or len(set(written)) < len(written):
            raise InvalidSpace(f"choice {shown(self.name)}: expected distinct options, got {shown(written)}")
        if (self.parent is None) != (not self.when):
            raise InvalidSpace(
                f"choice {shown(self.name)}: expected a parent with its options (when), or neither: they go together"
            )
        if self.weights and (len(self.weights) != len(self.options) or not all(map(_is_weight, self.weights))):
            raise InvalidSpace(
                f"choice {shown(self.name)}: expected {len(self.options)} positive weights, got {shown(self.weights)}"
            )
        if not self.bits:
            default = ((0,), (1,)) if self.options == (False, True) else one_hot(len(self.options))
            object.__setattr__(self, "bits", default)
        elif len(self.bits) != len(self.options) or not _are_bits(self.bits):
            raise InvalidSpace(
                f"choice {shown(self.name)}: expected one row of AVec bits per option, all of one length"
            )

    def index(self, option: Option) -> int:
        """The position of `option` among the options, or InvalidArchitecture."""
        if isinstance(option, str | int | float | np.generic) and option in self.options:
            return self.options.index(option)
        raise InvalidArchitecture(
            f"{self.name} = {shown(option)} is no option: expected one of {', '.join(map(str, self.options))}"
            f"{did_you_mean(option, self.options) if isinstance(option, str) else ''}"
        )


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value < math.inf


def _are_bits(rows: tuple[object, ...]) -> bool:
    """Rows of 0 and 1, all of one length."""
    listed = [row for row in rows if isinstance(row, tuple | list)]
    bits = {bit for row in listed for bit in row if isinstance(bit, int)}
    same = len(listed) == len(rows) and len({len(row) for row in listed}) == 1
    return same and bits <= {0, 1} and all(isinstance(bit, int) for row in listed for bit in row)


def one_hot(n: int) -> tuple[tuple[int, ...], ...]:
    """Row i has bit i set: shape (n, n)."""
    return tuple(tuple(int(i == j) for j in range(n)) for i in range(n))


def thermometer(counts: tuple[int, ...], length: int) -> tuple[tuple[int, ...], ...]:
    """Row i has the first counts[i] of `length` bits set."""
    return tuple(tuple(int(j < count) for j in range(length)) for count in counts)
