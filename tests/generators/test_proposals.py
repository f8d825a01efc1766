"""What a searcher asks for in a plan follows from scores alone."""

import numpy as np
import pytest

from nasbench_evs.errors import InvalidQuery, NasbenchError, RecipeError, TrainingError
from nasbench_evs.generators.plan import Planner, Scored
from nasbench_evs.generators.proposals import batch_of
from nasbench_evs.spaces import FFNSpace, SeqNASSpace, VectorShape
from nasbench_evs.training.recipe import Recipe, Search
from tests.generators.test_plan import carry_out, score

SPACE = SeqNASSpace()


def searched(values, searcher="evolution", architectures=12, random=0, space="seqnas", **search):
    """A plan of a search, alone or after random ones."""
    section = {"searcher": searcher, "architectures": architectures, **search}
    plan = {"search": section, **({"random": random} if random else {})}
    return Recipe.from_dict({**values, "space": space, "plan": plan})


class Stubborn:
    """Asks for the same architecture again and again."""

    def __init__(self, space, seed=0):
        self.space, self.told = space, []

    def ask(self, n):
        return [self.space.unrank(7)] * n

    def tell(self, asked, scores):
        self.told += list(scores)


class Talkative(Stubborn):
    def ask(self, n):
        return super().ask(n + 1)


@pytest.mark.parametrize("searcher", ["random", "evolution", "local", "reinforce", "tpe"])
def test_any_searcher_asks_for_the_same_in_whatever_order_trainings_end(values, searcher):
    recipe = searched(values, searcher, batch=3, random=4, start=2)
    jobs = carry_out(Planner(recipe, SPACE))
    assert [job.sampler for job in jobs] == ["random"] * 4 + [searcher] * 12
    assert len({job.rank for job in jobs}) == 16
    assert {job.seed for job in jobs} == {0}
    assert carry_out(Planner(recipe, SPACE), np.random.default_rng(1))[4:] == jobs[4:]
    other = carry_out(Planner(searched(values, searcher, batch=3, random=4, start=2, seed=1), SPACE))
    assert other[:4] == jobs[:4]
    assert other[4:] != jobs[4:]


def test_a_searcher_is_told_what_it_starts_from(values):
    """Which count as the initial architectures of BANANAS: it asks for what its predictor chose, all new."""
    recipe = searched(values, "bananas-paper", 5, random=30, start=30, parameters={"initial": 30})
    planner = Planner(recipe, SPACE)
    chosen = planner.following([Scored(job, score(job)) for job in planner.first])
    told = planner.proposals.searcher.told[0]
    assert SPACE.rank_many(told).tolist() == [job.rank for job in planner.first]
    other = Planner(recipe, SPACE)
    assert (
        other.following([Scored(job, -score(job)) for job in other.first]) != chosen
    )  # so they follow from the scores


def test_a_batch_waits_for_all_of_the_one_before(values):
    planner = Planner(searched(values, batch=4), SPACE)
    batch = planner.following([])
    assert len(batch) == 4
    assert planner.following([Scored(job, 0.5 if job != batch[1] else None) for job in batch]) == []
    assert len(planner.following([Scored(job, 0.5) for job in batch])) == 4
    assert planner.total == 12


def test_seqnas_is_taught_by_the_best_of_all_earlier_batches(values):
    """From the fifth training on (teach_after = 4), those that are random at first included."""
    recipe = searched(values, "seqnas", 10, batch=3, parameters={"initial": 6})
    planner = Planner(recipe, SPACE)
    jobs = carry_out(planner)
    assert [bool(job.teachers) for job in jobs] == [False] * 4 + [True] * 6
    for first, last in ((4, 7), (7, 10)):  # batches of 3, cut where teaching begins
        earlier = sorted(jobs[:first], key=lambda job: (-score(job), job.rank))
        assert {job.teachers for job in jobs[first:last]} == {tuple(job.rank for job in earlier[:2])}
    assert all(planner.teaches(job) for job in jobs)
    assert {job.sampler for job in jobs} == {"seqnas"}
    alone = carry_out(Planner(recipe, SPACE), np.random.default_rng(0))
    assert alone == jobs


def test_too_few_scores_to_teach_is_said_again_and_loses_nothing(values):
    planner = Planner(searched(values, "seqnas", 10, parameters={"initial": 6}), SPACE)
    batch = planner.following([])
    for _ in range(2):
        with pytest.raises(RecipeError, match="1 of the first 4 trainings have a score: too few for 2 teachers"):
            planner.following([Scored(job, 0.5 if job == batch[0] else float("nan")) for job in batch])
    assert len(planner.proposals.searcher.told[0]) == 4


