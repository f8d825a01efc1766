"""Optuna (the `optuna` extra): studies on our benchmarks, and a benchmark in the form of OptunaHub.

Optuna's samplers as searchers of ours are `search.run("tpe", ...)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.adapters.values import architecture_of, missing
from nasbench_evs.arguments import check_bool, check_int
from nasbench_evs.benchmark import Benchmark
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.search.domain import Domain
from nasbench_evs.spaces import Architecture

try:
    import optuna
except ImportError:
    raise missing("Optuna", "optuna") from None

from nasbench_evs.search.optuna_adapters import suggest

if TYPE_CHECKING:
    BaseProblem = object
else:
    try:
        from optunahub.benchmarks import BaseProblem
    except ImportError:
        BaseProblem = object


def objective(bench: Benchmark, *, seed: int = 0, prune: bool = False) -> Callable[[optuna.Trial], float]:
    """What `study.optimize` calls: the score of the architecture that a trial suggests, in the benchmark's direction.

    Make the study with `direction="maximize"` where `bench.metric.direction` is "max", "minimize" elsewhere. `seed` says
    which training is read (see `Benchmark.observe`). `prune` reports every epoch, and stops where the study's pruner says so. A
    benchmark that answers for recorded architectures only takes the nearest of them. Trials suggest active choices alone, so
    Optuna's random sampling is choice by choice with equal probabilities, without the weights that a space may have.

    >>> import nasbench_evs as nb, optuna
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    >>> study.optimize(objective(nb.load("digits")), n_trials=20)
    >>> study.best_value > 0.8
    True
    """
    domain, rng = Domain.on(bench), np.random.default_rng(check_int("seed", seed, 0))
    if check_bool("prune", prune) and not bench.epochs:
        raise InvalidQuery("this benchmark has no scores by epoch: use prune=False")

    def evaluate(trial: optuna.Trial) -> float:
        architecture = domain.nearest_to(suggest(trial, bench.space), rng)
        for epoch in range(1, bench.epochs if prune else 1):
            trial.report(bench.observe(architecture, seed=seed, epoch=epoch).value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return bench.observe(architecture, seed=seed).value

    return evaluate


class Problem(BaseProblem):
    """A benchmark as OptunaHub's problems are; where `optunahub` is installed it is one.

    `search_space` has every choice, active or not, as OptunaHub wants it, and `evaluate` leaves those out that are not. As a
    function of a trial it suggests the active ones alone, which is better for samplers that understand conditions.

    >>> import nasbench_evs as nb, optuna
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> problem = Problem(nb.load("digits"))
    >>> study = optuna.create_study(directions=problem.directions)
    >>> study.optimize(problem, n_trials=3)
    """

    def __init__(self, bench: Benchmark, *, seed: int = 0) -> None:
        """`seed` says which training is read, as for `objective`."""
        self.bench, self.seed = bench, seed
        self._domain, self._rng = Domain.on(bench), np.random.default_rng(check_int("seed", seed, 0))

    @property
    def search_space(self) -> dict[str, optuna.distributions.BaseDistribution]:
        return {
            choice.name: optuna.distributions.CategoricalDistribution(choice.options)
            for choice in self.bench.space.choices
        }

    @property
    def directions(self) -> list[optuna.study.StudyDirection]:
        larger = self.bench.metric.sign > 0
        return [optuna.study.StudyDirection.MAXIMIZE if larger else optuna.study.StudyDirection.MINIMIZE]

    def __call__(self, trial: optuna.Trial) -> float:
        return self._value(suggest(trial, self.bench.space))

    def evaluate(self, params: Mapping[str, Any]) -> float:
        """The score of these options. InvalidArchitecture for a name or value that the space does not have."""
        return self._value(architecture_of(self.bench.space, params))

    def _value(self, architecture: Architecture) -> float:
        return self.bench.observe(self._domain.nearest_to(architecture, self._rng), seed=self.seed).value
