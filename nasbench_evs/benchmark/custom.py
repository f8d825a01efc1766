"""Bring your own: a benchmark from a DataFrame of scores, or from a function that trains."""

from __future__ import annotations

import inspect
import math
import time
from collections import Counter
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.benchmark.base import Benchmark
from nasbench_evs.benchmark.score import Question, Score
from nasbench_evs.benchmark.tabular import TableBenchmark
from nasbench_evs.errors import InvalidQuery, NotRecorded, shown
from nasbench_evs.metrics import Metric, own_metric
from nasbench_evs.spaces import Architecture, SearchSpace
from nasbench_evs.spaces.space import check_space
from nasbench_evs.tables import Header, build

if TYPE_CHECKING:
    import pandas as pd

_COSTS = ("params", "flops")


def from_frame(
    space: SearchSpace,
    frame: pd.DataFrame,
    *,
    score: str,
    direction: str = "max",
    test: str | None = None,
    seconds: str | None = None,
    name: str = "custom",
) -> TableBenchmark:
    """A benchmark of the trainings in `frame`, one row each: one column per choice, and a column of scores.

    `score` names the column of validation scores (NaN: the training failed), `test` and `seconds` those of test scores and
    training times. Choices that are not active are NaN, None or empty. Columns "seed", "params" and "flops" are taken if
    they are there; several rows of one architecture without seeds count as its seeds 0, 1, ... Kept in single precision, as
    tables are. InvalidQuery names the column or the row that is wrong.

    >>> import nasbench_evs as nb, pandas as pd
    >>> space = nb.spaces.SearchSpace.from_choices({"edge": ["none", "skip"], "width": [8, 16]})
    >>> frame = pd.DataFrame({"edge": ["none", "skip"], "width": [16, 8], "accuracy": [0.25, 0.75]})
    >>> bench = nb.from_frame(space, frame, score="accuracy")
    >>> bench.query(space.parse("edge=skip,width=8")).value
    0.75
    """
    import pandas as pd

    check_space(space)
    if not isinstance(frame, pd.DataFrame):
        raise InvalidQuery(f"the trainings are a {type(frame).__name__}: expected a DataFrame, one row for each")
    wanted = {"valid_curve": score, "test_curve": test, "train_seconds": seconds}
    names = [choice.name for choice in space.choices]
    taken = sorted({"seed", *_COSTS} & set(names))
    if taken:
        raise InvalidQuery(
            f"a choice is called {shown(taken[0])}, which names a column of its own here: give the choice another name"
        )
    for column in [*names, score, *(each for each in (test, seconds) if each is not None)]:
        if list(frame.columns).count(column) > 1:
            raise InvalidQuery(f"the frame has several columns {shown(column)}: expected one")
        if column not in frame.columns:
            raise InvalidQuery(
                f"the frame has no column {shown(column)}: its columns are {', '.join(map(str, frame.columns))}"
            )
    if not len(frame):
        raise InvalidQuery("the frame has no rows: expected one for each training")
    choices = np.stack([_indices(frame[choice.name], choice.options) for choice in space.choices], axis=1)
    columns: dict[str, Any] = {
        key: _numbers(frame, column)[:, None] for key, column in wanted.items() if column is not None
    }
    if (columns.get("train_seconds", np.zeros(1)) < 0).any():
        raise InvalidQuery(f"column {shown(seconds)} holds negative seconds: expected 0 or more, or NaN")
    columns |= {cost: _whole(frame, cost) for cost in _COSTS if cost in frame.columns}
    header = Header(
        space=space,
        dataset=name,
        fingerprint="unknown: the records come from a DataFrame",
        protocol={"trained by": "the user"},
        metric=own_metric(str(score), direction),
        curves="best",
    )
    if "seed" in frame.columns:
        columns["seed"] = _whole(frame, "seed")
    else:
        met: Counter[bytes] = Counter()
        columns["seed"] = []
        for row in space.check(choices).astype(np.int8):
            columns["seed"].append(met[row.tobytes()])
            met[row.tobytes()] += 1
    status = np.where(np.isnan(columns["valid_curve"][:, 0]), "failed", "ok")
    return TableBenchmark(build(header, choices=choices, status=status, distilled=0, **columns))


def _indices(column: pd.Series, options: tuple[Any, ...]) -> np.ndarray:
    """The options' positions, -1 where a value is missing."""
    places: dict[Hashable, int] = {str(option): i for i, option in enumerate(options)}
    places |= {option: i for i, option in enumerate(options)}
    missing = column.isna().to_numpy() | (column == "").to_numpy()
    found = np.full(len(column), -1)
    for row, value in enumerate(column.tolist()):
        if missing[row]:
            continue
        at = places.get(value) if isinstance(value, Hashable) else None
        if at is None:
            raise InvalidQuery(
                f"row {row}: {column.name} = {shown(value)} is no option: expected one of {', '.join(map(str, options))}"
            )
        found[row] = at
    return found


