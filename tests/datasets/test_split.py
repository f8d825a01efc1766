"""Splits and subsets: shares, strata, groups, and that they never change."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_evs.datasets.split import split, stable_hash, subset


def test_hashes_never_change():
    """Splits of every prepared dataset depend on these."""
    assert stable_hash(np.array(["a", "b"]), "split 0").tolist() == [2608433173963492917, 2823446150332697677]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(200, 800), share=st.floats(0.05, 0.95))
def test_shares_hold_in_every_class(seed, n, share):
    generator = np.random.default_rng(seed)
    labels = (generator.random(n) < share).astype(int)
    ids = np.array([f"id{i}" for i in generator.permutation(n)])
    side = split(labels, ids, seed)
    for label in np.unique(labels):
        members = side[labels == label]
        if len(members) >= 5:
            assert np.abs(np.bincount(members, minlength=3) - np.array([0.6, 0.2, 0.2]) * len(members)).max() <= 1


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), owners=st.integers(50, 300))
def test_no_group_is_on_two_sides(seed, owners):
    generator = np.random.default_rng(seed)
    groups = generator.integers(owners, size=owners * 2).astype(str)
    labels = generator.integers(3, size=len(groups))
    side = split(labels, groups, 0)
    for group in np.unique(groups):
        assert len(np.unique(side[groups == group])) == 1
    assert np.abs(np.bincount(side, minlength=3) / len(side) - [0.6, 0.2, 0.2]).max() < 0.12


def test_the_order_of_sequences_does_not_matter_and_the_seed_does():
    ids = np.array([f"id{i}" for i in range(300)])
    labels = np.arange(300) % 2
    side = split(labels, ids)
    shuffled = np.random.default_rng(0).permutation(300)
    assert np.array_equal(split(labels[shuffled], ids[shuffled]), side[shuffled])
    assert not np.array_equal(split(labels, ids, seed=1), side)


def test_a_smaller_subset_is_part_of_a_larger_one():
    ids = np.array([f"id{i}" for i in range(100)])
    small, large = subset(ids, 10), subset(ids, 50)
    assert set(small) <= set(large)
    assert (np.diff(small) > 0).all()
