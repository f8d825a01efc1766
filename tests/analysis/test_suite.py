"""Summaries over a suite: known values, one weight for a surrogate and its table, intervals that cover the truth."""

import numpy as np
import pytest

from nasbench_evs.analysis import suite
from nasbench_evs.analysis.config import BenchmarkConfig
from nasbench_evs.analysis.suite import (
    area_under_curve,
    benchmark_groups,
    normalized_regret,
    suite_ranks,
    suite_regret,
    win_probabilities,
)
from nasbench_evs.errors import InvalidQuery


def test_a_surrogate_and_its_table_are_one_benchmark():
    def config(name, space, source):
        return BenchmarkConfig(f"{name} {space} {source}", name, space, source, {}, 10, (10,))

    a, b, c, d, e, f, g = benchmark_groups(
        [
            config("bpic2012", None, "surrogate"),
            config("bpic2012", "seqnas", "table"),
            config("credit-default", None, "table"),
            config("credit-default", "ffn-3", "table"),
            config("bpic2012", "seqnas-s", "table"),
            config("landscape:nk-1", None, "auto"),
            config("landscape:nk-3", None, "auto"),
        ]
    )
    assert a == b == e
    assert len({a, c, d, f, g}) == 5


def test_what_was_seen_twice_counts_once():
    rng = np.random.default_rng(0)
    regrets = [rng.random((3, 20)) for _ in range(4)]
    groups = ["a", "b", "c", "d"]
    for summary in (suite_regret, suite_ranks, win_probabilities):
        once = summary(regrets, groups)
        again = summary([*regrets, regrets[3]], [*groups, "d"])
        assert again.value == pytest.approx(once.value)
        apart = summary([*regrets, *regrets[3:]], [*groups, "e"])
        assert apart.value != pytest.approx(once.value)


def test_known_summaries():
    regrets = [np.array([[0.1, 0.3], [0.2, 0.3], [0.5, 0.5]]), np.array([[0.4, 0.4], [0.2, 0.2], [np.nan, 0.8]])]
    groups = ["a", "b"]
    assert suite_regret(regrets, groups).value == pytest.approx(
        [0.3, 0.225, 0.65]
    )  # the NaN's seed is left out for all
    assert suite_ranks(regrets, groups).value == pytest.approx([1.5, 1.5, 3])
    wins = win_probabilities(regrets, groups).value
    assert wins[0, 1] == pytest.approx((0.75 + 0) / 2)
    assert wins[2].tolist() == [0, 0, 0.5]


def test_win_probabilities_add_up_and_find_the_true_one():
    rng = np.random.default_rng(1)
    regrets = rng.normal(size=(10, 3, 200)) + np.array([0, 0.5, 1])[:, None]
    found = win_probabilities(regrets, range(10))
    assert found.value + found.value.T == pytest.approx(np.ones((3, 3)))
    assert found.low + found.high.T == pytest.approx(np.ones((3, 3)))
    for i, j, true in ((0, 1, 0.638), (0, 2, 0.760)):  # Phi(difference / sqrt 2)
        assert found.low[i, j] < true < found.high[i, j]
        assert found.value[i, j] == pytest.approx(true, abs=0.03)


def test_intervals_cover_the_mean_over_all_benchmarks_there_could_be(monkeypatch):
    """Twelve benchmarks that differ, ten seeds each: the percentile interval has nearly its 95 %."""
    monkeypatch.setattr(suite, "RESAMPLES", 300)
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(150):
        benchmarks = rng.normal(0, 0.3, (12, 2, 1)) + np.array([[0.5], [0.8]])
        found = suite_regret(benchmarks + rng.normal(0, 0.5, (12, 2, 10)), range(12))
        covered.append((found.low < [0.5, 0.8]) & (found.high > [0.5, 0.8]))
    assert 0.88 < np.mean(covered) < 0.99


def test_benchmarks_that_differ_widen_the_interval():
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.1, (8, 2, 50))
    alike = suite_regret(noise, range(8))
    unlike = suite_regret(noise + rng.normal(0, 1, (8, 1, 1)), range(8))
    assert (unlike.high - unlike.low > 5 * (alike.high - alike.low)).all()
    one = suite_regret(noise, ["same"] * 8)  # one group: only seeds are left to resample
    assert (one.high - one.low > 0).all()
    assert suite_regret(noise, range(8)).low.tolist() == alike.low.tolist()


def test_area_under_a_step_function():
    assert area_under_curve(np.array([1, 2, 3, 4]), np.array([0.8, 0.4, 0.4, 0.0]), 4) == pytest.approx(
        (1 + 0.8 + 0.4 + 0.4) / 4
    )
    curves = np.array([[np.nan, 0.5], [0.5, 0.25]])  # the first found nothing feasible at once
    assert area_under_curve(np.array([1.0, 3.0]), curves, 5.0) == pytest.approx(
        [(1 + 2 + 2 * 0.5) / 5, (1 + 2 * 0.5 + 2 * 0.25) / 5]
    )
    assert area_under_curve(np.array([1.0, 9.0]), np.array([0.5, 0.0]), 3.0) == pytest.approx((1 + 2 * 0.5) / 3)
    assert area_under_curve(np.array([]), np.empty((2, 0)), 3.0).tolist() == [1, 1]


def test_normalized_regret():
    assert normalized_regret(np.array([[0.0, 0.02]]), 0.04).tolist() == [[0, 0.5]]
    for scale in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidQuery, match="expected a finite regret above 0"):
            normalized_regret(np.zeros((1, 1)), scale)


def test_what_cannot_be_summarized():
    regrets = [np.ones((2, 3)), np.ones((2, 4))]
    with pytest.raises(InvalidQuery, match="1 groups of 2 benchmarks"):
        suite_regret(regrets, ["a"])
    with pytest.raises(InvalidQuery, match="0 groups of 0 benchmarks"):
        suite_ranks([], [])
    with pytest.raises(InvalidQuery, match=r"benchmark 1 have shape \(3, 3\)"):
        suite_ranks([np.ones((2, 3)), np.ones((3, 3))], ["a", "b"])
    with pytest.raises(InvalidQuery, match="benchmark 0 has no seed that every searcher has ended"):
        win_probabilities([np.array([[1, np.nan], [np.nan, 1]])], ["a"])
    with pytest.raises(InvalidQuery, match="expected ascending"):
        area_under_curve(np.array([2.0, 1.0]), np.ones(2), 3.0)
