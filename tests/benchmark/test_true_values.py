"""What a search is judged by: true values in each regime, the optimum, regret, the best architectures."""

import pickle

import numpy as np
import pytest

import nasbench_evs as nb
from nasbench_evs.benchmark import REGIMES, AutoBenchmark, SurrogateBenchmark, TableBenchmark
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery, NotRecorded
from nasbench_evs.metrics import metric, own_metric
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.spaces.subspaces import subspace
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.tables import merge
from nasbench_evs.testing.benchmark import BenchmarkContract
from tests.conftest import make_end_table, make_header, make_table

# Architectures of ranks 0 to 3: seeds 0 and 1 of all, two more of ranks 1 and 3.
RANKS = [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]
SEEDS = [0, 1, 0, 1, 7, 0, 1, 0, 1, 2]
VALID = np.array([0.5, 0.6, 0.7, 0.9, 0.95, 0.8, 0.6, 0.4, 0.2, 0.9])


def repeats(**changes):
    arguments = {"scores": VALID[:, None], "epochs": 1, **changes}
    return TableBenchmark(make_table(RANKS, SEEDS, **arguments))


def test_the_clean_objective_is_the_mean_over_all_recorded_seeds():
    bench = repeats()
    assert bench.common_seeds == 2
    assert bench.true_values(bench.pool) == pytest.approx([0.55, 0.85, 0.7, 0.5])
    assert np.array_equal(bench.true_values(bench.pool, seed=3), bench.true_values(bench.pool))  # no search decides it


@pytest.mark.parametrize("seed", range(5))
def test_no_search_is_judged_by_the_training_that_it_saw(seed):
    bench = repeats()
    scores = {(rank, s): value for rank, s, value in zip(RANKS, SEEDS, VALID, strict=True)}
    for regime, split in (("noisy", "valid"), ("transfer", "test")):
        values = bench.true_values(bench.pool, regime, seed)
        for architecture, value in zip(bench.space.architectures(bench.pool), values, strict=True):
            seen = bench.observed_seed(architecture, seed)
            assert bench.observe(architecture, seed=seed).value == pytest.approx(scores[architecture.rank, seen])
            others = [bench.query(architecture, seed=s, split=split).value for s in (0, 1) if s != seen]
            assert value == pytest.approx(np.mean(others))
            if split == "test":
                assert value != pytest.approx(np.mean([scores[architecture.rank, s] for s in (0, 1) if s != seen]))


def test_an_architecture_with_a_failed_training_among_its_common_seeds_has_no_true_value():
    status = ["ok", "diverged", "ok", "ok", "failed", "failed", "ok", "ok", "ok", "diverged"]
    scores = np.where(np.array(status) == "failed", np.nan, VALID)[:, None]
    bench = repeats(status=status, scores=scores)
    for regime in ("clean", "noisy", "transfer"):
        values = bench.true_values(bench.pool, regime)
        assert np.isnan(values).tolist() == [
            True,
            False,
            True,
            False,
        ]  # what is beyond the common seeds takes nothing away
        regret = bench.regret(bench.pool, regime)
        assert np.isnan(regret).tolist() == [True, False, True, False]
    assert [each.architecture.rank for each in bench.top(4)] == [1, 3]


@pytest.mark.parametrize("direction", ["accuracy", "log_loss"])
def test_optimum_regret_and_top(direction):
    bench = repeats(header=make_header(metric=metric(direction)))
    ranks = [1, 2, 0, 3] if direction == "accuracy" else [3, 0, 2, 1]
    assert [each.architecture.rank for each in bench.top(9)] == ranks
    optimum = bench.optimum()
    assert (optimum.architecture.rank, optimum.how) == (ranks[0], "exact")
    regret = bench.regret(bench.pool)
    assert regret.min() == regret[ranks[0]] == 0
    assert regret == pytest.approx(np.abs(bench.true_values(bench.pool) - optimum.value))
    for regime, shift in (("noisy", 0.0), ("transfer", 0.01)):  # made test scores are lower by that
        found = bench.top(4, regime)
        means = {0: 0.55, 1: 0.8, 2: 0.7, 3: 0.3}
        assert {each.architecture.rank: each.value for each in found} == pytest.approx(
            {rank: mean - shift for rank, mean in means.items()}, abs=1e-6
        )
        expected = bench.metric.sign * (bench.optimum(regime).value - bench.true_values(bench.pool, regime, 4))
        np.testing.assert_array_equal(bench.regret(bench.pool, regime, 4), expected)


