"""The journal of a run: one SQLite file that says what is planned, claimed, finished and failed. One writer.

Whatever kills the run, what was committed is there when it is started again; and what became of the file in between is
noticed: every row carries the SHA-256 of all that it says, and a tally, kept in the same transactions, how many rows there
are and the sum (exclusive or) of their hashes, so that no row is changed, lost or set back unseen.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from nasbench_evs.database import ExclusiveDatabase
from nasbench_evs.errors import OutputError, TrainingError, one_line
from nasbench_evs.training.machine import Machine
from nasbench_evs.training.record import Job, Record

NAME = "journal.sqlite"
DEATHS = 3  # of workers on one training, after which it counts as failed

_STATES = ("planned", "claimed", "finished", "failed")
_COLUMNS = "id, rank, seed, sampler, teachers, state, deaths, record"
_TABLES = """
CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,  -- from 1, in the order of planning
    rank TEXT NOT NULL,      -- of the architecture, in decimal: it may need 64 bits
    seed INTEGER NOT NULL,
    sampler TEXT NOT NULL,
    teachers TEXT NOT NULL,  -- ranks, separated by spaces
    state TEXT NOT NULL,     -- planned, claimed, finished, failed
    deaths INTEGER NOT NULL,
    record TEXT,             -- JSON: what came of it
    sha256 TEXT NOT NULL,    -- of the row
    UNIQUE (rank, seed, teachers)
);
CREATE TABLE tally (
    jobs INTEGER NOT NULL,
    sha256 TEXT NOT NULL     -- exclusive or of the hashes of all jobs and of what the run is
);
"""


@dataclass(frozen=True)
class Entry:
    """A job and what came of it; `record` is None unless it ended."""

    id: int
    job: Job
    state: str
    record: Record | None


class _Row(NamedTuple):
    """A row of `jobs` but for its hash."""

    id: int
    rank: str
    seed: int
    sampler: str
    teachers: str
    state: str
    deaths: int
    record: str | None

    @property
    def sha256(self) -> str:
        """Of all that the row says. A claim says nothing that outlives its run: it counts as planned."""
        return _sha256(self._replace(state="planned") if self.state == "claimed" else self)

    def entry(self, record: Record | None = None) -> Entry:
        """The row with its record, which the caller may have already."""
        job = Job(int(self.rank), self.seed, self.sampler, tuple(map(int, self.teachers.split())))
        if record is None and self.record is not None:
            record = Record.from_dict(json.loads(self.record))
        return Entry(self.id, job, self.state, record)


_KINDS = get_type_hints(_Row)


class Journal(ExclusiveDatabase):
    """An open journal; use as a context manager, and `start` it first. Errors of ExclusiveDatabase."""

    what = "the journal of a run"

    def __init__(self, folder: Path) -> None:
        self._first: Sequence[Job] = ()
        self._known: Mapping[Job, Record] = {}
        super().__init__(Path(folder) / NAME)

    def _inspect(self) -> None:
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        columns = [name for _, name, *_ in self._db.execute("PRAGMA table_info(jobs)")]
        if tables == {"run", "jobs"} and columns == _COLUMNS.split(", "):
            raise OutputError(
                f"{self.path} was begun by an older version of nasbench-evs, whose records have no hashes: finish it with "
                f"that version, or {self._advice}"
            )
        if tables and (tables != {"run", "jobs", "tally"} or columns != [*_COLUMNS.split(", "), "sha256"]):
            raise OutputError(f"{self.path} is not {self.what}: choose another --out")
        self._new = not tables

    @property
    def _advice(self) -> str:
        tables = sorted(self.path.parent.glob("*.h5"))
        return super()._advice + (f", and go on from {tables[0]} with --from" if tables else "")

    def start(self, identity: dict[str, Any], jobs: Sequence[Job], known: Mapping[Job, Record]) -> list[Entry]:
        """Write down what the run is and its first jobs, or take up what is there: all entries so far.

        `known` are records made elsewhere: jobs among them are finished as soon as they are planned. TrainingError if the
        journal is of another run or of another plan, OutputError if it lost or changed anything.
        """
        self._known = known
        wanted = {key: json.dumps(value, sort_keys=True) for key, value in identity.items()}
        with self._transaction() as db:
            if self._new:
                for statement in _TABLES.split(";"):
                    db.execute(statement)
                db.executemany("INSERT INTO run VALUES (?, ?)", wanted.items())
                db.execute("INSERT INTO tally VALUES (0, ?)", (_sha256(sorted(wanted.items())),))
                entries = self._insert(db, jobs)
            else:
                db.execute("UPDATE jobs SET state = 'planned' WHERE state = 'claimed'")
                entries = self._resume(wanted, jobs)
        self._new = False
        return entries

    def _resume(self, wanted: dict[str, str], jobs: Sequence[Job]) -> list[Entry]:
        stored = dict(self._db.execute("SELECT key, value FROM run").fetchall())
        self._first = jobs if stored == wanted else ()
        entries = self.entries()
        for key in sorted({*stored, *wanted}):
            if stored.get(key) != wanted.get(key):
                raise TrainingError(
                    f"{self.path.parent} holds another run: {key} is {_short(stored.get(key))} there and "
                    f"{_short(wanted.get(key))} here; choose another --out"
                )
        planned = {entry.job for entry in entries}
        if missing := [_training(job.rank, job.seed) for job in jobs if job not in planned]:
            raise TrainingError(
                f"{self.path} does not hold {len(missing)} of the {len(jobs)} trainings that the plan begins with "
                f"({_some(missing)}): {self._advice}"
            )
        return entries

    def add(self, jobs: Sequence[Job]) -> list[Entry]:
        """Plan further jobs, all or none of them: their entries."""
        with self._transaction() as db:
            return self._insert(db, jobs)

    def _insert(self, db: sqlite3.Connection, jobs: Sequence[Job]) -> list[Entry]:
        count, _ = self._tally()
        rows = [
            _Row(
                i,
                str(job.rank),
                job.seed,
                job.sampler,
                " ".join(map(str, job.teachers)),
                "finished" if job in self._known else "planned",
                0,
                _json(self._known[job]) if job in self._known else None,
            )
            for i, job in enumerate(jobs, count + 1)
        ]
        hashes = [row.sha256 for row in rows]
        values = [(*row, sha256) for row, sha256 in zip(rows, hashes, strict=True)]
        db.executemany(f"INSERT INTO jobs ({_COLUMNS}, sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        self._count(db, len(rows), *hashes)
        return [row.entry(self._known.get(job)) for row, job in zip(rows, jobs, strict=True)]

    def claim(self, ids: Sequence[int]) -> None:
        """These jobs are being trained."""
        with self._transaction() as db:
            db.executemany("UPDATE jobs SET state = 'claimed' WHERE id = ?", [(i,) for i in ids])

    def finish(self, job: int, record: Record) -> Entry:
        """A job ended with this record."""
        with self._transaction() as db:
            return self._change(db, self._row(job), state="finished", record=_json(record)).entry(record)

    def died(self, job: int, reason: str, machine: Machine) -> Entry | None:
        """A worker died on a job on this machine; if that was once too often, the job has failed: its entry."""
        with self._transaction() as db:
            row = self._row(job)
            if row.deaths + 1 < DEATHS:
                self._change(db, row, state="planned", deaths=row.deaths + 1)
                return None
            record = Record("failed", f"{reason}, {DEATHS} times", machine=machine)
            row = self._change(db, row, state="failed", deaths=row.deaths + 1, record=_json(record))
            return row.entry(record)

    def plan_again(self, ids: Sequence[int]) -> None:
        """These jobs failed for a reason that was not theirs."""
        with self._transaction() as db:
            for i in ids:
                self._change(db, self._row(i), state="planned", deaths=0, record=None)

    def _change(self, db: sqlite3.Connection, row: _Row, **changes: Any) -> _Row:
        changed = row._replace(**changes)
        statement = "UPDATE jobs SET state = ?, deaths = ?, record = ?, sha256 = ? WHERE id = ?"
        db.execute(statement, (changed.state, changed.deaths, changed.record, changed.sha256, row.id))
        self._count(db, 0, row.sha256, changed.sha256)
        return changed

    def _count(self, db: sqlite3.Connection, jobs: int, *hashes: str) -> None:
        """Add so many jobs to the tally, and take these hashes into its sum, or out of it if they are in."""
        count, total = self._tally()
        db.execute("UPDATE tally SET jobs = ?, sha256 = ?", (count + jobs, _sum(total, *hashes)))

    def entries(self) -> list[Entry]:
        """All jobs as the file has them, in the order of planning; OutputError if it lost or changed any."""
        with self._errors():
            rows = self._rows("")
            count, total = self._tally()
            run = sorted(self._db.execute("SELECT key, value FROM run").fetchall(), key=repr)
        if len(rows) < count:
            there = {row.id for row in rows}
            lost = (self._name(i) for i in range(1, count + 1) if i not in there)
            raise self._damaged(f"{count - len(rows)} of {count} jobs are lost: {_some(itertools.islice(lost, 4))}")
        if len(rows) > count or total != _sum(_sha256(run), *(row.sha256 for row in rows)):
            raise self._damaged("its jobs are not those that its tally counts")
        found = []
        for row in rows:
            try:
                _check_row(row)
                found.append(row.entry())
            except (TrainingError, ValueError, RecursionError) as error:
                raise self._damaged(f"{self._name(row.id, row)}: {one_line(error)}") from None
        return found

    def _row(self, job: int) -> _Row:
        rows = self._rows("WHERE id = ?", job)
        if not rows:
            raise self._damaged(f"lost: {self._name(job)}")
        return rows[0]

    def _rows(self, where: str, *values: int) -> list[_Row]:
        """Rows in the order of planning, each checked against its hash."""
        found = self._db.execute(f"SELECT {_COLUMNS}, sha256 FROM jobs {where} ORDER BY id", values).fetchall()
        rows = [(_Row(*columns), sha256) for *columns, sha256 in found]
        damaged = [self._name(row.id, row) for row, sha256 in rows if row.sha256 != sha256]
        if damaged:
            raise self._damaged(f"not what was written down: {_some(damaged)}")
        return [row for row, _ in rows]

    def _tally(self) -> tuple[int, str]:
        rows = self._db.execute("SELECT jobs, sha256 FROM tally").fetchall()
        if len(rows) != 1 or not isinstance(rows[0][0], int) or not re.fullmatch("[0-9a-f]{64}", str(rows[0][1])):
            raise self._damaged("its tally of jobs cannot be read")
        return rows[0]

    def _name(self, i: int, row: _Row | None = None) -> str:
        """A job as the plan has it, or else as its row has, which may be what is damaged."""
        if isinstance(i, int) and 1 <= i <= len(self._first):  # damage leaves no id an integer for sure
            return _training(self._first[i - 1].rank, self._first[i - 1].seed)
        return f"job {i}" if row is None else _training(row.rank, row.seed)


def _check_row(row: _Row) -> None:
    """ValueError for a row that nothing here wrote, whatever its hash says: SQLite takes any type in any column."""
    for name, kind in _KINDS.items():
        value = getattr(row, name)
        if not isinstance(value, kind) or (isinstance(value, int) and value < 0):
            raise ValueError(f"its {name} is {str(value)[:50]!r}")
    if row.state not in _STATES or (row.record is not None) != (row.state in _STATES[2:]):
        raise ValueError(f"it is {row.state[:50]!r} with{'out' if row.record is None else ''} a record")
    for rank in (row.rank, *row.teachers.split(" " if row.teachers else None)):
        if not re.fullmatch("[0-9]{1,20}", rank, re.ASCII):
            raise ValueError(f"{rank[:50]!r} is no rank")


def _json(record: Record) -> str:
    return json.dumps(record.to_dict())


def _training(rank: int | str, seed: int) -> str:
    return f"architecture {rank} with seed {seed}"


def _some(names: Iterator[str] | Sequence[str]) -> str:
    first = list(names)
    return ", ".join(first[:3]) + (", ..." if len(first) > 3 else "")


def _sha256(values: Sequence[Any]) -> str:
    """Of values as SQLite may give them, bytes where damage made them so."""
    return hashlib.sha256(json.dumps(values, default=repr).encode()).hexdigest()


def _sum(*hashes: str) -> str:
    total = 0
    for each in hashes:
        total ^= int(each, 16)
    return f"{total:064x}"


def _short(value: str | None) -> str:
    text = value or "missing"
    return text if len(text) <= 200 else text[:200] + "..."
