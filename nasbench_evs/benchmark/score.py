"""An answer, and a checked question."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np

from nasbench_evs.errors import InvalidQuery
from nasbench_evs.tables.table import SPLITS


class Score(NamedTuple):
    """An answer to one query.

    value      the score: of one training, or the mean over trainings of the architecture
    std        how far `value` may be from the mean over all seeds: standard error over the recorded seeds (NaN for
               one), or what the surrogate does not know
    noise_std  how far one training is from that mean: standard deviation between seeds (NaN for one), or as predicted
    metric, direction, split    which score, "max" or "min", "valid" or "test"
    epoch      the epoch whose curve the score was read from; None: the score of each training, see Benchmark
    source     "table", "surrogate" or "train"
    trainings  how many trainings `value` averages; 0 from a surrogate
    seconds    of training up to `epoch`, or of the whole training; mean over trainings; NaN if not recorded. CPU seconds, the
               evaluation of the validation split included, where they are recorded, else wall seconds of training alone
    """

    value: float
    std: float
    noise_std: float
    metric: str
    direction: str
    split: str
    epoch: int | None
    source: str
    trainings: int
    seconds: float


class _Columns(NamedTuple):
    value: np.ndarray
    std: np.ndarray
    noise_std: np.ndarray
    metric: str
    direction: str
    split: str
    epoch: int | None
    source: np.ndarray
    trainings: np.ndarray
    seconds: np.ndarray


class Scores(_Columns):
    """Answers to many queries: as Score, with arrays of shape (N,) for what differs between architectures."""

    __slots__ = ()

    def __len__(self) -> int:  # the number of architectures, not of fields
        return len(self.value)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # a named tuple's own, which `_replace` calls, takes len() for the number of fields


class Question(NamedTuple):
    """Which of an architecture's scores is asked for: the arguments of a query, checked."""

    split: str
    epoch: int | None
    seed: int | None
    distilled: bool


def check_question(split: str, epoch: int | None, seed: int | None, distilled: bool) -> Question:
    if split not in SPLITS:
        raise InvalidQuery(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
    if epoch is not None and (isinstance(epoch, bool) or not isinstance(epoch, int | np.integer)):
        raise InvalidQuery(f"epoch {epoch!r}: expected an integer of 1 or more")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0):
        raise InvalidQuery(f"seed {seed!r}: expected an integer of 0 or more")
    if not isinstance(distilled, bool | np.bool_):
        raise InvalidQuery(f"distilled {distilled!r}: expected True or False")
    return Question(split, epoch, seed, bool(distilled))


def check_seeds(seeds: Any, n: int) -> np.ndarray:
    try:
        found = np.asarray(seeds) if len(seeds) else np.empty(0, np.int64)
    except (TypeError, ValueError):
        found = np.empty((0, 0))
    if found.shape != (n,) or not np.issubdtype(found.dtype, np.integer) or (found < 0).any():
        raise InvalidQuery(
            f"seed {seeds!r}: expected an integer of 0 or more, or {n} of them, one for each architecture"
        )
    return found
