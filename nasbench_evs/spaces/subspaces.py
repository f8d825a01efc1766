"""Sub-spaces: named views of a space, and their architectures in one frozen random order, any beginning of which is a random
sample.

They are recorded under their space's name: same strings, ranks and random numbers. A list is part of the file format:
it never changes.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

from nasbench_evs.errors import InvalidSpace, did_you_mean, shown
from nasbench_evs.spaces.choices import Option
from nasbench_evs.spaces.space import SearchSpace


class SubSpace(NamedTuple):
    """The space that it is a view of, and the options that its choices keep."""

    space: str
    options: Mapping[str, tuple[Option, ...]]


SUBSPACES = {
    # 912: kernel 1 or wide, time encoding or not, up to two encoder layers (4 heads), up to one decoder layer (4x4), mean or
    # max pooling, no dropout switches.
    "seqnas-s": SubSpace(
        "seqnas",
        {
            "stem.kernel": (1, "wide"),
            "stem.dropout": (False,),
            "encoder.depth": (0, 1, 2),
            "encoder.0.heads": (4,),
            "encoder.1.heads": (4,),
            "decoder.depth": (0, 1),
            "decoder.0.self_heads": (4,),
            "decoder.0.cross_heads": (4,),
            "head.dropout": (False,),
            "head.pool": ("mean", "max"),
        },
    ),
}


def subspace(name: str, space: SearchSpace) -> SearchSpace:
    """The sub-space as a view of `space`. InvalidSpace if it is none of that space."""
    _check(name, space)
    return space.restrict(SUBSPACES[name].options, name=name)


def subspace_ranks(name: str, space: SearchSpace) -> list[int]:
    """Ranks of the sub-space's architectures in `space`, in their frozen order. InvalidSpace if it is none of that space."""
    _check(name, space)
    return list(_ranks(name))


def _check(name: str, space: SearchSpace) -> None:
    if name not in SUBSPACES:
        raise InvalidSpace(
            f"no sub-space {shown(name)}: expected one of {', '.join(SUBSPACES)}{did_you_mean(name, SUBSPACES)}"
        )
    whole = SUBSPACES[name].space
    if space.name != whole:
        raise InvalidSpace(f"the sub-space {name} is one of {whole}, not of {space.name}")
    if space.parameters.get("numerical") is False:
        raise InvalidSpace(f"the sub-space {name} is for datasets with real-valued fields")


@cache
def _ranks(name: str) -> tuple[int, ...]:
    text = resources.files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
    return tuple(int(line.split()[1]) for line in text.splitlines() if not line.startswith("#"))
