"""Families: which class makes the spaces that files name.

A file names a space by its family, a version and parameters; the class of the family makes it of the parameters. Spaces of
plain choices and views have names of their own and no family. A family with networks is registered by
`nasbench_evs.models.networks.register`, which calls this one.

A package makes its families known to every process, the command line's and workers' included, by an entry point of the
group "nasbench_evs.spaces": its name is the family's, its value the module that registers it. The module is imported when
the name is first met.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from nasbench_evs.errors import InvalidSpace, one_line, shown

ENTRY_POINTS = "nasbench_evs.spaces"


class Family(NamedTuple):
    """The class of a family's spaces, whose keywords are a spec's parameters, and the version that it makes."""

    space: type[Any]
    version: int


_FAMILIES: dict[str, Family] = {}
_VIEWS: list[Callable[..., Any]] = []  # the one class of views


def register(name: str, space: type[Any], version: int = 1) -> None:
    """Make `space` the class of the family `name`: `SearchSpace.name` of its spaces must be that name.

    The same class again (a module imported twice, a cell run again) takes its own place; InvalidSpace if another has it.
    """
    if taken(name, space):
        raise InvalidSpace(
            f"{shown(name)} cannot name the spaces of {space.__name__}: it names those of {_FAMILIES[name].space.__name__}"
        )
    _FAMILIES[name] = Family(space, version)


def register_view(space: Callable[..., Any]) -> None:
    """Make `space` what `view` calls: views are spaces, which make views."""
    _VIEWS[:] = [space]


def view(parent: Any, options: Mapping[str, Any], name: str | None) -> Any:
    """The view of a space whose choices take these options only."""
    return _VIEWS[0](parent, options, name=name)


def taken(name: str, space: type[Any]) -> bool:
    """Whether another class than this one has that name."""
    known = _FAMILIES.get(name)
    return known is not None and _path(known.space) != _path(space)


def _path(space: type[Any]) -> tuple[str, str]:
    module = "__main__" if space.__module__ == "__mp_main__" else space.__module__  # as a spawned process calls it
    return module, space.__qualname__


def find(name: str) -> Family | None:
    """The family of that name, if need be from an installed package; None if there is none."""
    if name not in _FAMILIES:
        _import(name)
    return _FAMILIES.get(name)


def names() -> list[str]:
    """The families registered so far."""
    return list(_FAMILIES)


def import_all() -> None:
    """Register the families of all installed packages."""
    for name in _entry_points():
        find(name)


@cache
def _entry_points() -> dict[str, str]:
    return {each.name: each.value for each in entry_points(group=ENTRY_POINTS)}


def _import(name: str) -> None:
    if name not in _entry_points():
        return
    try:
        import_module(_entry_points()[name])
    except Exception as error:  # whatever somebody's module does
        raise InvalidSpace(
            f"the space {shown(name)} is to be found in {_entry_points()[name]}, which cannot be imported: "
            f"{type(error).__name__}: {one_line(error)}"
        ) from error
