"""Syne Tune (the `syne-tune` extra): our benchmarks as blackboxes of its simulator."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np

from nasbench_evs.adapters.values import architecture_of, missing
from nasbench_evs.benchmark import Benchmark
from nasbench_evs.search.domain import Domain
from nasbench_evs.spaces.choices import Choice

try:
    from syne_tune.blackbox_repository.blackbox import Blackbox
    from syne_tune.config_space import choice, randint
except ImportError:
    raise missing("Syne Tune", "syne-tune") from None

FIDELITY = "epoch"
SCORE = "valid_score"
TEST = "test_score"
SECONDS = "elapsed_seconds"  # since the training began; what a backend calls `elapsed_time_attr`


class BenchmarkBlackbox(Blackbox):
    """A benchmark that Syne Tune can ask: table, surrogate or both.

    The configuration space has every choice of the search space, as Syne Tune knows no conditions (options of several types
    as their texts, as it knows one type alone). Values of choices that are not active do not count, so its random
    configurations are architectures drawn choice by choice with equal probabilities. The fidelity is the epoch, from 1 to
    `bench.epochs`; where scores are of whole trainings only, there is one fidelity, 1. Objectives are SCORE, in the
    benchmark's own direction (`metric_mode`), SECONDS, and with `test=True` TEST, which is asked for whole trainings only and
    is NaN before. `seed` says which training is read (`Benchmark.observe`): one of each architecture, the same at every epoch.
    A benchmark that answers for recorded architectures only takes the nearest of them, ties at random by the seed. Where a
    benchmark has no seconds, a training counts as one second.

    >>> import nasbench_evs as nb
    >>> blackbox = BenchmarkBlackbox(nb.load("digits"))
    >>> blackbox({"layer.0": 64, "layer.1": 64, "layer.2": 64}, fidelity=20)[SCORE] > 0.9
    True
    """

    def __init__(self, bench: Benchmark, *, test: bool = False) -> None:
        self.bench = bench
        self._domain = Domain.on(bench)
        self._epochs = np.arange(1, max(1, bench.epochs) + 1)
        self._test = test
        super().__init__(
            configuration_space={each.name: choice(_categories(each)) for each in bench.space.choices},
            fidelity_space={FIDELITY: randint(1, len(self._epochs))},
            objectives_names=[SCORE, SECONDS, *([TEST] if test else [])],
        )

    @property
    def metric_mode(self) -> str:
        """What a scheduler's `do_minimize` asks for: "max" or "min" of SCORE."""
        return "max" if self.bench.metric.sign > 0 else "min"

    @property
    def fidelity_values(self) -> np.ndarray:
        return self._epochs

    def _objective_function(
        self,
        configuration: Mapping[str, Any],
        fidelity: Mapping[str, Number] | None = None,
        seed: int | None = None,
    ) -> dict[str, float] | np.ndarray:
        """A dict at an epoch, or the array (epochs, objectives) of all; InvalidArchitecture, and errors of `observe`."""
        seed = 0 if seed is None else int(seed)
        wanted = architecture_of(self.bench.space, configuration)
        architecture = self._domain.nearest_to(wanted, np.random.default_rng([seed, wanted.rank]))
        epochs = self._epochs.tolist() if fidelity is None else [int(fidelity[FIDELITY])]  # type: ignore[call-overload]
        rows = []
        elapsed = 0.0
        for epoch in epochs:
            whole = epoch == self._epochs[-1]
            asked = epoch if self.bench.epochs else None
            seen = self.bench.observe(architecture, seed=seed, epoch=asked)
            seconds = seen.seconds if np.isfinite(seen.seconds) else epoch / len(self._epochs)
            elapsed = max(elapsed, seconds)
            row = [seen.value, elapsed]
            if self._test:
                training = self.bench.observed_seed(architecture, seed)
                row.append(self.bench.query(architecture, split="test", seed=training).value if whole else np.nan)
            rows.append(row)
        if fidelity is None:
            return np.array(rows)
        return dict(zip(self.objectives_names, rows[0], strict=True))


def _categories(each: Choice) -> list[Any]:
    alike = len({type(option) for option in each.options}) == 1
    return [option if alike else str(option) for option in each.options]
