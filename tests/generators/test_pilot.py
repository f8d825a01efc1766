"""A whole pilot, and a candidate, on the synthetic dataset."""

import json
from dataclasses import replace

import pytest

from nasbench_evs.analysis.gate import pilot_section
from nasbench_evs.errors import RecipeError
from nasbench_evs.generators.candidates import candidate
from nasbench_evs.generators.pilot import ARCHITECTURES, pilot
from nasbench_evs.tables import merge, read
from nasbench_evs.training.recipe import Plan, Recipe


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
