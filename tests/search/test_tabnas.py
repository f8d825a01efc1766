"""TabNAS: its estimates against exact values, and the paper's toy."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nasbench_evs import spaces
from nasbench_evs.analysis.toy import converged
from nasbench_evs.benchmark import TableBenchmark
from nasbench_evs.search import Domain
from nasbench_evs.search.factorised import FactorisedController
from nasbench_evs.search.tabnas import MnasNetHard, MnasNetSoft, TabNAS, TuNASAbs
from nasbench_evs.tables import read

TOY = Path(__file__).resolve().parents[2] / "analysis" / "toy" / "ffn-2.h5"
SPACE = spaces.FFNSpace(2, (2, 3, 4))
CONDITIONAL = spaces.SearchSpace.from_choices(
    {"op": ["conv", "attention", "none"], "heads": [1, 2, 4], "norm": [False, True]}, {"heads": {"op": ["attention"]}}
)


def params(choices, name):
    return SPACE.cost_many(choices, spaces.VectorShape(inputs=2, outputs=1)).params


@pytest.fixture
def domain():
    return Domain(SPACE, limits={"params": 25}, costs=params)


@pytest.mark.parametrize("space", [SPACE, CONDITIONAL])
def test_probabilities_sum_to_one_and_are_those_of_samples(space):
    controller, rng = FactorisedController(space, 0.1), np.random.default_rng(0)
    controller.logits = rng.normal(size=len(controller.logits))
    everything = space.unrank_many(np.arange(space.size, dtype=np.uint64))
    p = np.exp(controller.log_probabilities(everything))
    assert p.sum() == pytest.approx(1)
    drawn = space.rank_many(controller.sample(40_000, rng))
    shares = np.bincount(drawn.astype(int), minlength=space.size) / 40_000
    assert np.abs(shares - p).max() < 0.01


@pytest.mark.parametrize("space", [SPACE, CONDITIONAL])
def test_the_gradient_of_log_probabilities(space):
    controller, rng = FactorisedController(space, 0.1), np.random.default_rng(1)
    controller.logits = rng.normal(size=len(controller.logits))
    rows, weights = space.sample_many(7, 0), rng.normal(size=7)
    gradient = controller.log_gradient(rows, weights)
    for i in range(len(gradient)):
        values = []
        for step in (1e-5, -1e-5):
            controller.logits[i] += step
            values.append((weights * controller.log_probabilities(rows)).sum())
            controller.logits[i] -= step
        assert gradient[i] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-6)


def test_monte_carlo_agrees_with_the_exact_values(domain):
    exact, estimate = TabNAS(domain, 0), TabNAS(domain, 0, samples=200_000)
    logits = np.random.default_rng(2).normal(size=6)
    exact.controller.logits, estimate.controller.logits = logits.copy(), logits.copy()
    p, gradient = exact.log_gradient()
    q, approximate = estimate.log_gradient()
    everything = SPACE.unrank_many(np.arange(9, dtype=np.uint64))
    fits = params(everything, "params") <= 25
    assert p == pytest.approx(np.exp(exact.controller.log_probabilities(everything))[fits].sum())
    assert q == pytest.approx(p, abs=0.005)
    assert np.abs(approximate - gradient).max() < 0.01

    def log_p(at):
        exact.controller.logits = at
        return np.log(np.exp(exact.controller.log_probabilities(everything))[fits].sum())

    for i in range(6):
        step = np.eye(6)[i] * 1e-5
        assert gradient[i] == pytest.approx((log_p(logits + step) - log_p(logits - step)) / 2e-5, abs=1e-6)


def test_a_constant_added_to_all_scores_changes_nothing(domain):
    ends = []
    for shift in (0.0, 100.0):
        searcher = TabNAS(domain, 3, steps=200)
        while asked := searcher.ask(1):
            searcher.tell(asked, [shift + asked[0].rank / 10])
        ends.append(searcher.controller.logits)
    assert np.allclose(*ends, atol=1e-6)


def test_rewards(domain):
    assert TuNASAbs(domain, beta=-2.0).reward(0.8, 1.5) == pytest.approx(0.8 - 1.0)
    assert TuNASAbs(domain, beta=-2.0).reward(0.8, 0.5) == pytest.approx(0.8 - 1.0)
    assert MnasNetSoft(domain, beta=-0.07).reward(0.8, 2.0) == pytest.approx(0.8 * 2**-0.07)
    assert MnasNetHard(domain, beta=-1.0).reward(0.8, 2.0) == pytest.approx(0.4)
    assert MnasNetHard(domain, beta=-1.0).reward(0.8, 0.5) == pytest.approx(0.8)


def test_recommends_the_largest_feasible_of_what_it_draws(domain):
    found = TabNAS(domain, 0).recommend(3)
    sizes = [int(params(SPACE.stack([a]), "params")[0]) for a in found]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) <= 25
    searcher = TabNAS(domain, 0, choose="score")
    searcher.tell([SPACE.parse("2-2"), SPACE.parse("3-3")], [0.9, 0.1])
    assert str(searcher.recommend(1)[0]) == "2-2"


@pytest.mark.slow
def test_the_toy_of_paper_003(domain):
    bench = TableBenchmark(read(TOY))
    feasible = bench.space.architectures(bench.pool[domain.feasible(bench.pool)])
    assert str(min(feasible, key=lambda a: bench.query(a).value)) == "4-2"
    rejection = Counter(str(converged(TabNAS, bench, seed)) for seed in range(20))
    shaped = Counter(str(converged(TuNASAbs, bench, seed, beta=-2.0)) for seed in range(20))
    assert rejection["4-2"] >= 19
    assert shaped["4-2"] < 10
