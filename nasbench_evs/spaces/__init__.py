"""Search spaces: choices, architectures, AVec, ranks, canonical strings and costs. numpy only."""

from collections.abc import Mapping
from typing import Any

from nasbench_evs.errors import InvalidSpace
from nasbench_evs.spaces.choices import Architecture, Choice
from nasbench_evs.spaces.ffn import FFNSpace
from nasbench_evs.spaces.restricted import RestrictedSpace, lift
from nasbench_evs.spaces.seqnas import SeqNASSpace
from nasbench_evs.spaces.shapes import Cost, SequenceShape, VectorShape, shape_from_dict, shape_to_dict
from nasbench_evs.spaces.space import SearchSpace

__all__ = [
    "Architecture",
    "Choice",
    "Cost",
    "FFNSpace",
    "RestrictedSpace",
    "SearchSpace",
    "SeqNASSpace",
    "SequenceShape",
    "VectorShape",
    "from_spec",
    "lift",
    "shape_from_dict",
    "shape_to_dict",
]

_BUILT_IN = {"seqnas": (SeqNASSpace, 1), "ffn": (FFNSpace, 1)}


def from_spec(spec: Mapping[str, Any]) -> SearchSpace:
    """The space that a file names: `spec` has name, version and parameters, as `SearchSpace.spec` gives them."""
    try:
        name, version, parameters = spec["name"], spec["version"], dict(spec["parameters"])
    except (KeyError, TypeError, ValueError):
        raise InvalidSpace(f"{spec!r} does not name a search space: expected name, version and parameters") from None
    build, known = _BUILT_IN.get(name, (SearchSpace, 1))
    if version != known:
        raise InvalidSpace(f"space {name!r} has version {version}; this nasbench-evs knows version {known}: upgrade it")
    try:
        if name in _BUILT_IN:
            return build(**parameters)
        if "parent" in parameters:
            return RestrictedSpace(from_spec(parameters["parent"]), parameters["options"], name=name)
        choices = parameters.pop("choices")
        return SearchSpace.from_choices(dict(choices), **parameters, name=name)
    except (TypeError, ValueError, KeyError):
        raise InvalidSpace(f"space {name!r} does not have the parameters {parameters!r}") from None
