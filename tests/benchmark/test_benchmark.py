"""load() and query: what comes from where, and what each answer says."""

import pickle

import numpy as np
import pytest

import nasbench_evs as nb
from nasbench_evs.benchmark import AutoBenchmark, SurrogateBenchmark, TableBenchmark, answers
from nasbench_evs.errors import InvalidQuery, NotRecorded, SurrogateError, UnknownBenchmark
from nasbench_evs.metrics import metric
from nasbench_evs.spaces import Cost
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.tables import Table, build, merge, write
from nasbench_evs.testing.benchmark import BenchmarkContract
from tests.conftest import SHAPE, make_header, make_table, with_protocol


@pytest.fixture(scope="module")
def surrogate(seqnas_table):
    return Surrogate.fit(seqnas_table, folds=2)


class TestTableBenchmark(BenchmarkContract):
    @pytest.fixture
    def bench(self, seqnas_table):
        return TableBenchmark(seqnas_table)

    def known(self, bench):
        return bench.space.architectures(bench.pool[:20])

    def test_costs_are_unknown_without_widths(self, bench):
        with pytest.raises(NotRecorded, match="names no widths"):
            bench.cost(self.known(bench)[0])


class TestSurrogateBenchmark(BenchmarkContract):
    @pytest.fixture
    def bench(self, surrogate):
        return SurrogateBenchmark(surrogate)

    def test_a_seed_is_a_repeatable_draw_from_the_noise(self, bench):
        architectures = self.known(bench)
        mean = bench.query_many(architectures)
        drawn = bench.query_many(architectures, seed=7)
        assert np.array_equal(drawn.value, bench.query_many(architectures[::-1], seed=7).value[::-1])
        assert [bench.query(a, seed=7).value for a in architectures] == drawn.value.tolist()
        assert (drawn.value != mean.value).all()
        assert (drawn.value != bench.query_many(architectures, seed=8).value).all()
        deviations = (bench.query_many([architectures[0]] * 1, seed=s).value[0] for s in range(300))
        spread = np.std([d - mean.value[0] for d in deviations])
        assert spread == pytest.approx(mean.noise_std[0], rel=0.2)

    def test_seeds_are_not_recorded(self, bench):
        with pytest.raises(NotRecorded, match="records no seeds"):
            bench.seeds(self.known(bench)[0])


class TestAutoBenchmark(BenchmarkContract):
    @pytest.fixture
    def bench(self, seqnas_table, surrogate):
        return AutoBenchmark(TableBenchmark(seqnas_table), SurrogateBenchmark(surrogate))

    def known(self, bench):
        recorded = bench.space.architectures(bench.recorded.pool[:10])
        return [*super().known(bench)[:10], *recorded]

    def test_the_table_answers_where_it_can(self, bench):
        architectures = self.known(bench)
        scores = bench.query_many(architectures)
        assert scores.source[10:].tolist() == ["table"] * 10
        assert "surrogate" in scores.source[:10]
        for architecture, source in zip(architectures, scores.source, strict=True):
            assert bench.query(architecture).source == source
        assert bench.query_many(architectures[10:]).source.tolist() == ["table"] * 10


class TestRepeats:
    """Means, standard errors and single seeds, by hand."""

    @pytest.fixture
    def bench(self):
        scores = np.array([[0.5, 0.6], [0.7, 0.9], [0.8, 0.7], [0.9, 1.0]])
        return TableBenchmark(make_table([0, 2, 2, 2], [0, 0, 1, 5], scores=scores, epochs=2))

    def test_the_mean_over_seeds_with_its_standard_error(self, bench):
        score = bench.query(bench.space.unrank(2))
        best = np.float32([0.9, 0.8, 1.0]).astype(float)
        assert score.value == pytest.approx(best.mean())
        assert score.noise_std == pytest.approx(best.std(ddof=1))
        assert score.standard_error == pytest.approx(best.std(ddof=1) / np.sqrt(3))
        assert (score.trainings, score.epoch, score.seconds, score.source) == (3, None, 1.0, "table")
        single = bench.query(bench.space.unrank(0))
        assert single.trainings == 1
        assert np.isnan([score.epistemic_std, single.standard_error, single.epistemic_std]).all()
        assert np.isnan(single.noise_std)

    def test_one_epoch(self, bench):
        score = bench.query(bench.space.unrank(2), epoch=1, split="test")
        assert score.value == pytest.approx(np.mean([0.69, 0.79, 0.89]), abs=1e-6)
        assert (score.epoch, score.seconds) == (1, 0.5)

    def test_one_seed_is_exactly_that_training_or_an_error(self, bench):
        architecture = bench.space.unrank(2)
        assert bench.seeds(architecture) == (0, 1, 5)
        assert bench.query(architecture, seed=5).value == pytest.approx(1.0)
        with pytest.raises(NotRecorded, match="seed 2 .*recorded seeds are 0, 1, 5"):
            bench.query(architecture, seed=2)
        with pytest.raises(NotRecorded, match="seed 5"):
            bench.query_many([architecture, bench.space.unrank(0)], seed=5)

    def test_every_record_of_an_architecture(self, bench):
        records = bench.records(bench.space.unrank(2))
        assert records.seed.tolist() == [0, 1, 5]
        assert "valid_curve.2" in records

    def test_not_recorded(self, bench):
        with pytest.raises(NotRecorded, match=r"2-4 is not recorded in the table of made: fit a surrogate|2-3"):
            bench.query(bench.space.unrank(1))
        with pytest.raises(NotRecorded, match=r"\(2 of 3 asked for\)"):
            bench.query_many([bench.space.unrank(r) for r in (0, 1, 3)])


