"""Runs of experiments: searchers on benchmarks over many seeds, in parallel, resumable."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nasbench_evs.analysis.config import BenchmarkConfig, Experiment
from nasbench_evs.analysis.live import check_live, search_and_train
from nasbench_evs.analysis.one_search import load_training, search_once
from nasbench_evs.analysis.runs import JOURNAL, RESULTS, Journal, Key, Run, Task, read_results, select_runs, tasks
from nasbench_evs.errors import NasbenchError, TrainingError
from nasbench_evs.processes import ignoring_interrupts, serve_parent
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.registry import make

if TYPE_CHECKING:
    from nasbench_evs.generators.driver import Progress

MOST_WORKERS = 64


def run_experiment(
    experiment: Experiment,
    folder: Path,
    *,
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    training: Callable[[int, int, Task, Progress], None] = lambda done, total, task, progress: None,
    device: str = "cpu",
    known: Sequence[Run] = (),
) -> dict[Key, Run]:
    """All runs of the experiment, done in parallel: those that neither RESULTS nor the journal in `folder` has are run, but for
    those that are `known`.

    The journal keeps what has ended, so the same call goes on. A run that cannot be made (a searcher that needs a constraint, a
    benchmark without epochs or without a judge in a regime) is an error before anything runs. Searches that train come last and
    one after another, each with the experiment's workers; `training` is told how far it is after `progress` was. `device`
    is where they train, and where incumbents are trained anew.
    """
    for benchmark in experiment.benchmarks:
        check(benchmark, experiment)
    wanted = tasks(experiment)
    shipped = read_results(folder / RESULTS)
    with Journal(folder / JOURNAL) as journal:
        done = select_runs(experiment, [*known, *shipped, *journal.read()])
        progress(len(done), len(wanted))

        def keep(key: Key, run: Run) -> None:
            journal.write(run)
            done[key] = run
            progress(len(done), len(wanted))

        left = [key for key in wanted if key not in done]
        quick = {key: wanted[key] for key in left if not wanted[key].benchmark.trains}
        if quick:
            run_in_processes(quick, processes, keep, workers=experiment.workers, device=device)
        for key in left:
            if wanted[key].benchmark.trains:
                report = partial(training, len(done), len(wanted), wanted[key])
                run = search_and_train(
                    wanted[key], key[0], folder, workers=experiment.workers, device=device, report=report
                )
                keep(key, run)
    return {key: done[key] for key in wanted if key in done}


def run_in_processes(
    wanted: Mapping[Key, Task],
    processes: int | None,
    keep: Callable[[Key, Run], None],
    *,
    workers: int = 1,
    device: str = "cpu",
) -> None:
    """Run searches in so many processes (None: one for each core), and `keep` each in the order in which they end.

    TrainingError if a process dies.
    """
    count = min(processes or os.cpu_count() or 1, MOST_WORKERS)
    context = multiprocessing.get_context("spawn")  # threads do not survive a fork
    others = set(multiprocessing.active_children())
    with _one_thread(), ProcessPoolExecutor(count, mp_context=context, initializer=serve_parent) as pool:
        try:
            with ignoring_interrupts():
                jobs = {pool.submit(search_once, task, key[0], workers, device): key for key, task in wanted.items()}
            for job in as_completed(jobs):
                keep(jobs[job], job.result())
        except BrokenProcessPool:
            raise TrainingError(
                "a process died among its searches (out of memory?): run it again, or with fewer processes"
            ) from None
        except BaseException:  # nobody waits for what is running any more
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def check(config: BenchmarkConfig, experiment: Experiment) -> None:
    """Make each searcher: that shows whether its hyper-parameters, the constraint and the benchmark go together.

    And ask for a true value: that shows whether searches can be judged there.
    """
    if config.trains:
        for each in experiment.searchers:
            try:
                check_live(config, each)
            except NasbenchError as error:
                raise type(error)(f"{each.label} on {config.label}: {error}") from None
        return
    bench = config.load()
    if config.retrain:
        load_training(config.name, config.space, "cpu")  # its data is here
    domain = Domain.on(bench, config.limits)
    for regime in config.regimes if not config.retrain else ():
        try:
            bench.true_values(domain.sample_many(1, 0), regime)
        except NasbenchError as error:
            raise type(error)(f"{config.label}, {regime} regime: {error}") from None
    for each in experiment.searchers:
        try:
            make(each.name, domain, seed=0, epochs=bench.epochs, parameters=each.parameters)
        except NasbenchError as error:
            raise type(error)(f"{each.label} on {config.label}: {error}") from None


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
