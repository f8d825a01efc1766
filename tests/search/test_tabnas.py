"""TabNAS: its estimates against exact values, and the paper's toy."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nasbench_evs import spaces
from nasbench_evs.analysis.toy import converged
from nasbench_evs.benchmark import TableBenchmark
from nasbench_evs.errors import InvalidQuery
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
    controller.logits[:] = rng.normal(size=len(controller.logits))
    everything = space.unrank_many(np.arange(space.size, dtype=np.uint64))
    p = np.exp(controller.log_probabilities(everything))
    assert p.sum() == pytest.approx(1)
    drawn = space.rank_many(controller.sample(40_000, rng))
    shares = np.bincount(drawn.astype(int), minlength=space.size) / 40_000
    assert np.abs(shares - p).max() < 0.01


@pytest.mark.parametrize("space", [SPACE, CONDITIONAL])
def test_the_gradient_of_log_probabilities(space):
    controller, rng = FactorisedController(space, 0.1), np.random.default_rng(1)
    controller.logits[:] = rng.normal(size=len(controller.logits))
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
    exact.controller.logits[:] = estimate.controller.logits[:] = logits
    p, gradient = exact.log_gradient()
    q, approximate = estimate.log_gradient()
    everything = SPACE.unrank_many(np.arange(9, dtype=np.uint64))
    fits = params(everything, "params") <= 25
    assert p == pytest.approx(np.exp(exact.controller.log_probabilities(everything))[fits].sum())
    assert q == pytest.approx(p, abs=0.005)
    assert np.abs(approximate - gradient).max() < 0.01

    def log_p(at):
        exact.controller.logits[:] = at
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
    found = TabNAS(domain, 0, choose="params").recommend(3)
    sizes = [int(params(SPACE.stack([a]), "params")[0]) for a in found]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) <= 25


def test_by_default_recommends_the_best_that_it_saw(domain):
    searcher = TabNAS(domain, 0)
    searcher.tell([SPACE.parse("2-2"), SPACE.parse("3-3"), SPACE.parse("4-4")], [0.8, 0.1, 0.9])
    assert str(searcher.recommend(1)[0]) == "2-2"  # 4-4 breaks the constraint


def test_the_average_is_of_scores_not_of_shaped_rewards(domain):
    """Algorithm 1, line 18: three scores of 1 average 1, whatever the price of what they were of."""
    searcher = TuNASAbs(domain, 0, beta=-2.0)
    searcher.tell([SPACE.parse(name) for name in ("2-2", "4-4", "3-3")], [1.0, 1.0, 1.0])
    assert searcher._mean(0.0) == pytest.approx(1.0)
    searcher.tell([SPACE.parse("2-3")], [0.0])
    # Bias-corrected, with the decay 0.9: (0.1 + 0.09 + 0.081) of 1 in (0.1 + 0.09 + 0.081 + 0.0729), older ones weighing less.
    weights = 0.9 ** np.arange(4) * 0.1
    assert searcher._mean(0.0) == pytest.approx(weights[1:].sum() / weights.sum())


@pytest.mark.parametrize("space", [SPACE, spaces.SeqNASSpace()])
def test_without_a_constraint_it_climbs_the_score(space):
    searcher = TabNAS(space, 0, learning_rate=0.05)
    for _ in range(400):
        if not (asked := searcher.ask(1)):
            break
        searcher.tell(asked, [float(asked[0].indices[0] == 1)])
    assert searcher.controller.option_probabilities[0][1] > 0.8
    assert searcher.recommend(1)[0].indices[0] == 1


def test_shaped_rewards_need_a_constraint():
    with pytest.raises(InvalidQuery, match="TuNASAbs prices a constraint: expected one"):
        TuNASAbs(SPACE)


def test_monte_carlo_samples_grow_with_the_space():
    def samples(size):
        limited = Domain(spaces.FFNSpace(size), limits={"params": 18}, costs=lambda choices, name: choices.sum(axis=1))
        return TabNAS(limited, 0).samples

    assert samples(2) == 0  # exactly
    assert 2_048 <= samples(4) < samples(5) <= samples(9) == 32_768


def test_monte_carlo_samples_are_used_again_with_importance_weights():
    domain = Domain(SPACE, limits={"params": 25}, costs=params)
    exact, estimate = (TabNAS(domain, 0, learning_rate=0.5, samples=samples) for samples in (0, 100_000))
    estimate.log_gradient()
    step = np.random.default_rng(0).normal(size=6)
    for searcher in (exact, estimate):  # the samples are those of the policy before the step
        searcher.controller.ascend(step)
    (p, gradient), (q, approximate) = exact.log_gradient(), estimate.log_gradient()
    assert q == pytest.approx(p, abs=0.01)
    assert np.abs(approximate - gradient).max() < 0.02


def test_on_a_pool_the_feasible_rows_are_its_set():
    space = spaces.SeqNASSpace()
    pool = np.unique(space.sample_many(300, 0), axis=0)
    domain = Domain(space, pool=pool, limits={"params": 18}, costs=lambda choices, name: (choices >= 0).sum(axis=1))
    searcher = TabNAS(domain, 0)
    controller = searcher.controller
    controller.logits[:] = np.random.default_rng(0).normal(size=len(controller.logits))
    feasible = domain.pool
    p = np.exp(controller.log_probabilities(feasible))
    assert searcher.log_gradient()[0] == pytest.approx(p.sum())
    drawn = {row.tobytes(): position for position, row in enumerate(feasible)}
    shares = np.bincount([drawn[row.tobytes()] for row in searcher._sample(20_000)], minlength=len(p)) / 20_000
    assert np.abs(shares - p / p.sum()).max() < 0.02


@pytest.mark.slow
def test_the_toy_of_paper_003(domain):
    bench = TableBenchmark(read(TOY))
    feasible = bench.space.architectures(bench.pool[domain.feasible(bench.pool)])
    assert str(min(feasible, key=lambda a: bench.query(a).value)) == "4-2"
    rejection = Counter(str(converged(TabNAS, bench, seed)) for seed in range(20))
    shaped = Counter(str(converged(TuNASAbs, bench, seed, beta=-2.0)) for seed in range(20))
    assert rejection["4-2"] >= 19
    assert shaped["4-2"] < 10
