"""Restricted spaces: fewer options per choice, own ranks and neighbours, the parent's strings, AVecs and costs."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_evs import spaces
from nasbench_evs.errors import InvalidArchitecture, InvalidSpace
from nasbench_evs.spaces import Choice, FFNSpace, SearchSpace, SeqNASSpace, SequenceShape, VectorShape
from nasbench_evs.spaces.subspaces import subspace
from nasbench_evs.testing.space import INHERITED, SpaceContract

PLAIN = SearchSpace.from_choices(
    {"op": ["conv", "attention", "both"], "heads": [1, 2, 4], "kernel": [3, 5], "wide": [False, True], "only": ["one"]},
    {"heads": {"op": ["attention", "both"]}, "kernel": {"op": ["conv", "both"]}, "wide": {"heads": [4]}},
)


def allowed(space, architecture):
    """Whether an architecture of the parent is in the view, by the definition."""
    kept = {choice.name: choice.options for choice in space.choices}
    return all(option in kept[name] for name, option in architecture.options.items())


def lowest(space):
    while hasattr(space, "parent"):
        space = space.parent
    return space


class RestrictedContract(SpaceContract):
    """What a view promises beside being a space. `shape`: inputs that the parent has costs for, or None."""

    shape = None

    def test_strings_avecs_and_costs_are_the_parents(self):
        space, parent = self.space, self.space.parent
        choices = space.sample_many(50, 1)
        above = parent.check(space.to_parent(choices))
        assert space.format_many(choices) == parent.format_many(above)
        assert space.avec_bits == parent.avec_bits
        assert np.array_equal(space.encode_many(choices), parent.encode_many(above))
        for architecture, theirs in zip(space.architectures(choices), parent.architectures(above), strict=True):
            assert architecture.options == theirs.options
            assert str(architecture) == str(theirs)
        if self.shape is not None:
            ours, theirs = space.cost_many(choices, self.shape), parent.cost_many(above, self.shape)
            assert np.array_equal(ours.params, theirs.params)
            assert np.array_equal(ours.flops, theirs.flops)

    def test_conversions_are_inverse_and_say_what_is_outside(self):
        space, parent = self.space, self.space.parent
        choices = space.sample_many(50, 2, "uniform")
        back, inside = space.from_parent(space.to_parent(choices))
        assert inside.all()
        assert np.array_equal(back, choices)
        above = parent.sample_many(200, 3)
        down, inside = space.from_parent(above)
        assert inside.tolist() == [allowed(space, each) for each in parent.architectures(above)]
        assert (down[~inside] == -1).all()
        assert np.array_equal(space.to_parent(down[inside]), above[inside])
        for architecture, here in zip(parent.architectures(above), inside, strict=True):
            if here:
                assert str(space.parse(str(architecture))) == str(architecture)
            else:
                with pytest.raises(InvalidArchitecture, match=rf"is outside {space.name}: .* = .*, expected"):
                    space.parse(str(architecture))

    def test_neighbours_stay_inside(self):
        space, parent = self.space, self.space.parent
        for architecture in space.architectures(space.sample_many(10, 4)):
            ours = {str(each) for each in space.neighbors(architecture)}
            theirs = parent.neighbors(parent.parse(str(architecture)))
            # A neighbour of the parent in the view is one here; others here activate what there begins outside.
            assert {str(each) for each in theirs if allowed(space, each)} <= ours
            assert all(allowed(space, parent.parse(text)) for text in ours)

    def test_is_rebuilt_from_its_spec(self):
        again = spaces.from_spec(json.loads(json.dumps(self.space.spec, sort_keys=True)))
        assert again == self.space
        assert again.parent == self.space.parent
        choices = self.space.sample_many(20, 0)
        assert np.array_equal(again.rank_many(choices), self.space.rank_many(choices))
        assert (self.space.whole, self.space.whole.whole) == (lowest(self.space), lowest(self.space))

    def test_an_architecture_of_the_parent_is_not_one_of_the_view(self):
        with pytest.raises(
            InvalidArchitecture, match=r"expected one of .*, which space.parse\(str\(architecture\)\) gives"
        ):
            self.space.rank(self.space.parent.sample(0))

    def test_indices_of_no_architecture_are_refused(self):
        for convert, space in ((self.space.to_parent, self.space), (self.space.from_parent, self.space.parent)):
            with pytest.raises(InvalidArchitecture, match="row 0"):
                convert(np.full((1, len(space.choices)), 100))


class TestSeqNASS(RestrictedContract):
    space = subspace("seqnas-s", SeqNASSpace())
    shape = SequenceShape(((50, 8),), numerical=2, channels=2, hidden=8, outputs=2, length=16)

    def test_a_forced_choice_never_changes(self):
        architecture = self.space.parse("kw.t.a4/gc.4x4.max")
        for neighbour in self.space.neighbors(architecture):
            assert not neighbour["stem.dropout"]
            assert {v for name, v in neighbour.options.items() if name.endswith("heads")} <= {4}
        # kernel, time, depth (2), two layers (6 each), decoder, pool
        assert len(self.space.neighbors(architecture)) == 1 + 1 + 2 + 6 + 6 + 1 + 1

    def test_what_becomes_active_takes_an_option_that_is_kept(self):
        grown = [str(each) for each in self.space.neighbors(self.space.parse("k1.n.0.0.mean"))]
        assert {"k1.n.a4.0.mean", "k1.n.0.4x4.mean"} <= set(grown)

    def test_hierarchical_sampling_keeps_the_probabilities(self):
        depth = self.space.sample_many(20_000, 0)[:, self.space.column("encoder.depth")]
        assert np.bincount(depth) / len(depth) == pytest.approx([3 / 5, 1 / 5, 1 / 5], abs=0.02)

    def test_a_string_outside_is_refused_with_the_choice(self):
        with pytest.raises(
            InvalidArchitecture, match="^'k3.n.0.0.mean' is outside seqnas-s: stem.kernel = 3, expected 1 or wide$"
        ):
            self.space.parse("k3.n.0.0.mean")
        with pytest.raises(InvalidArchitecture, match="at character 1 expected 'k'"):
            self.space.parse("n.0.0.mean")


class TestWithoutStem(RestrictedContract):
    space = SeqNASSpace(numerical=False).restrict({"encoder.depth": [4], "head.pool": ["max"]})
    shape = SequenceShape(((50, 8),), numerical=0, channels=2, hidden=8, outputs=2, length=16)


class TestFFN(RestrictedContract):
    space = FFNSpace(3).restrict({"layer.0": [512, 8, 64], "layer.2": [32]})
    shape = VectorShape(inputs=5, outputs=2)

    def test_ranks_are_in_the_order_of_the_parent(self):
        assert self.space.size == 3 * 20
        assert [str(self.space.unrank(rank)) for rank in (0, 20, 59)] == ["8-8-32", "64-8-32", "512-512-32"]


class TestPlainChoices(RestrictedContract):
    space = PLAIN.restrict({"op": ["both", "conv"], "heads": [2, 4]})

    def test_every_architecture(self):
        # conv: 2 kernels; both: heads 2, or 4 with two widths, times 2 kernels
        assert self.space.size == 2 + 3 * 2
        assert self.space.name == "restricted custom"


class TestAConditionThatIsNeverMet(RestrictedContract):
    space = PLAIN.restrict({"op": ["conv"], "heads": [2]}, name="convolutions")

    def test_its_choices_are_never_active(self):
        every = self.space.architectures(self.space.unrank_many(range(self.space.size)))
        assert [str(each) for each in every] == ["op=conv,kernel=3,only=one", "op=conv,kernel=5,only=one"]
        with pytest.raises(InvalidArchitecture, match="heads is not active"):
            every[0]["heads"]
        with pytest.raises(InvalidArchitecture, match="heads is given but not active"):
            self.space.from_options({**every[0].options, "heads": 2})


class TestAViewOfAView(RestrictedContract):
    space = (
        FFNSpace(3).restrict({"layer.0": [8, 16, 64]}, name="narrow").restrict({"layer.0": [64], "layer.1": [8, 16]})
    )
    shape = VectorShape(inputs=5, outputs=2)

    def test_lift_goes_all_the_way(self):
        whole = FFNSpace(3)
        choices = self.space.sample_many(20, 0)
        assert whole.format_many(spaces.lift(choices, self.space, whole)) == self.space.format_many(choices)
        assert spaces.lift(choices, self.space, self.space) is choices
        with pytest.raises(InvalidSpace, match="is no view of .*ffn: 2 choices"):
            spaces.lift(choices, self.space, FFNSpace(2))


class TestOneArchitecture(RestrictedContract):
    space = FFNSpace(2).restrict({"layer.0": [8], "layer.1": [16]})


class TestNothingIsLeftOut(RestrictedContract):
    space = PLAIN.restrict({"heads": [4, 2, 1]})

    def test_ranks_are_the_parents(self):
        every = self.space.unrank_many(range(PLAIN.size))
        assert np.array_equal(PLAIN.unrank_many(range(PLAIN.size)), every)


class TestOddsAndBits(RestrictedContract):
    # Made of Choice objects, which a spec of plain choices cannot hold: only what does not go through a spec.
    space = SearchSpace([Choice("a", ("x", "y", "z"), weights=(1, 3, 1))], name="weighted").restrict({"a": ["x", "y"]})
    test_is_rebuilt_from_its_spec = None
    test_pickles_small_and_compares_equal = None

    def test_probabilities_are_those_of_the_options_that_are_left(self):
        assert (self.space.sample_many(20_000, 0)[:, 0] == 1).mean() == pytest.approx(0.75, abs=0.02)


@st.composite
def views(draw):
    """A space of up to five choices with conditions, and any restriction of it."""
    options, conditions = {}, {}
    for i in range(draw(st.integers(1, 5))):
        if i and draw(st.booleans()):
            parent = draw(st.sampled_from(list(options)))
            conditions[f"c{i}"] = {parent: draw(st.sets(st.sampled_from(options[parent]), min_size=1))}
        options[f"c{i}"] = list(range(draw(st.integers(1, 3))))
    space = SearchSpace.from_choices(options, conditions)
    some = st.fixed_dictionaries(
        {}, optional={name: st.sets(st.sampled_from(each), min_size=1) for name, each in options.items()}
    )
    return space.restrict(draw(some))


@settings(max_examples=150, deadline=None, suppress_health_check=INHERITED)
@given(view=views())
def test_a_view_holds_what_its_definition_says(view):
    parent = view.parent
    expected = {str(each) for each in map(parent.unrank, range(parent.size)) if allowed(view, each)}
    every = view.unrank_many(np.arange(view.size))
    view.check(every)
    assert view.size == len(expected)
    assert set(view.format_many(every)) == expected
    assert np.array_equal(view.rank_many(every), np.arange(view.size))
    for architecture in itertools.islice(view.architectures(every), 20):
        assert {str(each) for each in view.neighbors(architecture)} <= expected
        assert str(view.mutate(architecture, 0)) in expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer.7": [8]}, r"ffn has no choice 'layer.7': expected some of layer.0, layer.1"),
        ({"layer.0": [8, 9]}, r"choice 'layer.0': 9 is no option, expected some of 8, 16"),
        ({"layer.0": []}, "choice 'layer.0' keeps no option: expected some of 8, 16"),
        ({"layer.0": None}, "expected a list of options to keep, got None"),
        ({"layer.0": "8"}, "expected a list of options to keep, got '8'"),
        ({"layer.0": 8}, "expected a list of options to keep, got 8"),
        ([8], r"options = \[8\]: expected those to keep as \{choice: \[options\]\}"),
    ],
)
def test_restrictions_that_make_no_sense(options, message):
    with pytest.raises(InvalidSpace, match=message) as caught:
        FFNSpace(2).restrict(options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["seqnas", "ffn", "", 7])
def test_names_that_are_taken_or_none(name):
    with pytest.raises(InvalidSpace, match="cannot name a space of RestrictedSpace"):
        FFNSpace(2).restrict({"layer.0": [8]}, name=name)


@pytest.mark.parametrize(
    "parameters",
    [{"parent": FFNSpace(2).spec}, {"parent": 7, "options": {}}, {"parent": FFNSpace(2).spec, "options": {"x": [1]}}],
)
def test_a_spec_of_no_view_is_refused(parameters):
    with pytest.raises(InvalidSpace):
        spaces.from_spec({"name": "mine", "version": 1, "parameters": parameters})
