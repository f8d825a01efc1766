"""Sub-spaces: named lists of architectures of a space, in one frozen random order, so that any beginning is a random sample.

They are recorded under their space's name: same strings, ranks and random numbers. A list is part of the file format:
it never changes.
"""

from functools import cache
from importlib import resources

from nasbench_evs.errors import InvalidSpace
from nasbench_evs.spaces.space import SearchSpace

SUBSPACES = {
    # 912: kernel 1 or wide, time encoding or not, up to two encoder layers (4 heads), up to one decoder layer (4x4), mean or
    # max pooling, no dropout switches.
    "seqnas-s": "seqnas",
}


def subspace_ranks(name: str, space: SearchSpace) -> list[int]:
    """Ranks of the sub-space's architectures in `space`, in their frozen order. InvalidSpace if it is none of that space."""
    if name not in SUBSPACES:
        raise InvalidSpace(f"no sub-space {name!r}: expected one of {', '.join(SUBSPACES)}")
    if space.name != SUBSPACES[name]:
        raise InvalidSpace(f"the sub-space {name} is one of {SUBSPACES[name]}, not of {space.name}")
    if space.parameters.get("numerical") is False:
        raise InvalidSpace(f"the sub-space {name} is for datasets with real-valued fields")
    return list(_ranks(name))


@cache
def _ranks(name: str) -> tuple[int, ...]:
    text = resources.files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
    return tuple(int(line.split()[1]) for line in text.splitlines() if not line.startswith("#"))
