"""From a recipe to jobs: which trainings are known from the start, and which follow from earlier scores.

Nothing here depends on how many workers there are, on their speed, or on interruptions: a batch of a search waits for all of
the one before it, and teachers are chosen from a fixed set. So every run of a recipe records the same trainings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nasbench_evs.errors import RecipeError
from nasbench_evs.generators.proposals import Proposals, best
from nasbench_evs.spaces import SearchSpace, SequenceShape, VectorShape
from nasbench_evs.training.recipe import Plan, Recipe, plan_ranks
from nasbench_evs.training.record import Job

_DRAWN = 300  # random architectures at a time: a longer plan begins with the shorter one
_PATIENCE = 1000  # draws in a row that give nothing new: small spaces run out of architectures
_BLOCK = 50  # of them, whose repeats come before the next ones: a half-finished shard has repeats too


@dataclass(frozen=True)
class Scored:
    """A job as the plan sees it. `score`: larger is better, NaN if the training has none, None if it has not ended."""

    job: Job
    score: float | None


class Planner:
    """The jobs of one shard of a recipe; `first` from the start, `following` as scores come in.

    `shape` of the inputs, for the costs of a search with a constraint.
    """

    def __init__(
        self,
        recipe: Recipe,
        space: SearchSpace,
        shard: tuple[int, int] = (1, 1),
        shape: SequenceShape | VectorShape | None = None,
    ) -> None:
        self.recipe, self.space = recipe, space
        plan, protocol = recipe.plan, recipe.protocol
        if plan.architectures:
            ranks = plan_ranks(plan, space)
        elif plan.exhaustive:
            # In random order, so that a part of the table is a random sample of the space.
            ranks = np.random.default_rng(plan.sample_seed).permutation(space.size).tolist()
        else:
            rng = np.random.default_rng(plan.sample_seed)
            drawn = fresh(space, plan.random, rng, np.empty((0, len(space.choices))), _DRAWN)
            if len(drawn) < plan.random:
                raise RecipeError(
                    f"plan: random = {plan.random:,}, but drawing at random found only {len(drawn):,} different architectures "
                    f"of {space.size:,}: take fewer, or exhaustive = true"
                )
            ranks = [int(rank) for rank in space.rank_many(drawn)]
        ranks = ranks[plan.skip :]
        self._ranks = ranks = ranks[: plan.first]
        self._sets: dict[int, frozenset[int]] = {}
        self._named = False  # the distilled jobs were planned
        self._sampler = sampler = _sampler(plan)
        jobs = [
            (position // _BLOCK, seed, position)
            for position in range(len(ranks))
            for seed in range(plan.seeds if position < plan.repeated else plan.seeds_of_all)
        ]
        # A search may ask for any random one, and is then told of that training.
        needed = len(ranks) if plan.search else protocol.teach_after if plan.distilled else 0
        self.dependent = shard[0] == 1  # what depends on scores belongs to the first shard, with what it depends on
        before = [job for job in sorted(jobs) if job[1] == 0 and job[2] < needed]
        others = [job for job in sorted(jobs) if not (job[1] == 0 and job[2] < needed)]
        taught = plan.distilled * plan.seeds
        mine = _share(len(before) + taught + (plan.search.architectures if plan.search else 0), len(others), shard)
        chosen = sorted([*(before if self.dependent else []), *others[mine]])
        self.first = [Job(ranks[position], seed, sampler) for _, seed, position in chosen]
        self._fixed = len(self.first) + (taught if self.dependent else 0)
        self._needed = needed
        self.proposals: Proposals | None = None
        if plan.search and self.dependent:
            start = [Job(rank, 0, sampler) for rank in ranks[: plan.search.start]]
            self.proposals = Proposals(plan.search, protocol, space, shape, start=start, planned=self._at_random)

    @property
    def total(self) -> int:
        """How many jobs there are, as far as that is known by now."""
        return self._fixed + (self.proposals.total if self.proposals else 0)

    def teaches(self, job: Job) -> bool:
        """Whether others may learn from this training, so that its logits must be kept."""
        plan = self.recipe.plan
        if not self.leads(job):
            return False
        if plan.search and plan.search.distilled and (self.found(job) or job.rank in self._early(plan.search.start)):
            return True
        return bool(plan.distilled) and job.rank in self._early(self.recipe.protocol.teach_after)

    def leads(self, job: Job) -> bool:
        """Whether later jobs depend on this one's score."""
        if not self.dependent or job.seed != 0:
            return False
        return self.found(job) or (not job.teachers and job.rank in self._early(self._needed))

    def found(self, job: Job) -> bool:
        """Whether the search alone asks for this one."""
        return self.proposals is not None and job.rank not in self._early(len(self._ranks))

    def resume(self, planned: Iterable[Job]) -> None:
        """Take note of what an earlier session planned."""
        self._named = any(job.teachers and not self.found(job) for job in planned)

    def following(self, leading: Sequence[Scored]) -> list[Job]:
        """The jobs that can be named now, given all jobs so far that lead, in the order of planning."""
        plan = self.recipe.plan
        following: list[Job] = []
        if plan.distilled and not self._named:
            following += self._distilled(leading)
            self._named = bool(following)
        if self.proposals:
            following += self.proposals.following({each.job: each.score for each in leading})
        return following

    def _at_random(self, rank: int) -> Job | None:
        """The training of an architecture that is planned whatever a search asks for."""
        return Job(rank, 0, self._sampler) if rank in self._early(len(self._ranks)) else None

    def _early(self, first: int) -> frozenset[int]:
        if first not in self._sets:
            self._sets[first] = frozenset(self._ranks[:first])
        return self._sets[first]

    def _distilled(self, leading: Sequence[Scored]) -> list[Job]:
        plan, protocol = self.recipe.plan, self.recipe.protocol
        early = self._scores(leading, protocol.teach_after)
        if early is None:
            return []
        teachers = best(early, protocol)
        ranks = self._ranks[protocol.teach_after : protocol.teach_after + plan.distilled]
        return [Job(rank, seed, "random", teachers) for seed in range(plan.seeds) for rank in ranks]

    def _scores(self, leading: Sequence[Scored], first: int) -> dict[Job, float] | None:
        """Scores of the first random architectures with seed 0, once all are there."""
        early = self._early(first)
        scores = {each.job.rank: each for each in leading if each.job.rank in early}
        if len(scores) < len(early) or any(each.score is None for each in scores.values()):
            return None
        ranked = (scores[rank] for rank in self._ranks[:first])
        return {each.job: each.score for each in ranked if each.score is not None}


