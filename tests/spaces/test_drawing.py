"""Architectures in words and drawn."""

import subprocess
import sys
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_evs.errors import InvalidArchitecture
from nasbench_evs.spaces import FFNSpace, SearchSpace, SeqNASSpace
from nasbench_evs.spaces.drawing import Block, Part, draw
from nasbench_evs.spaces.subspaces import subspace

SVG = "{http://www.w3.org/2000/svg}"
SEQNAS = SeqNASSpace()
PLAIN = SearchSpace.from_choices(
    {"op": ["conv", "attention"], "heads": [1, 2, 4], "a < b & c": ["'", '"', "<&>"]}, {"heads": {"op": ["attention"]}}
)
SPACES = {
    "seqnas": SEQNAS,
    "seqnas without numbers": SeqNASSpace(numerical=False),
    "seqnas-s": subspace("seqnas-s", SEQNAS),
    "ffn": FFNSpace(9),
    "plain": PLAIN,
}
SEEDS = st.integers(0, 2**32 - 1)


def texts(svg):
    return [each.text for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@given(seed=SEEDS)
def test_every_active_choice_is_said(space, seed):
    """One step in any choice is another description, so that none is left out."""
    architecture = space.sample(seed)
    said = space.describe(architecture)
    assert space.describe(space.sample(seed)) == said
    for neighbor in space.neighbors(architecture):
        assert space.describe(neighbor) != said


@given(seed=SEEDS)
def test_inactive_choices_of_seqnas_are_not_said(seed):
    architecture = SEQNAS.sample(seed)
    words = dict(SEQNAS.describe(architecture))
    for kind in ("encoder", "decoder"):
        layers = [name for name in words if name.startswith(f"{kind} layer")]
        assert len(layers) == architecture[f"{kind}.depth"]
        assert (kind in words) == (not layers)
    heads = [name for name in architecture if name.endswith("heads")]
    assert sum(text.count(" head") for text in words.values()) == len(heads)


def test_words_of_seqnas():
    architecture = SEQNAS.parse("kwd.t.a1gc/gc.2x8.d-mean+max")
    assert SEQNAS.describe(architecture) == [
        ("inputs", "events: categorical and real-valued fields"),
        ("stem", "convolution, wide kernel, then dropout"),
        ("time encoding", "added"),
        ("encoder layer 1 of 2", "attention with 1 head, GRU and convolution, side by side"),
        ("encoder layer 2 of 2", "GRU and convolution, side by side"),
        ("decoder layer 1 of 1", "self-attention with 2 heads, then cross-attention with 8 heads"),
        ("pooling", "mean and max"),
        ("head", "dropout, then linear"),
    ]
    bare = dict(SEQNAS.describe(SEQNAS.parse("k1.n.0.0.max")))
    assert (bare["encoder"], bare["decoder"], bare["time encoding"]) == ("no layers", "no layers", "none")
    assert (bare["stem"], bare["head"]) == ("convolution, kernel 1, then no dropout", "no dropout, then linear")


def test_words_of_plain_choices_are_the_active_ones():
    assert PLAIN.describe(PLAIN.from_options({"op": "conv", "a < b & c": "'"})) == [("op", "conv"), ("a < b & c", "'")]


def test_an_architecture_of_another_space_is_refused():
    with pytest.raises(InvalidArchitecture, match="is of the space"):
        SEQNAS.describe(FFNSpace(3).sample(0))


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@given(seed=SEEDS)
def test_a_drawing_shows_every_part_and_block(space, seed):
    architecture = space.sample(seed)
    svg = architecture.draw()
    assert architecture._repr_svg_() == svg
    expected = {part.name for part in space.parts(architecture)}
    expected |= {block.words for part in space.parts(architecture) for block in part.blocks}
    assert set(texts(svg)) == expected
    root = ElementTree.fromstring(svg)
    assert root.find(f"{SVG}title").text == f"{space.name} {architecture}"
    assert root.find(f"{SVG}desc").text == "; ".join(f"{name}: {words}" for name, words in space.describe(architecture))


@given(names=st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=5), parallel=st.booleans())
def test_any_text_gives_well_formed_svg_within_its_frame(names, parallel):
    part = Part("<script>", tuple(Block(name) for name in names), parallel)
    root = ElementTree.fromstring(draw([part, part], "".join(names)))
    width, height = float(root.get("width")), float(root.get("height"))
    boxes = [
        {k: float(each.get(k)) for k in ("x", "y", "width", "height")} for each in list(root.iter(f"{SVG}rect"))[1:]
    ]
    assert len(boxes) == 2 * len(names)
    for box in boxes:
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        assert 0 <= box["y"] <= box["y"] + box["height"] <= height
    for one, other in pairwise(boxes):  # none on another
        assert one["y"] + one["height"] <= other["y"] or one["x"] + one["width"] <= other["x"]


def test_wider_layers_are_drawn_wider():
    root = ElementTree.fromstring(FFNSpace(3).parse("112-512-256").draw())
    widths = [float(each.get("width")) for each in list(root.iter(f"{SVG}rect"))[2:-1]]
    assert np.argsort(widths).tolist() == [0, 2, 1]


def test_drawing_needs_no_matplotlib():
    code = (
        "import sys; from nasbench_evs.spaces import SeqNASSpace; SeqNASSpace().sample(0).draw(); "
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
