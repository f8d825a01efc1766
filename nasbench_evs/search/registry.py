"""The searchers by name, and how one is made."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from nasbench_evs.arguments import of_kind
from nasbench_evs.errors import InvalidQuery, did_you_mean, shown
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.own import call, class_at, guarded
from nasbench_evs.search.searcher import Searcher
from nasbench_evs.spaces import Architecture


class Entry(NamedTuple):
    """A searcher of the registry: its class, as "package.module:Class", and what differs from the class's defaults.

    `about` says in one line what it does, `paper` where it was published.
    """

    path: str
    defaults: Mapping[str, Any] = MappingProxyType({})
    about: str = ""
    paper: str = ""


def _here(place: str, about: str, paper: str = "", **defaults: Any) -> Entry:
    return Entry(f"nasbench_evs.search.{place}", defaults, about, paper)


_WHITE = "White et al. 2021, BANANAS"
_PAPER_003 = "paper 003, TabNAS"

# Imported when asked for. Add your own: SEARCHERS["mine"] = Entry("package.module:Class", {"batch": 5})
SEARCHERS: dict[str, Entry] = {
    "random": _here("random:RandomSearch", "random architectures"),
    "evolution": _here(
        "evolution:Evolution", "the oldest dies, the best of a tournament has a mutated child", "Real et al. 2019"
    ),
    "local": _here(
        "local:LocalSearch", "to the best neighbour, again and again, with restarts", "White et al. 2020, Local search"
    ),
    "reinforce": _here(
        "reinforce:Reinforce", "an LSTM controller that learns by REINFORCE", "Zoph & Le 2017; paper 004"
    ),
    "bananas": _here("bananas:Bananas", "Bayesian optimisation with a Gaussian process on CatBoost's trees", _WHITE),
    "bananas-mlp": _here("bananas:Bananas", "the same with an ensemble of MLPs", _WHITE, predictor="mlp", batch=10),
    "bananas-paper": _here(
        "bananas:Bananas",
        "BANANAS with the settings of its authors' code for event sequences",
        "paper 000, algorithm 1",
        predictor="virtual-ensembles",
        initial=100,
        batch=15,
        pool_size=100,
        candidates="random",
        acquisition="thompson",
    ),
    "bananas-published": _here(
        "bananas:Bananas",
        "BANANAS as it was first published",
        _WHITE,
        predictor="deep-mlp",
        initial=10,
        batch=10,
        pool_size=100,
        candidates="mutation",
        acquisition="thompson",
    ),
    "pnasm": _here("pnasm:PNASM", "REINFORCE on batches some of which a predictor scores", "paper 004"),
    "pnasm-a": _here(
        "pnasm:PNASM", "PNASM that adapts how many are evaluated", "paper 004, algorithm 2", adaptive=True
    ),
    "tabnas": _here("tabnas:TabNAS", "REINFORCE within a constraint, by rejection; no shared weights yet", _PAPER_003),
    "tunas-abs": _here("tabnas:TuNASAbs", "REINFORCE with the absolute reward", f"Bender et al. 2020; {_PAPER_003}"),
    "mnasnet-hard": _here("tabnas:MnasNetHard", "REINFORCE with the hard reward", f"Tan et al. 2019; {_PAPER_003}"),
    "mnasnet-soft": _here("tabnas:MnasNetSoft", "REINFORCE with the soft reward", f"Tan et al. 2019; {_PAPER_003}"),
    "asha": _here("multifidelity:ASHA", "asynchronous successive halving", "Li et al. 2020"),
    "hyperband": _here("multifidelity:Hyperband", "brackets of successive halving", "Li et al. 2017"),
    "bohb": _here("multifidelity:BOHB", "Hyperband with a density model of good architectures", "Falkner et al. 2018"),
    "tpe": _here("optuna_adapters:OptunaSampler", "Optuna's TPE, or another of its samplers", "Bergstra et al. 2011"),
    "tpe-hyperband": _here(
        "optuna_adapters:OptunaPruning",
        "Optuna's TPE with its Hyperband pruner",
        "Bergstra et al. 2011; Li et al. 2017",
    ),
}


@runtime_checkable
class AskTell(Protocol):
    """What every searcher must have, also one that inherits nothing from here."""

    def ask(self, n: int) -> Any:
        """Up to n architectures, or Steps, to evaluate next."""

    def tell(self, asked: Any, scores: Any, /) -> None:
        """The scores of what was asked for; larger is better."""


@runtime_checkable
class Recommends(AskTell, Protocol):
    """A searcher that has an answer of its own."""

    def recommend(self, n: int) -> list[Architecture]:
        """Up to n architectures, best first."""


class Foreign:
    """Somebody's searcher that is no Searcher, with what else a search asks of one.

    It is told every result before it is asked again. What it recommends is its own if it says so, else nothing.
    """

    non_adaptive = False

    def __init__(self, searcher: AskTell) -> None:
        self.searcher = searcher

    def ask(self, n: int) -> Any:
        return call(self.searcher, "ask", n)

    def tell(self, asked: Any, scores: Any) -> None:
        call(self.searcher, "tell", asked, scores)

    def recommend(self, n: int) -> list[Architecture]:
        if not isinstance(self.searcher, Recommends):
            return []
        found = call(self.searcher, "recommend", n)
        if not isinstance(found, list | tuple) or not all(isinstance(each, Architecture) for each in found):
            raise InvalidQuery(
                f"{type(self.searcher).__name__} recommends {str(found)[:100]}: expected a list of up to {n} architectures"
            )
        return [*found][:n]


def check_name(name: str) -> None:
    """InvalidQuery unless it is a name of the registry or looks like the place of a class; nothing is imported."""
    if not isinstance(name, str) or (name not in SEARCHERS and ":" not in name):
        raise InvalidQuery(
            f"unknown searcher {shown(name)}: expected one of {', '.join(SEARCHERS)}, or where a class is (package.module:Class, "
            f"path/to/file.py:Class){did_you_mean(name, SEARCHERS)}"
        )


def searcher_class(name: str) -> tuple[type, Mapping[str, Any]]:
    """The class of that name or at that place, and what differs from its defaults; InvalidQuery for what is none."""
    check_name(name)
    entry = SEARCHERS.get(name, Entry(name))
    return class_at(entry.path), entry.defaults


def label(searcher: str | type[AskTell] | AskTell) -> str:
    """What results call it: its name, or that of its class."""
    if isinstance(searcher, str):
        return searcher
    return searcher.__name__ if isinstance(searcher, type) else type(searcher).__name__


def make(
    searcher: str | type[AskTell] | AskTell,
    domain: Domain,
    *,
    seed: int,
    epochs: int,
    parameters: Mapping[str, Any],
    budget: int | None = None,
) -> Searcher | Foreign:
    """A searcher by name or class, or one that is made already; InvalidQuery names what does not fit.

    `budget`, the number of evaluations, is passed on to what takes it; None: it is not known.
    """
    if isinstance(searcher, str | type):
        made = _made(searcher, domain, seed=seed, epochs=epochs, parameters=parameters, budget=budget)
    elif parameters:
        raise InvalidQuery(
            f"{', '.join(parameters)}: parameters go with a name or a class; this searcher is made already"
        )
    elif isinstance(searcher, AskTell):
        made = searcher
    else:
        raise InvalidQuery(f"{shown(searcher)} is no searcher: expected a name, or a class or object with ask and tell")
    return made if isinstance(made, Searcher) else Foreign(made)


def _made(
    searcher: str | type,
    domain: Domain,
    *,
    seed: int,
    epochs: int,
    parameters: Mapping[str, Any],
    budget: int | None,
) -> AskTell:
    cls: Any = searcher
    defaults: Mapping[str, Any] = {}
    if isinstance(searcher, str):
        cls, defaults = searcher_class(searcher)
    parameters = {**defaults, **of_kind("parameters", parameters, Mapping, "hyper-parameters by name")}
    if not issubclass(cls, AskTell) or inspect.isabstract(cls):
        raise InvalidQuery(f"{label(searcher)} is no searcher: expected a class with ask and tell{_missing(cls)}")
    accepted = inspect.signature(cls).parameters
    for name in ("space", "seed", "budget"):
        if name in parameters:
            raise InvalidQuery(f"{name} is no hyper-parameter: it comes from the benchmark and the search")
    if "budget" in accepted:
        parameters["budget"] = budget
    if "epochs" in accepted and "epochs" not in parameters:
        if not epochs:
            raise InvalidQuery(f"{label(searcher)} needs scores by epoch, which this benchmark does not have")
        parameters["epochs"] = epochs
    if isinstance(searcher, str) and parameters.get("epochs", 0) != (epochs if "epochs" in accepted else 0):
        raise InvalidQuery(f"epochs = {shown(parameters['epochs'])}: a whole training of this benchmark has {epochs}")
    anything = any(each.kind is each.VAR_KEYWORD for each in accepted.values())
    unknown = [] if anything else [name for name in parameters if name not in accepted]
    if unknown:
        known = [name for name in accepted if name not in ("space", "seed", "epochs", "budget")]
        raise InvalidQuery(
            f"{label(searcher)} has no parameter {shown(unknown[0])}: expected some of {', '.join(known) or 'none'}"
            f"{did_you_mean(unknown[0], known)}"
        )
    try:
        inspect.signature(cls).bind(domain, seed=seed, **parameters)
    except TypeError as error:
        raise InvalidQuery(
            f"{label(searcher)} cannot be made as {label(searcher)}(space, seed=..., ...): {error}; expected a constructor "
            "that takes the space, and seed by its name"
        ) from None
    made: AskTell = guarded(cls, "its constructor", cls, domain, seed=seed, **parameters)
    return made


def _missing(cls: type) -> str:
    """Which methods a class lacks that is to be a searcher."""
    lacks = [name for name in ("ask", "tell") if not hasattr(cls, name)]
    lacks += sorted(getattr(cls, "__abstractmethods__", ()))
    return f"; it lacks {', '.join(lacks)}" if lacks else ""
