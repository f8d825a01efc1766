"""Experiment files: which searchers run on which benchmarks, with how many seeds and evaluations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nasbench_evs.arguments import check_float, check_int
from nasbench_evs.benchmark.landscapes import PREFIX
from nasbench_evs.errors import InvalidQuery, did_you_mean, shown
from nasbench_evs.models.networks import DEFAULT
from nasbench_evs.reader import Source
from nasbench_evs.search.registry import check_name
from nasbench_evs.spaces import Cost
from nasbench_evs.training.recipe import PRESETS

if TYPE_CHECKING:
    from nasbench_evs.benchmark import Benchmark
    from nasbench_evs.metrics import Metric
    from nasbench_evs.tables import Header

_MOST = 1_000_000  # searches of an experiment
_LONGEST_LABEL = 1000  # characters; some are paths
RUN_REGIMES = ("clean", "noisy")  # what a search may see; "transfer" judges noisy searches otherwise


class SearcherConfig(NamedTuple):
    """A searcher of an experiment: `label` names it in results, `name` is one of the registry, where a class is, or the class.

    On a benchmark that is trained it may also be a preset of training.recipe; `distilled`: from position protocol.teach_after
    on, its best trainings teach. `seeds`: of the experiment's the first so many; None: all.
    """

    label: str
    name: str | type
    parameters: dict[str, Any]
    distilled: bool | None = None
    seeds: int | None = None


class BenchmarkConfig(NamedTuple):
    """A benchmark of an experiment.

    `limits`: the constraint; `budget`: evaluations of each search; `marks`: the budgets to report, ascending, the last one is
    `budget` and the smaller ones are read off the same searches; `regimes`: what searches see there, "clean" or "noisy";
    `retrain`: noisy searches are judged by so many new trainings of each incumbent instead of by records or predictions;
    `restrict`: only architectures whose choices take these options, a view of the benchmark's space; `opened`: the benchmark
    itself, where no file names it.
    """

    label: str
    name: str
    space: str | None
    source: str
    limits: dict[str, float]
    budget: int
    marks: tuple[int, ...]
    regimes: tuple[str, ...] = RUN_REGIMES[:1]
    retrain: int = 0
    restrict: Mapping[str, list[Any]] = {}
    opened: Benchmark | None = None

    @property
    def trains(self) -> bool:
        """Whether what a search asks for is trained."""
        return self.source == "train"

    @property
    def metric(self) -> Metric:
        """Of its scores; where searches train, as the table says, so that reports need nothing that trains."""
        return self.recorded.metric if self.trains else self.load().metric

    @property
    def recorded(self) -> Header:
        """Of the table that the benchmark is named after."""
        return _recorded(self.name, self.space)

    def load(self) -> Benchmark:
        return self.opened or _load(self.name, self.space, self.source, json.dumps(self.restrict))


@dataclass(frozen=True)
class Experiment:
    """What an experiment file says (see `read_experiment`)."""

    title: str
    searchers: list[SearcherConfig]
    benchmarks: list[BenchmarkConfig]
    seeds: int
    workers: int = 1  # simulated ones, real ones where architectures are trained
    question: str = ""
    against: str = ""  # a hyper-parameter that a figure shows regret against
    version: int = 1  # results of another version are not gone on from

    def __post_init__(self) -> None:
        searches = self.seeds * len(self.searchers) * sum(len(each.regimes) for each in self.benchmarks)
        if searches > _MOST:
            raise InvalidQuery(
                f"seeds = {shown(self.seeds)}: {shown(searches)} searches, expected at most {_MOST:,}; take fewer"
            )

    @property
    def regimes(self) -> tuple[str, ...]:
        """The regimes in which some benchmark is searched."""
        return tuple(each for each in RUN_REGIMES if any(each in config.regimes for config in self.benchmarks))


@cache
def _load(name: str, space: str | None, source: str, restrict: str) -> Benchmark:
    from nasbench_evs.benchmark import load

    bench, options = load(name, space, source=source), json.loads(restrict)
    return bench.view(bench.space.restrict(options)) if options else bench


@cache
def _recorded(name: str, space: str | None) -> Header:
    from nasbench_evs.benchmark import find_table
    from nasbench_evs.tables import read

    return read(find_table(name, space)).header


def read_experiment(path: Path) -> Experiment:
    """The experiment of a TOML file; InvalidQuery names what is wrong in it.

    `title`, `question`, `against` (a hyper-parameter to show regret against), `version` (an integer: raise it when results so far
    shall not count), `seeds`, `budget` (evaluations), `marks` (smaller budgets, read off the same searches), `regime` or
    `regimes` ("clean", "noisy"; transfer is read off noisy searches), `workers` (simulated), a list `searchers` of names (also
    "module:Class" and "path/to/file.py:Class"), or tables
    `[[searcher]]` with `name`, `label`, `seeds` (fewer than the experiment's) and hyper-parameters, and tables
    `[[benchmark]]` with `name` (also "landscape:NAME"), `space`, `source`, `label`, `params` or `flops` (constraints),
    `retrain` (noisy searches are judged by so many new trainings of their incumbents), `restrict` (a table of choices and the
    options that they keep: the search is in that part of the space), and a `budget`, `marks` and
    `regimes` of its own.

    A benchmark with `source = "train"` is searched by really training (`generators.live`), with as many real workers as the
    experiment has, in the noisy regime, judged by new trainings, two unless `retrain` says; there a searcher may be a preset
    such as "seqnas", and `[[searcher]]` has the key `distilled`.
    """
    if not Path(path).exists():
        raise InvalidQuery(f"no experiment file at {path}: expected a TOML file such as analysis/suite-1.toml")
    values = Source(Path(path), InvalidQuery, "an experiment in TOML").toml()
    try:
        return _parse(values, Path(path).stem)
    except InvalidQuery as error:
        raise InvalidQuery(f"{path}: {error}") from None


_SHARED_KEYS = ("budget", "marks", "regime", "regimes")  # of the experiment, or of one of its benchmarks
_KEYS = ("title", "question", "against", "version", "seeds", "workers", "searchers", "searcher", "benchmark")
_BENCHMARK_KEYS = ("name", "space", "source", "label", "retrain", "restrict", *Cost._fields)
_RETRAIN = 2  # new trainings that judge an incumbent that was trained


def _parse(values: dict[str, Any], stem: str) -> Experiment:
    _known(values, (*_KEYS, *_SHARED_KEYS), "the experiment")
    searchers = [SearcherConfig(_text(name, "a searcher"), name, {}) for name in _list(values, "searchers")]
    for entry in _list(values, "searcher"):
        rest = dict(entry) if isinstance(entry, dict) else {}
        name = _text(rest.pop("name", None), "a [[searcher]]'s name")
        label = _text(rest.pop("label", name), "a [[searcher]]'s label")
        distilled = rest.pop("distilled", None)
        if distilled not in (None, True, False):
            raise InvalidQuery(f"searcher {label}: distilled = {shown(distilled)}, expected true or false")
        seeds = _whole(rest, "seeds", 1) if "seeds" in rest else None
        rest.pop("seeds", None)
        searchers.append(SearcherConfig(label, name, rest, distilled, seeds))
    benchmarks = [_benchmark(entry, values) for entry in _list(values, "benchmark")]
    for each in searchers:
        check_searcher(each, benchmarks)
    for kind, labels in (("searcher", [s.label for s in searchers]), ("benchmark", [b.label for b in benchmarks])):
        if not labels:
            raise InvalidQuery(f"no {kind} is named: expected at least one [[{kind}]]")
        check_labels(labels, f"of [[{kind}]]")
    return Experiment(
        _text(values.get("title", stem), "title"),
        searchers,
        benchmarks,
        _whole(values, "seeds", 20),
        _whole(values, "workers", 1),
        _text(values.get("question", ""), "question"),
        _against(_text(values.get("against", ""), "against"), searchers),
        _whole(values, "version", 1),
    )


def check_labels(labels: Sequence[str], of_what: str) -> None:
    """InvalidQuery where two have one label, or results could not be read with it: they are told apart by it."""
    for label in labels:
        if not label or not label.isprintable() or len(label) > _LONGEST_LABEL:
            raise InvalidQuery(
                f"some {of_what} are called {shown(label)}: expected printable text, at most {_LONGEST_LABEL} characters"
            )
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise InvalidQuery(f"two {of_what} are called {shown(twice[0])}: give them a label each")


def check_searcher(searcher: SearcherConfig, benchmarks: Sequence[BenchmarkConfig]) -> None:
    """InvalidQuery unless it goes with all benchmarks, as far as the file shows."""
    untrained = [each.label for each in benchmarks if not each.trains]
    name = str(searcher.name)
    taught = name in PRESETS or searcher.distilled is not None
    if taught and untrained:
        raise InvalidQuery(
            f"searcher {searcher.label} says who teaches its trainings, but {untrained[0]} is not trained: expected "
            'source = "train" of every benchmark'
        )
    if name not in PRESETS:
        check_name(name)


def _benchmark(entry: Any, values: Mapping[str, Any]) -> BenchmarkConfig:
    """A [[benchmark]]; what it does not say of _SHARED_KEYS, the experiment's `values` do."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise InvalidQuery(f"benchmark {shown(entry)}: expected a table with a name")
    where = f"benchmark {entry['name']}"
    _known(entry, (*_BENCHMARK_KEYS, *_SHARED_KEYS), where)
    source = _text(entry.get("source", "auto"), f"{where}: source")
    space = None if "space" not in entry else _text(entry["space"], f"{where}: space")
    limits = {cost: check_float(f"{where}: {cost}", entry[cost], 0) for cost in Cost._fields if cost in entry}
    priced = [f"{name} <= {limit:,.0f}" for name, limit in limits.items()]
    source_shown = [] if entry["name"].startswith(PREFIX) else [source]
    label = " ".join([entry["name"], *([space] if space not in (None, DEFAULT) else []), *source_shown, *priced])
    budget = _whole(entry if "budget" in entry else values, "budget", 150)
    regimes = _regimes(entry if {"regime", "regimes"} & set(entry) else values, where)
    retrain = _whole(entry, "retrain", _RETRAIN) if source == "train" or "retrain" in entry else 0
    if source == "train" and regimes != ("noisy",):
        raise InvalidQuery(
            f'{where} is trained: a search sees single trainings there, expected regime = "noisy" and no other'
        )
    if retrain and "noisy" not in regimes:
        raise InvalidQuery(f'{where}: retrain = {retrain} judges noisy searches, expected regime = "noisy"')
    restrict = entry.get("restrict", {})
    if not isinstance(restrict, dict) or not all(isinstance(options, list) for options in restrict.values()):
        raise InvalidQuery(
            f"{where}: restrict = {shown(restrict)}, expected a table of choices, each with a list of options"
        )
    if restrict and source == "train":
        raise InvalidQuery(f"{where} is trained: restrict goes with what is recorded or predicted")
    return BenchmarkConfig(
        _text(entry.get("label", label), f"{where}: label"),
        entry["name"],
        space,
        source,
        limits,
        budget,
        _marks(entry if "marks" in entry else values, budget, own="marks" in entry),
        regimes,
        retrain,
        restrict,
    )


def _marks(values: Mapping[str, Any], budget: int, *, own: bool) -> tuple[int, ...]:
    """Budgets to report, ascending, with `budget` itself; of those for all benchmarks (not `own`) the ones within it."""
    marks = _list(values, "marks")
    for mark in marks:
        if isinstance(mark, bool) or not isinstance(mark, int) or mark < 1:
            raise InvalidQuery(f"marks = {shown(marks)}: expected integers of 1 or more")
        if own and mark > budget:
            raise InvalidQuery(f"marks = {shown(marks)}: {mark} is more than the budget of {budget}")
    return tuple(sorted({*(mark for mark in marks if mark <= budget), budget}))


def _regimes(values: Mapping[str, Any], where: str) -> tuple[str, ...]:
    if "regime" in values and "regimes" in values:
        raise InvalidQuery(f"{where} has both regime and regimes: name one of them")
    named = [values["regime"]] if "regime" in values else _list(values, "regimes") or list(RUN_REGIMES[:1])
    for each in named:
        if each not in RUN_REGIMES:
            raise InvalidQuery(
                f"regime {shown(each)}: expected some of {', '.join(RUN_REGIMES)} (transfer is read off noisy searches)"
                f"{did_you_mean(each, RUN_REGIMES)}"
            )
    return tuple(each for each in RUN_REGIMES if each in named)


def _against(name: str, searchers: list[SearcherConfig]) -> str:
    """The hyper-parameter of that name, which at least two searchers must have as a number and no other."""
    found = [each.parameters[name] for each in searchers if set(each.parameters) == {name}] if name else []
    if name and (len(found) < 2 or not all(isinstance(value, int | float) for value in found)):
        raise InvalidQuery(
            f"against = {shown(name)}: expected a numeric hyper-parameter that at least two searchers have, and no other one"
        )
    return name


def _known(values: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in keys:
            raise InvalidQuery(
                f"{where} has no key {shown(key)}: expected some of {', '.join(keys)}{did_you_mean(key, keys)}"
            )


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidQuery(f"{what} is {shown(value)}: expected text")
    return value


def _list(values: Mapping[str, Any], key: str) -> list[Any]:
    found = values.get(key, [])
    if not isinstance(found, list):
        raise InvalidQuery(f"{key} = {shown(found)}: expected a list")
    return found


def _whole(values: Mapping[str, Any], key: str, default: int) -> int:
    return check_int(key, values.get(key, default), 1)
