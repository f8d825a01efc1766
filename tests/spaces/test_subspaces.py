"""The sub-space seqnas-s is frozen: its list is part of the file format."""

import hashlib

from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.spaces.subspaces import subspace_ranks

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


def test_any_beginning_is_spread_over_the_choices():
    """The order is random: half of the first 64 have each of two equally frequent options, give or take."""
    first = [SPACE.unrank(rank).options for rank in subspace_ranks("seqnas-s", SPACE)[:64]]
    for choice, option in (("time_encoding", True), ("head.pool", "max"), ("decoder.depth", 1)):
        assert 16 < sum(options[choice] == option for options in first) < 48
