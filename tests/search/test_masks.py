"""The prefix tree: which options lead to a row of the pool that is not skipped."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_evs import spaces
from nasbench_evs.search.masks import PrefixTree

CONDITIONAL = spaces.SearchSpace.from_choices(
    {"op": ["conv", "attention", "none"], "heads": [1, 2, 4], "kernel": [3, 5], "norm": [False, True]},
    {"heads": {"op": ["attention"]}, "kernel": {"op": ["conv"]}},
)


def tree(space, pool):
    return PrefixTree(pool, [len(choice.options) for choice in space.choices])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_options_are_those_of_the_rows_that_are_left(seed):
    rng = np.random.default_rng(seed)
    space = (CONDITIONAL, spaces.SeqNASSpace())[seed % 2]
    pool = np.unique(space.sample_many(40, rng), axis=0)
    skip = rng.random(len(pool)) < 0.5
    skip[rng.integers(len(pool))] = False
    walk, n = tree(space, pool).walk(8, skip), 8
    choices = np.full((n, pool.shape[1]), -1, np.int8)
    for column in range(pool.shape[1]):
        draws = np.flatnonzero(space.is_active(column, choices))
        if not len(draws):
            continue
        allowed = walk.allowed(column, draws)
        for draw, options in zip(draws, allowed, strict=True):
            rows = pool[~skip & (pool[:, :column] == choices[draw, :column]).all(axis=1)]
            assert set(np.flatnonzero(options)) == set(rows[:, column])
        options = np.array([rng.choice(np.flatnonzero(each)) for each in allowed])
        walk.take(draws, options)
        choices[draws, column] = options
    assert np.array_equal(pool[walk.first], choices)
    assert not skip[walk.first].any()


@pytest.mark.slow
def test_large_pools_take_milliseconds():
    import time

    space = spaces.SeqNASSpace()
    pool = np.unique(space.sample_many(60_000, 0, "uniform"), axis=0)
    started = time.perf_counter()
    made = tree(space, pool)
    assert time.perf_counter() - started < 1
    walk, rng = made.walk(2_000), np.random.default_rng(0)
    choices = np.full((2_000, pool.shape[1]), -1, np.int8)
    started = time.perf_counter()
    for column in range(pool.shape[1]):
        draws = np.flatnonzero(space.is_active(column, choices))
        allowed = walk.allowed(column, draws)
        options = (rng.random(allowed.shape) * allowed).argmax(axis=1)
        walk.take(draws, options)
        choices[draws, column] = options
    assert time.perf_counter() - started < 2
