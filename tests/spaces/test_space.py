"""The general space: plain choices with conditions."""

import json

import numpy as np
import pytest

from nasbench_evs import spaces
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery, InvalidSpace
from nasbench_evs.spaces import Choice, SearchSpace, VectorShape
from nasbench_evs.testing.space import SpaceContract

CELL = {f"edge{i}": ["none", "skip", "conv1", "conv3", "pool"] for i in range(6)}  # NAS-Bench-201


class TestPlainChoices(SpaceContract):
    space = SearchSpace.from_choices(CELL)

    def test_size_and_bits(self):
        assert self.space.size == 5**6
        assert self.space.avec_bits == 30


class TestConditionalChoices(SpaceContract):
    space = SearchSpace.from_choices(
        {
            "op": ["conv", "attention", "both"],
            "heads": [1, 2, 4],
            "kernel": [3, 5],
            "wide": [False, True],
            "only": ["one"],
        },
        {"heads": {"op": ["attention", "both"]}, "kernel": {"op": ["conv", "both"]}, "wide": {"heads": [4]}},
    )

    def test_every_rank_is_another_architecture(self):
        # conv: 2 kernels; attention: heads 1, 2, or 4 with two widths; both: their product
        assert self.space.size == 2 + 4 + 2 * 4
        every = self.space.unrank_many(range(self.space.size))
        self.space.check(every)
        assert len(np.unique(every, axis=0)) == self.space.size
        assert np.array_equal(self.space.rank_many(every), np.arange(self.space.size))

    def test_strings_name_active_choices_only(self):
        assert str(self.space.unrank(0)) == "op=conv,kernel=3,only=one"
        with pytest.raises(InvalidArchitecture, match=r"at character 9 expected 'kernel='"):
            self.space.parse("op=conv,heads=1,only=one")

    def test_inactive_choices_are_not_there(self):
        architecture = self.space.parse("op=conv,kernel=3,only=one")
        with pytest.raises(InvalidArchitecture, match="heads is not active .* it needs op = attention or both"):
            architecture["heads"]
        with pytest.raises(InvalidArchitecture, match="no choice 'depth'"):
            architecture["depth"]
        with pytest.raises(InvalidArchitecture, match="heads is given but not active"):
            self.space.from_options({"op": "conv", "heads": 1, "kernel": 3, "only": "one"})
        with pytest.raises(InvalidArchitecture, match="kernel is missing"):
            self.space.from_options({"op": "conv", "only": "one"})
        with pytest.raises(InvalidArchitecture, match="kernel = 7 is no option: expected one of 3, 5"):
            self.space.from_options({"op": "conv", "kernel": 7, "only": "one"})


class TestOneArchitecture(SpaceContract):
    space = SearchSpace.from_choices({"a": ["x"]})

    def test_there_is_nothing_to_change(self):
        only = self.space.unrank(0)
        assert self.space.mutate(only, 0) == only
        assert self.space.neighbors(only) == []


class TestTheLargestRanks(SpaceContract):
    space = SearchSpace.from_choices({f"c{i}": list(range(2)) for i in range(63)} | {"d": ["x"]})


def test_spaces_are_rebuilt_from_their_spec():
    for space in (TestConditionalChoices.space, spaces.SeqNASSpace(False), spaces.FFNSpace(4)):
        assert spaces.from_spec(space.spec) == space
    assert spaces.FFNSpace(3) != spaces.FFNSpace(4)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "seqnas"}, "expected name, version and parameters"),
        ({"name": "seqnas", "version": 2, "parameters": {}}, "version 2.*upgrade"),
        ({"name": "seqnas", "version": 1, "parameters": {"depth": 3}}, "does not have the parameters"),
        ({"name": "mine", "version": 1, "parameters": {}}, "no space 'mine' is known here"),
        (7, "does not name a search space"),
    ],
)
def test_an_unknown_spec_is_refused(spec, message):
    with pytest.raises(InvalidSpace, match=message):
        spaces.from_spec(spec)


