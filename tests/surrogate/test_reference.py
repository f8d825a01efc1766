"""Reference values: what the long search finds, how it ships, and whose it is."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import nasbench_evs as nb
from nasbench_evs import locations
from nasbench_evs.benchmark import SurrogateBenchmark
from nasbench_evs.cli import cli
from nasbench_evs.errors import NotRecorded, SurrogateError
from nasbench_evs.metrics import metric
from nasbench_evs.spaces import FFNSpace, SeqNASSpace
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.surrogate.reference import find_reference, read_reference, write_reference
from nasbench_evs.tables import write
from tests.conftest import make_header, make_table

SPACE = FFNSpace(2, range(1, 21))


def made(first=0.5, **header):
    ranks = np.arange(0, SPACE.size, 3)
    scores = first + ranks[:, None] / 2000 + np.random.default_rng(0).normal(0, 0.01, (len(ranks), 1))
    return make_table(ranks, scores=scores, header=make_header(SPACE, **header), epochs=1)


@pytest.fixture(scope="module")
def fitted():
    return Surrogate.fit(made(), folds=2)


def test_a_small_space_is_enumerated(fitted):
    everything = SPACE.unrank_many(np.arange(SPACE.size))
    means = fitted.predict(everything).mean
    np.testing.assert_array_equal(fitted.predict_mean(everything), means)
    found = find_reference(fitted, "valid", evaluations=SPACE.size)
    assert (found.value, found.how, found.evaluations) == (means.max(), "exact", SPACE.size)
    assert found.architecture == str(SPACE.unrank(int(means.argmax())))


@pytest.mark.parametrize("name", ["roc_auc", "log_loss"])
def test_a_large_space_is_searched(name):
    """With a budget below the size of the space; smaller is better where the metric says so."""
    fitted = Surrogate.fit(made(metric=metric(name)), folds=2)
    means = fitted.predict(SPACE.unrank_many(np.arange(SPACE.size))).mean
    found = find_reference(fitted, "valid", evaluations=300, starts=SPACE.unrank_many(np.arange(5)))
    assert found.how == "best known"
    assert found.evaluations <= SPACE.size
    assert found.value == (means.max() if name == "roc_auc" else means.min())
    assert found == find_reference(fitted, "valid", evaluations=300, starts=SPACE.unrank_many(np.arange(5)))


class Peak:
    """A surrogate of the whole seqnas space whose only mean is known: how many choices are as those of one architecture."""

    space = SeqNASSpace()
    metric = metric("roc_auc")

    def __init__(self, rank):
        self.at = self.space.unrank_many([rank])

    def predict_mean(self, choices, split):
        return (choices == self.at).sum(axis=1) / choices.shape[1]


@pytest.mark.parametrize("rank", [123_456_789, 3_000_000_000])
def test_the_search_finds_the_one_best_of_billions(rank):
    found = find_reference(Peak(rank), "valid", evaluations=20_000)
    assert (found.value, found.architecture) == (1.0, str(Peak.space.unrank(rank)))
    assert 20_000 <= found.evaluations < 40_000


def test_it_ships_with_the_surrogate_and_a_refit_refuses_it(fitted, tmp_path):
    folder = tmp_path / "s"
    with pytest.raises(SurrogateError, match="was not saved yet"):
        fitted.identity  # noqa: B018
    fitted.save(folder)
    loaded = Surrogate.load(folder)
    assert loaded.references == {}
    found = {split: find_reference(loaded, split) for split in loaded.splits}
    write_reference(folder, loaded, found)
    again = Surrogate.load(folder)
    assert again.references == found
    bench = SurrogateBenchmark(again)
    for regime, split in (("clean", "valid"), ("noisy", "valid"), ("transfer", "test")):
        best = bench.optimum(regime)
        assert (str(best.architecture), best.value, best.how) == (
            found[split].architecture,
            found[split].value,
            "exact",
        )
        assert bench.regret([best.architecture], regime) == [0]
    Surrogate.fit(made(first=0.4), folds=2).save(tmp_path / "other")
    (tmp_path / "other" / "reference.json").write_bytes((folder / "reference.json").read_bytes())
    refit = SurrogateBenchmark(Surrogate.load(tmp_path / "other"))
    with pytest.raises(
        SurrogateError, match="reference.json is of another surrogate.*nasbench-evs surrogate reference"
    ):
        refit.optimum()
    assert len(refit.true_values(SPACE.unrank_many([0]))) == 1  # the rest needs none


def test_a_file_that_is_damaged_is_refused(fitted, tmp_path):
    fitted.save(tmp_path / "s")
    loaded = Surrogate.load(tmp_path / "s")
    path = tmp_path / "s" / "reference.json"
    write_reference(tmp_path / "s", loaded, {"valid": find_reference(loaded, "valid")})
    content = json.loads(path.read_text())
    wrong = [
        "{",
        "[]",
        json.dumps({**content, "version": 9}),
        json.dumps({**content, "splits": {"valid": {"value": 1}}}),
        json.dumps({**content, "splits": {"valid": {**content["splits"]["valid"], "architecture": "none"}}}),
    ]
    for text in wrong:
        path.write_text(text)
        with pytest.raises(SurrogateError, match=r"reference.json.*find it again"):
            read_reference(tmp_path / "s", loaded)


def test_the_command_writes_it_where_load_reads_it(tmp_path):
    path = tmp_path / "small.h5"
    table = made()
    write(table, path)
    folder = locations.surrogate_of(path)
    Surrogate.fit(table, folds=2).save(folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    done = CliRunner().invoke(cli, ["surrogate", "reference", str(path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert [line.split()[1] for line in done.output.splitlines()] == ["valid", "test"]
    assert before == {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "reference.json"}
    assert nb.load(path, source="surrogate").optimum("transfer").how == "exact"


def test_shipped_references_are_what_their_surrogates_predict():
    for (dataset, space), path in locations.shipped_tables().items():
        if not locations.surrogate_of(path).is_dir():
            continue
        bench = nb.load(dataset, space, source="surrogate")
        assert set(bench.surrogate.references) == set(bench.surrogate.splits), path
        for regime, split in (("clean", "valid"), ("noisy", "valid"), ("transfer", "test")):
            if split not in bench.surrogate.splits:
                with pytest.raises(NotRecorded):
                    bench.regret(bench.space.sample_many(1, 0), regime)
                continue
            best = bench.optimum(regime)
            assert bench.regret([best.architecture], regime)[0] == pytest.approx(0, abs=1e-6)
            assert bench.regret(bench.space.sample_many(200, 1), regime).min() > 0