def fresh(
    space: SearchSpace, n: int, rng: np.random.Generator, known: np.ndarray, at_a_time: int | None = None
) -> np.ndarray:
    """Up to n different random architectures that are not among the known ones: choice indices (n, C).

    Drawn `at_a_time`, so that with the same number of those a larger n begins with what a smaller n gives.
    """
    seen = {row.tobytes() for row in np.asarray(known, np.int8)}
    found: list[np.ndarray] = []
    attempts = 0
    while len(found) < n and len(seen) < space.size and attempts < _PATIENCE:
        before = len(found)
        for row in np.asarray(space.sample_many(at_a_time or n, seed=int(rng.integers(2**62))), np.int8):
            if row.tobytes() not in seen:
                seen.add(row.tobytes())
                found.append(row)
        attempts = 0 if len(found) > before else attempts + 1
    return np.array(found[:n], np.int8).reshape(-1, len(space.choices))


def _sampler(plan: Plan) -> str:
    """What a table calls the way in which the plan's architectures were chosen."""
    if plan.architectures:
        return "listed" if plan.listed else plan.architectures
    return "exhaustive" if plan.exhaustive else "random"


def _share(dependent: int, others: int, shard: tuple[int, int]) -> slice:
    """Which of the independent jobs a shard takes, so that all have nearly equally many, with the dependent in the first."""
    index, count = shard
    if count == 1:
        return slice(0, others)
    first = max(0, min(others, -(-(dependent + others) // count) - dependent))
    bounds = [0, *(first + round((others - first) * i / (count - 1)) for i in range(count))]
    return slice(bounds[index - 1], bounds[index])
