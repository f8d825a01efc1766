"""What all benchmarks share: one query, and what a search may ask of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from nasbench_evs.arguments import check_bool, check_int, known
from nasbench_evs.benchmark.score import (
    Best,
    Observation,
    Optimum,
    Question,
    Score,
    Scores,
    check_question,
    check_seeds,
)
from nasbench_evs.errors import InvalidQuery, NotRecorded, shown
from nasbench_evs.metrics import Metric
from nasbench_evs.spaces import Architecture, Cost, SearchSpace, lift
from nasbench_evs.spaces.space import check_space

Architectures = Sequence[Architecture] | np.ndarray
REGIMES = ("clean", "noisy", "transfer")  # what a search sees, and what it is judged by: see Benchmark.true_values


class Benchmark:
    """A space, a dataset, a metric, and answers: a benchmark owns its true values and its noise, a search only asks.

    `query` takes an Architecture of the space; `query_many` a sequence of them or choice indices of shape (N, C).
    Both read the score of a training: after its last step on the whole split, or at its best epoch by validation score, as
    the protocol's `score_at` says. `epoch` (from 1) reads the curve instead, also at the last one; `distilled=True` asks
    for trainings with teachers. Errors: NotRecorded, InvalidQuery, InvalidArchitecture.

    A search sees `observe` and `observe_many`, and is judged by `true_values`, `optimum` and `regret`, in one of three
    regimes. All of them are in the benchmark's own metric and direction; only regret is always larger where it is worse.

    A benchmark of one's own inherits from this class, sets `space`, `dataset` and `metric`, and defines `_query`: the answer to a
    checked question, for an architecture (which `self.space.stack([architecture])` checks). The rest has defaults: no epochs,
    every architecture is answered for, one after another; a search sees the answer without a seed; costs, optimum and best
    architectures are unknown.

    >>> import nasbench_evs as nb
    >>> from nasbench_evs import metrics
    >>> class Width(nb.Benchmark):
    ...     space = nb.spaces.SearchSpace.from_choices({"width": [8, 16, 32]})
    ...     dataset, metric = "made", metrics.own_metric("width", "max")
    ...
    ...     def _query(self, architecture, question):
    ...         return nb.Score.of(architecture["width"], self.metric, question, source="function")
    >>> nb.search.run("random", Width(), budget=3).best.value
    32.0
    """

    space: SearchSpace
    dataset: str
    metric: Metric
    lookup: ClassVar[bool] = False
    """Whether answers are looked up or predicted, many at once by `observe_many`: then a search may ask ahead of its clock.

    A subclass that changes what is answered must promise it anew: it is not inherited.
    """
    pool: np.ndarray | None = None
    """The only architectures that are answered for, each once, as choice indices (M, C); None: all of the space."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "lookup" not in vars(cls):
            cls.lookup = False  # what inherits from a lookup may answer by other means

    @property
    def epochs(self) -> int:
        """How many epochs `epoch=` may name; 0 if only the score of whole trainings is known."""
        return 0

    # Queries

    def query(
        self,
        architecture: Architecture,
        *,
        split: str = "valid",
        epoch: int | None = None,
        seed: int | None = None,
        distilled: bool = False,
    ) -> Score:
        """The score of one architecture: mean over seeds, or of the training with this `seed`.

        The seed is that of a training, not of a search. A table has the recorded seeds (`seeds`) and no other; a surrogate, or a
        made landscape, answers for every seed: its mean with the noise of that training, the same one each time.
        """
        return self._query(architecture, check_question(split, epoch, seed, distilled))

    def query_many(
        self,
        architectures: Architectures,
        *,
        split: str = "valid",
        epoch: int | None = None,
        seed: int | Sequence[int] | np.ndarray | None = None,
        distilled: bool = False,
    ) -> Scores:
        """The scores of many architectures, in their order; of the training with this `seed`, or each with its own."""
        if isinstance(architectures, Architecture | str):
            raise InvalidQuery(
                f"query_many takes a sequence of architectures, got one: {shown(architectures)}; use query"
            )
        if seed is None or isinstance(seed, int | np.integer):
            question = check_question(split, epoch, seed, distilled)
            return self._query_many(self._choices(architectures), question)
        question = check_question(split, epoch, None, distilled)
        choices = self._choices(architectures)
        return self._query_each(choices, question, check_seeds(seed, len(choices)))

    def view(self, space: SearchSpace) -> Benchmark:
        """The same answers for the architectures of a view of this benchmark's space: `bench.space.restrict({...})`.

        It asks for that space's architectures. InvalidSpace if it is no view of this one, NotRecorded if only recorded
        architectures are answered for and it holds none.
        """
        check_space(space)
        raise InvalidQuery(f"{self!r} has no views: make it of the space {space.name} in the first place")

    def seeds(self, architecture: Architecture, *, distilled: bool = False) -> tuple[int, ...]:
        """The seeds recorded for an architecture, in order; empty if its records name none."""
        self.space.stack([architecture])  # says what is wrong with it
        return ()

    def cost(self, architecture: Architecture) -> Cost:
        """Exact parameters and FLOPs of the architecture on this dataset."""
        params, flops = self.cost_many([architecture])
        return Cost(int(np.asarray(params)[0]), int(np.asarray(flops)[0]))

    def cost_many(self, architectures: Architectures) -> Cost:
        """Parameters and FLOPs, int64 arrays of shape (N,)."""
        raise NotRecorded(f"the costs of architectures on {self.dataset} are unknown: it gives scores only")

    def costs(self, architectures: Architectures, name: str) -> np.ndarray:
        """One of the costs, "params" or "flops", int64 (N,): the other need not be known."""
        known("cost", name, Cost._fields)
        return self._costs(self._choices(architectures), name)

    # What a search sees

    def observe(
        self, architecture: Architecture, *, seed: int = 0, noise: bool = True, epoch: int | None = None
    ) -> Observation:
        """What a search with this `seed` sees of an architecture: the validation score of one training, whole or at an epoch.

        `observed_seed` says of which. So one search sees one training of each architecture, and other seeds see other ones. The
        value is NaN if the training failed. This is what a search sees in the noisy and transfer regimes. In the clean regime
        it sees the objective, without `noise`: the mean over trainings, NaN for what has no true value; NotRecorded where no
        mean can be known.
        """
        check_bool("noise", noise)
        valued = noise or bool(self._valued(self.space.stack([architecture]))[0])
        training = self.observed_seed(architecture, seed) if noise else None
        answer = self.query(architecture, seed=training, epoch=epoch)
        return Observation(answer.value if valued else math.nan, answer.seconds)

    def observe_many(
        self, architectures: Architectures, *, seed: int = 0, noise: bool = True, epoch: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """`observe` of many: values and seconds, float64 (N,) each."""
        check_bool("noise", noise)
        choices = self._choices(architectures)
        if self.lookup:
            question = check_question("valid", epoch, seed, False)
            if noise:
                answers = self._observe_many(choices, question)
                return answers.value, answers.seconds
            answers = self._query_many(choices, question._replace(seed=None))
            return np.where(self._valued(choices), answers.value, np.nan), answers.seconds
        seen = [self.observe(each, seed=seed, noise=noise, epoch=epoch) for each in self.space.architectures(choices)]
        values, seconds = np.array(seen, float).reshape(-1, 2).T
        return values, seconds

    def observed_seed(self, architecture: Architecture, seed: int) -> int | None:
        """Of which training a search with this seed sees the score; None: the mean, as where no seeds are recorded.

        Of the k seeds that every recorded architecture has, the search's seed draws one for each architecture; where there are
        none in common, one of those that the architecture has. A surrogate adds its noise of the search's seed; what trains
        now trains with it.
        """
        return None

    # What a search is judged by

    def true_values(self, architectures: Architectures, regime: str = "clean", seed: int = 0) -> np.ndarray:
        """What architectures are worth, by which a search with this `seed` is judged: float64 (N,).

        clean      the objective itself: the mean validation score over the recorded seeds, or the surrogate's mean
        noisy      the mean validation score over trainings that the search did not see
        transfer   the same with test scores

        Never is a search judged by the training that it saw, and there is one judge for all architectures of a benchmark. Of the
        trainings without teachers, k is how many seeds 0 ... k - 1 every architecture has. Where everything is recorded and
        k > 1, the k - 1 trainings judge that the search was not shown. Otherwise a surrogate judges: a recorded
        architecture by its out-of-fold mean, any other by its mean, neither of which saw that training. Where a surrogate
        alone answers, its mean judges: the noise that it adds is drawn independently. NaN for a recorded architecture one of
        whose k trainings failed or diverged: it has no true value, in no regime. NotRecorded where nothing can judge.
        """
        check_regime(regime)
        check_question("valid", None, seed, False)
        return self._true_values(self._choices(architectures), regime, seed)

    def optimum(self, regime: str = "clean") -> Optimum:
        """The architecture against which regret is measured, and its value; the same for every search.

        It has the largest value (or the smallest, as the metric says) of what is recorded, by the same means as `top`, or of what
        the reference search of a surrogate found, which ships with it. `how` is "exact" where all that is answered for is known,
        so that no search can find better in the clean regime; else "best known". Where other trainings judge, the value
        averages all k seeds, of which each search is judged by k - 1. NotRecorded where nothing is known.
        """
        check_regime(regime)
        if regime not in self._optima:
            self._optima[regime] = self._optimum(regime)
        return self._optima[regime]

    def regret(self, architectures: Architectures, regime: str = "clean", seed: int = 0) -> np.ndarray:
        """How far the true values of architectures are behind the optimum's: float64 (N,), in the metric's unit, not normalised.

        `optimum(regime).value - true_values(...)` where larger scores are better, the negative of it elsewhere: larger is
        worse, 0 is as good as the optimum. Negative for what is better than a best known reference, or, in the noisy and
        transfer regimes, luckier in the trainings that judge it. NaN where there is no true value.
        """
        return self.metric.sign * (self.optimum(regime).value - self.true_values(architectures, regime, seed))

    def top(self, k: int, regime: str = "clean") -> list[Best]:
        """The k best recorded architectures with their values, best first; fewer if fewer have a value.

        Values as in `true_values`, but where other trainings judge means over all k seeds that every architecture has: no
        search has seen all of them. NotRecorded where nothing is recorded.
        """
        check_int("k", k, 1)
        check_regime(regime)
        choices, values = self._recorded_values(regime)
        order = np.argsort(-self.metric.sign * values, kind="stable")[: min(k, int((~np.isnan(values)).sum()))]
        if not len(order):
            raise NotRecorded(f"no recorded architecture of {self.dataset} has a value in the {regime} regime")
        return [
            Best(*each) for each in zip(self.space.architectures(choices[order]), values[order].tolist(), strict=True)
        ]

    @property
    def recorded_choices(self) -> np.ndarray:
        """The architectures whose trainings are recorded, each once, choice indices (M, C); empty where nothing is."""
        return np.empty((0, len(self.space.choices)), np.int8)

    # What a subclass defines

    def _query(self, architecture: Architecture, question: Question) -> Score:
        """The answer for one architecture, which it checks."""
        raise NotImplementedError

    def _query_many(self, choices: np.ndarray, question: Question) -> Scores:
        """Answers for valid choice indices."""
        answers = [self._query(architecture, question) for architecture in self.space.architectures(choices)]
        return Scores.stack(answers, self.metric, question)

    def _query_each(self, choices: np.ndarray, question: Question, seeds: np.ndarray) -> Scores:
        """Answers for valid choice indices, each with its seed (N,)."""
        found, owner = np.unique(seeds, return_inverse=True)
        groups = [np.flatnonzero(owner == i) for i in range(len(found))]
        parts = [
            (rows, self._query_many(choices[rows], question._replace(seed=int(seed))))
            for seed, rows in zip(found, groups, strict=True)
        ]
        return Scores.join(parts) if parts else self._query_many(choices, question)

    def _observe_many(self, choices: np.ndarray, question: Question) -> Scores:
        """What a search with the question's seed sees of valid choice indices, of a benchmark that promises `lookup`."""
        raise NotImplementedError

    def _valued(self, choices: np.ndarray) -> np.ndarray:
        """Which of valid choice indices have a true value, bool (N,); NotRecorded if the objective cannot be known."""
        return np.ones(len(choices), bool)

    def _true_values(self, choices: np.ndarray, regime: str, seed: int) -> np.ndarray:
        if regime != "clean":
            raise self._no_judge(regime)
        valued = self._valued(choices)
        return np.where(valued, self._query_many(choices, Question("valid", None, None, False)).value, np.nan)

    @cached_property
    def _optima(self) -> dict[str, Optimum]:
        """By regime, what `optimum` has given."""
        return {}

    def _optimum(self, regime: str) -> Optimum:
        (best,) = self.top(1, regime)
        return Optimum(*best, "exact" if self._exhaustive else "best known")

    def _recorded_values(self, regime: str) -> tuple[np.ndarray, np.ndarray]:
        """`recorded_choices` that have trainings without teachers (M, C), and their values (M,), see `top`."""
        raise NotRecorded(
            f"nothing is recorded in {self!r}, so its best architectures are unknown: predict many and sort "
            "(bench.query_many(bench.space.sample_many(100_000))), or search"
        )

    @property
    def _exhaustive(self) -> bool:
        """Whether all that is answered for is recorded."""
        return False

    def _costs(self, choices: np.ndarray, name: str) -> np.ndarray:
        params, flops = self.cost_many(choices)
        return np.asarray(params if name == "params" else flops)

    # What a subclass uses

    def _no_judge(self, regime: str) -> NotRecorded:
        return NotRecorded(
            f"{self!r} has no true values for the {regime} regime: no trainings that a search did not see, and no surrogate's "
            "means, are there to judge it by; use regime 'clean'"
        )

    def _choices(self, architectures: Architectures) -> np.ndarray:
        if isinstance(architectures, np.ndarray):
            return self.space.check(architectures)
        return self.space.stack(architectures)


def check_benchmark(bench: object) -> None:
    """InvalidQuery if it is no benchmark."""
    if not isinstance(bench, Benchmark):
        raise InvalidQuery(
            f"{shown(bench)} is no benchmark: expected what nb.load(...), nb.from_frame or nb.from_function gives, or a class of "
            "your own that inherits from nb.Benchmark"
        )


def check_regime(regime: str) -> None:
    """InvalidQuery for what is none of REGIMES."""
    known("regime", regime, REGIMES)


def judging_split(regime: str) -> str:
    """The split whose scores true values are in a regime."""
    return "test" if regime == "transfer" else "valid"


def check_view(space: SearchSpace, whole: SearchSpace) -> None:
    """InvalidSpace unless `space` is `whole`, a view of it, or a view of one."""
    check_space(space)
    lift(np.empty((0, len(space.choices)), np.int8), space, whole)
