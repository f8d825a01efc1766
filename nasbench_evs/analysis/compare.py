"""compare(): searchers on benchmarks over many seeds, in one call, judged as the reports of experiments judge them."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig, Experiment, SearcherConfig, check_labels
from nasbench_evs.analysis.experiment import check, run_in_processes
from nasbench_evs.analysis.one_search import search_once
from nasbench_evs.analysis.outcome import Outcome
from nasbench_evs.analysis.regrets import Regrets
from nasbench_evs.analysis.runs import SHARE, Key, Point, Run, Task, tasks
from nasbench_evs.arguments import as_list, check_int
from nasbench_evs.benchmark import Benchmark
from nasbench_evs.benchmark.base import check_regime
from nasbench_evs.benchmark.landscapes import PREFIX
from nasbench_evs.errors import InvalidQuery, NasbenchError, shown
from nasbench_evs.progress import with_progress
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.registry import check_name, label

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SearcherComparison:
    """What `compare` found: `frame` has it all, `summary()` and `print` the statistics.

    `outcome` is what the report of an experiment is written from (`analysis.outcome`).
    """

    outcome: Outcome

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row for each benchmark, searcher, seed and budget to report (`evaluations`).

        `architecture` is the incumbent, the best so far by what the search saw (`seen`); `true_value` is what it is worth in the
        regime, `regret` how far that is behind the benchmark's reference, in its metric, `normalized_regret` the same as a
        share of what a median random architecture loses. Empty where no architecture within the constraint has a score.
        """
        import pandas as pd

        regrets, rows = self.outcome.regrets, []
        for benchmark in regrets.benchmarks:
            config = regrets.config(benchmark)
            space, scale = config.load().space, regrets.references[benchmark].scale
            for searcher in regrets.searchers:
                behind = regrets.at(benchmark, searcher, config.marks)
                for i, seed in enumerate(regrets.seeds):
                    for mark, regret in zip(config.marks, behind[i].tolist(), strict=True):
                        point = _at(regrets.runs[benchmark, searcher, seed], mark)
                        rows.append(
                            {
                                "benchmark": benchmark,
                                "searcher": searcher,
                                "seed": seed,
                                "evaluations": mark,
                                "architecture": str(space.unrank(point.rank)) if point.rank >= 0 else None,
                                "seen": point.seen,
                                "true_value": getattr(point, regrets.regime),
                                "regret": regret,
                                "normalized_regret": regret / scale,
                            }
                        )
        return pd.DataFrame(rows)

    def summary(self) -> pd.DataFrame:
        """One row for each searcher, best first, over all benchmarks at the end of the budget.

        `normalized_regret` is a mean with a 95 % interval (`low`, `high`) over benchmarks and seeds, `mean_rank` that of its
        means on each benchmark, `area` the normalized regret over the whole search. Against "random" and "evolution", where
        they take part: the difference (`less_random`, negative is better), and the p-value of Wilcoxon's test over the paired
        seeds, adjusted by Holm (`p_random`). `own_seconds`: the searcher's own work in a search.
        """
        import pandas as pd

        outcome = self.outcome
        found: dict[str, Any] = {
            "normalized_regret": outcome.final.value,
            "low": outcome.final.low,
            "high": outcome.final.high,
            "mean_rank": outcome.ranks.value,
            "area": outcome.areas.value,
        }
        for control, tests in outcome.controls.items():
            by_name = {each.searcher: each for each in tests}
            ordered = [by_name.get(name) for name in outcome.searchers]
            found[f"less_{control}"] = [np.nan if each is None else each.difference for each in ordered]
            found[f"p_{control}"] = [np.nan if each is None else each.p_holm for each in ordered]
        found["own_seconds"] = [outcome.regrets.own_seconds(name) for name in outcome.searchers]
        return pd.DataFrame(found, index=pd.Index(outcome.searchers, name="searcher")).iloc[outcome.order]

    @property
    def wins(self) -> pd.DataFrame:
        """How probably the row's searcher ends with a smaller regret than the column's on the same benchmark and seed."""
        return self._square(self.outcome.wins.value)

    @property
    def detectable(self) -> float:
        """The smallest difference of normalized regret that these seeds find four times in five.

        Infinite with too few seeds, NaN where neither "random" nor "evolution" takes part.
        """
        return self.outcome.detectable

    def regrets(self) -> pd.DataFrame:
        """Mean regret at the end in each benchmark's own metric: a row for each benchmark, a column for each searcher."""
        import pandas as pd

        found, order = self.outcome.regrets, self.outcome.order
        means = [np.nanmean(found.finals(benchmark), axis=1)[order] for benchmark in found.benchmarks]
        index = pd.Index(found.benchmarks, name="benchmark")
        return pd.DataFrame(means, index, [self.outcome.searchers[i] for i in order])

    def __str__(self) -> str:
        regrets = self.outcome.regrets
        budgets = sorted({regrets.config(each).budget for each in regrets.benchmarks})
        lines = [
            f"{len(regrets.searchers)} searchers on {len(regrets.benchmarks)} benchmarks, {regrets.regime} regime, "
            f"{len(regrets.seeds)} seeds, {budgets[0]} evaluations; 0 is the best, 1 a random architecture:",
            "",
            self.summary().to_string(float_format=lambda value: f"{value:.3g}", na_rep="-"),
            "",
            "Mean regret at the end, in each benchmark's metric:",
            "",
            self.regrets().to_string(float_format=lambda value: f"{value:.4f}"),
        ]
        if len(regrets.searchers) > 1:
            wins = self.wins.to_string(float_format=lambda value: f"{value:.2f}")
            lines += ["", "How often the row ends better than the column (ties count half):", "", wins]
        if self.outcome.controls:
            found = f"{self.detectable:.3f}" if np.isfinite(self.detectable) else "none with so few seeds"
            lines += [
                "",
                f"Smallest difference of normalized regret that these seeds find four times in five: {found}.",
            ]
        return "\n".join(lines)

    def _square(self, values: np.ndarray) -> pd.DataFrame:
        import pandas as pd

        order = self.outcome.order
        names = [self.outcome.searchers[i] for i in order]
        return pd.DataFrame(values[np.ix_(order, order)], pd.Index(names, name="searcher"), names)


