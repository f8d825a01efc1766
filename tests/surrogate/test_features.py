"""Features: the AVec, counts over layers, costs."""

import numpy as np
import pytest

from nasbench_evs.spaces import FFNSpace, SearchSpace, SeqNASSpace, SequenceShape, lift
from nasbench_evs.surrogate.features import Features

SPACES = [
    SeqNASSpace(),
    SeqNASSpace(numerical=False),
    FFNSpace(3),
    SearchSpace.from_choices({"cell.0.op": ["a", "b+a"], "cell.1.op": ["a", "b+a"], "other": [1, 2]}, name="mine"),
]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_one_architecture_is_as_many(space):
    features = Features(space, None)
    choices = space.sample_many(40, seed=0)
    many = features.many(choices, True)
    assert many.shape == (40, len(features))
    assert many.dtype == np.float32
    assert many.flags.f_contiguous
    assert np.array_equal(many[:, : space.avec_bits], space.encode_many(choices))
    assert (many[:, -1] == 1).all()
    for i in range(40):
        assert np.array_equal(np.float32(features.one(choices[i : i + 1], True)), many[i])
    assert len(features.many(choices[:0], False)) == 0


def test_counts_say_how_many_layers_hold_what():
    space = SeqNASSpace()
    features = Features(space, None)
    choices = space.sample_many(100, seed=1)
    found = features.many(choices, False)
    for part in ("attention", "gru", "conv"):
        counts = found[:, features.names.index(f"encoder.*.ops.{part}")]
        for architecture, count in zip(space.architectures(choices), counts, strict=True):
            layers = [str(option) for name, option in architecture.options.items() if name.endswith(".ops")]
            assert count == sum(part in layer.split("+") for layer in layers)


@pytest.mark.parametrize(
    "view",
    [
        SPACES[0].restrict({"encoder.depth": [0, 2], "encoder.0.heads": [4], "encoder.1.ops": ["gru", "conv"]}),
        FFNSpace(3).restrict({"layer.0": [8]}).restrict({"layer.1": [8, 16]}),
        SPACES[3].restrict({"cell.0.op": ["b+a"]}),
    ],
)
def test_a_view_has_the_features_of_the_whole(view):
    choices = view.sample_many(40, seed=0)
    ours, theirs = Features(view, None), Features(view.whole, None)
    assert ours.names == theirs.names
    assert np.array_equal(ours.many(choices, False), theirs.many(lift(choices, view, view.whole), False))
    one = choices[:1]
    assert ours.one(one, False) == theirs.one(lift(one, view, view.whole), False)


def test_parts_of_options_in_a_space_of_ones_own():
    features = Features(SPACES[-1], None)
    found = features.many(np.array([[0, 1, 0], [1, 1, 1]], np.int8), False)
    assert found[:, features.names.index("cell.*.op.a")].tolist() == [2, 2]
    assert found[:, features.names.index("cell.*.op.b")].tolist() == [1, 2]
    assert "log params" not in features.names


def test_costs_are_those_of_the_shape():
    space = SeqNASSpace()
    shape = SequenceShape(((9, 3),), numerical=2, channels=3, hidden=8, outputs=2, length=20)
    features = Features(space, shape)
    choices = space.sample_many(30, seed=2)
    params, flops = space.cost_many(choices, shape)
    found = features.many(choices, False)
    assert np.allclose(np.exp(found[:, features.names.index("log params")]), np.add(params, 1), rtol=1e-5)
    assert np.allclose(np.exp(found[:, features.names.index("log flops")]), np.add(flops, 1), rtol=1e-5)