def _numbers(frame: pd.DataFrame, column: str) -> np.ndarray:
    try:
        values = frame[column].to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise InvalidQuery(f"column {shown(column)} holds {frame[column].dtype}: expected numbers") from None
    if np.isinf(values).any():
        raise InvalidQuery(
            f"row {int(np.flatnonzero(np.isinf(values))[0])}: {column} is infinite: use NaN for a failure"
        )
    return values


def _whole(frame: pd.DataFrame, column: str) -> np.ndarray:
    values = _numbers(frame, column)
    wrong = ~((values >= 0) & (values == np.floor(values)))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InvalidQuery(f"row {row}: {column} = {values[row]:g}: expected an integer of 0 or more")
    return values.astype(np.int64)


class FunctionBenchmark(Benchmark):
    """Answers by calling a function; each architecture (with each seed) is evaluated once."""

    def __init__(self, space: SearchSpace, function: Callable[..., float], metric: Metric, dataset: str) -> None:
        self.space, self.function, self.metric, self.dataset = space, function, metric, dataset
        try:
            self._takes_seed = "seed" in inspect.signature(function).parameters
        except (TypeError, ValueError):  # some built-in functions do not say
            self._takes_seed = False
        self._known: dict[tuple[bytes, int | None], tuple[float, float]] = {}

    def __repr__(self) -> str:
        return f"<benchmark {self.dataset}: {self.space.name}, {self.metric.name} of a function>"

    def _query(self, architecture: Architecture, question: Question) -> Score:
        if question.split != "valid" or question.epoch is not None or question.distilled:
            raise NotRecorded(
                f"{self.dataset} is a function: it has validation scores only; use split='valid' without epoch and distilled"
            )
        if question.seed is not None and not self._takes_seed:
            raise NotRecorded(
                f"the function of {self.dataset} takes no seed: leave seed out, or give it an argument 'seed'"
            )
        self.space.stack([architecture])  # says what is wrong with it
        key = architecture.key, question.seed
        if key not in self._known:
            start = time.perf_counter()
            value = self.function(architecture, **({} if question.seed is None else {"seed": question.seed}))
            taken = time.perf_counter() - start
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise InvalidQuery(
                    f"the function gave {shown(value)} for {architecture}: expected one number (NaN: it failed)"
                )
            self._known[key] = float(value) if math.isfinite(value) else math.nan, taken
        value, taken = self._known[key]
        return Score.of(value, self.metric, question, source="function", seconds=taken)

    def observed_seed(self, architecture: Architecture, seed: int) -> int | None:
        return seed if self._takes_seed else None

    def _valued(self, choices: np.ndarray) -> np.ndarray:
        if self._takes_seed:
            raise NotRecorded(
                f"the function of {self.dataset} takes a seed: its mean over seeds, the objective, is unknown; use regime "
                "'noisy', or give a function that averages"
            )
        return super()._valued(choices)

    def seeds(self, architecture: Architecture, *, distilled: bool = False) -> tuple[int, ...]:
        self.space.stack([architecture])  # says what is wrong with it
        if self._takes_seed:
            raise NotRecorded("a function records no seeds: every seed can be asked for, with query(arch, seed=...)")
        return ()


def from_function(
    space: SearchSpace, function: Callable[..., float], *, direction: str = "max", name: str = "custom"
) -> FunctionBenchmark:
    """A benchmark whose scores `function(architecture)` gives: one number, NaN if a training failed.

    The architecture is a mapping from active choices to options (`architecture["width"]`, `architecture.options`). If the
    function has an argument `seed`, it gets the seed of the query. Its running time counts as training seconds, so a search
    with several simulated workers gets results in another order from time to time.

    >>> import nasbench_evs as nb
    >>> space = nb.spaces.SearchSpace.from_choices({"a": [1, 2, 3], "b": [1, 2, 3]})
    >>> bench = nb.from_function(space, lambda architecture: architecture["a"] * architecture["b"])
    >>> bench.query(space.parse("a=3,b=2")).value
    6.0
    """
    check_space(space)
    if not callable(function):
        raise InvalidQuery(f"{shown(function)} cannot be called: expected function(architecture) -> score")
    return FunctionBenchmark(space, function, own_metric("score", direction), name)