@pytest.mark.parametrize("planned", [5, 9, 13, 17])
def test_an_interrupted_search_goes_on_where_it_was(values, planned):
    recipe = searched(values, batch=4, random=5, start=5)
    whole = carry_out(Planner(recipe, SPACE))
    again = Planner(recipe, SPACE)
    jobs = whole[:planned]
    while more := again.following([Scored(job, score(job)) for job in jobs]):
        jobs += more
    assert jobs == whole


def test_a_searcher_that_changed_is_noticed_before_anything_is_trained(values):
    whole = carry_out(Planner(searched(values, batch=4), SPACE))
    other = Planner(searched(values, batch=4, seed=1), SPACE)
    with pytest.raises(
        TrainingError, match="does not ask for 4 architectures that it asked for when this run was begun"
    ):
        other.following([Scored(job, score(job)) for job in whole[:4]])


def test_what_the_plan_trains_anyway_is_told_and_not_trained_twice(values):
    """300 of 400 architectures are random ones, so the search asks for many of them."""
    space = FFNSpace(2)
    recipe = searched(values, "evolution", 90, random=300, space="ffn-2")
    planner = Planner(recipe, space)
    jobs = carry_out(planner)
    assert len({job.rank for job in jobs}) == len(jobs) == planner.total
    found = sum(job.sampler == "evolution" for job in jobs)
    assert 0 < found < 90
    assert sum(map(len, planner.proposals.batches)) == 90
    assert sum(job.sampler == "random" for batch in planner.proposals.batches for job, _ in batch) == 90 - found


def test_a_repeat_is_an_evaluation_and_no_training(values):
    planner = Planner(searched(values, f"{__name__}:Stubborn", batch=5), SPACE)
    jobs = carry_out(planner)
    assert [job.rank for job in jobs] == [7]
    assert planner.total == 1
    assert planner.proposals.searcher.searcher.told == [score(jobs[0])] * 12


def test_a_small_space_ends_a_search(values):
    space = FFNSpace(1)
    planner = Planner(searched(values, "random", space.size, space="ffn-1"), space)
    assert len(carry_out(planner)) == planner.total == space.size


def test_a_constraint_is_kept(values):
    space, shape = FFNSpace(3), VectorShape(10, 2)
    recipe = searched(values, space="ffn-3", constraint={"params": 5_000})
    jobs = carry_out(Planner(recipe, space, shape=shape))
    choices = space.unrank_many(np.array([job.rank for job in jobs], np.uint64))
    assert (space.cost_many(choices, shape).params <= 5_000).all()
    free = carry_out(Planner(searched(values, space="ffn-3"), space, shape=shape))
    choices = space.unrank_many(np.array([job.rank for job in free], np.uint64))
    assert (space.cost_many(choices, shape).params > 5_000).any()


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"searcher": "greedy"}, "unknown searcher 'greedy'"),
        ({"searcher": "asha"}, "asha pauses trainings and goes on with some, which workers cannot"),
        ({"searcher": "tpe-hyperband"}, "tpe-hyperband pauses trainings"),
        ({"parameters": {"radius": 2}}, "evolution has no parameter 'radius'"),
        ({"parameters": {"population": "many"}}, "population = 'many': expected an integer"),
        ({"searcher": "no.such.module:Class"}, "'no.such.module' cannot be imported"),
    ],
)
def test_a_search_that_cannot_be_is_refused_at_once(values, search, message):
    with pytest.raises(NasbenchError, match=message) as caught:
        Planner(searched(values, **search), SPACE)
    assert "\n" not in str(caught.value)


def test_an_answer_that_is_none_is_shown(values):
    planner = Planner(searched(values, f"{__name__}:Talkative"), SPACE)
    with pytest.raises(InvalidQuery, match=r"answered ask\(8\) with .*: expected a list of at most 8 architectures"):
        planner.following([])


@pytest.mark.parametrize(
    ("search", "batch"),
    [
        ({"searcher": "evolution"}, 8),
        ({"searcher": "pnasm"}, 8),
        ({"searcher": "bananas-paper"}, 15),
        ({"searcher": "bananas-paper", "parameters": {"batch": 4}}, 4),
        ({"searcher": "bananas-paper", "batch": 3}, 3),
        ({"searcher": "seqnas"}, 15),
    ],
)
def test_how_many_are_asked_for_at_a_time(search, batch):
    assert batch_of(Search.from_dict({"architectures": 20, **search})) == batch
