"""BANANAS: what it chooses, its presets, and defaults that follow the budget."""

import numpy as np
import pytest

from nasbench_evs import search, spaces
from nasbench_evs.benchmark import landscapes
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.search import searcher_class
from nasbench_evs.search.bananas import CANDIDATES, Bananas, choose
from nasbench_evs.surrogate.predictors import Prediction, Predictor, predictor

SPACE = spaces.SeqNASSpace()


def regrets(name, bench, seeds, budget=150):
    """How far the best that was seen is from the optimum, by their true values; mean over seeds."""
    found = []
    for seed in range(seeds):
        result = search.run(name, bench, budget=budget, seed=seed, constraint=bench.limit)
        found.append(result.trials[result.incumbents[-1]].architecture)
    return bench.best_within(bench.limit).value - bench.query_many(found).value.mean()


class Oracle(Predictor):
    """Knows the true values as well as `noise` lets it."""

    def __init__(self, bench, noise):
        super().__init__(bench.space)
        self.bench, self.noise = bench, noise

    def _fit(self, choices, scores):
        pass

    def _predict(self, choices):
        value = self.bench.query_many(choices).value
        noise = np.random.default_rng(len(choices)).normal(0, self.noise, len(choices))
        return Prediction(value / value.std() + noise, np.full(len(choices), 1e-6))


def test_a_better_predictor_gives_a_better_search(monkeypatch):
    bench = landscapes.load("nk-3")
    found = {}
    for noise in (0.0, 3.0, 30.0):
        monkeypatch.setattr(Bananas, "_made", lambda self, seed, noise=noise: Oracle(bench, noise))
        found[noise] = regrets("bananas", bench, seeds=4, budget=50)
    assert found[0.0] < found[3.0] - 0.02
    assert found[3.0] < found[30.0] - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nk-1", "layers", "constrained"])
def test_on_smooth_landscapes_it_is_better_than_evolution_and_that_than_random(name):
    bench = landscapes.load(name)
    found = {each: regrets(each, bench, seeds=10) for each in ("bananas", "evolution", "random")}
    assert found["bananas"] < 0.8 * found["evolution"]
    assert found["evolution"] < 0.8 * found["random"]


@pytest.mark.parametrize(
    ("budget", "initial", "population"),
    [(3, 2, 2), (25, 10, 5), (50, 10, 10), (150, 30, 30), (1000, 50, 50), (None, 30, 30)],
)
def test_defaults_follow_the_budget(budget, initial, population):
    assert Bananas(SPACE, budget=budget).initial == initial
    cls, _ = searcher_class("evolution")
    evolution = cls(SPACE, budget=budget)
    assert evolution.population == population
    assert evolution.tournament == max(2, population // 5)


def test_what_is_said_wins_over_the_budget():
    assert Bananas(SPACE, budget=25, initial=20).initial == 20
    cls, _ = searcher_class("evolution")
    assert (cls(SPACE, budget=25, population=40).population, cls(SPACE, population=40).tournament) == (40, 8)
    assert cls(SPACE, population=40, tournament=3).tournament == 3
    with pytest.raises(InvalidQuery, match="budget = 0"):
        cls(SPACE, budget=0)
    with pytest.raises(InvalidQuery, match="budget is no hyper-parameter"):
        search.run_with("evolution", landscapes.load("nk-1"), budget=5, parameters={"budget": 7})


@pytest.mark.parametrize("name", ["bananas", "evolution"])
@pytest.mark.parametrize("budget", [25, 50])
def test_run_passes_the_budget_so_that_small_ones_are_no_random_search(name, budget):
    bench = landscapes.load("layers")
    told = []

    class Spy(searcher_class(name)[0]):
        def __init__(self, space, seed=0, *, budget=None):
            super().__init__(space, seed, budget=budget)
            told.append(self)

    assert len(search.run(Spy, bench, budget=budget).trials) == budget
    assert (told[0].initial if name == "bananas" else told[0].population) < budget / 2


@pytest.mark.parametrize("name", ["bananas", "evolution"])
def test_small_budgets_find_more_than_random_search(name):
    bench = landscapes.load("layers")
    found = {each: regrets(each, bench, seeds=6, budget=50) for each in (name, "random")}
    assert found[name] < 0.85 * found["random"]


def test_presets():
    _, paper = searcher_class("bananas-paper")
    assert paper == {
        "predictor": "virtual-ensembles", "initial": 100, "batch": 15, "pool_size": 100, "candidates": "random",
        "acquisition": "thompson",
    }  # fmt: skip
    model = predictor("virtual-ensembles", SPACE)
    assert (model.settings["loss_function"], model.settings["iterations"], model.members) == ("MAE", 100, 5)
    _, published = searcher_class("bananas-published")
    assert (published["initial"], published["batch"], published["candidates"]) == (10, 10, "mutation")
    deep = predictor(published["predictor"], SPACE)
    assert (deep.layers, deep.width) == (10, 20)


class Fixed(Predictor):
    """Says of every architecture what is written in its first choice."""

    def _fit(self, choices, scores):
        self.told = scores

    def _predict(self, choices):
        return Prediction(choices[:, 0].astype(float), np.full(len(choices), 0.5))


TEN = spaces.SearchSpace.from_choices({"a": list(range(10)), "b": [0, 1]})
POOL = TEN.unrank_many(np.arange(TEN.size, dtype=np.uint64))


def test_one_draw_a_candidate_and_the_largest_win():
    rng = np.random.default_rng(0)
    chosen = choose(Fixed(TEN), POOL[:4], np.arange(4.0), POOL, 5, rng)
    value = np.random.default_rng(0).normal(POOL[:, 0], 0.5)
    assert np.array_equal(chosen, POOL[np.argsort(-value)[:5]])
    assert choose(Fixed(TEN), POOL[:4], np.arange(4.0), POOL, 1, rng, acquisition="greedy")[0, 0] == 9


def test_failures_count_as_the_worst():
    model = Fixed(TEN)
    choose(model, POOL[:4], np.array([np.nan, 0.5, 0.1, 0.9]), POOL, 1, np.random.default_rng(0))
    assert model.told[0] == model.told[2] == model.told.min()
    nothing = choose(model, POOL[:4], np.full(4, np.nan), POOL, 3, np.random.default_rng(0))
    assert len(nothing) == 3


def test_candidates_are_new_and_different():
    bench = landscapes.load("layers")
    searcher = Bananas(bench.space, 0, initial=10)
    for _ in range(6):
        asked = searcher.ask(5)
        searcher.tell(asked, bench.query_many(asked).value)
    found = {row.tobytes() for row in searcher._candidates()}
    assert len(found) > 600
    assert not found & searcher._asked
    assert len(searcher._asked) == 30  # being a candidate is not being asked for
    near = {}
    for searcher.candidates in CANDIDATES:
        distances = (searcher._candidates()[:, None] != searcher.told[0]).sum(axis=2).min(axis=1)
        near[searcher.candidates] = (distances <= 1).mean()
    assert near["mutation"] > 2 * near["mixed"] > 4 * near["random"]


def test_of_a_small_pool_all_that_is_left_are_candidates():
    searcher = Bananas(TEN, 0, initial=2)
    searcher.tell(searcher.ask(3), [0.1, 0.2, 0.3])
    assert len(searcher._candidates()) == TEN.size - 3
