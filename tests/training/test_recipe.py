import json
import re
from dataclasses import astuple

import pytest

from nasbench_evs.errors import InvalidSpace, RecipeError
from nasbench_evs.generators.plan import Planner
from nasbench_evs.spaces import FFNSpace, SeqNASSpace
from nasbench_evs.spaces.subspaces import subspace_ranks
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.recipe import Recipe


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
        (("plan",), "x" * 100_000, "xxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxx': expected a section [plan]"),
        (("space",), [0] * 1000, "space [0, 0, 0, 0, 0, 0, 0, 0, ...]: expected seqnas"),
        (
            ("protocol", "batch_size"),
            [0] * 1000,
            "batch_size = [0, 0, 0, 0, 0, 0, 0, 0, ...], expected an integer from 1",
        ),
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
        (("plan", "random"), 0, "distilled follows random ones"),
        (("plan", "exhaustive"), True, "expected either random"),
        (("plan", "exhaustive"), "yes", "exhaustive = 'yes', expected true or false"),
        (("plan", "random"), 2.5, "random = 2.5, expected an integer"),
        (("plan", "repeated"), 10, "repeated = 10, expected at most random = 9"),
        (("plan", "seeds"), 10_000_000, "50,000,009 trainings"),
        (("plan", "distilled"), 6, "distilled = 6 architectures after the first 4"),
        (("plan", "search"), 7, r"expected a section [plan.search]"),
        (("plan", "search", "start"), 10, "start = 10, expected at most random = 9"),
        (("plan", "search", "architectures"), "all", "architectures = 'all', expected an integer"),
        (("plan", "search", "batches"), 1, "unknown keys batches"),
        (("plan", "search", "searcher"), 3, "searcher is 3, expected its name"),
        (("plan", "search", "batch"), 0, "batch = 0, expected an integer from 1"),
        (("plan", "search", "distilled"), 1, "distilled = 1, expected true or false"),
        (("plan", "search", "parameters"), 1, "expected a section [plan.search.parameters]"),
        (("plan", "search", "constraint"), {"weight": 1}, "plan.search.constraint: unknown keys weight"),
        (("plan", "search", "constraint"), {"params": "few"}, "params = 'few', expected the largest allowed"),
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
    with pytest.raises(RecipeError, match="no UTF-8 text"):
        Recipe.read(path)
    with pytest.raises(RecipeError, match="cannot open"):
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


def test_a_plan_may_be_a_search_alone(values):
    search = values["plan"].pop("search")
    values["plan"] = {"search": {**search, "start": 0}}
    assert Recipe.from_dict(values).plan.random == 0
    for name in ("searcher", "architectures"):
        with pytest.raises(RecipeError, match=f"{name} is missing"):
            Recipe.from_dict({**values, "plan": {"search": {k: v for k, v in search.items() if k != name}}})
    for other in ({"exhaustive": True}, {"architectures": "seqnas-s"}):
        with pytest.raises(RecipeError, match="a search goes with random ones or alone"):
            Recipe.from_dict({**values, "plan": {"search": {**search, "start": 0}, **other}})


def test_a_preset_fills_in_what_is_left_out(values):
    values["plan"] = {"search": {"searcher": "seqnas", "architectures": 150}}
    search = Recipe.from_dict(values).plan.search
    assert (search.algorithm, search.batch, search.distilled) == ("bananas-paper", 15, True)
    values["plan"]["search"]["batch"] = 5
    assert Recipe.from_dict(values).plan.search.batch == 5


def test_journals_name_a_plan_without_a_search_as_they_always_did(values):
    del values["plan"]["search"]
    assert Recipe.from_dict(values).plan.identity == (
        "Plan(random=9, exhaustive=False, architectures='', listed=(), skip=0, first=None, sample_seed=0, repeated=3, seeds=2, "
        "seeds_of_all=1, distilled=2, bananas=None)"
    )


LATER_KEYS = {
    "epoch_size": 100,
    "curve_rows": 50,
    "test_curves": True,
    "score_at": "end",
    "warm_up": 0.1,
    "embedding_std": 1.0,
    "norm": "layer",
}


def test_later_keys_are_written_only_where_they_differ():
    plain = Protocol(epochs=2)
    assert not set(LATER_KEYS) & set(plain.to_dict())
    changed = Protocol(epochs=2, **LATER_KEYS)
    assert set(changed.to_dict()) == set(plain.to_dict()) | set(LATER_KEYS)
    for protocol in (plain, changed):
        assert Protocol.from_dict(protocol.to_dict()) == protocol
        assert Protocol.from_dict(json.loads(json.dumps(protocol.to_dict()))) == protocol


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch_size": 0}, "epoch_size = 0, expected an integer from 1"),
        ({"curve_rows": 1.5}, "curve_rows = 1.5, expected an integer from 2"),
        ({"test_curves": True}, "test_curves = true without curve_rows"),
        ({"test_curves": "yes", "curve_rows": 10}, "test_curves = 'yes', expected true or false"),
        ({"score_at": "last"}, "score_at = 'last', expected one of 'best epoch', 'end'"),
        (
            {"score_at": "end", "schedule": "constant"},
            "score_at = 'end' with schedule = 'constant': expected one that ends",
        ),
        ({"warm_up": 2}, "warm_up = 2, expected a number from 0 to 1"),
        ({"embedding_std": -1.0}, "embedding_std = -1.0, expected a number from 0"),
        ({"norm": "batch"}, "norm = 'batch', expected one of 'none', 'layer'"),
    ],
)
def test_later_keys_have_their_lines(changes, message):
    with pytest.raises(RecipeError, match=re.escape(message)):
        Protocol(epochs=2, **changes)


