"""Arguments of public functions checked: one line for a wrong one, which says what was expected."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.errors import InvalidQuery, NasbenchError, did_you_mean, shown


def is_int(value: object) -> bool:
    """Whether it counts as an integer: Python's or numpy's, but no truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def of_kind(
    name: str, value: Any, kind: type | tuple[type, ...], expected: str, error: type[NasbenchError] = InvalidQuery
) -> Any:
    """An object of a class, or of one of several; `expected` says how one gets it."""
    if not isinstance(value, kind):
        raise error(f"{name} = {shown(value)}: expected {expected}")
    return value


def as_path(name: str, value: str | os.PathLike[str], error: type[NasbenchError] = InvalidQuery) -> Path:
    """A path that a file can have."""
    try:
        path = os.fsencode(value if isinstance(value, str) else os.fspath(value))
    except (TypeError, ValueError):
        path = b"\0"
    if isinstance(value, bytes) or not path or b"\0" in path:
        raise error(f"{name} = {shown(value)}: expected a path")
    return Path(value)


def check_int(
    name: str, value: int, low: int, high: int = sys.maxsize, error: type[NasbenchError] = InvalidQuery
) -> int:
    """An integer of [low, high]; without `high`, one that can count things."""
    if not is_int(value) or not low <= value <= high:
        enough = high == sys.maxsize and not (is_int(value) and value > high)
        expected = f"an integer of {low} or more" if enough else f"an integer from {low} to {high}"
        raise error(f"{name} = {shown(value)}: expected {expected}")
    return int(value)


def check_float(name: str, value: float, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number of [low, high]."""
    right = isinstance(value, int | float | np.number) and not isinstance(value, bool | complex | np.complexfloating)
    try:
        right = right and math.isfinite(value)
    except OverflowError:  # of an integer that no float can hold
        right = False
    if not right or not low <= value <= high:
        bounds = [f"of at least {low:g}"] * (low > -math.inf) + [f"of at most {high:g}"] * (high < math.inf)
        raise InvalidQuery(f"{name} = {shown(value)}: expected a finite number {' and '.join(bounds)}".rstrip())
    return float(value)


def one_of(name: str, value: str, options: Iterable[str], error: type[NasbenchError] = InvalidQuery) -> str:
    """One of a few words; a hint goes with a word that is nearly one of them."""
    options = tuple(options)
    if not isinstance(value, str) or value not in options:
        raise error(f"{name} = {shown(value)}: expected one of {', '.join(options)}{did_you_mean(value, options)}")
    return value


def known(what: str, value: str, options: Iterable[str], error: type[NasbenchError] = InvalidQuery) -> str:
    """`one_of` the names that there are of something, such as splits."""
    options = tuple(options)
    if not isinstance(value, str) or value not in options:
        raise error(
            f"unknown {what} {shown(value)}: expected one of {', '.join(options)}{did_you_mean(value, options)}"
        )
    return value


def check_bool(name: str, value: bool) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidQuery(f"{name} = {shown(value)}: expected True or False")
    return bool(value)


def as_list(name: str, value: Iterable[Any], expected: str, error: type[NasbenchError] = InvalidQuery) -> list[Any]:
    """What an iterable gives, unless it is text: `expected` describes what should have come."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable) or getattr(value, "shape", None) == ():
        raise error(f"{name}: expected {expected}, got {shown(value)}")
    return list(value)


def as_integers(name: str, value: Any, low: int, high: int, error: type[NasbenchError] = InvalidQuery) -> np.ndarray:
    """An array of integers of [low, high], of any shape."""
    found = as_array(value)
    if found is None or (found.dtype.kind not in "iu" and found.size) or ((found < low) | (found > high)).any():
        raise error(f"{name} = {shown(value)}: expected integers from {low} to {high}")
    return found.astype(np.int64)


def as_array(value: Any) -> np.ndarray | None:
    """The array that numpy makes of it; None if it makes none."""
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    try:
        return np.asarray(value)
    except (TypeError, ValueError, OverflowError, RecursionError):  # ragged, or what holds itself
        return None
