"""One search of an experiment, and what its incumbents are worth."""

from __future__ import annotations

import contextlib
import math
from functools import cache
from typing import TYPE_CHECKING, cast

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig
from nasbench_evs.analysis.runs import SHARE, Point, Run, Task, rounded
from nasbench_evs.errors import NotRecorded
from nasbench_evs.search import Result
from nasbench_evs.search.run import run_with
from nasbench_evs.spaces import Architecture

if TYPE_CHECKING:
    from nasbench_evs.benchmark import TrainingBenchmark

FIRST_SEED = 1000  # of trainings that judge: no recipe's


def search_once(task: Task, settings: str, workers: int = 1, device: str = "cpu") -> Run:
    """Run one search on what answers without training, and look up what its incumbents are worth."""
    config, searcher, regime, seed = task
    result = run_with(
        searcher.name, config.load(), budget=config.budget, seed=seed, workers=workers, constraint=config.limits,
        regime=regime, parameters=searcher.parameters,
    )  # fmt: skip
    return run_of(task, settings, result, device)


def run_of(task: Task, settings: str, result: Result, device: str = "cpu") -> Run:
    """What is kept of a search that has ended. Where incumbents are trained again, they are so on `device`."""
    config, searcher, regime, seed = task
    at = _points(result, config.marks)
    incumbents = [place for _, _, place in at]
    found = [result.trials[place].architecture for place in incumbents if place >= 0]
    answer = _answer(result, config, regime, seed)
    if answer is not None and (not found or answer[0] != found[-1]):
        found.append(answer[0])
    else:
        answer = None
    worth = _true_values(config, found, regime, seed, device)
    points = []
    for evaluations, seconds, place in at:
        if place < 0:
            points.append(Point(evaluations, seconds, -1, *[math.nan] * 4))
        else:
            trial = result.trials[place]
            points.append(
                Point(evaluations, seconds, trial.architecture.rank, rounded(trial.value), *worth[trial.architecture])
            )
    if answer is not None:
        architecture, seen = answer
        points.append(Point(math.nan, math.nan, architecture.rank, rounded(seen), *worth[architecture]))
    return Run(config.label, searcher.label, regime, seed, settings, round(result.own_seconds, 4), points)


def _points(result: Result, marks: tuple[int, ...]) -> list[tuple[float, float, int]]:
    """Evaluations, seconds and the incumbent's position in the trials (-1: none), where it changes and at every mark."""
    incumbents, trials = result.incumbents, result.trials
    spent = np.array([trial.spent for trial in trials])

    def seconds(place: int) -> float:
        return rounded(trials[place].finished) if result.timed else math.nan

    changed = np.flatnonzero(np.diff(incumbents, prepend=-1))
    found = {rounded(spent[i]): (seconds(i), int(incumbents[i])) for i in changed.tolist()}
    for mark in marks:
        last = int(np.searchsorted(spent, mark + SHARE, "right")) - 1
        found[float(mark)] = (seconds(last), int(incumbents[last])) if last >= 0 else (math.nan, -1)
    return [(evaluations, *found[evaluations]) for evaluations in sorted(found)]


def _answer(result: Result, config: BenchmarkConfig, regime: str, seed: int) -> tuple[Architecture, float] | None:
    """What a search recommends and its score: of up to three architectures the best by what the search sees of each."""
    if not result.recommended:
        return None
    if config.trains:  # it saw its own trainings and no others
        seen = {trial.architecture: trial.value for trial in result.trials}
        values = np.array([seen.get(each, math.nan) for each in result.recommended])
    else:
        bench = config.load()
        values, _ = bench.observe_many(bench.space.stack(result.recommended), seed=seed, noise=regime != "clean")
    if np.isnan(values).all():
        return None
    best = int(np.nanargmax(result.bench.metric.sign * values))
    return result.recommended[best], float(values[best])


Worth = dict[Architecture, tuple[float, float, float]]


def _true_values(
    config: BenchmarkConfig, architectures: list[Architecture], regime: str, seed: int, device: str
) -> Worth:
    """The true values of each: clean, noisy and transfer, the last two for a noisy search."""
    different = list(dict.fromkeys(architectures))
    columns = {name: np.full(len(different), math.nan) for name in Point._fields[-3:]}
    asked = [] if config.trains else ["clean"]
    if regime == "noisy" and not config.retrain:
        asked += ["noisy", "transfer"]
    for name in asked if different else ():
        bench = config.load()
        with contextlib.suppress(NotRecorded):  # no test scores, or nobody to judge; `check` says when it is needed
            columns[name] = bench.true_values(bench.space.stack(different), name, seed)
    if config.retrain and different:
        columns["noisy"], columns["transfer"] = retrained(config, different, device)
    rows = [tuple(map(rounded, row)) for row in zip(*columns.values(), strict=True)]
    return dict(zip(different, rows, strict=True))  # type: ignore[arg-type]


def retrained(config: BenchmarkConfig, architectures: list[Architecture], device: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean validation and mean test scores (n,) of `config.retrain` new trainings of each, with seeds that no table has."""
    bench = load_training(config.name, config.space, device)
    seeds = range(FIRST_SEED, FIRST_SEED + config.retrain)
    valid, test = (
        np.array(
            [np.mean([bench.query(each, seed=seed, split=split).value for seed in seeds]) for each in architectures]
        )
        for split in ("valid", "test")
    )
    return valid, test


@cache
def load_training(name: str, space: str | None, device: str) -> TrainingBenchmark:
    """What trains architectures of the benchmark anew; each training is kept as long as this process lives."""
    from nasbench_evs.benchmark import load

    bench = load(name, space, source="train", device=device)
    return cast("TrainingBenchmark", bench)
