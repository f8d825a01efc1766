"""Experiments: searchers on benchmarks over many seeds, in parallel, resumable; one row for each evaluation."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sqlite3
import tomllib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench_evs.errors import InvalidQuery, NasbenchError, NotRecorded, OutputError, one_line
from nasbench_evs.search import Result
from nasbench_evs.search.checks import check_float
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.registry import check_name, make
from nasbench_evs.search.run import run_with
from nasbench_evs.spaces import Cost

if TYPE_CHECKING:
    import pandas as pd

    from nasbench_evs.benchmark import Benchmark

JOURNAL = "journal.sqlite"
MOST_WORKERS = 64


class Contender(NamedTuple):
    """A searcher of an experiment: `label` names it in results."""

    label: str
    name: str
    parameters: dict[str, Any]


class Ground(NamedTuple):
    """A benchmark of an experiment. `limits`: the constraint; `budget`: evaluations of each search."""

    label: str
    name: str
    space: str | None
    source: str
    limits: dict[str, float]
    budget: int

    def load(self) -> Benchmark:
        return _load(self.name, self.space, self.source)


@dataclass(frozen=True)
class Experiment:
    """What an experiment file says (see `read_experiment`)."""

    title: str
    searchers: list[Contender]
    benchmarks: list[Ground]
    seeds: int
    workers: int = 1  # simulated ones
    question: str = ""
    against: str = ""  # a hyper-parameter that a figure shows regret against
    noise: bool = True  # searchers see single trainings; else means


@cache
def _load(name: str, space: str | None, source: str) -> Benchmark:
    from nasbench_evs.benchmark import load

    return load(name, space, source=source)


def read_experiment(path: Path) -> Experiment:
    """The experiment of a TOML file; InvalidQuery names what is wrong in it.

    `title`, `question`, `against` (a hyper-parameter to show regret against), `seeds`, `budget` (evaluations), `workers`
    (simulated), `noise` (false: searchers see means over trainings, not single ones), a list `searchers` of names, or tables
    `[[searcher]]` with `name`, `label` and hyper-parameters, and tables `[[benchmark]]` with `name`, `space`, `source`,
    `label`, `params` or `flops` (constraints) and a `budget` of its own.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidQuery(
            f"no experiment file at {path}: expected a TOML file such as analysis/comparison.toml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidQuery(f"{path} cannot be read: {one_line(error)}") from None
    try:
        return _parse(tomllib.loads(text), Path(path).stem)
    except tomllib.TOMLDecodeError as error:
        raise InvalidQuery(f"{path} is no TOML: {one_line(error)}") from None
    except InvalidQuery as error:
        raise InvalidQuery(f"{path}: {error}") from None


_KEYS = ("title", "question", "against", "seeds", "budget", "workers", "noise", "searchers", "searcher", "benchmark")
_GROUND_KEYS = ("name", "space", "source", "label", "budget", *Cost._fields)


def _parse(values: dict[str, Any], stem: str) -> Experiment:
    _known(values, _KEYS, "the experiment")
    searchers = [Contender(str(name), _text(name, "a searcher"), {}) for name in _list(values, "searchers")]
    for entry in _list(values, "searcher"):
        rest = dict(entry) if isinstance(entry, dict) else {}
        name = _text(rest.pop("name", None), "a [[searcher]]'s name")
        searchers.append(Contender(str(rest.pop("label", name)), name, rest))
    for each in searchers:
        check_name(each.name)
    benchmarks = []
    for entry in _list(values, "benchmark"):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise InvalidQuery(f"benchmark {entry!r}: expected a table with a name")
        _known(entry, _GROUND_KEYS, f"benchmark {entry['name']}")
        source = _text(entry.get("source", "auto"), f"benchmark {entry['name']}: source")
        space = None if "space" not in entry else _text(entry["space"], f"benchmark {entry['name']}: space")
        limits = {
            cost: check_float(f"benchmark {entry['name']}: {cost}", entry[cost], 0)
            for cost in Cost._fields
            if cost in entry
        }
        priced = [f"{name} <= {limit:,.0f}" for name, limit in limits.items()]
        label = " ".join([entry["name"], *([space] if space not in (None, "seqnas") else []), source, *priced])
        budget = _whole(entry if "budget" in entry else values, "budget", 150)
        benchmarks.append(Ground(str(entry.get("label", label)), entry["name"], space, source, limits, budget))
    for kind, labels in (("searcher", [s.label for s in searchers]), ("benchmark", [b.label for b in benchmarks])):
        if not labels:
            raise InvalidQuery(f"no {kind} is named: expected at least one [[{kind}]]")
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise InvalidQuery(f"two of [[{kind}]] are called {twice[0]!r}: give them a label each")
    return Experiment(
        str(values.get("title", stem)),
        searchers,
        benchmarks,
        _whole(values, "seeds", 20),
        _whole(values, "workers", 1),
        str(values.get("question", "")),
        _against(values.get("against", ""), searchers),
        _flag(values, "noise", True),
    )


def _against(name: Any, searchers: list[Contender]) -> str:
    """The hyper-parameter of that name, which at least two searchers must have as a number and no other."""
    found = [each.parameters[name] for each in searchers if set(each.parameters) == {name}] if name else []
    if name and (len(found) < 2 or not all(isinstance(value, int | float) for value in found)):
        raise InvalidQuery(
            f"against = {name!r}: expected a numeric hyper-parameter that at least two searchers have, and no other one"
        )
    return str(name)


def _known(values: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in keys:
            raise InvalidQuery(f"{where} has no key {key!r}: expected some of {', '.join(keys)}")


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidQuery(f"{what} is {value!r}: expected text")
    return value


def _list(values: Mapping[str, Any], key: str) -> list[Any]:
    found = values.get(key, [])
    if not isinstance(found, list):
        raise InvalidQuery(f"{key} = {found!r}: expected a list")
    return found


def _whole(values: Mapping[str, Any], key: str, default: int) -> int:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidQuery(f"{key} = {value!r}: expected an integer of 1 or more")
    return value


def _flag(values: Mapping[str, Any], key: str, default: bool) -> bool:
    value = values.get(key, default)
    if not isinstance(value, bool):
        raise InvalidQuery(f"{key} = {value!r}: expected true or false")
    return value


class Run(NamedTuple):
    """One search of an experiment, as its journal keeps it: the columns of its evaluations, and its answer.

    `valid` and `test` are the incumbent's scores, means over what is recorded or predicted (not what the searcher saw); NaN while
    there is no incumbent, and where there are no such scores.
    """

    benchmark: str
    searcher: str
    seed: int
    own_seconds: float
    spent: list[float]
    seconds: list[float]
    rank: list[int]
    epoch: list[int]  # 0: the whole training
    value: list[float]
    valid: list[float]
    test: list[float]
    recommended: list[int]  # ranks
    recommended_valid: list[float]
    recommended_test: list[float]


def search_once(ground: Ground, contender: Contender, seed: int, workers: int = 1, noise: bool = True) -> Run:
    """Run one search and look up what its incumbents are worth."""
    bench = ground.load()
    result = run_with(
        contender.name, bench, budget=ground.budget, seed=seed, workers=workers, constraint=ground.limits, noise=noise,
        parameters=contender.parameters,
    )  # fmt: skip
    incumbents = result.incumbents
    truth = {
        split: _truth(bench, result, split)[incumbents] if len(incumbents) else np.empty(0)
        for split in ("valid", "test")
    }
    for split, values in truth.items():
        truth[split] = np.where(incumbents >= 0, values, np.nan)
    ends = {split: _scores(bench, bench.space.stack(result.recommended), split) for split in ("valid", "test")}
    return Run(
        ground.label,
        contender.label,
        seed,
        round(result.own_seconds, 4),
        [round(trial.spent, 4) for trial in result.trials],
        [round(trial.finished, 3) if result.timed else float("nan") for trial in result.trials],
        [trial.architecture.rank for trial in result.trials],
        [trial.epoch or 0 for trial in result.trials],
        [round(trial.value, 6) for trial in result.trials],
        truth["valid"].round(6).tolist(),
        truth["test"].round(6).tolist(),
        [architecture.rank for architecture in result.recommended],
        ends["valid"].round(6).tolist(),
        ends["test"].round(6).tolist(),
    )


def _truth(bench: Benchmark, result: Result, split: str) -> np.ndarray:
    """Of every trial's architecture, the mean score: float (N,)."""
    used = sorted(set(result.incumbents.tolist()) - {-1})
    values = np.full(len(result.trials), np.nan)
    values[used] = _scores(bench, bench.space.stack([result.trials[i].architecture for i in used]), split)
    return values


def _scores(bench: Benchmark, choices: np.ndarray, split: str) -> np.ndarray:
    if not len(choices):
        return np.empty(0)
    try:
        return bench.query_many(choices, split=split).value
    except NotRecorded:
        return np.full(len(choices), np.nan)


def best_known(ground: Ground, runs: list[Run], split: str) -> float:
    """The best score on that split of what was recorded within the constraint, and of every run's incumbents and answer."""
    bench = ground.load()
    sign = bench.metric.sign
    found = [value for each in runs for value in (*getattr(each, split), *getattr(each, f"recommended_{split}"))]
    recorded = bench.recorded_choices
    if len(recorded):
        fits = Domain.on(bench, ground.limits).feasible(recorded)
        found += _scores(bench, recorded[fits], split).tolist()
    return float(sign * np.nanmax(sign * np.array(found))) if np.isfinite(found).any() else float("nan")


def run_experiment(
    experiment: Experiment,
    folder: Path,
    *,
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Run]:
    """All runs of the experiment, done in parallel; a journal in `folder` keeps what has ended, so the same call goes on.

    Seeds come first: a stopped experiment has compared everything, with fewer seeds. A run that cannot be made (a searcher that
    needs a constraint, a benchmark without epochs) is an error before anything runs.
    """
    for ground in experiment.benchmarks:
        _check(ground, experiment)
    todo = [
        (ground, contender, seed)
        for seed in range(experiment.seeds)
        for ground in experiment.benchmarks
        for contender in experiment.searchers
    ]
    with _journal(folder / JOURNAL) as journal:
        done = _done(journal, experiment)
        left = [key for key in todo if _key(*key, experiment) not in done]
        progress(len(todo) - len(left), len(todo))
        if left:
            count = min(processes or os.cpu_count() or 1, MOST_WORKERS)
            context = multiprocessing.get_context("spawn")  # threads do not survive a fork
            with _one_thread(), ProcessPoolExecutor(count, mp_context=context, initializer=_deaf) as pool:
                jobs = {pool.submit(search_once, *key, experiment.workers, experiment.noise): key for key in left}
                try:
                    for count, job in enumerate(as_completed(jobs), 1):
                        _write(journal, _key(*jobs[job], experiment), job.result())
                        progress(len(todo) - len(left) + count, len(todo))
                except BaseException:
                    pool.shutdown(wait=True, cancel_futures=True)  # what is running ends, what waits never begins
                    raise
        kept = _done(journal, experiment)
    return [kept[key] for key in (_key(*each, experiment) for each in todo) if key in kept]


def read_runs(experiment: Experiment, folder: Path) -> list[Run]:
    """What the journal in `folder` holds of the experiment; OutputError if there is none."""
    if not (folder / JOURNAL).exists():
        raise OutputError(f"{folder} holds no {JOURNAL}: run nasbench-evs experiment first")
    with _journal(folder / JOURNAL) as journal:
        return list(_done(journal, experiment).values())


def _check(ground: Ground, experiment: Experiment) -> None:
    """Make each searcher: that shows whether its hyper-parameters, the constraint and the benchmark go together."""
    bench = ground.load()
    domain = Domain.on(bench, ground.limits)
    for each in experiment.searchers:
        try:
            make(each.name, domain, seed=0, epochs=bench.epochs, parameters=each.parameters)
        except NasbenchError as error:
            raise type(error)(f"{each.label} on {ground.label}: {error}") from None


def _deaf() -> None:
    """Ctrl-C is the parent's business: a worker ends its run, and gets no other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that begin within it compute on one thread each: more would only wait for each other."""
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _key(ground: Ground, contender: Contender, seed: int, experiment: Experiment) -> str:
    """What decides a run. The content of tables and surrogates is not part of it: use a new folder for new ones."""
    means = [] if experiment.noise else ["means"]
    return json.dumps([ground, contender, seed, experiment.workers, *means], sort_keys=True)


@contextlib.contextmanager
def _journal(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS runs (key TEXT PRIMARY KEY, run TEXT NOT NULL)")
            yield connection
    except OSError as error:
        raise OutputError(f"cannot write {path.parent}: {error.strerror or error}") from None
    except sqlite3.Error as error:
        raise OutputError(f"the journal {path} cannot be used: {error}; choose another --out") from None


def _write(journal: sqlite3.Connection, key: str, each: Run) -> None:
    journal.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (key, json.dumps(each)))
    journal.commit()


def _done(journal: sqlite3.Connection, experiment: Experiment) -> dict[str, Run]:
    wanted = {
        _key(ground, contender, seed, experiment)
        for ground in experiment.benchmarks
        for contender in experiment.searchers
        for seed in range(experiment.seeds)
    }
    rows = journal.execute("SELECT key, run FROM runs")
    try:
        return {key: Run(*json.loads(text)) for key, text in rows if key in wanted}
    except (TypeError, ValueError):
        raise OutputError(f"{JOURNAL} was written by another version: choose another --out, or remove it") from None


def tidy(runs: list[Run]) -> pd.DataFrame:
    """One row for each evaluation of each run."""
    import pandas as pd

    columns = ("spent", "seconds", "rank", "epoch", "value", "valid", "test")
    lengths = [len(each.spent) for each in runs]
    frame = {
        name: np.repeat([getattr(each, name) for each in runs], lengths) for name in ("benchmark", "searcher", "seed")
    }
    frame["evaluation"] = np.concatenate([np.arange(1, n + 1) for n in lengths]) if runs else np.empty(0)
    frame |= {name: np.concatenate([getattr(each, name) for each in runs]) for name in columns}
    return pd.DataFrame(frame)