def compare(
    searchers: Any,
    benchmarks: Any,
    *,
    seeds: int = 20,
    budget: int = 150,
    marks: Sequence[int] = (),
    regime: str = "clean",
    workers: int = 1,
    constraint: Mapping[str, float] | None = None,
    processes: int = 1,
) -> SearcherComparison:
    """Run every searcher on every benchmark with the seeds 0, 1, ..., and compare them over these pairs.

    `searchers`: a list of names ("bananas", "module:Class", "path/to/file.py:Class"), classes of your own, or pairs of one of
    these and its settings, ("bananas", {"batch": 10}); a dict gives each a label. Name "random" and "evolution" to be tested
    against them. `benchmarks`: a list of names of `nb.load` and of opened benchmarks, or a dict with labels. `budget` counts
    evaluations of each search, `marks` are smaller budgets to report as well, read off the same searches. `regime`: what a
    search sees and what judges it, "clean", "noisy" or "transfer" (`Benchmark.true_values`). `workers` are simulated,
    `constraint` is as in `search.run`. With several `processes` as many searches run at a time; what you give must then be
    importable there.

    Everything random in a search depends on its seed alone, so the same call gives the same numbers, and searchers of one seed
    see the same noise of the same architecture. InvalidQuery for what has no meaning, before anything runs.

    >>> import nasbench_evs as nb
    >>> found = nb.compare(["random", "evolution"], ["landscape:nk-1"], seeds=3, budget=20)
    >>> list(found.summary().columns[:3]), len(found.frame)
    (['normalized_regret', 'low', 'high'], 6)
    """
    check_regime(regime)
    budget = check_int("budget", budget, 1)
    read_off = [check_int("marks", mark, 1, budget) for mark in as_list("marks", marks, "a list of smaller budgets")]
    if constraint is not None and not isinstance(constraint, Mapping):
        raise InvalidQuery(f"constraint = {shown(constraint)}: expected a dict such as {{'params': 20000}}")
    searched = "noisy" if regime == "transfer" else regime
    experiment = Experiment(
        "",
        [_searcher(*each) for each in _labelled(searchers)],
        [
            _benchmark(*each, dict(constraint or {}), budget, tuple(sorted({*read_off, budget})), searched)
            for each in _labelled(benchmarks)
        ],
        check_int("seeds", seeds, 1),
        check_int("workers", workers, 1),
    )
    for kind, labels in (
        ("searchers", [each.label for each in experiment.searchers]),
        ("benchmarks", [each.label for each in experiment.benchmarks]),
    ):
        if not labels:
            raise InvalidQuery(f"no {kind}: expected at least one")
        check_labels(labels, f"{kind} (a dict names them: {{label: ...}})")
    for config in experiment.benchmarks:
        check(config, experiment)
        if regime == "transfer":
            _check_transfer(config)
    runs = _run(experiment, check_int("processes", processes, 1))
    return SearcherComparison(Outcome(Regrets(experiment, list(runs.values()), regime)))


