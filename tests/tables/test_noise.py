import numpy as np
import pytest

from nasbench_evs.benchmark import TableBenchmark
from nasbench_evs.metrics import metric
from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.tables.noise import seed_noise, split_agreement
from tests.conftest import make_end_table, make_header, make_table


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


def test_extra_seeds_of_good_architectures_do_not_count():
    """They were given to the best by their scores; those of the frozen list were not chosen."""
    ranks, seeds = [0, 0, 1, 1, 2, 2, 3, 3, 0, 0], [0, 1] * 4 + [2, 3]
    table = make_end_table(ranks, seeds, sampler=["seqnas-s"] * 8 + ["repeat"] * 2)
    assert seed_noise(table).architectures == 4
    assert seed_noise(table) == seed_noise(table.select(table["sampler"] == b"seqnas-s"))
    assert not np.isnan(seed_noise(table, "test").std)


def test_what_failed_has_no_score_to_anyone():
    """A training that broke after an epoch has a curve; its score is no score of the architecture."""
    ranks, seeds = np.repeat(range(60), 3), [0, 1, 2] * 60
    generator = np.random.default_rng(0)
    good = (generator.normal(0.8, 0.02, 60)[np.repeat(range(60), 3)] + generator.normal(0, 0.004, 180))[:, None]
    broken = np.array(seeds) == 2
    scores = np.where(broken[:, None], 0.1, good).repeat(3, axis=1)
    table = make_table(
        ranks, seeds, scores=scores, status=np.where(broken, "failed", "ok"), header=make_header(SeqNASSpace()),
        sampler="exhaustive",
    )  # fmt: skip
    whole = table.select(table["status"] == b"ok")
    assert seed_noise(table) == seed_noise(whole)
    assert seed_noise(table).std == pytest.approx(0.004, rel=0.3)
    assert split_agreement(table) == split_agreement(whole)
    bench = TableBenchmark(table)
    assert np.array_equal(bench.query_many(bench.pool).value, TableBenchmark(whole).query_many(bench.pool).value)
    assert np.isnan(bench.query_many(bench.pool, seed=2, epoch=1).value).all()


def test_too_few_repeats_say_nothing(small_table):
    noise = seed_noise(small_table)
    assert np.isnan(split_agreement(small_table)[1::2]).all()
    assert noise.architectures == 1
    assert np.isnan([noise.std, noise.share, noise.correlation, noise.between]).all()


@pytest.mark.parametrize("name", ["roc_auc", "log_loss"])
def test_how_far_the_splits_agree(name):
    space = SeqNASSpace()
    generator = np.random.default_rng(0)
    ranks = np.unique(space.rank_many(space.sample_many(2000, 0)))[:1000]
    truth = generator.normal(0.7, 0.02, 1000)

    def agreement(test):
        header = make_header(space, protocol={"epochs": 1}, metric=metric(name))
        table = make_table(ranks, scores=truth[:, None], test_curve=test[:, None], header=header, epochs=1)
        return split_agreement(table)

    same, none = agreement(truth), agreement(generator.permutation(truth))
    assert (same.architectures, same.leading) == (1000, 250)
    assert same.tau == same.leading_tau == pytest.approx(1)
    assert abs(none.tau) < 0.1
    assert abs(none.leading_tau) < 0.2
    noisy = agreement(truth + generator.normal(0, 0.01, 1000))
    assert 0 < noisy.leading_tau < noisy.tau < 1  # the good ones are closer to each other than to the rest
