"""Runs of an experiment: what is kept of each search, in a journal while the experiment runs and in one file when it has.

RESULTS is what is committed: a row for each change of a search's incumbent and for each budget to report, so that the whole
curve of regret is in it, and an experiment goes on from it where there is no journal.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig, Experiment, SearcherConfig
from nasbench_evs.database import ExclusiveDatabase
from nasbench_evs.errors import OutputError, one_line
from nasbench_evs.files import replacing
from nasbench_evs.search.own import source_of

if TYPE_CHECKING:
    import pandas as pd

JOURNAL = "journal.sqlite"
RESULTS = "results.csv.xz"  # half of what gzip makes of it
SHARE = 1e-6  # of an evaluation, by which sums of parts may be off
DIGITS = 7  # of all numbers: what is kept and what is read again are the same


class Point(NamedTuple):
    """The incumbent after so many evaluations, and what it is worth.

    evaluations  spent so far (a part of a training counts as its share); NaN: not the incumbent but what the search recommends
                 at its end, where that is another architecture
    seconds      simulated seconds so far; NaN where trainings have none
    rank         of the incumbent; -1 while there is none within the constraint
    seen         its score as the search saw it
    clean, noisy, transfer    its true values (`Benchmark.true_values`); NaN where none, as the last two of a clean search
    """

    evaluations: float
    seconds: float
    rank: int
    seen: float
    clean: float
    noisy: float
    transfer: float


class Run(NamedTuple):
    """One search: `points` in the order of evaluations, and its own work in real seconds.

    `settings` is a digest of what decides the run besides its seed and regime (see `run_settings`).
    """

    benchmark: str
    searcher: str
    regime: str
    seed: int
    settings: str
    own_seconds: float
    points: list[Point]

    @property
    def curve(self) -> list[Point]:
        """Without what the search recommends."""
        return [each for each in self.points if not math.isnan(each.evaluations)]

    @property
    def answer(self) -> Point:
        """What the search recommends: its last incumbent unless it says otherwise."""
        return self.points[-1]


_NUMBERS = {"seed": int, "own_seconds": float, **dict.fromkeys(Point._fields, float), "rank": int}


class Task(NamedTuple):
    """A search that belongs to an experiment."""

    benchmark: BenchmarkConfig
    searcher: SearcherConfig
    regime: str
    seed: int


Key = tuple[str, str, int]  # settings, regime, seed


def tasks(experiment: Experiment) -> dict[Key, Task]:
    """All searches of the experiment. Seeds come first: one that was stopped has compared everything, with fewer seeds."""
    settings = {
        (b.label, s.label): run_settings(experiment, b, s) for b in experiment.benchmarks for s in experiment.searchers
    }
    return {
        (settings[benchmark.label, searcher.label], regime, seed): Task(benchmark, searcher, regime, seed)
        for seed in range(experiment.seeds)
        for benchmark in experiment.benchmarks
        for regime in benchmark.regimes
        for searcher in experiment.searchers
        if searcher.seeds is None or seed < searcher.seeds
    }


def run_settings(experiment: Experiment, benchmark: BenchmarkConfig, searcher: SearcherConfig) -> str:
    """A digest of what decides a run besides regime and seed: benchmark, budget, searcher, workers, the experiment's version.

    The file of a searcher that is named by its place is part of it. The content of tables, surrogates and our own searchers is
    not: raise the version of the experiment when they change.
    """
    named: list[Any] = [searcher.label, searcher.name, searcher.parameters]
    if isinstance(searcher.name, str) and (source := source_of(searcher.name)):
        named.append(hashlib.sha256(source.read_bytes()).hexdigest())
    decides: list[Any] = [
        *benchmark[: benchmark._fields.index("marks")],
        *named,
        experiment.workers,
        experiment.version,
    ]
    if benchmark.restrict:
        decides.append(benchmark.restrict)
    if benchmark.retrain:
        decides += [benchmark.retrain, searcher.distilled]
    return hashlib.sha256(json.dumps(decides, sort_keys=True, default=repr).encode()).hexdigest()[:12]


class Journal(ExclusiveDatabase):
    """The runs of an experiment that have ended, each on the disk when `write` returns."""

    what = "the journal of an experiment"

    def _inspect(self) -> None:
        self._db.execute("CREATE TABLE IF NOT EXISTS searches (run TEXT NOT NULL)")

    def write(self, run: Run) -> None:
        with self._transaction() as db:
            db.execute("INSERT INTO searches VALUES (?)", (json.dumps(run),))

    def read(self) -> list[Run]:
        with self._errors():
            rows = self._db.execute("SELECT run FROM searches").fetchall()
        try:
            return [_run(*json.loads(text)) for (text,) in rows]
        except (TypeError, ValueError) as error:
            raise self._damaged(one_line(error)) from None


def _run(*fields: Any) -> Run:
    *head, points = fields
    return Run._make([*head, [Point(*each) for each in points]])


def select_runs(experiment: Experiment, runs: Iterable[Run]) -> dict[Key, Run]:
    """Those of `runs` that are this experiment's, by key, in the experiment's order."""
    found = {(run.settings, run.regime, run.seed): run for run in runs}
    return {key: found[key] for key in tasks(experiment) if key in found}


def read_runs(experiment: Experiment, folder: Path, known: Sequence[Run] = ()) -> dict[Key, Run]:
    """What RESULTS and the journal in `folder` hold of the experiment, and what is `known`; OutputError if neither is there."""
    if not known and not (folder / RESULTS).exists() and not (folder / JOURNAL).exists():
        raise OutputError(
            f"{folder} holds neither {RESULTS} nor {JOURNAL}: run nasbench-evs experiment without --report-only first"
        )
    runs = [*known, *read_results(folder / RESULTS)]
    if (folder / JOURNAL).exists():
        with Journal(folder / JOURNAL) as journal:
            runs += journal.read()
    return select_runs(experiment, runs)


# One file


def tidy(runs: Sequence[Run]) -> pd.DataFrame:
    """One row for each point of each run: the fields of Run, then those of Point."""
    import pandas as pd

    head, lengths = Run._fields[:-1], [len(each.points) for each in runs]
    columns: dict[str, Any] = {name: np.repeat([getattr(each, name) for each in runs], lengths) for name in head}
    points = [point for each in runs for point in each.points]
    columns |= {name: [getattr(point, name) for point in points] for name in Point._fields}
    return pd.DataFrame(columns)


def write_results(runs: Sequence[Run], path: Path) -> None:
    """All runs as one file, in their order; replaces what is there."""
    frame = tidy(runs)
    frame["rank"] = frame["rank"].map(lambda rank: "" if rank < 0 else str(rank))
    write_compressed(frame, path)


def write_compressed(frame: pd.DataFrame, path: Path) -> None:
    """A frame as CSV with DIGITS digits, in xz; replaces what is there."""
    text = frame.to_csv(index=False, float_format=f"%.{DIGITS}g")
    with replacing(path, force=True) as scratch, lzma.open(scratch, "wb") as out:
        out.write(text.encode())


def read_results(path: Path) -> list[Run]:
    """What `write_results` wrote, nothing where there is no file; OutputError for anything else."""
    import pandas as pd

    if not path.exists():
        return []
    names = (*Run._fields[:-1], *Point._fields)
    try:
        # As text: what pandas makes of a number may differ from it in the last bit.
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        if tuple(frame.columns) != names:
            raise ValueError(f"its columns are {', '.join(frame.columns)}")
        for name in names:
            kind = _NUMBERS.get(name)
            if kind is not None:
                empty = -1 if kind is int else math.nan
                frame[name] = [kind(text) if text else empty for text in frame[name]]
        heads = list(frame[list(Run._fields[:-1])].itertuples(index=False, name=None))
        points = [Point(*each) for each in frame[list(Point._fields)].itertuples(index=False, name=None)]
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise OutputError(
            f"{path} holds no results of this version of nasbench-evs ({one_line(error)}): move it away, or choose another --out"
        ) from None
    runs: dict[tuple[Any, ...], Run] = {}
    for head, point in zip(heads, points, strict=True):
        runs.setdefault(head, Run._make([*head, []])).points.append(point)
    return list(runs.values())


def rounded(value: float) -> float:
    """With the digits that results have."""
    return float(f"%.{DIGITS}g" % value)
