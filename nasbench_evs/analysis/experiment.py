"""Runs of experiments: searchers on benchmarks over many seeds, in parallel, resumable."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig, Experiment, SearcherConfig
from nasbench_evs.analysis.runs import JOURNAL, Run, open_journal, read_done, run_key, write_run
from nasbench_evs.errors import NasbenchError, NotRecorded
from nasbench_evs.search import Result
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.registry import make
from nasbench_evs.search.run import run_with

if TYPE_CHECKING:
    from nasbench_evs.benchmark import Benchmark

MOST_WORKERS = 64


def search_once(
    benchmark: BenchmarkConfig, searcher: SearcherConfig, seed: int, workers: int = 1, noise: bool = True
) -> Run:
    """Run one search and look up what its incumbents are worth."""
    bench = benchmark.load()
    result = run_with(
        searcher.name, bench, budget=benchmark.budget, seed=seed, workers=workers, constraint=benchmark.limits,
        regime="noisy" if noise else "clean", parameters=searcher.parameters,
    )  # fmt: skip
    incumbents = result.incumbents
    truth = {
        split: _truth(bench, result, split)[incumbents] if len(incumbents) else np.empty(0)
        for split in ("valid", "test")
    }
    for split, values in truth.items():
        truth[split] = np.where(incumbents >= 0, values, np.nan)
    ends = {split: _scores(bench, bench.space.stack(result.recommended), split) for split in ("valid", "test")}
    return Run(
        benchmark.label,
        searcher.label,
        seed,
        round(result.own_seconds, 4),
        [round(trial.spent, 4) for trial in result.trials],
        [round(trial.finished, 3) if result.timed else float("nan") for trial in result.trials],
        [trial.architecture.rank for trial in result.trials],
        [trial.epoch or 0 for trial in result.trials],
        [round(trial.value, 6) for trial in result.trials],
        truth["valid"].round(6).tolist(),
        truth["test"].round(6).tolist(),
        [architecture.rank for architecture in result.recommended],
        ends["valid"].round(6).tolist(),
        ends["test"].round(6).tolist(),
    )


def _truth(bench: Benchmark, result: Result, split: str) -> np.ndarray:
    """Of every trial's architecture, the mean score: float (N,)."""
    used = sorted(set(result.incumbents.tolist()) - {-1})
    values = np.full(len(result.trials), np.nan)
    values[used] = _scores(bench, bench.space.stack([result.trials[i].architecture for i in used]), split)
    return values


def _scores(bench: Benchmark, choices: np.ndarray, split: str) -> np.ndarray:
    if not len(choices):
        return np.empty(0)
    try:
        return bench.query_many(choices, split=split).value
    except NotRecorded:
        return np.full(len(choices), np.nan)


def best_known(ground: BenchmarkConfig, runs: list[Run], split: str) -> float:
    """The best score on that split of what was recorded within the constraint, and of every run's incumbents and answer."""
    bench = ground.load()
    sign = bench.metric.sign
    found = [value for each in runs for value in (*getattr(each, split), *getattr(each, f"recommended_{split}"))]
    recorded = bench.recorded_choices
    if len(recorded):
        fits = Domain.on(bench, ground.limits).feasible(recorded)
        found += _scores(bench, recorded[fits], split).tolist()
    return float(sign * np.nanmax(sign * np.array(found))) if np.isfinite(found).any() else float("nan")


def run_experiment(
    experiment: Experiment,
    folder: Path,
    *,
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Run]:
    """All runs of the experiment, done in parallel; a journal in `folder` keeps what has ended, so the same call goes on.

    Seeds come first: a stopped experiment has compared everything, with fewer seeds. A run that cannot be made (a searcher that
    needs a constraint, a benchmark without epochs) is an error before anything runs.
    """
    for benchmark in experiment.benchmarks:
        _check(benchmark, experiment)
    todo = [
        (benchmark, searcher, seed)
        for seed in range(experiment.seeds)
        for benchmark in experiment.benchmarks
        for searcher in experiment.searchers
    ]
    with open_journal(folder / JOURNAL) as journal:
        done = read_done(journal, experiment)
        left = [key for key in todo if run_key(*key, experiment) not in done]
        progress(len(todo) - len(left), len(todo))
        if left:
            count = min(processes or os.cpu_count() or 1, MOST_WORKERS)
            context = multiprocessing.get_context("spawn")  # threads do not survive a fork
            with _one_thread(), ProcessPoolExecutor(count, mp_context=context, initializer=_deaf) as pool:
                jobs = {pool.submit(search_once, *key, experiment.workers, experiment.noise): key for key in left}
                try:
                    for count, job in enumerate(as_completed(jobs), 1):
                        write_run(journal, run_key(*jobs[job], experiment), job.result())
                        progress(len(todo) - len(left) + count, len(todo))
                except BaseException:
                    pool.shutdown(wait=True, cancel_futures=True)  # what is running ends, what waits never begins
                    raise
        kept = read_done(journal, experiment)
    return [kept[key] for key in (run_key(*each, experiment) for each in todo) if key in kept]


def _check(ground: BenchmarkConfig, experiment: Experiment) -> None:
    """Make each searcher: that shows whether its hyper-parameters, the constraint and the benchmark go together."""
    bench = ground.load()
    domain = Domain.on(bench, ground.limits)
    for each in experiment.searchers:
        try:
            make(each.name, domain, seed=0, epochs=bench.epochs, parameters=each.parameters)
        except NasbenchError as error:
            raise type(error)(f"{each.label} on {ground.label}: {error}") from None


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
