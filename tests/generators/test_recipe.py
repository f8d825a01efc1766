import re

import pytest

from nasbench_evs.errors import RecipeError
from nasbench_evs.generators.protocol import Protocol
from nasbench_evs.generators.recipe import Recipe
from nasbench_evs.spaces import FFNSpace, SeqNASSpace


def test_every_shipped_recipe_can_be_read(request):
    recipes = sorted((request.config.rootpath / "generators").glob("*.toml"))
    assert recipes
    for path in recipes:
        assert Recipe.read(path).protocol.epochs >= 1


def test_protocols_round_trip_through_a_header():
    protocol = Protocol(epochs=3, dropout=0.25)
    assert Protocol.from_dict(protocol.to_dict()) == protocol


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("datset",), "x", "unknown keys datset"),
        (("dataset",), 3, "dataset is 3: expected the name"),
        (("subset",), 0, "subset 0: expected how many"),
        (("space",), "ffn", "space 'ffn': expected seqnas, or ffn-L"),
        (("plan",), [], r"plan is []: expected a section [plan]"),
        (("protocol", "epochs"), 0, "epochs = 0, expected an integer from 1"),
        (("protocol", "epochs"), True, "epochs = True"),
        (("protocol", "learning_rate"), -1, "learning_rate = -1, expected a number from 0"),
        (("protocol", "learning_rate"), float("nan"), "learning_rate = nan"),
        (("protocol", "optimiser"), "adamm", "expected one of 'adamw', 'adam', 'sgd'"),
        (("protocol", "teachers"), 5, "teachers = 5, expected at most teach_after = 4"),
        (("protocol", "momentum"), 1, "unknown keys momentum"),
        (("plan", "random"), 0, "expected either random"),
        (("plan", "exhaustive"), True, "expected either random"),
        (("plan", "exhaustive"), "yes", "exhaustive = 'yes', expected true or false"),
        (("plan", "random"), 2.5, "random = 2.5, expected an integer"),
        (("plan", "repeated"), 10, "repeated = 10, expected at most random = 9"),
        (("plan", "seeds"), 10_000_000, "50,000,009 trainings"),
        (("plan", "distilled"), 6, "distilled = 6 architectures after the first 4"),
        (("plan", "bananas"), 7, r"expected a section [plan.bananas]"),
        (("plan", "bananas", "start"), 10, "start = 10, expected at most random = 9"),
        (("plan", "bananas", "architectures"), "all", "architectures = 'all', expected an integer"),
        (("plan", "bananas", "batches"), 1, "unknown keys batches"),
    ],
)
def test_a_mistake_is_named_with_its_value(values, where, value, message):
    section = values
    for name in where[:-1]:
        section = section[name]
    section[where[-1]] = value
    with pytest.raises(RecipeError, match=re.escape(message)):
        Recipe.from_dict(values)


def test_missing_keys_are_named(values):
    del values["protocol"]["epochs"]
    with pytest.raises(RecipeError, match="epochs is missing"):
        Recipe.from_dict(values)


@pytest.mark.parametrize(
    "text", ["dataset = ", "\x00", "[plan", "dataset = 'a'\ndataset = 'b'", "a = " + "[" * 5000, "a = " + "1" * 5000]
)
def test_a_file_that_is_no_toml_is_one_clear_line(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=re.escape(str(path))) as caught:
        Recipe.read(path)
    assert "\n" not in str(caught.value)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="no text"):
        Recipe.read(path)
    with pytest.raises(RecipeError, match="cannot read"):
        Recipe.read(tmp_path)


def test_the_space_follows_from_the_dataset(recipe, values, dataset):
    assert recipe.search_space(dataset) == SeqNASSpace()
    values["space"], values["plan"] = "ffn-2", {"exhaustive": True}
    assert Recipe.from_dict(values).search_space(dataset) == FFNSpace(2)
    values["space"] = "ffn-9"
    with pytest.raises(RecipeError, match="exhaustive over"):
        Recipe.from_dict(values).search_space(dataset)
    values["space"], values["plan"] = "ffn-1", {"random": 21}
    with pytest.raises(RecipeError, match="21 architectures of a space of 20"):
        Recipe.from_dict(values).search_space(dataset)


def test_found_architectures_need_as_many_trainings_as_teachers(values):
    values["protocol"]["teachers"] = 3
    values["plan"]["bananas"].update(distilled=True, start=2)
    with pytest.raises(RecipeError, match="start = 2 trainings cannot give teachers = 3"):
        Recipe.from_dict(values)
