"""Pairs of searchers on the same seeds: known differences are found, none is made up, and missing runs are left out."""

import numpy as np
import pytest

from nasbench_evs.analysis.comparison import all_pairs, control_tests, resolved_pairs
from nasbench_evs.analysis.statistics import holm, wilcoxon_p
from nasbench_evs.errors import InvalidQuery

NAMES = ["random", "evolution", "local", "bananas"]


def simulated(effects, seeds, rng):
    """Regrets (searchers, seeds) that differ from the first searcher's by `effects` standard deviations of the differences."""
    shared = rng.normal(size=seeds)  # a seed's luck, which pairing takes out
    own = rng.normal(size=(len(effects), seeds)) / 2**0.5
    return 10 + 3 * shared + own + np.array(effects)[:, None]


def test_every_searcher_against_the_control():
    regrets = simulated([0, -1.5, 0, 1.5], 60, np.random.default_rng(0))
    found = control_tests(regrets, NAMES, "random")
    assert [(each.searcher, each.reference) for each in found] == [(name, "random") for name in NAMES[1:]]
    better, same, worse = found
    assert better.significant
    assert better.difference == pytest.approx((regrets[1] - regrets[0]).mean())
    assert better.effect_size == pytest.approx(-1.5, abs=0.4)
    assert worse.significant
    assert worse.effect_size == pytest.approx(1.5, abs=0.4)
    assert not same.significant
    p = [wilcoxon_p(row, regrets[0]) for row in regrets[1:]]
    assert [each.p for each in found] == p
    assert [each.p_holm for each in found] == holm(np.array(p)).tolist()
    assert {each.reference for each in control_tests(regrets, NAMES, "evolution")} == {"evolution"}


def test_differences_that_are_not_there_are_seldom_found():
    rng = np.random.default_rng(1)
    wrong = sum(
        any(each.significant for each in control_tests(simulated([0] * 4, 15, rng), NAMES, "random"))
        for _ in range(200)
    )
    assert wrong <= 18  # 5 % of 200 and 2.5 standard deviations


def test_only_seeds_that_both_have_are_paired():
    regrets = simulated([0, -1, 0, 0], 40, np.random.default_rng(2))
    regrets[1, 30:] = np.nan
    regrets[2, :5] = np.nan
    found = {(each.searcher, each.reference): each for each in all_pairs(regrets, NAMES)}
    assert len(found) == 6
    assert found["random", "evolution"].seeds == 30
    assert found["evolution", "local"].seeds == 25
    assert found["random", "bananas"].seeds == 40
    assert found["evolution", "local"].difference == pytest.approx((regrets[1] - regrets[2])[5:30].mean())


def test_resolved_is_told_apart_by_fifty_seeds_and_enough_to_matter():
    rng = np.random.default_rng(3)
    regrets = simulated([0, -1, -1.1, 0.05], 400, rng)
    found = {(each.searcher, each.reference) for each in resolved_pairs(regrets, NAMES)}
    assert found == {("random", "evolution"), ("random", "local"), ("evolution", "bananas"), ("local", "bananas")}
    assert all(each.seeds == 50 for each in resolved_pairs(regrets, NAMES))
    small = simulated([0, -0.3], 400, rng)
    (pair,) = all_pairs(small, NAMES[:2])
    assert pair.significant  # four hundred seeds find it
    assert not pair.resolved
    later = np.concatenate([simulated([0, 0], 50, rng), simulated([0, -3], 350, rng)], axis=1)
    assert resolved_pairs(later, NAMES[:2]) == []  # what comes after the fiftieth seed counts for nothing


def test_the_detectable_difference_is_in_units_of_regret():
    regrets = simulated([0, 0], 50, np.random.default_rng(4))
    (once,), (tenfold,) = all_pairs(regrets, NAMES[:2]), all_pairs(10 * regrets, NAMES[:2])
    assert tenfold.detectable == pytest.approx(10 * once.detectable)
    assert once.detectable == pytest.approx(0.414 * (regrets[0] - regrets[1]).std(ddof=1), rel=0.01)
    among_many = control_tests(simulated([0] * 4, 50, np.random.default_rng(4)), NAMES, "random")[0]
    assert among_many.detectable > once.detectable  # Holm's strictest step


def test_equal_runs_do_not_differ():
    (found,) = all_pairs(np.ones((2, 20)), NAMES[:2])
    assert (found.difference, found.effect_size, found.p, found.detectable) == (0, 0, 1, 0)


def test_what_cannot_be_compared():
    regrets = np.ones((2, 5))
    with pytest.raises(InvalidQuery, match="control 'tpe': expected one of random, evolution"):
        control_tests(regrets, NAMES[:2], "tpe")
    with pytest.raises(InvalidQuery, match=r"expected \(searchers, seeds\) of 4 searchers"):
        all_pairs(regrets, NAMES)
    regrets[0, :4] = np.nan
    with pytest.raises(InvalidQuery, match="random and evolution have 1 seeds in common"):
        all_pairs(regrets, NAMES[:2])
