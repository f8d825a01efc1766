"""What may be asked for: pools, constraints, and the rule of the nearest architecture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_evs import spaces
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.search import Domain

SPACE = spaces.SeqNASSpace()
POOL = np.unique(SPACE.sample_many(200, 0), axis=0)


def active(choices, name):
    return (choices >= 0).sum(axis=1)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_nearest_is_nearest(seed):
    domain, rng = Domain(SPACE, pool=POOL), np.random.default_rng(seed)
    row = SPACE.sample_many(1, rng)[0]
    distances = (domain.pool != row).sum(axis=1)
    assert distances[domain.nearest(row, rng)] == distances.min()
    skip = rng.random(len(POOL)) < 0.9
    at = domain.nearest(row, rng, skip=skip)
    assert not skip[at] or skip.all()
    assert skip.all() or distances[at] == distances[~skip].min()
    own = domain.pool[at]
    assert domain.nearest(own, rng) == at
    assert domain.nearest(own, rng, without=own) != at


def test_ties_are_broken_at_random():
    space = spaces.SearchSpace.from_choices({"a": [0, 1, 2], "b": [0, 1, 2]})
    domain = Domain(space, pool=np.array([[0, 1], [1, 0], [2, 2]], np.int8))
    rng = np.random.default_rng(0)
    assert {domain.nearest(np.array([0, 0], np.int8), rng) for _ in range(50)} == {0, 1}


@pytest.mark.parametrize("pool", [None, POOL])
def test_everything_keeps_the_limits(pool):
    rng = np.random.default_rng(1)
    domain = Domain(SPACE, pool=pool, limits={"params": 18}, costs=active)
    rows = domain.sample_many(50, rng)
    for found in (rows, domain.mutate_many(rows, rng), domain.neighbors_many(rows[:1], rng)[0]):
        assert domain.feasible(found).all()
        assert SPACE.check(found) is not None
        if pool is not None:
            assert {r.tobytes() for r in found} <= {r.tobytes() for r in POOL}
    assert not domain.feasible(domain.relaxed.sample_many(200, rng)).all()


def test_neighbors_of_an_exhaustive_space_are_its_neighbors():
    space = spaces.FFNSpace(2)
    row = space.stack([space.parse("32-64")])[0]
    expected = {r.tobytes() for r in space.neighbors_many(row[None])[0]}
    assert {r.tobytes() for r in Domain(space).neighbors_many(row[None])[0]} == expected


def test_mutations_on_a_pool_move():
    domain, rng = Domain(SPACE, pool=POOL), np.random.default_rng(0)
    rows = domain.sample_many(40, rng)
    assert (domain.mutate_many(rows, rng) != rows).any(axis=1).all()


def test_sizes():
    assert Domain(SPACE).size == SPACE.size
    assert Domain(SPACE, pool=POOL).size == len(POOL)
    assert Domain(SPACE, limits={"params": 18}, costs=active).size is None
    assert Domain(spaces.FFNSpace(2), limits={"params": 1}, costs=lambda c, n: c[:, 0]).size == 40


def test_impossible_limits():
    with pytest.raises(InvalidQuery, match="no architecture with params <= 0 was found: allow more"):
        Domain(SPACE, pool=POOL, limits={"params": 0}, costs=active)
    with pytest.raises(InvalidQuery, match="no architecture with params <= 0"):
        Domain(SPACE, limits={"params": 0}, costs=active).sample_many(1, np.random.default_rng(0))
