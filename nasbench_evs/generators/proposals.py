"""What a plan's searcher asks for: batch after batch, each only when all of the one before have ended."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nasbench_evs.errors import RecipeError, TrainingError
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.own import call
from nasbench_evs.search.registry import Foreign, make, searcher_class
from nasbench_evs.search.searcher import MultiFidelitySearcher, Searcher, check_asked
from nasbench_evs.spaces import Architecture, SearchSpace, SequenceShape, VectorShape
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.recipe import Search
from nasbench_evs.training.record import Job

_BATCH = 8  # architectures that are asked for at a time, where neither the plan nor the searcher says


class Proposals:
    """A searcher and what came of what it asked for.

    It depends on scores alone, not on when they came: what an interrupted run had planned is asked for again, and told.
    `start` are trainings that the searcher is told first; `planned` finds the training of a rank that the plan has anyway,
    which is not made a second time. InvalidQuery and RecipeError if no such search can be made.
    """

    def __init__(
        self,
        search: Search,
        protocol: Protocol,
        space: SearchSpace,
        shape: SequenceShape | VectorShape | None,
        *,
        start: Sequence[Job],
        planned: Callable[[int], Job | None],
    ) -> None:
        self.search, self.protocol, self.space = search, protocol, space
        self.batch = batch_of(search)
        self.own_seconds = 0.0  # of the searcher's own work
        self.batches: list[list[tuple[Job, float]]] = []  # as they were asked for and told; larger scores are better
        began = time.perf_counter()
        self.domain = Domain(
            space,
            limits=search.constraint,
            costs=lambda choices, name: np.asarray(getattr(space.cost_many(choices, shape), name)),  # type: ignore[arg-type]
        )
        self.searcher: Searcher | Foreign = make(
            search.algorithm,
            self.domain,
            seed=search.seed,
            epochs=protocol.epochs,
            parameters=search.parameters,
            budget=search.start + search.architectures,
        )
        self.own_seconds += time.perf_counter() - began
        self._planned = planned
        self._known: dict[Job, float] = {}  # all that was told
        self._named: dict[int, Job] = {}  # by rank, what only the search trains
        self._awaited: list[Job] = list(start)
        self._started = not start
        self._asked = 0
        self._over = False

    @property
    def total(self) -> int:
        """How many trainings there are of the search alone, as far as that is known by now."""
        return len(self._named) + (0 if self._over else self.search.architectures - self._asked)

    def following(self, scores: Mapping[Job, float | None]) -> list[Job]:
        """What can be trained next, given what is planned: scores, NaN if there is none, None if it has not ended.

        TrainingError if the searcher does not ask for what it asked for when these were planned; RecipeError if too few
        trainings have a score to teach.
        """
        while True:
            ended = {job: score for job in self._awaited if (score := scores.get(job)) is not None}
            if len(ended) < len(set(self._awaited)):
                return []
            if self._awaited:
                self._tell([(job, ended[job]) for job in self._awaited])
            self._awaited = []
            self._awaited = self._ask()
            new = [job for job in dict.fromkeys(self._awaited) if job not in scores]
            if new or not self._awaited:
                self._check_replay(scores)
                return new

    def _check_replay(self, scores: Mapping[Job, float | None]) -> None:
        """Everything that an earlier session planned was asked for again."""
        named = set(self._named.values())
        left = sum(self._planned(job.rank) is None and job not in named for job in scores)
        if left:
            raise TrainingError(
                f"{self.search.searcher} does not ask for {left} architectures that it asked for when this run was begun: its "
                "code or a library has changed; go on with those, or choose another --out"
            )

    def _ask(self) -> list[Job]:
        n = min(self.batch, self.search.architectures - self._asked)
        position = len(self._known)
        teach_after = self.protocol.teach_after
        teachers: tuple[int, ...] = ()
        if self.search.distilled and position < teach_after:
            n = min(n, teach_after - position)  # the first that is taught learns from all before it
        elif self.search.distilled and n:
            teachers = best(self._known, self.protocol)
        asked = self._timed_ask(n) if n > 0 and not self._over else []
        self._over = not asked
        self._asked += len(asked)
        jobs = []
        for rank in map(int, self.space.rank_many(self.space.stack(asked))) if asked else ():
            job = self._planned(rank)
            if job is None:
                job = self._named.setdefault(rank, Job(rank, 0, self.search.searcher, teachers))
            jobs.append(job)
        return jobs

    def _timed_ask(self, n: int) -> list[Architecture]:
        began = time.perf_counter()
        asked = call(self.searcher, "ask", n)
        self.own_seconds += time.perf_counter() - began
        return check_asked(asked, n, (Architecture,), "architectures, which are trained whole")

    def _tell(self, told: list[tuple[Job, float]]) -> None:
        choices = self.space.unrank_many(np.array([job.rank for job, _ in told], np.uint64))
        began = time.perf_counter()
        call(self.searcher, "tell", self.space.architectures(choices), [score for _, score in told])
        self.own_seconds += time.perf_counter() - began
        if self._started:
            self.batches.append(told)
        self._started = True
        self._known |= dict(told)


def batch_of(search: Search) -> int:
    """How many architectures a search asks for at a time. InvalidQuery or RecipeError if there is no such searcher here."""
    cls, defaults = searcher_class(search.algorithm)
    if issubclass(cls, MultiFidelitySearcher):
        raise RecipeError(
            f"{search.searcher} pauses trainings and goes on with some, which workers cannot: expected a searcher that asks for "
            "whole trainings"
        )
    parameter = inspect.signature(cls).parameters.get("batch")
    own = {**defaults, **search.parameters}.get("batch", parameter and parameter.default)
    return search.batch or (own if parameter and isinstance(own, int) and own > 0 else _BATCH)


def best(scores: Mapping[Job, float], protocol: Protocol) -> tuple[int, ...]:
    """The ranks of the trainings that teach, given all that may: the best first. RecipeError if too few have a score."""
    known = [job for job, score in scores.items() if not np.isnan(score)]
    if len(known) < protocol.teachers:
        raise RecipeError(
            f"{len(known)} of the first {len(scores)} trainings have a score: too few for {protocol.teachers} teachers, so "
            "nothing that needs them was trained; change the protocol"
        )
    ordered = sorted(known, key=lambda job: (-scores[job], job.rank))
    return tuple(job.rank for job in ordered[: protocol.teachers])
