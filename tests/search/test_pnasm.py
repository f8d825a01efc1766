"""PNASM: which of its samples are truly evaluated, what its ablations do, and the terms of its bound."""

import numpy as np
import pytest

from nasbench_evs import spaces
from nasbench_evs.search.pnasm import PNASM

SPACE = spaces.SeqNASSpace()


def score(architecture):
    return float(np.mean(architecture.avec[:40]))


def drive(searcher, evaluations):
    asked = []
    for _ in range(evaluations):
        (architecture,) = searcher.ask(1)
        searcher.tell([architecture], [score(architecture)])
        asked.append(architecture)
    return asked


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


def test_batches_of_reinforce():
    from nasbench_evs.search.reinforce import Reinforce

    start = Reinforce(SPACE, 0, batch=10).controller.log_probabilities(SPACE.sample_many(5, 0))
    searcher = Reinforce(SPACE, 0, batch=10)
    drive(searcher, 9)
    assert np.array_equal(searcher.controller.log_probabilities(SPACE.sample_many(5, 0)), start)
    drive(searcher, 1)
    assert not np.array_equal(searcher.controller.log_probabilities(SPACE.sample_many(5, 0)), start)
