"""What the explorer's page knows is what the library answers."""

import json

import numpy as np
import pytest

from nasbench_evs import load
from nasbench_evs.analysis.explorer.data import find_tables, table_data
from nasbench_evs.benchmark import find_table
from nasbench_evs.errors import UnknownBenchmark
from nasbench_evs.locations import shipped_tables
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.tables import read, write
from tests.conftest import make_header, make_table


@pytest.fixture(scope="module")
def physionet():
    return table_data("physionet2012/seqnas", find_table("physionet2012"))


def as_array(values):
    return np.array([np.nan if value is None else value for value in values], float)


def test_all_that_ship_all_of_a_dataset_or_one_by_its_path(tmp_path):
    assert list(find_tables([])) == [f"{dataset}/{space}" for dataset, space in shipped_tables()]
    assert list(find_tables(["credit-default"])) == ["credit-default/ffn-3", "credit-default/seqnas"]
    path = find_table("digits")
    assert find_tables([str(path)]) == {str(path): path}
    with pytest.raises(UnknownBenchmark, match="no benchmark 'nowhere'"):
        find_tables(["nowhere"])


@pytest.mark.parametrize("split", ["valid", "test"])
def test_architectures_have_what_a_query_answers(physionet, split):
    bench = load("physionet2012", source="table")
    choices = bench.space.parse_many(physionet["architectures"]["text"])
    assert (bench.space.rank_many(choices) == np.array(physionet["architectures"]["rank"], np.uint64)).all()
    assert np.array_equal(np.array(physionet["architectures"]["choices"]).T, choices)
    scores, columns = bench.query_many(choices, split=split), physionet["architectures"]
    assert as_array(columns[split]) == pytest.approx(scores.value, abs=1e-5)
    assert as_array(columns[f"{split}_std"]) == pytest.approx(scores.noise_std, abs=1e-5, nan_ok=True)
    if split == "valid":
        assert as_array(columns["trainings"]) == pytest.approx(scores.trainings)
        assert as_array(columns["seconds"]) == pytest.approx(scores.seconds, abs=1e-3)
        assert as_array(columns["flops"]) == pytest.approx(bench.cost_many(choices).flops)
        best = int(np.argmax(scores.value))
        assert columns["place"][best] == 1
        assert sorted(columns["place"]) == list(range(1, len(choices) + 1))


def test_every_training_is_there(physionet):
    table = read(find_table("physionet2012"))
    records, texts = physionet["records"], physionet["architectures"]["text"]
    frame = table.to_frame()
    assert [texts[i] for i in records["architecture"]] == frame.architecture.tolist()
    assert records["seed"] == frame.seed.tolist()
    assert [physionet["samplers"][i] for i in records["sampler"]] == frame.sampler.tolist()
    assert as_array(records["test"]) == pytest.approx(frame.test_score.to_numpy(float), abs=1e-5)
    assert np.array(records["curve"]) == pytest.approx(table["valid_curve"], abs=1e-4)


def test_predictions_are_those_of_models_that_did_not_see_the_architecture(physionet):
    bench = load("physionet2012", source="surrogate")
    choices = bench.space.parse_many(physionet["architectures"]["text"])
    for split in ("valid", "test"):
        means = bench.surrogate.out_of_fold(choices, split)
        assert as_array(physionet["architectures"][f"predicted_{split}"]) == pytest.approx(means, abs=1e-5)
        found = physionet["surrogate"]["splits"][split]
        recorded = as_array(physionet["architectures"][split])
        assert found["architectures"] == len(choices)
        assert found["error"] == pytest.approx(np.abs(means - recorded).mean(), abs=1e-4)
        assert found["reference"]["value"] == pytest.approx(bench.surrogate.references[split].value, abs=1e-5)


def test_a_table_without_surrogate_seeds_or_curves():
    age = table_data("age/seqnas", find_table("age"))
    assert set(age["records"]["seed"]) == {None}
    assert age["records"]["curve"] == []
    assert [column["key"] for column in age["columns"]] == ["valid", "predicted_valid", "trainings", "place"]
    football = table_data("football-next/seqnas", find_table("football-next"))
    assert football["surrogate"]["splits"] == {}
    assert "No surrogate is fitted" in football["surrogate"]["message"]


def test_what_is_missing_or_failed_is_none(tmp_path):
    scores = np.array([[0.5, 0.6], [0.7, np.nan], [0.9, 0.9]])
    table = make_table(
        [0, 2, 5], scores=scores, epochs=2, status=["ok", "diverged", "failed"], epochs_run=[2, 1, 2],
        train_seconds=[[0.5, 0.5], [0.5, np.nan], [0.5, 0.5]],
        header=make_header(protocol={"epochs": 2}),
    )  # fmt: skip
    write(table, tmp_path / "own.h5")
    data = table_data("own", tmp_path / "own.h5")
    assert data["architectures"]["valid"] == [0.6, 0.7, None]
    assert data["architectures"]["place"] == [2, 1, None]
    assert data["records"]["curve"] == [[0.5, 0.6], [0.7], [0.9, 0.9]]
    assert data["records"]["status"] == ["ok", "diverged", "failed"]
    assert "flops" not in data["architectures"]
    json.dumps(data, allow_nan=False)


def test_ranks_beyond_the_numbers_of_json(tmp_path):
    space = SearchSpace.from_choices({f"c{i}": list(range(100)) for i in range(9)}, name="large")
    last = space.size - 1
    write(make_table([3, last], header=make_header(space, protocol={"epochs": 3})), tmp_path / "own.h5")
    assert table_data("own", tmp_path / "own.h5")["architectures"]["rank"] == ["3", str(last)]