def test_trainings_that_diverged_or_failed():
    scores = np.array([[0.8, np.nan], [0.6, 0.7], [np.nan, np.nan], [0.9, 0.9]])
    table = make_table(
        [0, 0, 1, 2], [0, 1, 0, 0], scores=scores, status=["diverged", "ok", "diverged", "failed"], epochs=2
    )
    bench = TableBenchmark(table)
    both = bench.query(bench.space.unrank(0))
    assert both.value == pytest.approx(0.75)
    for rank in (1, 2):
        score = bench.query(bench.space.unrank(rank))
        assert np.isnan(score.value)
        assert score.trainings == 0


def test_seconds_are_those_of_the_trainings_that_count():
    table = make_table([0, 0], [0, 1], epochs=1, status=["ok", "failed"], scores=[[0.7], [np.nan]])
    score = TableBenchmark(table).query(table.header.space.unrank(0))
    assert (score.trainings, score.seconds) == (1, 0.5)


def test_a_valid_question_does_not_make_an_invalid_one_valid():
    """True == 1 == 1.0 as keys of a dict: what is kept for the one must not answer the other."""
    bench = TableBenchmark(make_table([0, 0], [0, 1]))
    architecture = bench.space.unrank(0)
    bench.query(architecture, epoch=1, seed=1)
    bench.query(architecture, epoch=1)
    for arguments in (
        {"epoch": True},
        {"epoch": 1.0},
        {"seed": True},
        {"seed": 1.0},
        {"seed": [1]},
        {"split": ["valid"]},
    ):
        with pytest.raises(InvalidQuery):
            bench.query(architecture, **arguments)
    for distilled in (None, "no", 1):
        with pytest.raises(InvalidQuery, match="expected True or False"):
            bench.query(architecture, distilled=distilled)


def test_what_was_computed_does_not_travel(seqnas_table):
    bench = TableBenchmark(seqnas_table)
    before = len(pickle.dumps(bench))
    for epoch in (1, 2, None):
        bench.query(bench.space.architectures(bench.pool[:1])[0], epoch=epoch)
    assert len(pickle.dumps(bench)) == before