@pytest.mark.parametrize("seeds", [SEEDS, [0, 9, 0, 9, 7, 0, 9, 0, 9, 2]])
def test_a_search_sees_one_of_the_seeds_that_all_have(seeds):
    """Seeds beyond them were given to the best: whoever saw those would see a luckier pool."""
    bench = TableBenchmark(make_table(RANKS, seeds, scores=VALID[:, None], epochs=1))
    common = set(range(bench.common_seeds))
    assert common == ({0, 1} if seeds is SEEDS else {0})
    drawn = np.array(
        [[bench.observed_seed(each, seed) for each in bench.space.architectures(bench.pool)] for seed in range(64)]
    )
    assert set(drawn.ravel().tolist()) == common
    if len(common) > 1:  # independently: taking turns would show all searches two pools
        assert len(np.unique(drawn, axis=0)) > 12  # of 16


def test_without_common_seeds_a_search_sees_what_is_recorded():
    bench = TableBenchmark(make_table([0, 0, 1], [3, 5, 1]))
    assert bench.common_seeds == 0
    drawn = {bench.observed_seed(bench.space.unrank(0), seed) for seed in range(20)}
    assert drawn == {3, 5}
    assert {bench.observed_seed(bench.space.unrank(1), seed) for seed in range(20)} == {1}
    unnamed = TableBenchmark(make_table([0, 1], -1))
    assert unnamed.observed_seed(unnamed.space.unrank(0), 3) is None
    assert unnamed.observe_many(unnamed.pool, seed=3)[0].tolist() == unnamed.query_many(unnamed.pool).value.tolist()


class OneSeed:
    """Every architecture with seed 0, two with another: no trainings that all have judge."""

    def __init__(self):
        self.table = make_table([0, 0, 1, 2, 3], [0, 1, 0, 0, 0], scores=[[0.9], [0.7], [0.6], [np.nan], [0.8]], epochs=1,
                                status=["ok", "ok", "ok", "failed", "ok"])  # fmt: skip
        self.space = self.table.header.space
        self.asked = []

    def out_of_fold(self, choices, split):
        """As a surrogate's."""
        self.asked.append(split)
        values = {"valid": [0.71, 0.62, 0.4, 0.78], "test": [0.5, 0.55, 0.4, 0.52]}[split]
        return np.array(values)[self.space.rank_many(choices).astype(int)]


def test_one_seed_judges_nobody():
    made = OneSeed()
    bench = TableBenchmark(made.table)
    assert bench.common_seeds == 1
    for ask in (bench.true_values, bench.regret):
        with pytest.raises(NotRecorded, match="no true values for the noisy regime: .*use regime 'clean'"):
            ask(bench.pool, "noisy")
    with pytest.raises(NotRecorded, match="transfer"):
        bench.optimum("transfer")


@pytest.mark.parametrize(
    ("regime", "values"), [("noisy", [0.71, 0.62, np.nan, 0.78]), ("transfer", [0.5, 0.55, np.nan, 0.52])]
)
def test_models_that_did_not_see_an_architecture_judge_where_trainings_cannot(regime, values):
    made = OneSeed()
    bench = TableBenchmark(made.table, made)
    for seed in (0, 1):
        np.testing.assert_array_equal(bench.true_values(bench.pool, regime, seed), values)  # what failed has no value
    best = bench.optimum(regime)
    assert (best.value, best.how) == (np.nanmax(values), "exact")
    np.testing.assert_array_equal(bench.regret(bench.pool, regime), np.nanmax(values) - np.array(values))
    assert bench.true_values(bench.pool)[:2] == pytest.approx([0.8, 0.6])
    assert set(made.asked) == {"valid" if regime == "noisy" else "test"}  # not for the clean regime
    part = made.space.restrict({made.space.choices[-1].name: made.space.choices[-1].options[:2]})
    view = bench.view(part)
    lifted = part.to_parent(view.pool)
    np.testing.assert_array_equal(view.true_values(view.pool, regime), bench.true_values(lifted, regime))
    back = pickle.loads(pickle.dumps(bench))
    np.testing.assert_array_equal(back.true_values(bench.pool, regime), values)


