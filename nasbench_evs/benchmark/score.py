"""Answers, and a checked question."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from nasbench_evs.arguments import as_array, known
from nasbench_evs.errors import InvalidQuery, shown
from nasbench_evs.metrics import Metric
from nasbench_evs.spaces import Architecture
from nasbench_evs.tables.table import SPLITS


class Score(NamedTuple):
    """An answer to one query.

    value      the score: of one training, or the mean over trainings of the architecture
    standard_error    of a mean over recorded trainings: how far it may be from the mean over all seeds; NaN for a single
               training and for a prediction
    epistemic_std     of a prediction: how far it may be from the mean over all seeds, because the surrogate does not know
               better; NaN for what was recorded
    noise_std  how far one training is from that mean: standard deviation between seeds (NaN for one), or as predicted
    metric, direction, split    which score, "max" or "min", "valid" or "test"
    epoch      the epoch whose curve the score was read from; None: the score of each training, see Benchmark
    source     "table", "surrogate", "train" or "function"
    trainings  how many trainings `value` averages; 0 from a surrogate
    seconds    of training up to `epoch`, or of the whole training; mean over trainings; NaN if not recorded. CPU seconds, the
               evaluation of the validation split included, where they are recorded, else wall seconds of training alone
    """

    value: float
    standard_error: float
    epistemic_std: float
    noise_std: float
    metric: str
    direction: str
    split: str
    epoch: int | None
    source: str
    trainings: int
    seconds: float

    @classmethod
    def of(cls, value: float, metric: Metric, question: Question, *, source: str, seconds: float = math.nan) -> Score:
        """The score of a single training, which says nothing of how far others are from it."""
        value, unknown = float(value), math.nan
        count = int(not math.isnan(value))
        return cls(
            value, unknown, unknown, unknown, *metric[:2], question.split, question.epoch, source, count, seconds
        )


class _Columns(NamedTuple):
    value: np.ndarray
    standard_error: np.ndarray
    epistemic_std: np.ndarray
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

    @classmethod
    def stack(cls, answers: Sequence[Score], metric: Metric, question: Question) -> Scores:
        """Single answers to one question, side by side."""

        def column(name: str, kind: type) -> np.ndarray:
            return np.array([getattr(answer, name) for answer in answers], kind)

        return cls(
            column("value", float),
            column("standard_error", float),
            column("epistemic_std", float),
            column("noise_std", float),
            metric.name,
            metric.direction,
            question.split,
            question.epoch,
            column("source", str),
            column("trainings", np.int64),
            column("seconds", float),
        )

    @classmethod
    def join(cls, parts: Sequence[tuple[np.ndarray, Scores]]) -> Scores:
        """Answers to one question that came in parts, each with the rows (mask or positions) that it answers for."""
        first = parts[0][1]
        if len(parts) == 1 and parts[0][0].dtype == bool:
            return first
        n = sum(len(part) for _, part in parts)
        columns: list[Any] = list(first)
        for i, column in enumerate(first):
            if isinstance(column, np.ndarray):
                columns[i] = np.empty(n, np.result_type(*(part[i] for _, part in parts)))
                for rows, part in parts:
                    columns[i][rows] = part[i]
        return cls(*columns)


class Observation(NamedTuple):
    """One training as a search sees it: its validation score in the benchmark's metric, and the seconds it took."""

    value: float
    seconds: float


class Best(NamedTuple):
    """An architecture and the value that it is named for."""

    architecture: Architecture
    value: float


class Optimum(NamedTuple):
    """What regret is measured against. `how` it is known: "exact" or "best known" (see `Benchmark.optimum`)."""

    architecture: Architecture
    value: float
    how: str


class Question(NamedTuple):
    """Which of an architecture's scores is asked for: the arguments of a query, checked."""

    split: str
    epoch: int | None
    seed: int | None
    distilled: bool


def check_question(split: str, epoch: int | None, seed: int | None, distilled: bool) -> Question:
    """The arguments of a query; InvalidQuery names the one that has no meaning."""
    if not isinstance(split, str) or split not in SPLITS:  # a query of one architecture takes a few microseconds
        known("split", split, SPLITS)
    if epoch is not None and (isinstance(epoch, bool) or not isinstance(epoch, int | np.integer)):
        raise InvalidQuery(f"epoch {shown(epoch)}: expected an integer of 1 or more")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0):
        raise InvalidQuery(f"seed {shown(seed)}: expected an integer of 0 or more")
    if not isinstance(distilled, bool | np.bool_):
        raise InvalidQuery(f"distilled {shown(distilled)}: expected True or False")
    return Question(split, epoch, seed, bool(distilled))


def check_seeds(seeds: Any, n: int) -> np.ndarray:
    """A seed for each of n architectures, (n,); InvalidQuery if they are none."""
    found = as_array(seeds)
    if found is not None and found.shape == (0,):
        found = found.astype(np.int64)
    if found is None or found.shape != (n,) or found.dtype.kind not in "iu" or (found < 0).any():
        raise InvalidQuery(
            f"seed {shown(seeds)}: expected an integer of 0 or more, or {n} of them, one for each architecture"
        )
    return found
