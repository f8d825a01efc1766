"""Means with intervals, ranks, and tests of differences."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_evs.analysis.statistics import (
    SIGNIFICANT,
    ci_half_width,
    detectable_effect,
    effect_size,
    holm,
    mean,
    pairwise,
    rank_agreement,
    wilcoxon_p,
)


def test_agreement_of_ranks():
    regrets = np.arange(8.0)[:, None] + np.random.default_rng(0).normal(0, 0.01, (8, 20))
    assert rank_agreement(regrets, 3 * regrets) == pytest.approx((1, 1, 1))
    assert rank_agreement(regrets, -regrets) == pytest.approx((-1, -1, -1))
    tau, low, high = rank_agreement(regrets, np.random.default_rng(1).normal(size=(8, 20)))
    assert low < tau < high


def test_known_adjustment():
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


def test_the_interval_covers_the_mean():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        found = mean(rng.normal(3, 2, 10))
        hits += abs(found.value - 3) <= found.ci_half_width
    assert 0.91 < hits / 400 < 0.985
    assert np.isnan(mean([1.0]).ci_half_width)
    assert np.isnan(mean([]).value)
    values = rng.normal(size=(7, 3))
    assert ci_half_width(values).tolist() == [mean(column).ci_half_width for column in values.T]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p):
    """What the method is: a hypothesis is rejected if every set of hypotheses that has it is (Marcus et al. 1976)."""
    expected = [
        max(
            min(1.0, len(those) * min(p[j] for j in those))
            for n in range(1, len(p) + 1)
            for those in combinations(range(len(p)), n)
            if i in those
        )
        for i in range(len(p))
    ]
    assert holm(np.array(p)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("pairs", "tests"), [(20, 1), (20, 9), (50, 45)])
def test_the_detectable_effect_is_found_four_times_in_five(pairs, tests):
    rng = np.random.default_rng(pairs + tests)
    differences = rng.normal(detectable_effect(pairs, tests=tests), 1, (500, pairs))
    found = [wilcoxon_p(each, np.zeros(pairs)) < SIGNIFICANT / tests for each in differences]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_what_is_detectable_falls_with_pairs_and_grows_with_tests_and_power():
    assert detectable_effect(125) == pytest.approx(0.259, abs=1e-3)
    effects = [detectable_effect(pairs) for pairs in (6, 10, 20, 50, 200, 1000)]
    assert effects == sorted(effects, reverse=True)
    assert effects[3] / effects[4] == pytest.approx(2, rel=0.05)  # four times the pairs, half the effect
    assert detectable_effect(20) < detectable_effect(20, tests=9) < detectable_effect(20, tests=45)
    assert detectable_effect(20, power=0.5) < detectable_effect(20) < detectable_effect(20, power=0.95)
    for pairs, tests in ((1, 1), (5, 1), (8, 9)):  # two to the power of 1 - pairs is the smallest p-value
        assert detectable_effect(pairs, tests=tests) == np.inf


def test_effect_sizes():
    a = np.array([1.0, 2.0, 4.0])
    assert effect_size(a, np.zeros(3)) == pytest.approx(a.mean() / a.std(ddof=1))
    assert effect_size(np.zeros(3), a) == pytest.approx(-a.mean() / a.std(ddof=1))
    assert effect_size(a, a) == 0
    assert effect_size(a, a + 1) == -np.inf
