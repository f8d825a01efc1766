"""Searchers of one's own: where a class is, and what it does wrong, in one line."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from nasbench_evs.errors import InvalidQuery, NasbenchError, did_you_mean, one_line, shown

_PACKAGE = "nasbench_evs."


def class_at(place: str) -> type:
    """The class at "package.module:Class" or "path/to/file.py:Class"; InvalidQuery for what is none.

    A module is looked for where Python looks, a file from the current folder; what a file imports is also looked for beside it.
    """
    where, _, attribute = place.rpartition(":")
    module = _of_file(Path(where).resolve()) if where.endswith(".py") else _of_name(where, place)
    found = getattr(module, attribute, None)
    if not isinstance(found, type):
        classes = [
            name for name, each in vars(module).items() if isinstance(each, type) and each.__module__ == module.__name__
        ]
        near = did_you_mean(attribute, classes)
        kind = "file" if where.endswith(".py") else "module"
        expected = f"; expected one of {', '.join(classes)}" if classes and not near else ""
        raise InvalidQuery(f"searcher {shown(place)}: {kind} {where} has no class {shown(attribute)}{near}{expected}")
    return found


def source_of(place: str) -> Path | None:
    """The file that "package.module:Class" or "path/to/file.py:Class" names; None where there is none, and for ours."""
    where = place.rpartition(":")[0]
    if not where or where.startswith(_PACKAGE):
        return None
    try:
        found = where if where.endswith(".py") else getattr(importlib.util.find_spec(where), "origin", None)
    except Exception:  # of a package around it
        return None
    return Path(found) if found and Path(found).is_file() else None


def call(searcher: object, method: str, *arguments: Any) -> Any:
    """What the method answers. InvalidQuery if the class is somebody's own and the method raises: what, and at which line."""
    return guarded(type(searcher), method, getattr(searcher, method), *arguments)


def guarded(cls: type, doing: str, work: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
    """What `work` answers, `doing` something for `cls`; what a class of ours raises passes as it is."""
    try:
        return work(*arguments, **settings)
    except NasbenchError:
        raise
    except Exception as error:
        if cls.__module__.startswith(_PACKAGE):
            raise
        own = getattr(sys.modules.get(cls.__module__), "__file__", None)
        raise InvalidQuery(f"{cls.__name__} raised {_said(error)} in {doing}{_line(error, own)}") from error


def _line(error: Exception, own: str | None = None) -> str:
    """Where it was raised; of the file `own`, if the error went through it, the last line that ran."""
    frames = traceback.extract_tb(error.__traceback__)
    last = [each for each in frames if each.filename == own] or frames
    return f" ({Path(last[-1].filename).name}, line {last[-1].lineno})"


def _said(error: BaseException) -> str:
    text = one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _of_name(name: str, place: str) -> ModuleType:
    try:
        return import_module(name)
    except (ImportError, ValueError) as error:
        hint = ""
        if isinstance(error, ModuleNotFoundError) and name and error.name == name.partition(".")[0]:
            hint = f"; expected {name.replace('.', '/')}.py in the current folder, or an installed package"
        raise InvalidQuery(
            f"searcher {shown(place)}: {shown(name)} cannot be imported: {one_line(error)}{hint}"
        ) from None
    except Exception as error:
        raise _while_imported(name, error) from error


@cache
def _of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InvalidQuery(f"no file at {path}: expected the path of a Python file, as in path/to/file.py:Class")
    name = f"searcher of {path}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidQuery(f"{path} cannot be imported: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pickle look for it
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _while_imported(path.name, error) from error
    return module


def _while_imported(what: str, error: Exception) -> InvalidQuery:
    if isinstance(error, SyntaxError):
        return InvalidQuery(f"{what} cannot be imported: line {error.lineno}: {error.msg}")
    return InvalidQuery(f"{what} cannot be imported: {_said(error)}{_line(error)}")
