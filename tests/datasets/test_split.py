"""Splits and subsets: shares, strata, groups, and that they never change."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_evs.datasets.split import split, stable_hash, subset


def test_hashes_never_change():
    """Splits of every prepared dataset depend on these."""
    assert stable_hash(np.array(["a", "b"]), "split 0").tolist() == [2608433173963492917, 2823446150332697677]


SHARES = st.lists(st.integers(2, 10), min_size=3, max_size=3).map(lambda parts: tuple(p / sum(parts) for p in parts))
SHARES |= st.sampled_from([(0.6, 0.2, 0.2), (0.4, 0.3, 0.3), (0.8, 0.1, 0.1)])


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(200, 800), share=st.floats(0.05, 0.95), shares=SHARES)
def test_shares_hold_in_every_class(seed, n, share, shares):
    generator = np.random.default_rng(seed)
    labels = (generator.random(n) < share).astype(int)
    ids = np.array([f"id{i}" for i in generator.permutation(n)])
    side = split(labels, ids, seed, shares)
    for label in np.unique(labels):
        members = side[labels == label]
        if len(members) >= 5:
            assert np.abs(np.bincount(members, minlength=3) - np.array(shares) * len(members)).max() <= 1


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), owners=st.integers(50, 300), shares=SHARES)
def test_no_group_is_on_two_sides(seed, owners, shares):
    generator = np.random.default_rng(seed)
    groups = generator.integers(owners, size=owners * 2).astype(str)
    labels = generator.integers(3, size=len(groups))
    side = split(labels, groups, 0, shares)
    for group in np.unique(groups):
        assert len(np.unique(side[groups == group])) == 1
    assert np.abs(np.bincount(side, minlength=3) / len(side) - shares).max() < 0.12


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(100, 400), shares=SHARES)
def test_a_larger_training_share_holds_the_smaller_one(seed, n, shares):
    """Sequences are ordered by their hashes alone and cut: other shares move the cuts."""
    ids = np.array([f"id{i}" for i in range(n)])
    labels = np.random.default_rng(seed).integers(2, size=n)
    first, second, third = shares
    smaller = split(labels, ids, seed, (first / 2, second + first / 2, third)) == 0
    assert (split(labels, ids, seed, shares)[smaller] == 0).all()


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
