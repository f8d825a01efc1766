"""PNASM: which of its samples are truly evaluated, what its ablations do, and the terms of its bound."""

import numpy as np
import pytest

from nasbench_evs import spaces
from nasbench_evs.search import Domain
from nasbench_evs.search.pnasm import PNASM
from tests.search.driving import drive, score

SPACE = spaces.SeqNASSpace()


@pytest.mark.parametrize("k", [2, 8])
def test_every_iteration_evaluates_k(k):
    searcher = PNASM(SPACE, 0, initial=16, n=8, k=k)
    drive(searcher, 16 + 3 * k)
    assert len(searcher.bounds) == 3
    assert all(bound.predictor_error >= 0 and bound.policy_shift >= 0 for bound in searcher.bounds)


def test_with_several_workers_every_batch_is_learnt_from():
    searcher = PNASM(SPACE, 0, initial=16, n=8, k=4)
    drive(searcher, 16)
    busy = searcher.ask(9)  # two batches and a part of the third
    assert not searcher.bounds
    searcher.tell(busy[4:8], [score(a) for a in busy[4:8]])
    assert len(searcher.bounds) == 1  # the second is complete, the first is not
    searcher.tell(busy[:4], [score(busy[0]), np.nan, score(busy[2]), score(busy[3])])
    assert len(searcher.bounds) == 2
    busy = busy[8:] + searcher.ask(3)
    searcher.tell(busy[::-1], [score(a) for a in busy[::-1]])
    assert len(searcher.bounds) == 3


def test_the_initial_architectures_move_the_policy():
    first = PNASM(SPACE, 0, initial=40, n=8)
    start = PNASM(SPACE, 0, initial=40, n=8)
    asked = drive(first, 40)
    ranked = SPACE.stack(sorted(asked, key=score))

    def preference(searcher):
        logs = searcher.controller.log_probabilities(ranked)
        return logs[20:].mean() - logs[:20].mean()

    assert preference(first) > preference(start) + 0.5


def test_adaptive_evaluates_as_many_as_the_policy_moved():
    searcher = PNASM(SPACE, 0, initial=16, n=8, k=5, adaptive=True, passes=1, learning_rate=1e-3)
    drive(searcher, 16 + 5 + 4)
    assert searcher.bounds[0].policy_shift < 1 / 8  # little: one evaluation in each later iteration
    assert len(searcher.bounds) == 5
    wild = PNASM(SPACE, 0, initial=16, n=8, k=5, adaptive=True, passes=1, learning_rate=0.3)
    drive(wild, 16 + 5 + 8)
    assert max(bound.policy_shift for bound in wild.bounds) > 1 / 8
    assert len(wild.bounds) < 5 + 4


def test_without_truth_it_evaluates_what_its_predictor_likes():
    searcher = PNASM(SPACE, 0, initial=30, n=8, k=0, predicted=80)
    first = drive(searcher, 30)
    later = drive(searcher, 10)
    assert len(searcher.bounds) == 10  # 80 samples in batches of 8, before the first of them is evaluated
    assert all(np.isnan(bound.predictor_error) for bound in searcher.bounds)
    predicted = searcher._predict(SPACE.stack(later))
    assert (np.diff(predicted) <= 1e-12).all()  # best first
    assert np.mean([score(a) for a in later]) > np.mean([score(a) for a in first])


@pytest.mark.parametrize("mix", ["new", "all"])
def test_the_policy_moves_after_its_initialisation(mix):
    searcher = PNASM(SPACE, 0, initial=60, mix=mix)
    drive(searcher, 60 + 8 * 5)
    shifts = [bound.policy_shift for bound in searcher.bounds]
    assert len(shifts) == 8
    assert np.median(shifts) > 1e-3


def test_batches_of_one_teach_too():
    searcher = PNASM(SPACE, 0, initial=20, n=1, k=0, predicted=10)
    drive(searcher, 21)
    assert np.median([bound.policy_shift for bound in searcher.bounds]) > 1e-5


@pytest.mark.slow
def test_a_few_heavy_outliers_do_no_harm():
    """One of twenty scores is a failure by orders of magnitude: the policy is about as good as without."""

    def late(outliers):
        rng = np.random.default_rng(0)
        searcher, asked = PNASM(SPACE, 0, initial=60, predicted=40, k=20), []
        for _ in range(260):
            (architecture,) = searcher.ask(1)
            bad = outliers and rng.random() < 0.05
            searcher.tell([architecture], [-1e6 if bad else score(architecture)])
            asked.append(architecture)
        return np.mean([score(each) for each in asked[:60]]), np.mean([score(each) for each in asked[-60:]])

    (start, clean), (_, dirty) = late(False), late(True)
    assert clean > start + 0.03
    assert dirty - start > 0.6 * (clean - start)


def costs(choices, name):
    return (choices >= 0).sum(axis=1)


@pytest.mark.parametrize("pool", [None, np.unique(SPACE.sample_many(300, 0), axis=0)])
@pytest.mark.parametrize("k", [0, 5])
def test_what_the_predictor_scores_is_feasible_and_new(pool, k):
    domain = Domain(SPACE, pool=pool, limits={"params": 19}, costs=costs)
    searcher = PNASM(domain, 0, initial=30, k=k, predicted=60)
    batches, predict = [], searcher._predict

    def scored(choices):
        batches.append((choices, set(searcher._asked)))
        return predict(choices)

    searcher._predict = scored
    drive(searcher, 30 + 20)
    assert len(batches) >= 3
    for choices, asked in batches:
        keys = [row.tobytes() for row in choices]
        assert domain.feasible(choices).all()
        assert len(choices) == 20
        assert len(set(keys)) == len(keys)
        if k:  # those to be evaluated truly stand first, and count as asked for
            assert not set(keys[k:]) & asked
        else:
            assert not set(keys) & asked
        if pool is not None:
            assert set(keys) <= {row.tobytes() for row in domain.pool}


def test_the_divergence_of_a_decision_is_less_than_that_of_an_architecture():
    apart = []
    for divergence in ("architecture", "decision"):
        searcher = PNASM(SPACE, 0, initial=20, adaptive=True, divergence=divergence)
        drive(searcher, 25)
        assert len(searcher.bounds) == 1
        apart.append(searcher._alpha)
    assert apart[0] > 5 * apart[1] > 0
