"""What is trained follows from the recipe and from scores alone."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_evs.errors import RecipeError
from nasbench_evs.generators.plan import Planner, Scored, fresh
from nasbench_evs.spaces import FFNSpace, SeqNASSpace
from nasbench_evs.training.recipe import Recipe
from tests.generators.conftest import SMALL

SPACE = SeqNASSpace()


def score(job):
    """Made up, the same for a job wherever it is trained."""
    return (job.rank * 2654435761 + job.seed) % 1000 / 1000


def carry_out(planner, order=None):
    """All jobs of a plan, with results coming in a random order."""
    jobs, ended = list(planner.first), set()
    jobs += planner.following([Scored(job, None) for job in jobs if planner.leads(job)])
    while len(ended) < len(jobs):
        left = [i for i in range(len(jobs)) if i not in ended]
        i = left[0] if order is None else left[order.integers(len(left))]
        ended.add(i)
        leading = [Scored(job, score(job) if j in ended else None) for j, job in enumerate(jobs) if planner.leads(job)]
        jobs += planner.following(leading)
    return jobs


def test_jobs_are_what_the_recipe_says(recipe):
    planner = Planner(recipe, SPACE)
    jobs = carry_out(planner)
    assert len(jobs) == planner.total == 9 + 3 + 2 * 2 + 4
    assert len(set(jobs)) == len(jobs)
    random = [job for job in jobs if job.sampler == "random" and not job.teachers]
    assert len({job.rank for job in random}) == 9
    assert sum(job.seed == 1 for job in random) == 3
    taught = [job for job in jobs if job.teachers]
    early = sorted(random[:4], key=score, reverse=True)
    assert {job.teachers for job in taught} == {tuple(job.rank for job in early[:2])}
    assert not {job.rank for job in taught} & {job.rank for job in early}
    found = [job for job in jobs if job.sampler == "bananas-paper"]
    assert len({job.rank for job in found}) == 4
    assert not {job.rank for job in found} & {job.rank for job in random}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_order_in_which_trainings_end_changes_nothing(seed):
    recipe = Recipe.from_dict(SMALL)
    expected = carry_out(Planner(recipe, SPACE))
    assert set(carry_out(Planner(recipe, SPACE), np.random.default_rng(seed))) == set(expected)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 9),
    random=st.integers(9, 40),
    repeated=st.integers(0, 9),
    dependent=st.booleans(),
)
def test_shards_share_out_the_plan(count, random, repeated, dependent):
    values = copy.deepcopy(SMALL)
    values["plan"].update(random=random, repeated=repeated)
    if not dependent:
        del values["plan"]["search"], values["plan"]["distilled"]
    recipe = Recipe.from_dict(values)
    whole = set(carry_out(Planner(recipe, SPACE)))
    shards = [Planner(recipe, SPACE, (i + 1, count)) for i in range(count)]
    parts = [carry_out(shard) for shard in shards]
    assert [len(part) for part in parts] == [shard.total for shard in shards]
    assert sum(map(len, parts)) == len(whole)
    assert set().union(*parts) == whole
    sizes = [len(part) for part in parts[1:]] or [0]
    assert max(sizes) - min(sizes) <= 1
    if not dependent:
        assert max(map(len, parts)) - min(map(len, parts)) <= count


def test_a_longer_plan_begins_with_the_shorter_one(values):
    short = Planner(Recipe.from_dict(values), SPACE).first
    values["plan"]["random"] = 500
    assert {job.rank for job in short} <= {job.rank for job in Planner(Recipe.from_dict(values), SPACE).first}


def test_an_exhaustive_plan_has_every_architecture_once_in_random_order(values):
    values["space"], values["plan"] = "ffn-2", {"exhaustive": True, "repeated": 5, "seeds": 3}
    space = FFNSpace(2)
    jobs = carry_out(Planner(Recipe.from_dict(values), space))
    first = [job.rank for job in jobs if job.seed == 0]
    assert sorted(first) == list(range(space.size))
    assert first != sorted(first)
    assert len(jobs) == space.size + 10


def test_found_architectures_learn_from_the_best_before_them(values):
    values["plan"]["search"]["distilled"] = True
    planner = Planner(Recipe.from_dict(values), SPACE)
    jobs = carry_out(planner)
    found = [job for job in jobs if job.sampler == "bananas-paper"]
    start = [job for job in jobs if job.seed == 0 and not job.teachers and job.sampler == "random"][:5]
    best = tuple(job.rank for job in sorted(start, key=score, reverse=True)[:2])
    assert found[0].teachers == found[1].teachers == best
    later = sorted([*start, *found[:2]], key=score, reverse=True)[:2]
    assert found[2].teachers == tuple(job.rank for job in later)
    assert all(planner.teaches(job) for job in (*start, *found))


def test_too_few_scores_for_teachers_is_an_error(recipe):
    planner = Planner(recipe, SPACE)
    leading = [Scored(job, float("nan")) for job in planner.first if planner.leads(job)]
    with pytest.raises(RecipeError, match="0 of the first 4 trainings have a score"):
        planner.following(leading)


def test_a_small_space_runs_out():
    space = FFNSpace(1, [8, 16, 24])
    rng = np.random.default_rng(0)
    assert len(fresh(space, 10, rng, np.empty((0, 1)))) == 3
    assert len(fresh(space, 10, rng, space.unrank_many(np.array([0, 2], np.uint64)))) == 1


def test_a_plan_has_as_many_architectures_as_it_says_or_is_refused(values):
    values["plan"] = {"random": 399}
    values["space"] = "ffn-2"
    assert len(Planner(Recipe.from_dict(values), FFNSpace(2)).first) == 399
    values["plan"] = {"random": 8000}
    assert len({job.rank for job in Planner(Recipe.from_dict(values), FFNSpace(3)).first}) == 8000
