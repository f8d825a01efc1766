"""Benchmarks asked through a view of their space: nb.load(..., space="seqnas-s"), bench.view(...)."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nasbench_evs as nb
from nasbench_evs import locations, search, tables
from nasbench_evs.benchmark import AutoBenchmark, SurrogateBenchmark, TableBenchmark
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery, InvalidSpace, NotRecorded, UnknownBenchmark
from nasbench_evs.spaces import FFNSpace, SeqNASSpace, SequenceShape, shape_to_dict
from nasbench_evs.spaces.subspaces import subspace, subspace_ranks
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.testing.benchmark import BenchmarkContract
from tests.conftest import make_header, make_table

WHOLE = SeqNASSpace()
VIEW = subspace("seqnas-s", WHOLE)
SHAPE = SequenceShape(((50, 8),), numerical=2, channels=2, hidden=8, outputs=2, length=16)
RECORDED = 150  # architectures of seqnas-s, the first with two seeds


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The file of a made table of seqnas, a part of which is of seqnas-s."""
    generator = np.random.default_rng(0)
    inside = subspace_ranks("seqnas-s", WHOLE)[:RECORDED]
    others = WHOLE.rank_many(WHOLE.sample_many(50, 1)).tolist()
    ranks = [*inside, inside[0], *sorted(set(others) - set(subspace_ranks("seqnas-s", WHOLE)))]
    seeds = np.zeros(len(ranks), int)
    seeds[RECORDED] = 1
    depth = np.maximum(WHOLE.unrank_many(np.array(ranks, np.uint64))[:, 3], 0)
    scores = 0.6 + 0.02 * depth[:, None] + generator.normal(0, 0.01, (len(ranks), 2))
    header = make_header(WHOLE, protocol={"epochs": 2, "shape": shape_to_dict(SHAPE)})
    path = tmp_path_factory.mktemp("views") / "seqnas.h5"
    tables.write(make_table(ranks, seeds, scores=scores, epochs=2, header=header), path)
    return path


@pytest.fixture(scope="module")
def fitted(path):
    """The same file with a surrogate beside it."""
    Surrogate.fit(tables.read(path), folds=2).save(locations.surrogate_of(path))
    return path


class TestRecords(BenchmarkContract):
    @pytest.fixture
    def bench(self, path):
        return nb.load(path, space="seqnas-s", source="table")

    def known(self, bench):
        return bench.space.architectures(bench.pool[:20])

    def test_answers_are_those_of_the_whole(self, bench, path):
        whole = nb.load(path, source="table")
        assert isinstance(bench, TableBenchmark)
        assert bench.space == VIEW
        assert len(bench.pool) == RECORDED
        assert len(bench.table) == RECORDED + 1
        assert (np.diff(VIEW.rank_many(bench.pool).astype(np.int64)) > 0).all()
        above = VIEW.to_parent(bench.pool)
        for arguments in ({}, {"split": "test"}, {"epoch": 1}, {"seed": 0}):
            ours, theirs = bench.query_many(bench.pool, **arguments), whole.query_many(above, **arguments)
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)
        assert np.array_equal(bench.cost_many(bench.pool).flops, whole.cost_many(above).flops)
        architecture = bench.space.parse(str(WHOLE.unrank(subspace_ranks("seqnas-s", WHOLE)[0])))
        assert bench.seeds(architecture) == (0, 1)
        assert bench.records(architecture)["rank"].tolist() == [architecture.rank] * 2

    def test_what_is_not_there(self, bench):
        missing = next(a for a in map(VIEW.unrank, range(VIEW.size)) if a.key not in {r.tobytes() for r in bench.pool})
        with pytest.raises(NotRecorded, match="is not recorded"):
            bench.query(missing)
        with pytest.raises(InvalidArchitecture, match="is of the space seqnas: expected one of seqnas-s"):
            bench.query(WHOLE.parse(str(missing)))

    def test_the_records_of_the_view_are_a_table(self, bench, tmp_path):
        tables.write(bench.table, tmp_path / "view.h5")
        again = nb.load(tmp_path / "view.h5")
        assert again.space == VIEW
        assert np.array_equal(again.pool, bench.pool)
        assert again.table.content_sha256 == bench.table.content_sha256

    def test_searches_stay_inside(self, bench):
        for searcher in ("random", "evolution", "local", "reinforce", "bananas"):
            result = search.run(searcher, bench, budget=20, seed=0)
            assert len(result.trials) == 20
            assert all(trial.architecture.space == VIEW for trial in result.trials)

    def test_a_view_of_the_view(self, bench, path):
        pooled = bench.space.restrict({"head.pool": ["max"]})
        for viewed in (bench.view(pooled), nb.load(path, source="table").view(pooled)):
            expected = {text for text in VIEW.format_many(bench.pool) if text.endswith(".max")}
            assert set(viewed.space.format_many(viewed.pool)) == expected
        assert bench.view(bench.space).table is bench.table