@pytest.mark.parametrize(
    ("options", "conditions", "message"),
    [
        ({}, None, "at least one choice"),
        ({"a": []}, None, "0 options: expected 1 to 127"),
        ({"a": list(range(128))}, None, "128 options"),
        ({"a": ["x", "x"]}, None, "expected distinct options"),
        ({"a": [1, "1"]}, None, "expected distinct options"),
        ({"a": [1, True]}, None, "expected distinct options"),
        ({"a": [None]}, None, "NoneType"),
        ({"a": [float("nan")]}, None, "a finite number"),
        ({"a": ["x,y"]}, None, "without ','"),
        ({"a": ["c#"]}, None, "'#'"),
        ({"a": [float("inf")]}, None, "a finite number"),
        ({"a": None}, None, "expected a list of options, got None"),
        (["a"], None, "expected choices as"),
        ({1: ["x"]}, None, "choice name 1"),
        ({"a=b": ["x"]}, None, "choice name"),
        ({"a": "xyz"}, None, "expected a list of options"),
        ({"a": [1, 2], "b": [1]}, {"b": {"a": [3]}}, "a = 3, which is no option: expected one of 1, 2"),
        ({"a": [1, 2], "b": [1]}, {"a": {"b": [1]}}, "expected the name of an earlier choice"),
        ({"a": [1, 2], "b": [1]}, {"c": {"b": [1]}}, "names the choice 'c'"),
        ({"a": [1, 2], "b": [1]}, {"b": {}}, r"expected \{earlier choice: \[options\]\}"),
        ({f"c{i}": [0, 1] for i in range(64)}, None, "more than 2"),
    ],
)
def test_choices_that_make_no_space(options, conditions, message):
    with pytest.raises(InvalidSpace, match=message):
        SearchSpace.from_choices(options, conditions)


def test_the_order_of_choices_is_part_of_the_space():
    """Files sort JSON keys; the order of the choices, which decides what ranks mean, must survive that."""
    space = SearchSpace.from_choices({"op": ["a", "b"], "norm": ["x", "y"], "act": ["p", "q", "r"]})
    again = spaces.from_spec(json.loads(json.dumps(space.spec, sort_keys=True)))
    assert again == space
    assert [again.format(again.unrank(r)) for r in range(12)] == [str(space.unrank(r)) for r in range(12)]
    other = SearchSpace.from_choices({"norm": ["x", "y"], "op": ["a", "b"], "act": ["p", "q", "r"]})
    assert other != space


def test_options_from_a_generator_are_kept():
    space = SearchSpace.from_choices({"a": (i for i in range(3))})
    assert spaces.from_spec(space.spec).size == 3


@pytest.mark.parametrize("name", ["seqnas", "ffn", "", None])
def test_names_that_are_taken_or_none(name):
    with pytest.raises(InvalidSpace, match="cannot name a space of SearchSpace"):
        SearchSpace.from_choices({"a": [1]}, name=name)


def test_seeds_and_texts_that_are_none():
    space = TestPlainChoices.space
    for seed in (-1, "a", 1.5):
        with pytest.raises(InvalidQuery, match="seed"):
            space.sample(seed)
    for n in (2.5, True, 2**63):
        with pytest.raises(InvalidQuery, match="cannot sample"):
            space.sample_many(n)
    for text in (None, b"edge0=none"):
        with pytest.raises(InvalidArchitecture, match="expected the canonical string"):
            space.parse(text)
    assert len(space.unrank_many(r for r in range(3))) == 3


def test_weights_set_the_probabilities_of_hierarchical_sampling():
    space = SearchSpace([Choice("a", ("x", "y"), weights=(3, 1))], name="weighted")
    share = (space.sample_many(20_000, 0)[:, 0] == 1).mean()
    assert 0.23 < share < 0.27


def test_a_generator_is_used_as_it_is():
    space = TestPlainChoices.space
    generator = np.random.default_rng(0)
    assert space.sample(generator) != space.sample(generator)


def test_plain_choices_have_no_cost_formula():
    with pytest.raises(InvalidQuery, match="no cost formula"):
        TestPlainChoices.space.cost(TestPlainChoices.space.unrank(0), VectorShape(1, 1))