def test_what_is_kept_for_the_next_query_is_limited_by_its_size(monkeypatch):
    """However many questions are asked, and the answers stay what they were."""
    table = make_table(range(9), epochs=40)
    bench = TableBenchmark(table)
    asked = [(split, epoch) for split in ("valid", "test") for epoch in (None, *range(1, 41))]
    expected = {
        question: bench.query_many(bench.pool, split=question[0], epoch=question[1]).value for question in asked
    }

    def size(kept):
        return sum(array.nbytes for arrays in kept.sets.values() for array in arrays)

    everything = size(bench._answers.kept)
    assert everything == bench._answers.kept.bytes < answers.KEPT_BYTES
    for most in (everything // 10, 1):
        monkeypatch.setattr(answers, "KEPT_BYTES", most)
        little = TableBenchmark(table)
        for split, epoch in asked * 2:
            found = little.query_many(bench.pool, split=split, epoch=epoch)
            assert np.array_equal(found.value, expected[split, epoch])
            kept = little._answers.kept
            assert size(kept) == kept.bytes
            assert kept.bytes <= most or len(kept.sets) == 1


def test_smaller_is_better_for_losses():
    table = make_table([0], scores=[[0.5, 0.2, 0.4]], header=make_header(metric=metric("log_loss")))
    score = TableBenchmark(table).query(table.header.space.unrank(0))
    assert (score.value, score.direction) == (pytest.approx(0.2), "min")


def test_trainings_with_teachers_are_never_mixed_in():
    plain = make_table([0], scores=[[0.5]], epochs=1)
    taught = make_table([0, 1], scores=[[0.9], [0.8]], epochs=1, distilled=1)
    bench = TableBenchmark(merge([plain, taught]))
    zero, one = bench.space.unrank(0), bench.space.unrank(1)
    assert bench.query(zero).value == pytest.approx(0.5)
    assert bench.query(zero, distilled=True).value == pytest.approx(0.9)
    assert (bench.seeds(one), bench.seeds(one, distilled=True)) == ((), (0,))
    with pytest.raises(NotRecorded, match="no training without teachers: use distilled=True"):
        bench.query(one)
    with pytest.raises(NotRecorded, match="without teachers"):
        bench.query_many([zero, one])


def test_a_seed_for_each_architecture(seqnas_table, surrogate):
    table = TableBenchmark(seqnas_table)
    choices = np.repeat(table.pool, 2, axis=0)
    seeds, counts = table.seeds_many(table.pool)
    assert counts.sum() == len(seeds)
    at = np.cumsum(counts) - counts
    for i, architecture in enumerate(table.space.architectures(table.pool)):
        assert tuple(seeds[at[i] : at[i] + counts[i]]) == table.seeds(architecture)
    wanted = np.stack([seeds[at], seeds[at + counts - 1]], axis=1).ravel()
    for bench in (table, SurrogateBenchmark(surrogate)):
        many = bench.query_many(choices, seed=wanted, split="test")
        assert len(many) == len(choices)
        for i in (0, 1, 7, len(choices) - 1):
            one = bench.query(bench.space.architectures(choices[i : i + 1])[0], seed=int(wanted[i]), split="test")
            for name, value in one._asdict().items():
                found = getattr(many, name)
                assert value == pytest.approx(found[i] if isinstance(found, np.ndarray) else found, nan_ok=True)
    wrong = wanted.copy()
    wrong[3] = 77
    with pytest.raises(NotRecorded, match="seed 77 of"):
        table.query_many(choices, seed=wrong)
    for seeds in ([0], [0.5] * len(choices), [-1] * len(choices), "3"):
        with pytest.raises(InvalidQuery, match="one for each architecture"):
            table.query_many(choices, seed=seeds)
    with pytest.raises(InvalidQuery, match="one for each architecture"):
        table.query_many(choices, seed=[[1], [2, 3]])
    for bench in (table, SurrogateBenchmark(surrogate)):
        assert len(bench.query_many(choices[:0], seed=[])) == 0


def test_where_only_teachers_were_recorded_the_surrogate_answers(seqnas_table, surrogate):
    taught = seqnas_table["distilled"].copy()
    taught[:5] = 1
    table = Table(seqnas_table.header, {**seqnas_table.columns, "distilled": taught}, seqnas_table.hardware)
    bench = AutoBenchmark(TableBenchmark(table), SurrogateBenchmark(surrogate))
    some = bench.space.architectures(bench.recorded.pool[:10])
    assert bench.query_many(some).source.tolist() == ["surrogate"] * 5 + ["table"] * 5
    assert [bench.query(a).source for a in some] == ["surrogate"] * 5 + ["table"] * 5
    assert bench.query(some[0], distilled=True).source == "table"


def test_tables_of_best_epochs_know_no_epochs_and_no_seeds():
    header = make_header(curves="best")
    table = build(header, choices=header.space.unrank_many([0, 0]), valid_curve=[[0.5], [0.7]], sampler=["a", "b"])
    bench = TableBenchmark(table)
    architecture = bench.space.unrank(0)
    assert bench.query(architecture).trainings == 2
    assert bench.query(architecture).value == pytest.approx(0.6)
    assert bench.seeds(architecture) == ()
    with pytest.raises(NotRecorded, match="the best epoch only"):
        bench.query(architecture, epoch=1)
    with pytest.raises(NotRecorded, match="its records have no seeds"):
        bench.query(architecture, seed=0)
    with pytest.raises(NotRecorded, match="no test scores: use split='valid'"):
        bench.query(architecture, split="test")


def test_costs_from_the_formula_and_from_the_records():
    table = make_table([0, 4])
    bench = TableBenchmark(table)
    unrecorded = bench.space.unrank(3)
    assert bench.cost(unrecorded) == bench.space.cost(unrecorded, SHAPE)
    recorded = TableBenchmark(make_table([0, 4], header=make_header(protocol={}), params=[5, 6], flops=[7, 8]))
    assert recorded.cost(bench.space.unrank(4)) == Cost(6, 8)
    with pytest.raises(NotRecorded, match="not recorded"):
        recorded.cost(unrecorded)


# load()


def test_what_is_shipped_can_be_loaded_by_name():
    listed = nb.benchmarks()
    assert {"digits", "abank", "age", "amex", "rbchurn"} <= set(listed.dataset)
    for row in listed.itertuples():
        bench = nb.load(row.dataset, row.space)
        assert len(bench.table) == row.records
        assert isinstance(bench, AutoBenchmark) == row.surrogate
        recorded = bench.space.architectures((bench.recorded if row.surrogate else bench).pool)
        architecture = bench.space.sample(seed=0) if row.surrogate else recorded[0]
        score = bench.query(architecture)
        assert 0 < score.value < 1
        assert score.source == ("table" if architecture in recorded else "surrogate")


def test_shipped_tables_verify():
    from nasbench_evs.locations import shipped_tables
    from nasbench_evs.tables import read, verify

    for path in shipped_tables().values():
        verify(read(path))


def test_sources():
    assert isinstance(nb.load("digits", source="table"), TableBenchmark)
    assert isinstance(nb.load("digits", source="surrogate"), SurrogateBenchmark)
    recorded = nb.load("digits", source="table").pool[0]
    architecture = nb.load("digits").space.architectures(recorded[None])[0]
    assert nb.load("digits").query(architecture).source == "table"
    assert nb.load("digits", source="surrogate").query(architecture).source == "surrogate"


def test_a_table_with_the_surrogate_beside_it(tmp_path, seqnas_table, surrogate):
    path = tmp_path / "mine.h5"
    write(seqnas_table, path)
    assert isinstance(nb.load(path), TableBenchmark)
    with pytest.raises(UnknownBenchmark, match="surrogate fit"):
        nb.load(path, source="surrogate")
    surrogate.save(tmp_path / "mine.surrogate")
    assert isinstance(nb.load(path), AutoBenchmark)
    for changed in (make_table([0]), seqnas_table.select(np.arange(150)), with_protocol(seqnas_table, epochs=9)):
        write(changed, path, force=True)
        for source in ("auto", "surrogate"):
            with pytest.raises(SurrogateError, match="fitted to another table.* fit it again"):
                nb.load(path, source=source)
        assert isinstance(nb.load(path, source="table"), TableBenchmark)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("digit",), UnknownBenchmark, "no benchmark 'digit': expected one of abank, "),
        (("digits", "seqnas"), UnknownBenchmark, "no table of the space 'seqnas': expected one of ffn-3"),
        (("nowhere.h5",), UnknownBenchmark, "no table at nowhere.h5"),
        (("some/where",), UnknownBenchmark, "no table at some/where"),
        ((None,), UnknownBenchmark, "None is a NoneType"),
        (("x/" * 5000,), UnknownBenchmark, "no table at"),
    ],
)
def test_what_cannot_be_loaded(arguments, error, message):
    with pytest.raises(error, match=message):
        nb.load(*arguments)


