"""Runs of an experiment: what a journal keeps of each, so that a stopped experiment goes on, and all of them as one frame."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig, Experiment, SearcherConfig
from nasbench_evs.errors import OutputError

if TYPE_CHECKING:
    import pandas as pd

JOURNAL = "journal.sqlite"


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


def run_key(benchmark: BenchmarkConfig, searcher: SearcherConfig, seed: int, experiment: Experiment) -> str:
    """What decides a run. The content of tables and surrogates is not part of it: use a new folder for new ones."""
    means = [] if experiment.noise else ["means"]
    return json.dumps([benchmark, searcher, seed, experiment.workers, *means], sort_keys=True)


@contextlib.contextmanager
def open_journal(path: Path) -> Iterator[sqlite3.Connection]:
    """The journal at that path, made if there is none; OutputError where it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS runs (key TEXT PRIMARY KEY, run TEXT NOT NULL)")
            yield connection
    except OSError as error:
        raise OutputError(f"cannot write {path.parent}: {error.strerror or error}") from None
    except sqlite3.Error as error:
        raise OutputError(f"the journal {path} cannot be used: {error}; choose another --out") from None


def write_run(journal: sqlite3.Connection, key: str, run: Run) -> None:
    """Keep a run for good, under its `run_key`."""
    journal.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (key, json.dumps(run)))
    journal.commit()


def read_done(journal: sqlite3.Connection, experiment: Experiment) -> dict[str, Run]:
    """The experiment's runs that have ended, by `run_key`; OutputError for runs of another version."""
    wanted = {
        run_key(benchmark, searcher, seed, experiment)
        for benchmark in experiment.benchmarks
        for searcher in experiment.searchers
        for seed in range(experiment.seeds)
    }
    rows = journal.execute("SELECT key, run FROM runs")
    try:
        return {key: Run(*json.loads(text)) for key, text in rows if key in wanted}
    except (TypeError, ValueError):
        raise OutputError(f"{JOURNAL} was written by another version: choose another --out, or remove it") from None


def read_runs(experiment: Experiment, folder: Path) -> list[Run]:
    """What the journal in `folder` holds of the experiment; OutputError if there is none."""
    if not (folder / JOURNAL).exists():
        raise OutputError(f"{folder} holds no {JOURNAL}: run nasbench-evs experiment first")
    with open_journal(folder / JOURNAL) as journal:
        return list(read_done(journal, experiment).values())


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
