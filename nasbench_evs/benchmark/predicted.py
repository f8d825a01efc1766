"""Answers from a surrogate: of all architectures, or of those that are not recorded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from nasbench_evs.arguments import of_kind
from nasbench_evs.benchmark.base import Architectures, Benchmark, check_view, judging_split
from nasbench_evs.benchmark.score import Optimum, Question, Score, Scores
from nasbench_evs.benchmark.tabular import TableBenchmark
from nasbench_evs.errors import NotRecorded
from nasbench_evs.spaces import Architecture, Cost, SearchSpace, lift

if TYPE_CHECKING:
    from nasbench_evs.surrogate import Surrogate

_Answer = TypeVar("_Answer")


ENUMERATED = 100_000  # a space of at most so many architectures is enumerated for its optimum


class SurrogateBenchmark(Benchmark):
    """Answers from a surrogate only: predictions for every architecture of the space.

    `query(arch)` is the predicted mean; `query(arch, seed=s)` adds a draw from the predicted noise, the same for the
    same seed on any machine and in any batch. `space` may be a view of the surrogate's.

    A search is judged by the predicted mean, of validation scores in the clean and noisy regimes, of test scores in transfer:
    what it sees in the last two is that mean and noise drawn independently, so that no search is judged by its luck.
    """

    lookup = True

    def __init__(self, surrogate: Surrogate, space: SearchSpace | None = None) -> None:
        from nasbench_evs.surrogate import Surrogate

        self.surrogate = of_kind("surrogate", surrogate, Surrogate, "a Surrogate, as Surrogate.load gives it")
        if space is not None:
            check_view(space, surrogate.space)
        self.space = surrogate.space if space is None else space
        self.dataset = surrogate.dataset
        self.metric = surrogate.metric

    def __repr__(self) -> str:
        return f"<surrogate benchmark {self.dataset}: {self.space.name}, {self.metric.name}>"

    @property
    def epochs(self) -> int:
        return self.surrogate.epochs

    def view(self, space: SearchSpace) -> SurrogateBenchmark:
        check_view(space, self.space)
        return SurrogateBenchmark(self.surrogate, space)

    def _query(self, architecture: Architecture, question: Question) -> Score:
        scores = self._query_many(self.space.stack([architecture]), question)
        fields = {name: f.item() if isinstance(f, np.ndarray) else f for name, f in scores._asdict().items()}
        return Score(**fields)

    def _query_many(self, choices: np.ndarray, question: Question) -> Scores:
        split, epoch, seed, distilled = question
        choices = lift(choices, self.space, self.surrogate.space)
        prediction, seconds = self.surrogate.predict_all(choices, split, epoch=epoch, distilled=distilled)
        value = prediction.mean
        if seed is not None:
            value = value + prediction.noise_std * self.surrogate.noise(choices, split, seed, distilled=distilled)
        n = len(choices)
        return Scores(
            value,
            np.full(n, np.nan),
            prediction.epistemic_std,
            prediction.noise_std,
            self.metric.name,
            self.metric.direction,
            split,
            epoch,
            np.full(n, "surrogate"),
            np.zeros(n, np.int64),
            seconds,
        )

    def _query_each(self, choices: np.ndarray, question: Question, seeds: np.ndarray) -> Scores:
        means = self._query_many(choices, question)
        choices = lift(choices, self.space, self.surrogate.space)
        noise = np.empty(len(choices))
        for seed in np.unique(seeds):
            rows = np.flatnonzero(seeds == seed)
            noise[rows] = self.surrogate.noise(choices[rows], question.split, int(seed), distilled=question.distilled)
        return Scores(**{**means._asdict(), "value": means.value + means.noise_std * noise})

    def _observe_many(self, choices: np.ndarray, question: Question) -> Scores:
        return self._query_many(choices, question)

    def observed_seed(self, architecture: Architecture, seed: int) -> int:
        return seed

    def _true_values(self, choices: np.ndarray, regime: str, seed: int) -> np.ndarray:
        return self._query_many(choices, Question(judging_split(regime), None, None, False)).value

    def _optimum(self, regime: str) -> Optimum:
        split = judging_split(regime)
        if self.space == self.surrogate.space and split in self.surrogate.references:
            found = self.surrogate.references[split]
            return Optimum(self.space.parse(found.architecture), found.value, found.how)
        if self.space.size > ENUMERATED:
            raise NotRecorded(
                f"no reference value for the {regime} regime is known in {self!r}, so there is no regret: find one with "
                "nasbench-evs surrogate reference TABLE, for the whole space"
            )
        return _best_of_all(self, regime)

    def seeds(self, architecture: Architecture, *, distilled: bool = False) -> tuple[int, ...]:
        raise NotRecorded("a surrogate records no seeds: every seed can be asked for, with query(arch, seed=...)")

    def cost_many(self, architectures: Architectures) -> Cost:
        shape = self.surrogate.shape
        if shape is None:
            raise NotRecorded(f"costs on {self.dataset} are unknown: its protocol names no widths")
        return self.space.cost_many(self._choices(architectures), shape)


class AutoBenchmark(Benchmark):
    """Recorded architectures from the table, all others from the surrogate; every answer says which.

    Where the whole space is recorded with two seeds or more, the other trainings judge in the noisy and transfer regimes; else
    the surrogate does, by out-of-fold means of what is recorded and by its means of the rest.
    """

    lookup = True

    def __init__(self, table: TableBenchmark, surrogate: SurrogateBenchmark) -> None:
        self.recorded = of_kind("table", table, TableBenchmark, "a TableBenchmark")
        self.predicted = of_kind("surrogate", surrogate, SurrogateBenchmark, "a SurrogateBenchmark")
        self.table = table.table
        self.surrogate = surrogate.surrogate
        self.space = table.space
        self.dataset = table.dataset
        self.metric = table.metric

    def __repr__(self) -> str:
        return repr(self.recorded)[:-1] + ", and a surrogate for the rest>"

    @property
    def epochs(self) -> int:
        return self.recorded.epochs

    def view(self, space: SearchSpace) -> AutoBenchmark | SurrogateBenchmark:
        predicted = self.predicted.view(space)
        try:
            return AutoBenchmark(self.recorded.view(space), predicted)
        except NotRecorded:  # nothing of it is recorded: the surrogate answers for all of it
            return predicted

    def _query(self, architecture: Architecture, question: Question) -> Score:
        if self.recorded.holds_one(architecture, question.distilled):
            return self.recorded._query(architecture, question)
        return self.predicted._query(architecture, question)

    def _query_many(self, choices: np.ndarray, question: Question) -> Scores:
        def ask(bench: Benchmark, rows: np.ndarray) -> Scores:
            return bench._query_many(choices[rows], question)

        return Scores.join(self._each(choices, question.distilled, ask))

    def _observe_many(self, choices: np.ndarray, question: Question) -> Scores:
        def ask(bench: Benchmark, rows: np.ndarray) -> Scores:
            return bench._observe_many(choices[rows], question)

        return Scores.join(self._each(choices, False, ask))

    def observed_seed(self, architecture: Architecture, seed: int) -> int | None:
        if self.recorded.holds_one(architecture, False):
            return self.recorded.observed_seed(architecture, seed)
        return seed

    def _each(
        self, choices: np.ndarray, distilled: bool, ask: Callable[[Benchmark, np.ndarray], _Answer]
    ) -> list[tuple[np.ndarray, _Answer]]:
        """What table and surrogate answer, each with the mask of the rows (N,) that it is asked for."""
        held = self.recorded.holds(choices, distilled)
        sources: list[tuple[np.ndarray, Benchmark]] = [(held, self.recorded), (~held, self.predicted)]
        parts = [(rows, ask(bench, rows)) for rows, bench in sources if rows.any()]
        return parts or [(held, ask(self.predicted, held))]

    @property
    def recorded_choices(self) -> np.ndarray:
        return self.recorded.recorded_choices

    def _true_values(self, choices: np.ndarray, regime: str, seed: int) -> np.ndarray:
        def judged(bench: Benchmark, rows: np.ndarray) -> np.ndarray:
            if bench is self.recorded and self._judged_by_surrogate(regime):
                return self._held_out(choices[rows], regime)
            return bench._true_values(choices[rows], regime, seed)

        return self._joined(choices, judged)

    def _optimum(self, regime: str) -> Optimum:
        """Of everything in a small space; else the better one of the best that is recorded and the surrogate's reference."""
        if self._exhaustive:
            return super()._optimum(regime)
        if self.space.size <= ENUMERATED:
            return _best_of_all(self, regime)
        found = [super()._optimum(regime)]
        with contextlib.suppress(NotRecorded):
            found.append(self.predicted.optimum(regime))
        if self.recorded.holds_one(found[-1].architecture, False):  # the records say what it is worth
            found = found[:1]
        return max(found, key=lambda each: self.metric.sign * each.value)

    def _valued(self, choices: np.ndarray) -> np.ndarray:
        return self._joined(choices, lambda bench, rows: bench._valued(choices[rows]))

    def _joined(self, choices: np.ndarray, ask: Callable[[Benchmark, np.ndarray], np.ndarray]) -> np.ndarray:
        """`_each` of architectures without teachers, side by side."""
        parts = self._each(choices, False, ask)
        values = np.empty(len(choices), parts[0][1].dtype)
        for rows, part in parts:
            values[rows] = part
        return values

    def _recorded_values(self, regime: str) -> tuple[np.ndarray, np.ndarray]:
        choices, values = self.recorded._recorded_values("clean")
        if regime == "clean":
            return choices, values
        if self._judged_by_surrogate(regime):
            return choices, self._held_out(choices, regime)
        return self.recorded._recorded_values(regime)

    def _judged_by_surrogate(self, regime: str) -> bool:
        return regime != "clean" and not (self._exhaustive and self.recorded.common_seeds > 1)

    def _held_out(self, choices: np.ndarray, regime: str) -> np.ndarray:
        """Out-of-fold means of recorded architectures, NaN for those without a true value."""
        means = self.surrogate.out_of_fold(lift(choices, self.space, self.surrogate.space), judging_split(regime))
        return np.where(self.recorded._valued(choices), means, np.nan)

    @cached_property
    def _exhaustive(self) -> bool:
        pool = self.recorded.pool
        return len(pool) == self.space.size and bool(self.recorded.holds(pool, False).all())

    def seeds(self, architecture: Architecture, *, distilled: bool = False) -> tuple[int, ...]:
        self.space.stack([architecture])  # says what is wrong with it
        if not self.recorded.holds_one(architecture, distilled):
            raise NotRecorded(
                f"{architecture} was not trained so on {self.dataset}, a surrogate answers for it: use query"
            )
        return self.recorded.seeds(architecture, distilled=distilled)

    def cost_many(self, architectures: Architectures) -> Cost:
        return self.recorded.cost_many(architectures)

    def _costs(self, choices: np.ndarray, name: str) -> np.ndarray:
        return self.recorded._costs(choices, name)


def _best_of_all(bench: Benchmark, regime: str) -> Optimum:
    """The best true value of all architectures of a small space, by a benchmark whose judge needs no search's seed."""
    choices = bench.space.unrank_many(np.arange(bench.space.size, dtype=np.uint64))
    values = bench.metric.sign * bench.true_values(choices, regime)
    at = int(np.nanargmax(values))
    return Optimum(bench.space.architectures(choices[at : at + 1])[0], bench.metric.sign * float(values[at]), "exact")
