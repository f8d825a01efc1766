"""The sub-space seqnas-s is frozen: its list is part of the file format."""

import hashlib

import numpy as np
import pytest

from nasbench_evs.errors import InvalidSpace
from nasbench_evs.spaces import FFNSpace, SeqNASSpace
from nasbench_evs.spaces.subspaces import subspace, subspace_ranks

SPACE = SeqNASSpace()


def test_the_list_never_changes():
    ranks = subspace_ranks("seqnas-s", SPACE)
    assert hashlib.sha256(",".join(map(str, ranks)).encode()).hexdigest() == (
        "13daf9236ba2f8c45e85ecba6738ca0d153e571ade75edce2bf4e8c2d023dcf1"
    )


def test_seqnas_s_is_what_its_definition_says():
    ranks = subspace_ranks("seqnas-s", SPACE)
    assert len(set(ranks)) == len(ranks) == 912
    layers = {0: 1, 1: 7, 2: 49}
    counts = dict.fromkeys(layers, 0)
    for rank in ranks:
        options = SPACE.unrank(rank).options
        assert options["stem.kernel"] in (1, "wide")
        assert not options["stem.dropout"]
        assert not options["head.dropout"]
        assert options["head.pool"] in ("mean", "max")
        assert options["decoder.depth"] in (0, 1)
        assert {value for name, value in options.items() if name.endswith("heads")} <= {4}
        counts[options["encoder.depth"]] += 1
    assert counts == {depth: 16 * n for depth, n in layers.items()}


def test_the_view_holds_exactly_the_list():
    view = subspace("seqnas-s", SPACE)
    assert view.name == "seqnas-s"
    every = view.to_parent(view.unrank_many(np.arange(view.size)))
    assert sorted(SPACE.rank_many(every).tolist()) == sorted(subspace_ranks("seqnas-s", SPACE))


@pytest.mark.parametrize("of", [subspace, subspace_ranks])
@pytest.mark.parametrize(
    ("name", "space", "message"),
    [
        ("seqnas-xs", SPACE, "no sub-space 'seqnas-xs': expected one of seqnas-s"),
        ("seqnas-s", FFNSpace(3), "seqnas-s is one of seqnas, not of ffn"),
        ("seqnas-s", SeqNASSpace(numerical=False), "for datasets with real-valued fields"),
    ],
)
def test_it_is_a_part_of_one_space_only(of, name, space, message):
    with pytest.raises(InvalidSpace, match=message):
        of(name, space)


def test_any_beginning_is_spread_over_the_choices():
    """The order is random: half of the first 64 have each of two equally frequent options, give or take."""
    first = [SPACE.unrank(rank).options for rank in subspace_ranks("seqnas-s", SPACE)[:64]]
    for choice, option in (("time_encoding", True), ("head.pool", "max"), ("decoder.depth", 1)):
        assert 16 < sum(options[choice] == option for options in first) < 48