def _labelled(given: Any) -> list[tuple[str | None, Any]]:
    """Labels (None: it has none) and what they stand for, of one thing, a list or a dict."""
    if isinstance(given, Mapping):
        return [(str(name), each) for name, each in given.items()]
    alone = isinstance(given, str | type | Benchmark) or not isinstance(given, Iterable)
    return [(None, each) for each in ([given] if alone else given)]


def _searcher(named: str | None, given: Any) -> SearcherConfig:
    searcher, settings = given if isinstance(given, tuple) and len(given) == 2 else (given, {})
    if not isinstance(searcher, str | type) or not isinstance(settings, Mapping):
        raise InvalidQuery(
            f"searcher {shown(given)}: expected a name, a class, or a pair of one of these and a dict of settings; each search "
            "makes its own, so an object that is made already cannot be compared"
        )
    if isinstance(searcher, str):
        check_name(searcher)
    words = [label(searcher), *(f"{name}={value}" for name, value in settings.items())]
    return SearcherConfig(named or " ".join(words), searcher, dict(settings))


def _benchmark(
    named: str | None, given: Any, limits: dict[str, float], budget: int, marks: tuple[int, ...], regime: str
) -> BenchmarkConfig:
    if isinstance(given, str):
        return BenchmarkConfig(named or given, given, None, "auto", limits, budget, marks, (regime,))
    if not isinstance(given, Benchmark):
        raise InvalidQuery(
            f"benchmark {shown(given)}: expected a name of nasbench-evs list, or what nb.load(...) gives"
        )
    return BenchmarkConfig(
        named or given.dataset, given.dataset, None, "auto", limits, budget, marks, (regime,), opened=given
    )


def _check_transfer(config: BenchmarkConfig) -> None:
    if config.name.startswith(PREFIX):
        raise InvalidQuery(f"{config.label}, transfer regime: a made landscape has no test scores")
    bench = config.load()
    try:
        bench.true_values(Domain.on(bench, config.limits).sample_many(1, 0), "transfer")
    except NasbenchError as error:
        raise type(error)(f"{config.label}, transfer regime: {error}") from None


def _run(experiment: Experiment, processes: int) -> dict[Key, Run]:
    wanted = tasks(experiment)
    done: dict[Key, Run] = {}

    def work(report: Any) -> None:
        def keep(key: Key, run: Run) -> None:
            done[key] = run
            report(len(done), len(wanted))

        report(0, len(wanted))
        if processes > 1:
            run_in_processes(wanted, processes, keep, workers=experiment.workers)
        else:
            for key, task in wanted.items():
                keep(key, search_once(task, key[0], experiment.workers))

    if processes > 1:
        for task in wanted.values():
            _check_travels(task)
    try:
        with_progress("comparing", work)
    except BrokenProcessPool:
        raise InvalidQuery(
            "a process ended before its search did: in a script, call compare under if __name__ == '__main__':, or leave "
            "processes out"
        ) from None
    return {key: done[key] for key in wanted}


def _check_travels(task: Task) -> None:
    """That another process can be given it."""
    named = task.searcher.name
    if isinstance(named, type) and named.__module__ == "__main__":
        raise InvalidQuery(
            f"{named.__name__} is defined where it is run, and other processes cannot import it: put it into a file and name it "
            f"'path/to/file.py:{named.__name__}', or leave processes out"
        )
    try:
        pickle.dumps(task)
    except Exception as error:
        raise InvalidQuery(
            f"{task.searcher.label} on {task.benchmark.label} cannot be sent to other processes ({error}): leave processes out"
        ) from None


def _at(run: Run, mark: int) -> Point:
    """The incumbent after so many evaluations: of every mark there is a point."""
    return [each for each in run.curve if each.evaluations <= mark + SHARE][-1]
