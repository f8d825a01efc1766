"""The LSTM controller: a distribution over architectures, whatever their conditions."""

import numpy as np
import pytest

from nasbench_evs import spaces
from nasbench_evs.search.controller import Controller

SPACE = spaces.SearchSpace.from_choices(
    {"op": ["conv", "attention", "none"], "heads": [1, 2, 4], "kernel": [3, 5], "norm": [False, True]},
    {"heads": {"op": ["attention"]}, "kernel": {"op": ["conv"]}},
)
EVERYTHING = SPACE.unrank_many(np.arange(SPACE.size, dtype=np.uint64))


@pytest.fixture
def controller():
    made = Controller(SPACE, seed=0, learning_rate=0.05)
    for _ in range(5):  # away from the uniform start
        made.update(EVERYTHING[:4], np.array([1.0, 0.0, 0.5, 0.2]))
    return made


def test_probabilities_sum_to_one(controller):
    assert np.exp(controller.log_probabilities(EVERYTHING)).sum() == pytest.approx(1, abs=1e-5)


def test_samples_follow_the_probabilities(controller):
    drawn = controller.sample(20_000, np.random.default_rng(0))
    assert SPACE.check(drawn) is not None
    shares = np.bincount(SPACE.rank_many(drawn).astype(int), minlength=SPACE.size) / len(drawn)
    assert np.abs(shares - np.exp(controller.log_probabilities(EVERYTHING))).max() < 0.015


def test_an_update_favours_what_was_better():
    controller = Controller(SPACE, seed=0, learning_rate=0.01)
    before = controller.log_probabilities(EVERYTHING[:2])
    for _ in range(5):
        controller.update(EVERYTHING[:2], np.array([1.0, 0.0]))
    change = controller.log_probabilities(EVERYTHING[:2]) - before
    assert change[0] > 0 > change[1]


def test_the_squashed_logits_keep_some_probability_for_everything():
    made = Controller(SPACE, seed=0, learning_rate=0.5, baseline=0.0)
    for _ in range(200):
        made.update(EVERYTHING[:1], np.ones(1))
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
    drawn = controller.sample(64, np.random.default_rng(0))
    assert space.check(drawn) is not None
    together = controller.log_probabilities(drawn)
    alone = np.concatenate([controller.log_probabilities(row[None]) for row in drawn])
    assert np.allclose(together, alone, atol=1e-4)  # what stands beside it in a batch changes nothing
    assert (together < 0).all()