def test_unknown_source():
    with pytest.raises(InvalidQuery, match="'oracle': expected one of auto, table, surrogate"):
        nb.load("digits", source="oracle")


class TestScoresAtTheEnd(BenchmarkContract):
    """A table whose trainings have a score of their own, and no test curves."""

    @pytest.fixture
    def bench(self, end_table):
        return TableBenchmark(end_table)

    def known(self, bench):
        return bench.space.architectures(bench.pool)

    def test_a_query_without_an_epoch_reads_it_and_one_with_an_epoch_the_curve(self, bench, end_table):
        five = bench.space.unrank(5)
        assert bench.query(five).value == end_table["valid_score"][4]
        assert bench.query(five, split="test").value == end_table["test_score"][4]
        for epoch in (1, 2, 3):  # also the last
            score = bench.query(five, epoch=epoch)
            assert score.value == end_table["valid_curve"][4, epoch - 1] != bench.query(five).value
            assert (score.epoch, score.seconds) == (epoch, 3.0 * epoch)
        assert bench.query(five).seconds == 11.0  # the validation split at the end included

    def test_what_diverged_has_no_score_but_took_its_time(self, bench, end_table):
        two = bench.space.unrank(2)
        assert np.isnan(bench.query(two, seed=2).value)
        assert bench.query(two, seed=2).seconds == 3.0
        assert bench.query(two, seed=2, epoch=1).value == end_table["valid_curve"][3, 0]
        score = bench.query(two)
        assert (score.trainings, score.value) == (2, pytest.approx(end_table["valid_score"][1:3].mean()))

    def test_without_test_curves_epochs_of_the_test_split_are_not_recorded(self, bench):
        architectures = self.known(bench)
        for query in (
            lambda: bench.query(architectures[0], split="test", epoch=1),
            lambda: bench.query(architectures[0], split="test", epoch=3, seed=0),
            lambda: bench.query_many(architectures, split="test", epoch=2),
        ):
            with pytest.raises(
                NotRecorded, match="no test scores of single epochs: leave epoch out, or use split='valid'"
            ):
                query()
        with pytest.raises(NotRecorded, match="epoch 4 is not recorded: expected 1 to 3"):
            bench.query(architectures[0], split="test", epoch=4)

    def test_records(self, bench, end_table):
        records = bench.records(bench.space.unrank(2))
        assert records.valid_score.tolist()[:2] == end_table["valid_score"][1:3].tolist()
        assert {"valid_curve.3", "valid_blocks.9", "code_commit"} <= set(records)
