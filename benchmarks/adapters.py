"""Samplers of other frameworks through our adapters against ours of the same kind: python benchmarks/adapters.py

Best score of so many evaluations on credit-default's exhaustive table, many seeds; the difference of the means with its 90 %
interval, in standard deviations over seeds.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
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


def configspace_random(bench: Benchmark, budget: int, seed: int) -> list[Architecture]:
    """What ConfigSpace's sampling draws."""
    from nasbench_evs.adapters.configspace import from_configuration, to_configspace

    drawn = to_configspace(bench.space, seed=seed).sample_configuration(budget)
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
    """What Syne Tune's random search has its simulator run."""
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
    with tempfile.TemporaryDirectory() as folder:
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
    frame = tuner.tuning_status.get_dataframe().head(budget)
    rows = frame[list(blackbox.configuration_space)].to_dict("records")
    return [architecture_of(bench.space, row) for row in rows]


PAIRS: dict[str, tuple[Callable[[Benchmark, int, int], list[Architecture]], str]] = {
    "ConfigSpace's random sampler": (configspace_random, "random"),
    "Optuna's TPESampler": (optuna_tpe, "tpe"),
    "Syne Tune's RandomSearch": (syne_tune_random, "random"),
}


def best_values(
    run: Callable[[Benchmark, int, int], list[Architecture]], bench: Benchmark, budget: int, seeds: int, what: str
) -> Iterator[float]:
    """The best mean score among what each seed's run evaluated."""
    for seed in range(seeds):
        if sys.stderr.isatty():
            print(f"\r{what}: {seed}/{seeds}", end="", file=sys.stderr)
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
    bench = nb.load("credit-default", "ffn-3", source="table")
    known: dict[str, np.ndarray] = {}
    print(f"{arguments.seeds} seeds, {arguments.budget} evaluations; differences in standard deviations over seeds")
    for label, (run, name) in PAIRS.items():
        if name not in known:
            known[name] = np.array([*best_values(ours(name), bench, arguments.budget, arguments.seeds, f"our {name}")])
        theirs = np.array([*best_values(run, bench, arguments.budget, arguments.seeds, label)])
        found = equivalence(theirs, known[name])
        verdict = "within" if found.holds else "NOT within"
        print(
            f"{label} less our {name}: {found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}], {verdict} ± {LARGEST}"
        )


if __name__ == "__main__":
    main()
