"""Values of choices as frameworks without conditions give them: one for every choice, whether it is active or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasbench_evs.arguments import of_kind
from nasbench_evs.errors import InvalidArchitecture, NasbenchError, shown
from nasbench_evs.spaces import Architecture, SearchSpace
from nasbench_evs.spaces.choices import Choice, Option
from nasbench_evs.spaces.space import check_space


def architecture_of(space: SearchSpace, values: Mapping[str, Any]) -> Architecture:
    """The architecture with these options of its active choices, or their texts; values of other choices do not count.

    InvalidArchitecture for a name that is no choice, a value that is no option, or an active choice without one.
    """
    check_space(space)
    of_kind("values", values, Mapping, "{choice: option}", InvalidArchitecture)
    known = {choice.name for choice in space.choices}
    for name in values:
        if name not in known:
            raise InvalidArchitecture(
                f"{shown(name)} is no choice of {space.name}: expected some of {', '.join(sorted(known))}"
            )
    taken: dict[str, Option] = {}
    for choice in space.choices:
        active = choice.parent is None or taken.get(choice.parent) in choice.when
        if active and choice.name in values:
            taken[choice.name] = _option(choice, values[choice.name])
    return space.from_options(taken)


def _option(choice: Choice, value: Any) -> Option:
    value = (
        value.item() if hasattr(value, "item") else value
    )  # without the types of numpy, which frameworks wrap values in
    for option in choice.options:
        if isinstance(value, str) and value == str(option):
            return option
    return choice.options[choice.index(value)]


def missing(framework: str, extra: str) -> NasbenchError:
    """What is said where the framework is not installed."""
    return NasbenchError(f"this needs {framework}: pip install 'nasbench-evs[{extra}]'")