def test_two_seeds_need_no_judge():
    class Nobody:
        space = make_header().space

        def out_of_fold(self, choices, split):
            raise AssertionError("trainings judge")

    table = make_table(RANKS, SEEDS, scores=VALID[:, None], epochs=1)
    with_judge, without = TableBenchmark(table, Nobody()), TableBenchmark(table)
    for regime in REGIMES:
        assert np.array_equal(
            with_judge.true_values(table["choices"], regime), without.true_values(table["choices"], regime)
        )


@pytest.mark.parametrize("noise", [True, False])
def test_what_has_no_true_value_has_none_in_a_clean_search(noise):
    status = ["ok", "failed", *["ok"] * 8]
    bench = repeats(status=status, scores=np.where(np.array(status) == "failed", np.nan, VALID)[:, None])
    values, seconds = bench.observe_many(bench.pool, noise=noise, seed=0)
    assert not np.isnan(seconds).any()
    one = [bench.observe(each, noise=noise, seed=0).value for each in bench.space.architectures(bench.pool)]
    np.testing.assert_array_equal(values, one)
    if not noise:
        np.testing.assert_array_equal(values, bench.true_values(bench.pool))
        assert np.isnan(values).tolist() == [True, False, False, False]
        assert np.isnan(bench.observe_many(bench.pool, noise=False, epoch=1)[0]).tolist() == np.isnan(values).tolist()
    assert bench.query(bench.space.unrank(0)).value == pytest.approx(0.5)  # a query tells what there is


def test_teachers_judge_nobody():
    taught = make_table([1, 4], [2, 0], scores=[[0.99], [0.99]], epochs=1, distilled=1)
    plain = make_table(RANKS, SEEDS, scores=VALID[:, None], epochs=1)
    bench, other = TableBenchmark(merge([plain, taught])), TableBenchmark(plain)
    assert bench.common_seeds == 2
    assert bench.top(9) == other.top(9)
    assert np.array_equal(bench.true_values(other.pool, "noisy", 1), other.true_values(other.pool, "noisy", 1))
    with pytest.raises(NotRecorded, match="no training without teachers"):
        bench.true_values([bench.space.unrank(4)])


def test_a_table_without_test_scores_has_no_transfer():
    table = make_table(RANKS, SEEDS, scores=VALID[:, None], epochs=1)
    columns = {name: column for name, column in table.columns.items() if name != "test_curve"}
    columns["test_curve"] = np.full_like(table["test_curve"], np.nan)
    bench = TableBenchmark(type(table)(table.header, columns, table.hardware))
    assert len(bench.true_values(bench.pool, "noisy")) == 4
    with pytest.raises(NotRecorded, match="no test scores"):
        bench.true_values(bench.pool, "transfer")


def test_scores_at_the_end():
    bench = TableBenchmark(make_end_table(range(9), failing=[4]))
    values = bench.true_values(bench.pool)
    assert np.isnan(values).tolist() == [rank == 4 for rank in range(9)]


def test_a_view_has_the_common_seeds_of_its_own_architectures():
    whole = TableBenchmark(make_table([0, 0, 1, 1, 8], [0, 1, 0, 1, 0]))
    name = whole.space.choices[0].name
    first = whole.space.unrank(0)[name]
    assert whole.common_seeds == 1
    assert whole.space.unrank(8)[name] != first == whole.space.unrank(1)[name]
    assert whole.view(whole.space.restrict({name: [first]})).common_seeds == 2


@pytest.fixture(scope="module")
def surrogate(seqnas_table):
    return SurrogateBenchmark(Surrogate.fit(seqnas_table, folds=2))


