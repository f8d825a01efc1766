"""Specs: from what a file says of a space to the space."""

from collections.abc import Mapping
from typing import Any

from nasbench_evs.errors import InvalidSpace, shown
from nasbench_evs.spaces import families
from nasbench_evs.spaces.restricted import RestrictedSpace
from nasbench_evs.spaces.space import SearchSpace


def from_spec(spec: Mapping[str, Any]) -> SearchSpace:
    """The space that a file names: `spec` has name, version and parameters, as `SearchSpace.spec` gives them."""
    try:
        name, version, parameters = spec["name"], spec["version"], dict(spec["parameters"])
    except (KeyError, IndexError, TypeError, ValueError):
        raise InvalidSpace(
            f"{shown(spec)} does not name a search space: expected name, version and parameters"
        ) from None
    family = families.find(name) if isinstance(name, str) else None
    known = family.version if family else 1
    if version != known:
        raise InvalidSpace(
            f"space {shown(name)} has version {version}; this nasbench-evs knows version {known}: upgrade it"
        )
    try:
        if family:
            return family.space.from_parameters(name, parameters)
        if "parent" in parameters:
            return RestrictedSpace(from_spec(parameters["parent"]), parameters["options"], name=name)
        if "choices" in parameters:
            return SearchSpace.from_parameters(name, parameters)
    except (TypeError, ValueError, KeyError):
        raise InvalidSpace(f"space {shown(name)} does not have the parameters {shown(parameters)}") from None
    raise InvalidSpace(
        f"no space {shown(name)} is known here: expected {', '.join(families.names())}, or one that is registered by a module "
        f"which was imported, or by an installed package (entry points {shown(families.ENTRY_POINTS)})"
    )
