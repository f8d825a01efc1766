"""Hyper-parameters checked: one line for a wrong one."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from nasbench_evs.errors import InvalidQuery


def whole(name: str, value: int, low: int, high: int | None = None) -> int:
    """An integer of [low, high]."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | np.integer)
        or value < low
        or (high is not None and value > high)
    ):
        expected = f"an integer of {low} or more" if high is None else f"an integer from {low} to {high}"
        raise InvalidQuery(f"{name} = {value!r}: expected {expected}")
    return int(value)


def number(name: str, value: float, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number of [low, high]."""
    right = isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)
    if not right or not low <= value <= high:
        bounds = [f"of at least {low:g}"] * (low > -math.inf) + [f"of at most {high:g}"] * (high < math.inf)
        raise InvalidQuery(f"{name} = {value!r}: expected a finite number {' and '.join(bounds)}".rstrip())
    return float(value)


def one_of(name: str, value: str, options: Iterable[str]) -> str:
    """One of a few words."""
    if value not in (options := tuple(options)):
        raise InvalidQuery(f"{name} = {value!r}: expected one of {', '.join(options)}")
    return value


def truth(name: str, value: bool) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidQuery(f"{name} = {value!r}: expected True or False")
    return bool(value)