class TestPredictions:
    def test_a_surrogate_is_judged_by_its_means_and_never_by_the_noise_it_showed(self, surrogate):
        choices = surrogate.space.sample_many(5, 0)
        for regime, split in (("clean", "valid"), ("noisy", "valid"), ("transfer", "test")):
            values = surrogate.true_values(choices, regime, seed=3)
            assert np.array_equal(values, surrogate.query_many(choices, split=split).value)
            assert not (values == surrogate.observe_many(choices, seed=3)[0]).any()
        with pytest.raises(NotRecorded, match="nothing is recorded in .*: predict many and sort"):
            surrogate.top(1)
        with pytest.raises(
            NotRecorded, match="no reference value for the clean regime .*nasbench-evs surrogate reference"
        ):
            surrogate.optimum()

    def test_a_small_view_of_a_surrogate_has_an_exact_optimum(self, surrogate):
        view = surrogate.view(subspace("seqnas-s", surrogate.space))
        everything = view.space.unrank_many(np.arange(view.space.size))
        for regime in REGIMES:
            best = view.optimum(regime)
            assert (best.value, best.how) == (view.true_values(everything, regime).max(), "exact")
            assert view.regret(everything, regime).min() == 0 == view.regret([best.architecture], regime)

    def test_recorded_or_predicted(self, surrogate, seqnas_table):
        table = TableBenchmark(seqnas_table)
        bench = AutoBenchmark(table, surrogate)
        choices = np.concatenate([bench.space.sample_many(5, 0), table.pool[:5]])
        values = bench.true_values(choices)
        assert np.array_equal(values[5:], table.true_values(table.pool[:5]), equal_nan=True)
        recorded = table.holds(choices[:5], False)
        assert np.array_equal(values[:5][~recorded], surrogate.true_values(choices[:5][~recorded]))
        assert bench.top(5) == table.top(5)
        assert bench.optimum() == (*table.optimum()[:2], "best known")
        for regime, split in (("noisy", "valid"), ("transfer", "test")):  # one judge for all: not all are recorded
            values = bench.true_values(choices, regime)
            assert np.array_equal(values[5:], surrogate.surrogate.out_of_fold(table.pool[:5], split))
            assert np.array_equal(values[:5][~recorded], surrogate.true_values(choices[:5][~recorded], regime))
            held = surrogate.surrogate.out_of_fold(table.pool, split)
            assert bench.optimum(regime)[1:] == (held.max(), "best known")


def test_an_exhaustive_table_is_exact_whatever_stands_beside_it():
    table = TableBenchmark(make_table(np.repeat(range(9), 3), np.tile(range(3), 9)))
    bench = AutoBenchmark(table, SurrogateBenchmark(Surrogate.fit(table.table, folds=2)))
    assert bench.optimum() == table.optimum()
    assert bench.optimum().how == "exact"
    for regime in REGIMES:
        found = bench.true_values(table.pool, regime, 1)
        assert np.array_equal(found, table.true_values(table.pool, regime, 1))
        assert bench.top(4, regime) == table.top(4, regime)


SPACE = SearchSpace.from_choices({"width": [8, 16, 32], "depth": [1, 2, 3, 4, 5, 6, 7, 8]})


class Own(nb.Benchmark):
    """As the docstring of Benchmark says that one of one's own is made."""

    space, dataset, metric = SPACE, "made", own_metric("cost", "min", 0.0)

    def _query(self, architecture, question):
        self.space.stack([architecture])
        if question.epoch is not None:
            raise NotRecorded("no epochs")
        return nb.Score.of(architecture["width"] * architecture["depth"], self.metric, question, source="function")


class TestOwn(BenchmarkContract):
    @pytest.fixture
    def bench(self):
        return Own()

    def test_defaults(self, bench):
        architecture = bench.space.unrank(3)
        assert (bench.epochs, bench.pool, bench.lookup, bench.seeds(architecture)) == (0, None, False, ())
        assert bench.observe(architecture, seed=9).value == bench.query(architecture).value
        with pytest.raises(NotRecorded, match="costs .* unknown"):
            bench.costs([architecture], "params")
        with pytest.raises(InvalidQuery, match="unknown cost"):
            bench.costs([architecture], "memory")
        with pytest.raises(NotRecorded, match="no true values for the noisy regime"):
            bench.true_values([architecture], "noisy")
        result = nb.search.run("evolution", bench, budget=24, population=5, tournament=2)
        assert result.best.value == 8
        with pytest.raises(NotRecorded, match="costs .* unknown"):
            nb.search.run("random", bench, budget=3, constraint={"params": 3})

    def test_an_architecture_of_another_space_is_refused_by_true_values(self, bench):
        other = SearchSpace.from_choices({"a": [1, 2]}).unrank(0)
        with pytest.raises(InvalidArchitecture, match="custom"):
            bench.true_values([other])


def test_a_lookup_is_promised_anew():
    class Slow(TableBenchmark):
        pass

    class Quick(TableBenchmark):
        lookup = True

    assert (TableBenchmark.lookup, Slow.lookup, Quick.lookup) == (True, False, True)
