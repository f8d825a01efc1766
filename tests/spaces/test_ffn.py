"""The ffn space of paper 003."""

import numpy as np
import pytest

from nasbench_evs.errors import InvalidArchitecture, InvalidSpace
from nasbench_evs.spaces import FFNSpace, SequenceShape, VectorShape
from nasbench_evs.testing.space import SpaceContract


class TestFFN(SpaceContract):
    space = FFNSpace(3)

    def test_exhaustively(self):
        assert self.space.size == 8000
        every = self.space.unrank_many(np.arange(8000))
        assert np.array_equal(self.space.rank_many(every), np.arange(8000))
        texts = self.space.format_many(every)
        assert len(set(texts)) == 8000
        assert np.array_equal(self.space.parse_many(texts), every)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("32-144", r"at character 7 expected '-' and the size of layer 3, found the end"),
            ("32-144-25", r"at character 8 expected a layer size .*, found '2'"),
            ("32-144-24-8", r"at character 10 expected the end, found '-'"),
            ("032-144-24", "at character 1"),
            ("32 -144-24", "at character 3 expected '-'"),
            ("", "at character 1"),
        ],
    )
    def test_errors_point_at_the_character(self, text, message):
        with pytest.raises(InvalidArchitecture, match=message):
            self.space.parse(text)


class TestDeepFFN(SpaceContract):
    space = FFNSpace(9)


class TestToy(SpaceContract):
    space = FFNSpace(2, [2, 3, 4])

    def test_the_papers_limit_of_25_parameters(self):
        """Paper 003, figure 1: 4-2 is exactly at the limit, 3-3, 3-4, 4-3 and 4-4 are beyond it."""
        shape = VectorShape(inputs=2, outputs=1)
        every = self.space.unrank_many(range(9))
        params = dict(zip(self.space.format_many(every), self.space.cost_many(every, shape).params, strict=True))
        assert params["4-2"] == (2 * 4 + 4) + (4 * 2 + 2) + (2 * 1 + 1) == 25
        assert {text for text, count in params.items() if count > 25} == {"3-4", "4-3", "4-4"}
        assert params["3-3"] == 9 + 12 + 4


def test_sizes_of_the_spaces_in_the_paper():
    assert FFNSpace(4).size == 160_000
    assert FFNSpace(5).size == 3_200_000
    assert FFNSpace(9).size == 12**9


# Paper 003, section 2 and table 3: (layers, inputs, outputs), architecture, parameters. Criteo has 13 numerical
# features and 26 categorical ones embedded in 39 dimensions; Volkert has 180 features and 10 classes.
PUBLISHED = [
    ((13 + 26 * 39, 1), "32-144-24", 41_153),
    ((13 + 26 * 39, 1), "32-144-24-112", 44_041),
    ((13 + 26 * 39, 1), "48-112-8-80", 56_537),
    ((13 + 26 * 39, 1), "96-144-32-240", 125_457),
    ((13 + 26 * 39, 1), "48-128-64-16-128", 67_217),
    ((180, 10), "48-112-16-24", 16_642),
    ((180, 10), "80-208-32-64", 40_778),
    ((180, 10), "64-64-160-48-16-144-16-8-48", 40_482),
]


@pytest.mark.parametrize(("shape", "text", "params"), PUBLISHED)
def test_parameters_equal_the_published_counts(shape, text, params):
    space = FFNSpace(text.count("-") + 1)
    assert space.cost(space.parse(text), VectorShape(*shape)).params == params


def test_costs_by_hand():
    space = FFNSpace(2, [2, 3, 4])
    cost = space.cost(space.parse("3-2"), VectorShape(inputs=5, outputs=4))
    assert cost.params == (5 * 3 + 3) + (3 * 2 + 2) + (2 * 4 + 4)
    assert cost.flops == 2 * (5 * 3 + 3 * 2 + 2 * 4)
    assert isinstance(cost.params, int)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "at least one"),
        ((2, []), "positive"),
        ((2, [8, 8]), "increasing"),
        ((2, [0, 8]), "positive"),
        ((2.0,), "an integer"),
        (("3",), "an integer"),
        ((2, [10**10]), "at most"),
    ],
)
def test_what_is_no_ffn_space(arguments, message):
    with pytest.raises(InvalidSpace, match=message):
        FFNSpace(*arguments)


def test_numpy_integers_are_integers():
    assert FFNSpace(np.int64(2), np.array([8, 16])) == FFNSpace(2, [8, 16])


def test_other_shapes_are_refused():
    space = FFNSpace(2)
    with pytest.raises(InvalidArchitecture, match="VectorShape"):
        space.cost(space.unrank(0), SequenceShape(((9, 4),), 0, 0, 8, 2, 10))
    with pytest.raises(InvalidSpace, match="inputs = 0"):
        VectorShape(0, 1)
