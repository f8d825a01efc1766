"""REINFORCE: when it learns, what it asks for on a pool, and that it finds more than chance."""

import numpy as np
import pytest

from nasbench_evs import spaces
from nasbench_evs.search import Domain
from nasbench_evs.search.pnasm import PNASM
from nasbench_evs.search.random import RandomSearch
from nasbench_evs.search.reinforce import Reinforce
from tests.search.driving import drive, score

SPACE = spaces.SeqNASSpace()


def test_batches():
    start = Reinforce(SPACE, 0, batch=10).controller.log_probabilities(SPACE.sample_many(5, 0))
    searcher = Reinforce(SPACE, 0, batch=10)
    drive(searcher, 9)
    assert np.array_equal(searcher.controller.log_probabilities(SPACE.sample_many(5, 0)), start)
    drive(searcher, 1)
    assert not np.array_equal(searcher.controller.log_probabilities(SPACE.sample_many(5, 0)), start)


@pytest.mark.parametrize("batch", [1, 10])
def test_on_a_pool_it_asks_for_what_it_drew(batch):
    pool = np.unique(SPACE.sample_many(80, 0), axis=0)
    searcher = Reinforce(Domain(SPACE, pool=pool), 0, batch=batch)
    drawn, sample = set(), searcher.controller.sample

    def kept(*arguments):
        draws = sample(*arguments)
        drawn.update(row.tobytes() for row in draws.choices)
        return draws

    searcher.controller.sample = kept
    asked = drive(searcher, len(pool))
    assert {architecture.key for architecture in asked} == drawn == {row.tobytes() for row in pool}
    assert searcher.ask(1) == []


def test_it_learns_from_the_probabilities_that_it_drew_with():
    """A pool with one architecture left: no decision was free, so nothing can be learnt of it."""
    pool = np.unique(SPACE.sample_many(12, 0), axis=0)[:8]
    searcher = Reinforce(Domain(SPACE, pool=pool), 0)
    drive(searcher, 7)
    (last,) = searcher.ask(1)
    draws = searcher._draws(SPACE.stack([last]))
    assert searcher.controller.log_probabilities(*draws) == pytest.approx([0.0], abs=1e-9)


def test_a_few_heavy_outliers_do_no_harm():
    """One of twenty scores is a failure by orders of magnitude: the policy is about as good as without."""

    def late(outliers):
        rng = np.random.default_rng(0)
        asked = drive(Reinforce(SPACE, 0), 300, lambda each: -1e6 if outliers and rng.random() < 0.05 else score(each))
        return np.mean([score(each) for each in asked[:50]]), np.mean([score(each) for each in asked[-50:]])

    (start, clean), (_, dirty) = late(False), late(True)
    assert clean > start + 0.03
    assert dirty - start > 0.6 * (clean - start)


@pytest.mark.slow
@pytest.mark.parametrize(("cls", "parameters"), [(Reinforce, {}), (PNASM, {"initial": 30})])
def test_a_controller_on_a_pool_of_500_beats_random_search(cls, parameters):
    rng = np.random.default_rng(0)
    pool = rng.permutation(np.unique(SPACE.sample_many(1_000, 0, "uniform"), axis=0))[:500]
    weights = rng.normal(size=SPACE.avec_bits)
    domain = Domain(SPACE, pool=pool)
    ordered = np.sort(SPACE.encode_many(domain.pool) @ weights)

    def place(cls, seed, **parameters):
        """How many of the pool are better than the best that was found in 100 evaluations."""
        searcher = cls(domain, seed, **parameters)
        best = max(weights @ each.avec for each in drive(searcher, 100, lambda each: float(weights @ each.avec)))
        return int((ordered > best).sum())

    found, random = (
        [place(*each, **more) for each in seeds]
        for seeds, more in (
            ([(cls, seed) for seed in range(12)], parameters),
            ([(RandomSearch, seed) for seed in range(12)], {}),
        )
    )
    assert np.mean(found) < 0.6 * np.mean(random)
