"""Scores: the competition's metric against a hand-computed example, the others against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_evs import metrics
from nasbench_evs.errors import InvalidQuery


def test_amex_by_hand():
    """Ten customers, two of whom default; weights 1 and 20, 162 in all, so 4 % is 6 and one default fits in.

    Ranked by prediction: default, pays, default, then seven who pay. The cumulated share of defaults is .5, .5, 1 ... and
    that of weight 1/162, 21/162, 22/162, 42/162, ..., 162/162. Gini: sum of (difference x weight).
    """
    labels = np.array([1, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    predictions = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1])
    weight = [1, 20, 1] + [20] * 7
    found = [0.5, 0.5] + [1.0] * 8
    cumulated = np.cumsum(weight) / 162
    gini = sum((f - c) * w for f, c, w in zip(found, cumulated, weight, strict=True))
    best_weight = [1, 1] + [20] * 8
    best_found = [0.5] + [1.0] * 9
    best = sum((f - c) * w for f, c, w in zip(best_found, np.cumsum(best_weight) / 162, best_weight, strict=True))
    # .494 + 7.407 + .864 + 20 * (7 - 714 / 162), and .494 + .988 + 20 * (8 - 736 / 162)
    assert gini == pytest.approx(60.617284)
    assert best == pytest.approx(70.617284)
    captured = 0.5  # only the first prediction lies within a weight of 6
    assert metrics.amex(labels, predictions) == pytest.approx(0.5 * (gini / best + captured))


def test_amex_of_a_perfect_ranking_is_one():
    labels = np.zeros(1000, int)
    labels[:30] = 1
    assert metrics.amex(labels, labels.astype(float)) == pytest.approx(1.0)


def test_scores_of_two_classes():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.65, 0.35], [0.2, 0.8]])
    assert metrics.score("roc_auc", labels, probabilities) == 0.75
    assert metrics.score("accuracy", labels, probabilities) == 0.5
    expected = -np.mean(np.log([0.9, 0.4, 0.35, 0.8]))
    assert metrics.score("log_loss", labels, probabilities) == pytest.approx(expected)
    assert metrics.score("macro_roc_auc", labels, probabilities) == 0.75
    assert metrics.score("amex", labels, probabilities) == metrics.amex(labels, probabilities[:, 1])


def test_macro_auc_is_the_mean_over_classes():
    labels = np.array([0, 1, 2, 0, 1, 2])
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], 6)
    each = [
        metrics.score("roc_auc", (labels == k).astype(int), np.stack([1 - probabilities[:, k], probabilities[:, k]], 1))
        for k in range(3)
    ]
    assert metrics.score("macro_roc_auc", labels, probabilities) == pytest.approx(np.mean(each))


def test_one_class_has_no_ranking():
    with pytest.raises(InvalidQuery, match="at least two classes, got class 1 only"):
        metrics.score("roc_auc", np.ones(3, int), np.full((3, 2), 0.5))
    with pytest.raises(InvalidQuery, match="unknown metric 'f1'"):
        metrics.score("f1", np.ones(3, int), np.full((3, 2), 0.5))


@given(
    st.sampled_from(["roc_auc", "macro_roc_auc", "accuracy", "log_loss", "amex"]),
    st.integers(30, 200),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_block_scores_are_the_scores_without_each_block(name, n, seed):
    rng = np.random.default_rng(seed)
    classes = 2 if name in ("roc_auc", "amex") else 3
    labels = rng.integers(0, classes, n)
    probabilities = rng.dirichlet(np.ones(classes), n).round(1) + 1e-3  # ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    blocks = rng.integers(0, metrics.BLOCKS, n)
    found = metrics.block_scores(name, labels, probabilities, blocks)
    for block in range(metrics.BLOCKS):
        kept = blocks != block
        if len(np.unique(labels[kept])) == classes:
            assert found[block] == pytest.approx(metrics.score(name, labels[kept], probabilities[kept]), abs=1e-12)


def test_a_block_with_all_of_a_class_has_no_score():
    labels = np.array([0, 0, 1, 1, 0, 0])
    blocks = np.array([0, 1, 2, 2, 3, 4])
    probabilities = np.linspace(0.1, 0.9, 6)[:, None] * [-1, 1] + [1, 0]
    for name in ("roc_auc", "macro_roc_auc", "log_loss"):
        found = metrics.block_scores(name, labels, probabilities, blocks)
        assert np.isnan(found[2])
        assert not np.isnan(np.delete(found, 2)).any()


def test_the_block_error_is_a_jackknife():
    """Of a mean of ten values it is their standard error, as the formula of the mean gives it."""
    values = np.random.default_rng(0).normal(size=10)
    without = (values.sum() - values) / 9
    assert metrics.block_error(without) == pytest.approx(values.std(ddof=1) / 10**0.5)
