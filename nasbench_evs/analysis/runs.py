"""Runs of an experiment: what is kept of each search, in a journal while the experiment runs and in one file when it has.

RESULTS is what is committed: a row for each change of a search's incumbent and for each budget to report, so that the whole
curve of regret is in it, and an experiment goes on from it where there is no journal.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import lzma
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig, Experiment, SearcherConfig
from nasbench_evs.benchmark import REGIMES
from nasbench_evs.database import ExclusiveDatabase
from nasbench_evs.errors import OutputError, one_line
from nasbench_evs.files import replacing
from nasbench_evs.reader import MIB, Source
from nasbench_evs.search.own import source_of

if TYPE_CHECKING:
    import pandas as pd

JOURNAL = "journal.sqlite"
RESULTS = "results.csv.xz"  # half of what gzip makes of it
RESULTS_LIMIT = 512 * MIB  # of a file that is unpacked
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
        import msgspec

        found = []
        for i, (text,) in enumerate(rows, 1):
            try:
                found.append(msgspec.convert(json.loads(text), Run))
                _check(found[-1])
            except (TypeError, ValueError, RecursionError, OverflowError) as error:  # a ValidationError is a ValueError
                raise self._damaged(f"search {i}: {one_line(error)}") from None
        return found


def _check(run: Run) -> None:
    """ValueError for a run that no search can have."""
    if run.regime not in REGIMES:
        raise ValueError(f"regime {run.regime[:50]!r}, expected one of {', '.join(REGIMES)}")
    if not 0 <= run.seed < 2**63 or run.own_seconds < 0 or math.isinf(run.own_seconds) or not run.points:
        raise ValueError(f"seed {run.seed}, own_seconds {run.own_seconds} and {len(run.points)} points")
    before = 0.0
    for i, point in enumerate(run.points, 1):
        infinite = [
            name for name, value in zip(Point._fields, point, strict=True) if name != "rank" and math.isinf(value)
        ]
        if infinite or not -1 <= point.rank < 2**64 or point.seconds < 0:
            raise ValueError(
                f"point {i} of seed {run.seed}: {', '.join(infinite) or f'rank {point.rank}, {point.seconds} s'}"
            )
        if math.isnan(point.evaluations) and i == len(run.points):
            continue
        if not before <= point.evaluations:
            raise ValueError(f"point {i} of seed {run.seed}: evaluations {point.evaluations} after {before}")
        before = point.evaluations


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
    if not path.exists() and not path.is_symlink():
        return []
    advice = "move it away, or choose another --out"
    file = Source(path, OutputError, "results of this version of nasbench-evs", advice, RESULTS_LIMIT)
    names = (*Run._fields[:-1], *Point._fields)
    runs: dict[tuple[Any, ...], Run] = {}
    for row, cells in read_cells(file, names):
        values: list[Any] = []
        for name, text in zip(names, cells, strict=True):
            kind = _NUMBERS.get(name)
            try:
                value = text if kind is None else kind(text) if text else -1 if kind is int else math.nan
            except ValueError:
                raise file.refusal(f"{name} is {text[:50]!r}, expected a number", place=f"row {row}") from None
            values.append(
                math.nan if value != value else value
            )  # the one NaN, which is equal to itself where it is a key
        head = tuple(values[: len(Run._fields) - 1])
        runs.setdefault(head, Run._make([*head, []])).points.append(Point(*values[len(head) :]))
    for run in runs.values():
        try:
            _check(run)
        except ValueError as error:
            raise file.refusal(one_line(error), place=f"{run.searcher[:50]} on {run.benchmark[:50]}") from None
    return list(runs.values())


def read_cells(file: Source, names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV (*.csv, else in xz) as text, with their numbers; row 1 must be `names`. The file's error."""
    try:
        text = (file.content() if file.path.suffix == ".csv" else file.unpacked()).decode()
        if "\0" in text:
            raise ValueError("it has a NUL")
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        found = next(rows, [])
        if tuple(found) != tuple(names):
            raise ValueError(f"its columns are {', '.join(found)[:200]}")
        for number, cells in enumerate(rows, 2):
            if len(cells) != len(names):
                raise ValueError(f"row {number} has {len(cells)} cells, expected {len(names)}")
            yield number, cells
    except (ValueError, csv.Error) as error:  # among them UnicodeDecodeError
        raise file.refusal(f"it holds no {file.what} ({one_line(error)})") from None


def rounded(value: float) -> float:
    """With the digits that results have."""
    return float(f"%.{DIGITS}g" % value)
