"""Canonical strings as a regular expression, by which the page knows an architecture that nobody trained from a typing error."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nasbench_evs.spaces import FFNSpace, SearchSpace, SeqNASSpace
from nasbench_evs.spaces.choices import Option

_HEADS = "[1248]"
_LAYER = f"(?:a{_HEADS}g?c?|gc?|c)"
_QUERY = f"{_HEADS}x{_HEADS}"


def pattern(space: SearchSpace) -> str | None:
    """A regular expression, of Python's and JavaScript's common part, for whole strings of a space; None where there is none.

    A space of plain choices has one if no choice has a condition.
    """
    if isinstance(space, SeqNASSpace):
        stem = r"k[135w]d?\." if space.numerical else ""
        encoder = f"(?:0|{_LAYER}(?:/{_LAYER}|(?:/{_LAYER}){{3}})?)"
        return rf"{stem}[tn]\.{encoder}\.(?:0|{_QUERY}(?:/{_QUERY})?)\.(?:d-)?(?:mean\+max|mean|max)"
    if isinstance(space, FFNSpace):
        return "-".join([_any(space.sizes)] * len(space.choices))
    if type(space) is SearchSpace and not any(each.parent for each in space.choices):
        return ",".join(f"{_escaped(each.name)}={_any(each.options)}" for each in space.choices)
    return None


def _any(options: Sequence[Option]) -> str:
    return f"(?:{'|'.join(_escaped(str(option)) for option in options)})"


def _escaped(text: str) -> str:
    """`re.escape` also escapes what JavaScript's `u` flag allows no escape of."""
    return re.sub(r"([\\^$.*+?()\[\]{}|/])", r"\\\1", text)
