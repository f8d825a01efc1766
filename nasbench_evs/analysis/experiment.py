"""Runs of experiments: searchers on benchmarks over many seeds, in parallel, resumable."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig, Experiment
from nasbench_evs.analysis.runs import (
    JOURNAL,
    RESULTS,
    SHARE,
    Journal,
    Key,
    Point,
    Run,
    Task,
    read_results,
    rounded,
    select_runs,
    tasks,
)
from nasbench_evs.errors import NasbenchError, NotRecorded
from nasbench_evs.search import Result
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.registry import make
from nasbench_evs.search.run import run_with
from nasbench_evs.spaces import Architecture

if TYPE_CHECKING:
    from nasbench_evs.benchmark import Benchmark

MOST_WORKERS = 64


def search_once(task: Task, settings: str, workers: int = 1) -> Run:
    """Run one search and look up what its incumbents are worth."""
    config, searcher, regime, seed = task
    bench = config.load()
    result = run_with(
        searcher.name, bench, budget=config.budget, seed=seed, workers=workers, constraint=config.limits,
        regime=regime, parameters=searcher.parameters,
    )  # fmt: skip
    at = _points(result, config.marks)
    incumbents = [place for _, _, place in at]
    found = [result.trials[place].architecture for place in incumbents if place >= 0]
    answer = _answer(result, bench, regime, seed)
    if answer is not None and (not found or answer[0] != found[-1]):
        found.append(answer[0])
    else:
        answer = None
    worth = _true_values(bench, found, regime, seed)
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


def _answer(result: Result, bench: Benchmark, regime: str, seed: int) -> tuple[Architecture, float] | None:
    """What a search recommends and its score: of up to three architectures the best by what the search sees of each."""
    if not result.recommended:
        return None
    values, _ = bench.observe_many(bench.space.stack(result.recommended), seed=seed, noise=regime != "clean")
    if np.isnan(values).all():
        return None
    best = int(np.nanargmax(bench.metric.sign * values))
    return result.recommended[best], float(values[best])


def _true_values(
    bench: Benchmark, architectures: list[Architecture], regime: str, seed: int
) -> dict[Architecture, tuple[float, float, float]]:
    """The true values of each: clean, noisy and transfer, the last two for a noisy search."""
    different = list(dict.fromkeys(architectures))
    columns = {name: np.full(len(different), math.nan) for name in Point._fields[-3:]}
    for name in columns if different else ():
        if name == "clean" or regime == "noisy":
            with contextlib.suppress(
                NotRecorded
            ):  # no test scores, or nobody to judge; `_check` says when it is needed
                columns[name] = bench.true_values(bench.space.stack(different), name, seed)
    rows = [tuple(map(rounded, row)) for row in zip(*columns.values(), strict=True)]
    return dict(zip(different, rows, strict=True))  # type: ignore[arg-type]


def run_experiment(
    experiment: Experiment,
    folder: Path,
    *,
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Key, Run]:
    """All runs of the experiment, done in parallel: those that neither RESULTS nor the journal in `folder` has are run.

    The journal keeps what has ended, so the same call goes on. A run that cannot be made (a searcher that needs a constraint, a
    benchmark without epochs or without a judge in a regime) is an error before anything runs.
    """
    for benchmark in experiment.benchmarks:
        _check(benchmark, experiment)
    wanted = tasks(experiment)
    shipped = read_results(folder / RESULTS)
    with Journal(folder / JOURNAL) as journal:
        done = select_runs(experiment, [*shipped, *journal.read()])
        left = [key for key in wanted if key not in done]
        progress(len(done), len(wanted))
        if left:
            count = min(processes or os.cpu_count() or 1, MOST_WORKERS)
            context = multiprocessing.get_context("spawn")  # threads do not survive a fork
            with _one_thread(), ProcessPoolExecutor(count, mp_context=context, initializer=_deaf) as pool:
                jobs = {pool.submit(search_once, wanted[key], key[0], experiment.workers): key for key in left}
                try:
                    for job in as_completed(jobs):
                        run = job.result()
                        journal.write(run)
                        done[jobs[job]] = run
                        progress(len(done), len(wanted))
                except BaseException:
                    pool.shutdown(wait=True, cancel_futures=True)  # what is running ends, what waits never begins
                    raise
    return {key: done[key] for key in wanted if key in done}


def _check(config: BenchmarkConfig, experiment: Experiment) -> None:
    """Make each searcher: that shows whether its hyper-parameters, the constraint and the benchmark go together.

    And ask for a true value: that shows whether searches can be judged there.
    """
    bench = config.load()
    domain = Domain.on(bench, config.limits)
    for regime in config.regimes:
        try:
            bench.true_values(domain.sample_many(1, 0), regime)
        except NasbenchError as error:
            raise type(error)(f"{config.label}, {regime} regime: {error}") from None
    for each in experiment.searchers:
        try:
            make(each.name, domain, seed=0, epochs=bench.epochs, parameters=each.parameters)
        except NasbenchError as error:
            raise type(error)(f"{each.label} on {config.label}: {error}") from None


def _deaf() -> None:
    """Ctrl-C is the parent's business: a worker ends its run, and gets no other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that begin within it compute on one thread each: more would only wait for each other."""
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