class TestPredictions(BenchmarkContract):
    @pytest.fixture
    def bench(self, fitted):
        return nb.load(fitted, space="seqnas-s", source="surrogate")

    def test_predictions_are_those_of_the_whole(self, bench, fitted):
        whole = nb.load(fitted, source="surrogate")
        choices = bench.space.unrank_many(np.arange(VIEW.size))
        above = VIEW.to_parent(choices)
        for arguments in ({}, {"seed": 3}, {"seed": np.arange(VIEW.size) % 2}, {"epoch": 1}):
            ours, theirs = bench.query_many(choices, **arguments), whole.query_many(above, **arguments)
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)
        assert bench.surrogate.space == WHOLE
        assert search.run("local", bench, budget=20, seed=0).best.architecture.space == VIEW
        pooled = bench.view(bench.space.restrict({"head.pool": ["max"]}))
        assert (
            pooled.query(pooled.space.unrank(0)).value
            == bench.query(bench.space.parse(str(pooled.space.unrank(0)))).value
        )


class TestBoth(BenchmarkContract):
    @pytest.fixture
    def bench(self, fitted):
        return nb.load(fitted, space="seqnas-s")

    def test_recorded_where_it_can(self, bench):
        assert isinstance(bench, AutoBenchmark)
        scores = bench.query_many(bench.space.unrank_many(np.arange(VIEW.size)))
        assert (scores.source == "table").sum() == RECORDED
        assert len(search.run("evolution", bench, budget=30, seed=0).trials) == 30

    def test_the_surrogate_alone_where_nothing_is_recorded(self, fitted):
        whole = nb.load(fitted)
        recorded = {row.tobytes() for row in whole.recorded.pool}
        architecture = next(a for a in map(WHOLE.sample, range(100)) if a.key not in recorded)
        one = whole.view(WHOLE.restrict({name: [option] for name, option in architecture.options.items()}))
        assert isinstance(one, SurrogateBenchmark)
        assert one.space.size == 1
        assert one.query(one.space.unrank(0)).value == whole.query(architecture).value


def test_shipped_surrogates_answer_for_a_part_of_their_space():
    bench = nb.load("credit-default", space="seqnas-s", source="surrogate")
    whole = nb.load("credit-default", source="surrogate")
    choices = bench.space.sample_many(20, 0)
    assert bench.space.size == 912
    np.testing.assert_array_equal(bench.query_many(choices).value, whole.query_many(VIEW.to_parent(choices)).value)


def test_a_table_without_any_architecture_of_the_view():
    table = make_table([0, 4], header=make_header(FFNSpace(2, [2, 3, 4])))  # 2-2 and 3-3
    other = table.header.space.restrict({"layer.0": [4]}, name="wide")
    with pytest.raises(NotRecorded, match="^the table of made holds no architecture of wide: use source='surrogate'"):
        TableBenchmark(table).view(other)


def test_views_of_other_spaces_are_refused(path):
    bench = nb.load(path, source="table")
    other = FFNSpace(2).restrict({"layer.0": [8]})
    for space in (other, FFNSpace(2), SeqNASSpace(numerical=False).restrict({"head.pool": ["max"]})):
        with pytest.raises(InvalidSpace, match="is no view of <search space"):
            bench.view(space)
    with pytest.raises(InvalidSpace, match="is no view of <search space"):
        nb.load("digits", source="surrogate").view(other)
    function = nb.from_function(FFNSpace(2), lambda architecture: 1.0)
    with pytest.raises(InvalidQuery, match="has no views: make it of the space restricted ffn"):
        function.view(other)


def test_parts_that_cannot_be_loaded(path, tmp_path):
    with pytest.raises(UnknownBenchmark, match="digits has no table of the space 'seqnas-s': expected one of ffn-3"):
        nb.load("digits", space="seqnas-s")
    with pytest.raises(InvalidQuery, match=r"of which a part can be named \(seqnas-s\)"):
        nb.load(path, space="seqnas-m")
    tables.write(make_table([0, 4]), tmp_path / "ffn.h5")
    with pytest.raises(InvalidSpace, match="seqnas-s is one of seqnas, not of ffn"):
        nb.load(tmp_path / "ffn.h5", space="seqnas-s")


def test_the_command_line(path):
    def call(*arguments, code=0):
        command = [
            Path(sys.executable).parent / "nasbench-evs",
            *map(str, arguments),
            "--space",
            "seqnas-s",
            "--source",
            "table",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    rows = json.loads(call("query", path, "--random", 3, "--sample-seed", 0, "--format", "json").stdout)
    assert {row["source"] for row in rows} == {"table"}
    assert [VIEW.parse(row["architecture"]).rank for row in rows] == [row["rank"] for row in rows]
    found = json.loads(call("search", "evolution", path, "--budget", 10, "--format", "json").stdout)[0]
    assert VIEW.parse(found["architecture"]).rank == found["rank"]
    refused = call("query", path, "--arch", "k3.n.0.0.mean", code=1)
    assert "is outside seqnas-s: stem.kernel = 3" in refused.stderr
