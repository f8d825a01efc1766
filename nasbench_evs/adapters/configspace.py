"""ConfigSpace (the `configspace` extra): our search spaces as its configuration spaces, and back.

SMAC, DEHB, CARP-S and others search such spaces.

>>> import nasbench_evs as nb
>>> space = nb.load("digits").space
>>> configurations = to_configspace(space, seed=0)
>>> architecture = from_configuration(space, configurations.sample_configuration())
>>> to_configuration(configurations, architecture)["layer.0"] == architecture.options["layer.0"]
True
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasbench_evs.adapters.values import architecture_of, missing
from nasbench_evs.arguments import check_int, known, of_kind
from nasbench_evs.errors import InvalidArchitecture, shown
from nasbench_evs.spaces import Architecture, SearchSpace
from nasbench_evs.spaces.space import SAMPLING, check_space

try:
    from ConfigSpace import CategoricalHyperparameter, Configuration, ConfigurationSpace, InCondition
except ImportError:
    raise missing("ConfigSpace", "configspace") from None


def to_configspace(
    space: SearchSpace, *, seed: int | None = None, sampling: str = "hierarchical"
) -> ConfigurationSpace:
    """One categorical hyperparameter for each choice that can be active, under the same conditions.

    `seed` is of its own sampling.

    `sample_configuration` then draws architectures as `space.sample` does with this method: "hierarchical" draws each choice
    by its own probabilities, "uniform" weighs an option by the number of architectures below it.
    """
    check_space(space)
    known("sampling", sampling, SAMPLING)
    seed = None if seed is None else check_int("seed", seed, 0, 2**32 - 1)
    weights = _counts(space) if sampling == "uniform" else {each.name: list(each.weights) for each in space.choices}
    made = ConfigurationSpace(name=space.name, seed=seed)
    parts: dict[str, CategoricalHyperparameter] = {}
    for choice in space.choices:
        options = parts[choice.parent].choices if choice.parent in parts else ()
        when = [option for option in choice.when if option in options]  # a part of a space may have lost some
        if choice.parent is not None and not when:
            continue
        part = CategoricalHyperparameter(choice.name, list(choice.options), weights=weights[choice.name] or None)
        parts[choice.name] = part
        made.add(part)
        if choice.parent is not None:
            made.add(InCondition(part, parts[choice.parent], when))
    return made


def from_configuration(space: SearchSpace, configuration: Configuration | Mapping[str, Any]) -> Architecture:
    """The architecture of a configuration, or of a mapping of names to values, in which inactive ones do not count.

    InvalidArchitecture for a name or value that the space does not have.
    """
    return architecture_of(space, of_kind("configuration", configuration, Mapping, "a Configuration, or {name: value}"))


def to_configuration(configurations: ConfigurationSpace, architecture: Architecture) -> Configuration:
    """The configuration of an architecture in what `to_configspace` made of its space."""
    of_kind("configurations", configurations, ConfigurationSpace, "what to_configspace makes")
    of_kind("architecture", architecture, Architecture, "an Architecture", InvalidArchitecture)
    try:
        return Configuration(configurations, values=dict(architecture.options))
    except (ValueError, KeyError):  # as it says what is of another space
        raise InvalidArchitecture(
            f"{architecture} does not fit {shown(configurations.name)}: expected one of the space that it was made of"
        ) from None


def _counts(space: SearchSpace) -> dict[str, list[float]]:
    """For each choice the share of architectures below each option, among those in which the choice is active alike."""
    below: dict[str, int] = {}  # architectures of a choice and of all that depends on it
    found: dict[str, list[float]] = {}
    for choice in reversed(space.choices):
        counts = []
        for option in choice.options:
            count = 1
            for child in space.choices:
                if child.parent == choice.name and option in child.when:
                    count *= below[child.name]
            counts.append(count)
        below[choice.name] = sum(counts)
        found[choice.name] = [count / below[choice.name] for count in counts]
    return found
