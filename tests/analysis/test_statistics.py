"""Means with intervals, ranks, and tests of differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_evs.analysis.statistics import cliques, holm, mean, mean_ranks, pairwise, rank_agreement


def test_agreement_of_ranks():
    regrets = np.arange(8.0)[:, None] + np.random.default_rng(0).normal(0, 0.01, (8, 20))
    assert rank_agreement(regrets, 3 * regrets) == pytest.approx((1, 1, 1))
    assert rank_agreement(regrets, -regrets) == pytest.approx((-1, -1, -1))
    tau, low, high = rank_agreement(regrets, np.random.default_rng(1).normal(size=(8, 20)))
    assert low < tau < high


def test_known_ranks_and_adjustment():
    table = np.array([[0.1, 0.2, 0.3], [0.1, 0.1, 0.5], [0.3, 0.2, 0.4]])
    assert mean_ranks(table).tolist() == pytest.approx([(1 + 1.5 + 2) / 3, (2 + 1.5 + 1) / 3, 3])
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_never_lowers(p):
    p = np.array(p)
    adjusted = holm(p)
    assert (adjusted >= p - 1e-12).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= -1e-12).all()


def test_pairs_that_differ_everywhere_differ_significantly():
    rng = np.random.default_rng(0)
    base = rng.random((20, 1))
    table = np.concatenate(
        [base, base + 0.1 + 0.01 * rng.random((20, 1)), base + 0.01 * rng.normal(size=(20, 1))], axis=1
    )
    p = pairwise(table)
    assert p[0, 1] < 0.01
    assert p[1, 2] < 0.01
    assert p[0, 2] > 0.05
    assert cliques(mean_ranks(table), p) == [(0, 1)]


def test_the_interval_covers_the_mean():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        found = mean(rng.normal(3, 2, 10))
        hits += abs(found.value - 3) <= found.ci_half_width
    assert 0.91 < hits / 400 < 0.985
    assert np.isnan(mean([1.0]).ci_half_width)
    assert np.isnan(mean([]).value)
