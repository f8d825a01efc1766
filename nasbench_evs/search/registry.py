"""The searchers by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from nasbench_evs.errors import InvalidQuery
from nasbench_evs.search.domain import Domain

# name: (module, class, what differs from the class's defaults)
SEARCHERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "random": ("random", "RandomSearch", {}),
    "evolution": ("evolution", "Evolution", {}),
    "local": ("local", "LocalSearch", {}),
    "reinforce": ("reinforce", "Reinforce", {}),
    "bananas": ("bananas", "Bananas", {}),
    "bananas-mlp": ("bananas", "Bananas", {"predictor": "mlp", "batch": 10}),
    # Paper 000, algorithm 1, with the settings of its authors' code.
    "bananas-paper": (
        "bananas",
        "Bananas",
        {
            "predictor": "virtual-ensembles",
            "initial": 100,
            "batch": 15,
            "pool_size": 100,
            "candidates": "random",
            "acquisition": "thompson",
        },
    ),
    # White et al. 2021.
    "bananas-published": (
        "bananas",
        "Bananas",
        {
            "predictor": "deep-mlp",
            "initial": 10,
            "batch": 10,
            "pool_size": 100,
            "candidates": "mutation",
            "acquisition": "thompson",
        },
    ),
    "pnasm": ("pnasm", "PNASM", {}),
    "pnasm-a": ("pnasm", "PNASM", {"adaptive": True}),
    "tabnas": ("tabnas", "TabNAS", {}),
    "tunas-abs": ("tabnas", "TuNASAbs", {}),
    "mnasnet-hard": ("tabnas", "MnasNetHard", {}),
    "mnasnet-soft": ("tabnas", "MnasNetSoft", {}),
    "asha": ("multifidelity", "ASHA", {}),
    "hyperband": ("multifidelity", "Hyperband", {}),
    "bohb": ("multifidelity", "BOHB", {}),
    "tpe": ("optuna_adapters", "OptunaSampler", {}),
    "tpe-hyperband": ("optuna_adapters", "OptunaPruning", {}),
}


def searcher_class(name: str) -> tuple[type, dict[str, Any]]:
    """The class of that name and what differs from its defaults; InvalidQuery for another name."""
    if name not in SEARCHERS:
        raise InvalidQuery(
            f"unknown searcher {name!r}: expected one of {', '.join(SEARCHERS)}, or a class with ask and tell"
        )
    module, cls, defaults = SEARCHERS[name]
    return getattr(import_module(f"nasbench_evs.search.{module}"), cls), defaults


def make(
    searcher: Any, domain: Domain, *, seed: int, epochs: int, parameters: Mapping[str, Any], budget: int | None = None
) -> Any:
    """A searcher by name or class, or one that is made already; InvalidQuery names what does not fit."""
    if isinstance(searcher, str):
        cls, defaults = searcher_class(searcher)
        parameters = {**defaults, **parameters}
    elif isinstance(searcher, type):
        cls = searcher
    else:
        if parameters:
            raise InvalidQuery(
                f"{', '.join(parameters)}: parameters go with a name or a class; this searcher is made already"
            )
        if not (callable(getattr(searcher, "ask", None)) and callable(getattr(searcher, "tell", None))):
            raise InvalidQuery(f"{searcher!r} is no searcher: expected a name, or a class or object with ask and tell")
        return searcher
    if not (callable(getattr(cls, "ask", None)) and callable(getattr(cls, "tell", None))) or inspect.isabstract(cls):
        raise InvalidQuery(f"{_name(searcher)} is no searcher: expected a class with ask and tell")
    accepted = inspect.signature(cls).parameters
    parameters = dict(parameters)
    for name in ("space", "seed", "budget"):
        if name in parameters:
            raise InvalidQuery(f"{name} is no hyper-parameter: it comes from the benchmark and the search")
    if "budget" in accepted:
        parameters["budget"] = budget
    if "epochs" in accepted and "epochs" not in parameters:
        if not epochs:
            raise InvalidQuery(f"{_name(searcher)} needs scores by epoch, which this benchmark does not have")
        parameters["epochs"] = epochs
    if isinstance(searcher, str) and parameters.get("epochs", 0) != (epochs if "epochs" in accepted else 0):
        raise InvalidQuery(f"epochs = {parameters['epochs']!r}: a whole training of this benchmark has {epochs}")
    anything = any(each.kind is each.VAR_KEYWORD for each in accepted.values())
    unknown = [] if anything else [name for name in parameters if name not in accepted]
    if unknown:
        known = [name for name in accepted if name not in ("space", "seed", "epochs", "budget")]
        raise InvalidQuery(
            f"{_name(searcher)} has no parameter {unknown[0]!r}: expected some of {', '.join(known) or 'none'}"
        )
    try:
        inspect.signature(cls).bind(domain, seed=seed, **parameters)
    except TypeError as error:
        raise InvalidQuery(
            f"{_name(searcher)} cannot be made as {_name(searcher)}(space, seed=..., ...): {error}"
        ) from None
    return cls(domain, seed=seed, **parameters)


def _name(searcher: str | type) -> str:
    return searcher if isinstance(searcher, str) else searcher.__name__
