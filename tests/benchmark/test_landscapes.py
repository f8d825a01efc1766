"""Made landscapes: exact, deterministic, with a known optimum, and as hard in the way that they say."""

from itertools import pairwise

import numpy as np
import pytest

import nasbench_evs as nb
from nasbench_evs.benchmark import landscapes
from nasbench_evs.benchmark.landscapes import LANDSCAPES, load
from nasbench_evs.errors import InvalidQuery, NotRecorded, UnknownBenchmark
from nasbench_evs.testing.benchmark import BenchmarkContract


@pytest.mark.parametrize("name", LANDSCAPES)
class TestLandscapes(BenchmarkContract):
    @pytest.fixture
    def bench(self, name):
        return load(name)

    def test_size(self, bench):
        assert 1e4 <= bench.space.size <= 1e6

    def test_the_optimum_is_the_best_of_all(self, bench):
        best = bench.optimum()
        assert best.how == "exact"
        assert bench.top(3)[0].value == best.value
        assert bench.regret([best.architecture], "noisy")[0] == 0
        assert bench.query(best.architecture).value == pytest.approx(best.value)
        assert bench.query_many(bench.space.sample_many(20_000, seed=1)).value.max() <= best.value

    def test_noise_is_of_the_architecture_and_the_seed(self, bench):
        choices = bench.space.sample_many(3000, seed=2)
        true = bench.query_many(choices)
        one, again, other = (bench.query_many(choices, seed=seed) for seed in (1, 1, 2))
        assert np.array_equal(one.value, again.value)
        assert np.array_equal(one.value[::-1], bench.query_many(choices[::-1], seed=1).value)
        if bench.landscape.noise is None:
            assert np.array_equal(one.value, true.value)
        else:
            drawn = (one.value - true.value) / true.noise_std
            assert abs(drawn.mean()) < 0.1
            assert drawn.std() == pytest.approx(1, abs=0.1)
            assert abs(np.corrcoef(drawn, (other.value - true.value) / true.noise_std)[0, 1]) < 0.1


def neighbors(bench, n=200):
    """Correlation of true values between random architectures and a neighbor of each."""
    choices = bench.space.sample_many(n, seed=0)
    near = bench.space.mutate_many(choices, np.random.default_rng(1))
    return np.corrcoef(bench.query_many(choices).value, bench.query_many(near).value)[0, 1]


def test_the_more_choices_interact_the_more_rugged():
    smooth, rugged, noise = (neighbors(load(name), 3000) for name in ("nk-1", "nk-3", "nk-6"))
    assert smooth > rugged + 0.1 > noise + 0.2


def test_most_neighbors_on_a_plateau_are_equal():
    bench = load("plateau")
    choices = bench.space.sample_many(2000, seed=0)
    near = bench.space.mutate_many(choices, np.random.default_rng(1))
    same = (bench.query_many(choices).value == bench.query_many(near).value).mean()
    assert same > 0.25


def test_the_deceptive_optimum_is_alone():
    bench = load("deceptive")
    best = bench.optimum()
    assert best.value == 1
    around = bench.query_many(bench.space.neighbors(best.architecture)).value
    assert (around < 0.9).all()


def test_outliers_fail_badly():
    values = load("outliers").query_many(load("outliers").space.sample_many(20_000, seed=0)).value
    middle, low = np.quantile(values, [0.5, 0.05])
    assert 0.05 < (values < 0).mean() < 0.2
    assert values.min() < middle - 20 * (middle - np.quantile(values, 0.25))
    assert low < 0


def test_the_constraint_binds():
    bench = load("constrained")
    best = bench.best_within(bench.limit)
    assert best.value < bench.optimum().value - 0.02
    assert 0.8 * bench.limit["params"] < bench.cost(best.architecture).params <= bench.limit["params"]
    feasible = bench.costs(bench.space.sample_many(2000, seed=0), "params") <= bench.limit["params"]
    assert 0.05 < feasible.mean() < 0.5
    with pytest.raises(InvalidQuery, match="allow more"):
        bench.best_within({"params": 10})


def test_costs_are_those_of_the_network():
    bench = load("constrained")
    architecture = bench.space.parse("layer.1=8,layer.2=16,layer.3=8,layer.4=8,layer.5=8,activation=relu,norm=layer")
    sizes = [32, 8, 16, 8, 8, 8, 2]
    weights = sum(a * b for a, b in pairwise(sizes))
    assert bench.cost(architecture) == (weights + sum(sizes[1:]) + 2 * sum(sizes[1:-1]), 2 * weights)
    with pytest.raises(NotRecorded, match="no costs"):
        load("nk-1").cost(load("nk-1").space.unrank(0))


def test_names():
    assert (
        nb.load("landscape:nk-1").query(load("nk-1").space.unrank(5)).value
        == load("nk-1").query(load("nk-1").space.unrank(5)).value
    )
    with pytest.raises(UnknownBenchmark, match="no landscape 'hill': expected one of nk-1"):
        landscapes.load("hill")
    with pytest.raises(InvalidQuery, match="landscape:nk-1 is a formula"):
        nb.load("landscape:nk-1", source="table")
    with pytest.raises(NotRecorded, match="records no seeds"):
        load("nk-1").seeds(load("nk-1").space.unrank(0))
