"""The LSTM controller: a distribution over architectures, whatever their conditions."""

import numpy as np
import pytest

from nasbench_evs import spaces
from nasbench_evs.search.controller import Controller, Draws, normal_scores
from nasbench_evs.search.masks import PrefixTree

SPACE = spaces.SearchSpace.from_choices(
    {"op": ["conv", "attention", "none"], "heads": [1, 2, 4], "kernel": [3, 5], "norm": [False, True]},
    {"heads": {"op": ["attention"]}, "kernel": {"op": ["conv"]}},
)
EVERYTHING = SPACE.unrank_many(np.arange(SPACE.size, dtype=np.uint64))


@pytest.fixture
def controller():
    made = Controller(SPACE, seed=0, learning_rate=0.05)
    for _ in range(5):  # away from the uniform start
        made.update(Draws(EVERYTHING[:4], None), np.array([1.0, 0.0, 0.5, 0.2]))
    return made


def test_probabilities_sum_to_one(controller):
    assert np.exp(controller.log_probabilities(EVERYTHING)).sum() == pytest.approx(1, abs=1e-5)


def test_samples_follow_the_probabilities(controller):
    drawn = controller.sample(20_000, np.random.default_rng(0)).choices
    assert SPACE.check(drawn) is not None
    shares = np.bincount(SPACE.rank_many(drawn).astype(int), minlength=SPACE.size) / len(drawn)
    assert np.abs(shares - np.exp(controller.log_probabilities(EVERYTHING))).max() < 0.015


def test_an_update_favours_what_was_better():
    controller = Controller(SPACE, seed=0, learning_rate=0.01)
    before = controller.log_probabilities(EVERYTHING[:2])
    for _ in range(5):
        controller.update(Draws(EVERYTHING[:2], None), np.array([1.0, 0.0]))
    change = controller.log_probabilities(EVERYTHING[:2]) - before
    assert change[0] > 0 > change[1]


def test_the_squashed_logits_keep_some_probability_for_everything():
    made = Controller(SPACE, seed=0, learning_rate=0.5, baseline=0.0)
    for _ in range(200):
        made.update(Draws(EVERYTHING[:1], None), np.ones(1))
    for _column in range(EVERYTHING.shape[1]):
        assert np.exp(made.log_probabilities(EVERYTHING)).min() > 0
    # No option of a choice is more than exp(5) times as probable as another.
    assert np.ptp(made.log_probabilities(EVERYTHING)) < 5 * 3 + np.log(3 * 3 * 2)


def test_the_seed_decides_the_initial_weights():
    logs = [Controller(SPACE, seed=s).log_probabilities(EVERYTHING) for s in (1, 1, 2)]
    assert np.array_equal(logs[0], logs[1])
    assert not np.array_equal(logs[0], logs[2])


def test_long_conditional_spaces():
    space = spaces.SeqNASSpace()
    controller = Controller(space, seed=3)
    drawn = controller.sample(64, np.random.default_rng(0)).choices
    assert space.check(drawn) is not None
    together = controller.log_probabilities(drawn)
    alone = np.concatenate([controller.log_probabilities(row[None]) for row in drawn])
    assert np.allclose(together, alone, atol=1e-4)  # what stands beside it in a batch changes nothing
    assert (together < 0).all()


def test_on_a_pool_samples_follow_the_masked_probabilities(controller):
    pool = EVERYTHING[[0, 3, 5, 8, 9]]
    tree = PrefixTree(pool, [len(choice.options) for choice in SPACE.choices])
    skip = np.array([False, True, False, False, False])
    walk = tree.walk(20_000, skip)
    draws = controller.sample(20_000, np.random.default_rng(0), walk)
    assert np.array_equal(pool[walk.first], draws.choices)
    shares = np.bincount(walk.first, minlength=5) / 20_000
    masked = np.exp(controller.log_probabilities(*draws))
    probabilities = np.array([masked[walk.first == at].mean() if shares[at] else 0.0 for at in range(5)])
    assert probabilities.sum() == pytest.approx(1)
    assert np.abs(shares - probabilities).max() < 0.015


def test_the_gradient_is_of_the_masked_probabilities():
    pool = EVERYTHING[[0, 3, 8]]
    tree = PrefixTree(pool, [len(choice.options) for choice in SPACE.choices])
    controller = Controller(SPACE, 0, baseline=0.0, entropy=0.0)
    draws = controller.sample(50, np.random.default_rng(0), tree.walk(50))
    rewards = np.random.default_rng(1).normal(size=50)
    weights, gradients = controller._network.weights, []
    controller._adam.descend = gradients.append
    controller.update(draws, rewards)
    rng = np.random.default_rng(2)
    for place in rng.integers(len(weights), size=200):
        kept, values = weights[place], []
        for step in (1e-5, -1e-5):
            weights[place] = kept + step
            values.append(-(rewards * controller.log_probabilities(*draws)).mean())
        weights[place] = kept
        assert gradients[0][place] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-7)


def test_the_divergence_is_that_of_the_distributions_over_architectures(controller):
    everything = Draws(EVERYTHING, None)
    p = np.exp(controller.log_probabilities(EVERYTHING))
    before = controller.update(Draws(EVERYTHING[:2], None), np.array([1.0, 0.0]))
    q = np.exp(controller.log_probabilities(EVERYTHING))
    assert len(before.logs) == 2
    draws = np.random.default_rng(0).choice(len(p), size=20_000, p=p / p.sum())
    early = Controller(SPACE, seed=0, learning_rate=0.05)
    for _ in range(5):
        early.update(Draws(EVERYTHING[:4], None), np.array([1.0, 0.0, 0.5, 0.2]))
    shifts = controller.divergence(early.decide(everything), everything)
    assert shifts[draws].mean() == pytest.approx((p * np.log(p / q)).sum(), rel=0.05)


def test_normal_scores_forget_scale_and_outliers():
    values = np.array([0.3, -1e9, 0.5, 0.4, 0.5])
    scores = normal_scores(values, values)
    assert np.allclose(scores, normal_scores(values * 1e3 + 7, values * 1e3 + 7))
    assert np.argsort(scores, kind="stable").tolist() == [1, 0, 3, 2, 4]
    assert scores[2] == scores[4]
    assert np.abs(scores).max() < 1.5
    assert np.array_equal(normal_scores(np.ones(4), np.ones(4)), np.zeros(4))
