import numpy as np
import pytest

from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.tables.noise import seed_noise
from tests.conftest import make_header, make_table


@pytest.mark.parametrize(("between", "std"), [(0.02, 0.005), (0.01, 0.01), (0.0, 0.01)])
def test_the_shares_of_architecture_and_chance_are_found(between, std):
    space = SeqNASSpace()
    generator = np.random.default_rng(0)
    ranks = space.rank_many(np.unique(space.sample_many(2000, 0), axis=0)[:800])
    seeds = np.tile([0, 1, 2], 800)
    truth = np.repeat(generator.normal(0.7, between, 800), 3) if between else np.full(2400, 0.7)
    scores = (truth + generator.normal(0, std, 2400))[:, None].repeat(3, axis=1)
    table = make_table(np.repeat(ranks, 3), seeds, scores=scores, header=make_header(space, protocol={"epochs": 3}))
    noise = seed_noise(table)
    assert noise.architectures == 800
    assert noise.std == pytest.approx(std, rel=0.05)
    assert noise.between == pytest.approx(between, rel=0.1, abs=0.002)
    share = between**2 / (between**2 + std**2)
    assert noise.share == pytest.approx(share, abs=0.05)
    assert noise.correlation == pytest.approx(share, abs=0.08)


def test_what_a_searcher_chose_and_what_has_teachers_does_not_count():
    table = make_table(
        [0, 0, 1, 1, 2, 2, 3, 3, 4, 4],
        [0, 1] * 5,
        scores=np.random.default_rng(0).uniform(0.6, 0.7, (10, 3)),
        sampler=["random"] * 6 + ["bananas"] * 2 + ["random"] * 2,
        distilled=[0] * 8 + [1] * 2,
    )
    assert seed_noise(table).architectures == 3


def test_too_few_repeats_say_nothing(small_table):
    noise = seed_noise(small_table)
    assert noise.architectures == 1
    assert np.isnan([noise.std, noise.share, noise.correlation, noise.between]).all()