def planned(values, **plan):
    return {**values, "plan": plan}


def test_a_plan_lists_a_sub_space_in_its_frozen_order(values, dataset):
    del values["subset"]
    plan = {"architectures": "seqnas-s", "repeated": 3, "seeds": 3, "seeds_of_all": 2, "first": 60}
    recipe = Recipe.from_dict({**planned(values, **plan), "train": 100})
    planner = Planner(recipe, recipe.search_space(dataset))
    order = subspace_ranks("seqnas-s", SeqNASSpace())
    assert planner.total == 3 * 3 + 57 * 2
    assert {job.sampler for job in planner.first} == {"seqnas-s"}
    assert [job.rank for job in planner.first if job.seed == 0] == order[:60]
    assert [job.rank for job in planner.first if job.seed == 2] == order[:3]
    # a longer plan begins with the shorter one, in blocks of fifty with all their seeds
    whole = Planner(Recipe.from_dict(planned(values, **plan | {"first": 912})), SeqNASSpace())
    assert whole.total == 3 * 3 + 909 * 2
    assert whole.first[: 3 * 3 + 47 * 2] == planner.first[: 3 * 3 + 47 * 2]
    shards = [Planner(recipe, SeqNASSpace(), (i, 3)).first for i in (1, 2, 3)]
    assert sorted((job for shard in shards for job in shard), key=astuple) == sorted(planner.first, key=astuple)


def test_a_plan_lists_a_file_of_strings(tmp_path, values, dataset):
    strings = ["kw.n.0.2x8/1x8.d-mean+max", "k1.n.0.0.mean"]
    (tmp_path / "mine.txt").write_text("# mine\n\n" + "\n".join(strings) + "\n")
    path = tmp_path / "recipe.toml"
    path.write_text(
        "dataset = 'synthetic'\n[protocol]\nepochs = 1\n[plan]\narchitectures = 'mine.txt'\nseeds_of_all = 2\n"
    )
    recipe = Recipe.read(path)
    jobs = Planner(recipe, recipe.search_space(dataset)).first
    assert [(str(SeqNASSpace().unrank(job.rank)), job.seed) for job in jobs] == [
        (text, seed) for seed in (0, 1) for text in strings
    ]
    assert {job.sampler for job in jobs} == {"listed"}
    for content, message in (
        ("k1.n.0.0.mean\nk1.n.0.0.mean", "architecture 2: k1.n.0.0.mean is there twice"),
        ("k1.n.0.0.men", "architecture 1: "),
        ("# nothing", "holds no architectures"),
    ):
        (tmp_path / "mine.txt").write_text(content)
        with pytest.raises(RecipeError, match=message):
            Recipe.read(path).search_space(dataset)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"plan": {"architectures": "seqnas-xl"}}, "'seqnas-xl' is neither a sub-space (seqnas-s) nor a file"),
        ({"plan": {"architectures": 3}}, "architectures = 3, expected the name of a sub-space or of a file"),
        (
            {"plan": {"architectures": "seqnas-s"}, "space": "ffn-3"},
            "the sub-space seqnas-s is one of seqnas, not of ffn",
        ),
        ({"plan": {"architectures": "seqnas-s", "repeated": 913}}, "repeated = 913 of 912 architectures"),
        (
            {"plan": {"architectures": "seqnas-s", "seeds_of_all": 20_000}},
            "18,240,000 trainings: expected at most 10,000,000",
        ),
        ({"plan": {"architectures": "seqnas-s", "random": 5}}, "expected either random"),
        ({"plan": {}}, "expected either random"),
        ({"plan": {"random": 5, "first": 0}}, "first = 0, expected an integer from 1"),
        ({"plan": {"random": 9, "first": 3, "repeated": 4}}, "repeated = 4, expected at most first = 3"),
        ({"plan": {"random": 9, "repeated": 1, "seeds": 2, "seeds_of_all": 3}}, "seeds_of_all = 3 above the seeds = 2"),
        ({"plan": {"random": 9, "listed": ["k1.n.0.0.mean"]}}, "listed is no key of a recipe"),
        ({"train": 0}, "train 0: expected how many sequences"),
        ({"train": 100, "subset": 100}, "subset and train: expected one of them"),
        ({"protocol": {"epochs": 1, "norm": "layer"}}, "norm = 'layer' is for networks of vectors, such as ffn"),
    ],
)
def test_plans_and_parts_have_their_lines(values, dataset, changes, message):
    with pytest.raises(RecipeError, match=re.escape(message)):
        Recipe.from_dict({**values, **changes}).search_space(dataset)


def test_a_sub_space_needs_real_valued_fields():
    with pytest.raises(InvalidSpace, match="for datasets with real-valued fields"):
        subspace_ranks("seqnas-s", SeqNASSpace(numerical=False))
