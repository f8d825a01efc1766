"""The gate: its verdict on made tables, and a whole pilot on the synthetic dataset."""

import json
from dataclasses import replace

import numpy as np
import pytest

from nasbench_evs.analysis.gate import pilot_section
from nasbench_evs.errors import RecipeError
from nasbench_evs.generators.candidates import candidate
from nasbench_evs.generators.pilot import ARCHITECTURES, judge, pilot
from nasbench_evs.generators.recipe import Plan, Recipe
from nasbench_evs.spaces import FFNSpace, VectorShape, shape_to_dict
from nasbench_evs.tables import Table, merge, read
from nasbench_evs.tables.reliability import reliability, seed_rows
from tests.conftest import make_header

SPACE = FFNSpace(2)
HEADER = make_header(
    SPACE,
    protocol={"epochs": 1, "score_at": "end", "shape": shape_to_dict(VectorShape(inputs=5, outputs=1))},
)


def made(signal, noise, *, n=64, failing=(), seed=0, status=()):
    """n architectures with three seeds; `failing` of the trainings (flat positions) score .5, `status` say diverged."""
    rng = np.random.default_rng(seed)
    truth = np.clip(rng.normal(0.7, signal, (n, 1)), 0.55, 0.95)
    valid, test = (truth + rng.normal(0, noise, (n, 3)) for _ in range(2))
    valid.flat[list(failing)] = 0.5
    states = np.full(n * 3, "ok", object)
    states[list(status)] = "diverged"
    blocks = valid.ravel()[:, None] + rng.normal(0, 0.002, (n * 3, 10))
    bad = states == "diverged"
    return Table.build(
        HEADER,
        choices=SPACE.unrank_many(np.repeat(np.arange(n), 3).astype(np.uint64)),
        seed=np.tile(np.arange(3), n),
        sampler="seqnas-s",
        distilled=0,
        status=states.tolist(),
        epochs_run=1,
        valid_curve=valid.reshape(-1, 1),
        **{
            name: np.where(bad.reshape((-1,) + (1,) * (np.ndim(values) - 1)), np.nan, values)
            for name, values in (
                ("valid_score", valid.ravel()),
                ("test_score", test.ravel()),
                ("valid_blocks", blocks),
                ("test_blocks", blocks),
            )
        },
        final_cpu_seconds=1.0,
        cpu_seconds=np.full((n * 3, 1), 2.0),
    )


def constant(_):
    return 0.5, np.full(10, 0.5)


def test_architectures_that_differ_pass_with_the_smallest_k():
    found = judge(made(0.02, 0.005), constant)
    assert (found["verdict"], found["k"], found["at chance"]) == ("pass", 2, 0)
    assert found["trainings"] == 192
    top = found["reliability"]["top quarter"]
    assert top["R_2"] > 0.7
    assert top["chosen"] == 16


def test_noise_alone_fails():
    found = judge(made(0.0005, 0.02, n=400), constant)
    assert found["verdict"] == "fail"
    assert found["reliability"]["top quarter"]["quantiles"]["R_4"][2] < 0.5


def test_between_them_more_architectures_decide():
    verdicts = {judge(made(0.008, 0.012, seed=seed), constant)["verdict"] for seed in range(6)}
    assert "else" in verdicts


@pytest.mark.parametrize(("count", "verdict"), [(2, "pass"), (3, "fail")])
def test_three_trainings_at_chance_fail(count, verdict):
    failing = [5, 70, 130][:count]
    assert judge(made(0.02, 0.005, failing=failing), constant)["at chance"] == count
    assert judge(made(0.02, 0.005, failing=failing), constant)["verdict"] == verdict
    assert judge(made(0.02, 0.005, status=failing), constant)["at chance"] == count


def test_only_architectures_with_all_three_seeds_are_judged():
    table = made(0.02, 0.005)
    fewer = table.select(np.arange(len(table)) != 4)
    assert len(seed_rows(fewer)) == 63
    assert judge(fewer, constant)["architectures"] == 63
    rows = seed_rows(table)
    assert np.array_equal(table["seed"][rows], np.tile([0, 1, 2], (64, 1)))
    expected = reliability(table["valid_score"][rows]).r[2]
    assert judge(table)["reliability"]["top quarter"]["R_2"] == pytest.approx(expected)


def test_a_pilot_needs_scores_at_the_end(values):
    for what in (pilot, candidate):
        with pytest.raises(RecipeError, match="score_at = 'end'"):
            what(Recipe.from_dict(values), "nowhere")


@pytest.fixture
def recipe(values):
    values["protocol"] |= {"score_at": "end", "epochs": 1, "curve_rows": 40, "epoch_size": 64}
    values["plan"] = {"architectures": "seqnas-s", "repeated": 200, "seeds": 3, "seeds_of_all": 2}
    del values["subset"]
    values["train"] = 128
    return Recipe.from_dict(values)


def test_a_pilot_needs_as_many_architectures_as_it_judges(recipe, tmp_path, home):
    few = replace(recipe, plan=Plan(random=20))
    with pytest.raises(RecipeError, match="a pilot trains 64 architectures: the plan has 20"):
        pilot(few, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_pilot_is_resumed_and_its_trainings_are_records(recipe, tmp_path, home):
    stages = []
    found = pilot(recipe, tmp_path / "out", workers=2, stage=stages.append)
    assert len(stages) == 5
    assert json.loads((tmp_path / "out" / "pilot.json").read_text()) == json.loads(json.dumps(found))
    table = read(tmp_path / "out" / "pilot" / "table.h5")
    assert len(table) == 3 * ARCHITECTURES
    assert found["cost"]["trainings of the plan"] == 200 * 3 + 712 * 2
    assert {rival["name"] for rival in found["baselines"]} == {
        "boosting on counts",
        "boosting with the last events",
        "gru",
    }
    text = "\n".join(pilot_section(found))
    assert f"Verdict: **{found['verdict']}**" in text
    assert "| boosting with the last events | " in text
    again = []
    assert pilot(recipe, tmp_path / "out", stage=again.append) == found  # nothing is trained twice
    assert len(again) == 2
    assert len(merge([table, table])) == len(table)


@pytest.mark.slow
def test_candidates_are_judged_by_other_architectures(recipe, tmp_path, home):
    found = candidate(recipe, tmp_path, workers=2)
    table = read(tmp_path / "others" / "table.h5")
    assert len(table) == 48
    assert found["architectures"] == 24
    assert 0 <= found["r_half"] <= 1
    assert found["cpu_seconds"] > 0
