"""The gate's statistic on made scores, whose ratio of signal to noise is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_evs.errors import InvalidQuery
from nasbench_evs.tables.reliability import reliability


def made(n, signal, noise, seed=0):
    """Scores of n architectures with three seeds, normal with these standard deviations."""
    rng = np.random.default_rng(seed)
    return rng.normal(0.7, signal, (n, 1)) + rng.normal(0, noise, (n, 3))


@pytest.mark.parametrize(("signal", "noise"), [(0.01, 0.01), (0.02, 0.005), (0.004, 0.012)])
def test_all_architectures_give_the_ratio_they_were_made_with(signal, noise):
    found = reliability(made(4000, signal, noise), share=1.0, resamples=50)
    for k in (1, 2, 3, 4):
        assert found.r[k] == pytest.approx(signal**2 / (signal**2 + noise**2 / k), abs=0.03)
        low, _, _, high = found.quantiles[k]
        assert low < found.r[k] < high
    assert found.signal == pytest.approx(signal, rel=0.1)
    assert found.noise == pytest.approx(noise, rel=0.05)


def test_the_best_quarter_has_less_to_tell_than_the_whole():
    """Where selection is by a noisy score, the true variance among the chosen is that of the conditional distribution."""
    scores = made(40_000, 1.0, 1.0)
    found = reliability(scores, resamples=2)
    # z is truth given the choosing score: truth = (chosen score) / 2 + independent of variance 1/2
    rng = np.random.default_rng(1)
    choosing = rng.normal(0, 2**0.5, 400_000)
    top = np.sort(choosing)[-100_000:]
    expected = top.var() / 4 + 0.5
    assert found.chosen == 10_000
    assert found.signal**2 == pytest.approx(expected, rel=0.05)
    assert found.noise == pytest.approx(1.0, rel=0.03)


def test_without_differences_nothing_is_reliable():
    found = reliability(made(2000, 0.0, 0.01), resamples=200)
    assert found.r[4] < 0.15
    assert found.quantiles[2][1] < 0.1


def test_seeds_that_fail_now_and_then_do_not_carry_it():
    """Three in a hundred trainings end at chance, some without a score: what is said of the others stays."""
    scores = made(4000, 0.01, 0.01)
    rng = np.random.default_rng(2)
    failed = scores.copy()
    failed[rng.random(scores.shape) < 0.02] = 0.5
    failed[rng.random(scores.shape) < 0.01] = np.nan
    clean, dirty = reliability(scores, resamples=2), reliability(failed, resamples=2)
    assert clean.r[2] - 0.15 < dirty.r[2] < clean.r[2] + 0.02
    assert dirty.noise < 1.5 * clean.noise  # unclipped, one failure in fifty alone makes it three times as large


def test_transfer_is_between_one_seed_and_another_on_other_sequences():
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 0.01, (4000, 1))
    valid = truth + rng.normal(0, 0.005, (4000, 3))
    same, unrelated = truth + rng.normal(0, 0.005, (4000, 3)), rng.normal(0, 0.01, (4000, 3))
    assert reliability(valid, same, share=1.0, resamples=2).r[1] == pytest.approx(0.8, abs=0.03)
    assert reliability(valid, unrelated, share=1.0, resamples=2).r[1] < 0.05


@given(st.integers(12, 80), st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.floats(-5, 5))
@settings(max_examples=30, deadline=None)
def test_unit_direction_and_order_do_not_matter(n, seed, scale, shift):
    scores = made(n, 0.02, 0.01, seed)
    scores[np.random.default_rng(seed).random(scores.shape) < 0.03] = np.nan
    found = reliability(scores, resamples=3)
    assert all(0 <= r <= 1 for r in found.r.values())
    assert found.r[1] <= found.r[2] <= found.r[4]
    shuffled = np.random.default_rng(seed).permutation(scores)
    for other, sign in ((scores * scale + shift, 1), (-scores, -1), (shuffled, 1)):
        assert reliability(other, sign=sign, resamples=3).r[2] == pytest.approx(found.r[2], abs=1e-6)
    assert reliability(scores[:, [2, 0, 1]], resamples=3).r[2] == pytest.approx(found.r[2], abs=1e-9)


def test_constant_scores_and_failures_alone_give_zero():
    for scores in (np.full((20, 3), 0.5), np.full((20, 3), np.nan)):
        assert reliability(scores, resamples=3).r == {1: 0.0, 2: 0.0, 3: 0.0, 4: 0.0}


def test_what_it_cannot_judge():
    with pytest.raises(InvalidQuery, match=r"expected \(architectures, 3\)"):
        reliability(np.zeros((20, 2)))
    with pytest.raises(InvalidQuery, match="8 architectures: expected at least 10"):
        reliability(np.zeros((8, 3)))
