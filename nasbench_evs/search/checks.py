"""Hyper-parameters checked: one line for a wrong one."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable

import numpy as np

from nasbench_evs.errors import InvalidQuery, did_you_mean


def check_int(name: str, value: int, low: int, high: int = sys.maxsize) -> int:
    """An integer of [low, high]; without `high`, one that can count things."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        enough = high == sys.maxsize and not (isinstance(value, int | np.integer) and value > high)
        expected = f"an integer of {low} or more" if enough else f"an integer from {low} to {high}"
        raise InvalidQuery(f"{name} = {value!r}: expected {expected}")
    return int(value)


def check_float(name: str, value: float, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number of [low, high]."""
    right = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    try:
        right = right and math.isfinite(value)
    except OverflowError:  # of an integer that no float can hold
        right = False
    if not right or not low <= value <= high:
        bounds = [f"of at least {low:g}"] * (low > -math.inf) + [f"of at most {high:g}"] * (high < math.inf)
        raise InvalidQuery(f"{name} = {value!r}: expected a finite number {' and '.join(bounds)}".rstrip())
    return float(value)


def one_of(name: str, value: str, options: Iterable[str]) -> str:
    """One of a few words."""
    if value not in (options := tuple(options)):
        raise InvalidQuery(f"{name} = {value!r}: expected one of {', '.join(options)}{did_you_mean(value, options)}")
    return value


def check_bool(name: str, value: bool) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidQuery(f"{name} = {value!r}: expected True or False")
    return bool(value)
