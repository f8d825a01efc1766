"""Samplers of other frameworks through our adapters against ours of the same kind: python benchmarks/adapters.py

Best score of so many evaluations on credit-default's exhaustive table, many seeds; the difference of the means with its 90 %
interval, in standard deviations over seeds. Then random samplers on a conditional space, where they need not draw alike.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple
from unittest import mock

import numpy as np
from rich.console import Console
from rich.progress import track
from scipy import stats

import nasbench_evs as nb
from nasbench_evs import search
from nasbench_evs.benchmark import Benchmark
from nasbench_evs.spaces import Architecture

LARGEST = 0.3  # standard deviations, within which the interval must lie


class Equivalence(NamedTuple):
    """A difference of means, theirs less ours, and the ends of its 90 % interval, in standard deviations over seeds."""

    difference: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        return self.low > -LARGEST and self.high < LARGEST


def equivalence(theirs: np.ndarray, ours: np.ndarray) -> Equivalence:
    """Welch's interval of the difference of the means of (seeds,) values, over their pooled standard deviation."""
    spread = float(np.sqrt((theirs.var(ddof=1) + ours.var(ddof=1)) / 2))
    interval = stats.ttest_ind(theirs, ours, equal_var=False).confidence_interval(0.9)
    ends = (theirs.mean() - ours.mean(), interval.low, interval.high)
    return Equivalence(*(float(each) / spread for each in ends))


def configspace_random(bench: Benchmark, budget: int, seed: int, sampling: str = "hierarchical") -> list[Architecture]:
    """What ConfigSpace's sampling draws."""
    from nasbench_evs.adapters.configspace import from_configuration, to_configspace

    drawn = to_configspace(bench.space, seed=seed, sampling=sampling).sample_configuration(budget)
    return [from_configuration(bench.space, each) for each in drawn]


def optuna_tpe(bench: Benchmark, budget: int, seed: int) -> list[Architecture]:
    """What Optuna's TPE suggests in a study on the benchmark."""
    import optuna

    from nasbench_evs.adapters.optuna import objective

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective(bench), n_trials=budget)
    return [bench.space.from_options(trial.params) for trial in study.trials]


def syne_tune_random(bench: Benchmark, budget: int, seed: int) -> list[Architecture]:
    """What Syne Tune's random search has its simulator run.

    Of Syne Tune 0.16 it draws from numpy's own generator, whatever its `random_seed`: this seeds that one, and puts it back.
    """
    import logging
    import tempfile

    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
    from syne_tune.blackbox_repository import UserBlackboxBackend
    from syne_tune.optimizer.baselines import RandomSearch

    from nasbench_evs.adapters.syne_tune import SCORE, SECONDS, BenchmarkBlackbox
    from nasbench_evs.adapters.values import architecture_of

    logging.getLogger("syne_tune").setLevel(logging.ERROR)
    logging.getLogger().setLevel(logging.ERROR)
    blackbox = BenchmarkBlackbox(bench)
    backend = UserBlackboxBackend(blackbox, elapsed_time_attr=SECONDS, seed=0)
    scheduler = RandomSearch(
        blackbox.configuration_space, metrics=[SCORE], do_minimize=blackbox.metric_mode == "min", random_seed=seed
    )
    state = np.random.get_state()  # noqa: NPY002
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, SYNETUNE_FOLDER=folder):
        np.random.seed(seed)  # noqa: NPY002
        tuner = Tuner(
            trial_backend=backend,
            scheduler=scheduler,
            stop_criterion=StoppingCriterion(max_num_trials_completed=budget),
            n_workers=1,
            sleep_time=0,
            callbacks=[SimulatorCallback()],
            tuner_name="adapters",
            save_tuner=False,
            print_update_interval=1e9,
            suffix_tuner_name=False,
            trial_backend_path=folder,
        )
        with contextlib.redirect_stdout(io.StringIO()):
            tuner.run()
    np.random.set_state(state)  # noqa: NPY002
    frame = tuner.tuning_status.get_dataframe().head(budget)
    rows = frame[list(blackbox.configuration_space)].to_dict("records")
    return [architecture_of(bench.space, row) for row in rows]


Pairs = dict[str, tuple[Callable[[Benchmark, int, int], list[Architecture]], str]]
PAIRS: Pairs = {
    "ConfigSpace's random sampler": (configspace_random, "random"),
    "Optuna's TPESampler": (optuna_tpe, "tpe"),
    "Syne Tune's RandomSearch": (syne_tune_random, "random"),
}
CONDITIONAL: Pairs = {
    "ConfigSpace's random sampler": (configspace_random, "random"),
    "ConfigSpace's with sampling='uniform'": (partial(configspace_random, sampling="uniform"), "random"),
    "Syne Tune's RandomSearch": (syne_tune_random, "random"),
}


def best_values(
    run: Callable[[Benchmark, int, int], list[Architecture]], bench: Benchmark, budget: int, seeds: int, what: str
) -> Iterator[float]:
    """The best mean score among what each seed's run evaluated."""
    console = Console(stderr=True)
    for seed in track(range(seeds), what, console=console, transient=True, disable=not sys.stderr.isatty()):
        yield float(np.nanmax(bench.query_many(bench.space.stack(run(bench, budget, seed))).value))


def ours(name: str) -> Callable[[Benchmark, int, int], list[Architecture]]:
    """A searcher of ours as the others are called."""
    return lambda bench, budget, seed: [
        trial.architecture for trial in search.run(name, bench, budget=budget, seed=seed).trials
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--budget", type=int, default=25)
    arguments = parser.parse_args()
    seeds, budget = arguments.seeds, arguments.budget
    print(f"{seeds} seeds, {budget} evaluations; differences in standard deviations over seeds")
    for bench, pairs in (
        (nb.load("credit-default", "ffn-3", source="table"), PAIRS),
        (nb.load("bpic2012", source="surrogate"), CONDITIONAL),
    ):
        known: dict[str, np.ndarray] = {}
        for label, (run, name) in pairs.items():
            if name not in known:
                known[name] = np.array([*best_values(ours(name), bench, budget, seeds, f"our {name}")])
            found = equivalence(np.array([*best_values(run, bench, budget, seeds, label)]), known[name])
            verdict = "within" if found.holds else "NOT within"
            print(
                f"{bench.space.label}: {label} less our {name}: "
                f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}], {verdict} ± {LARGEST}",
                flush=True,
            )


if __name__ == "__main__":
    main()
