"""The journal of a run: one SQLite file that says what is planned, claimed, finished and failed. One writer.

Whatever kills the run, what was committed is there when it is started again.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nasbench_evs.errors import OutputError, TrainingError, one_line
from nasbench_evs.generators.plan import Job

NAME = "journal.sqlite"
DEATHS = 3  # of workers on one training, after which it counts as failed

_TABLES = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY,
    rank TEXT NOT NULL,      -- of the architecture, in decimal: it may need 64 bits
    seed INTEGER NOT NULL,
    sampler TEXT NOT NULL,
    teachers TEXT NOT NULL,  -- ranks, separated by spaces
    state TEXT NOT NULL DEFAULT 'planned',  -- planned, claimed, finished, failed
    deaths INTEGER NOT NULL DEFAULT 0,
    record TEXT,             -- JSON: what came of it
    UNIQUE (rank, seed, teachers)
);
"""


class Entry(NamedTuple):
    """A job and what came of it; `record` is empty unless it ended."""

    id: int
    job: Job
    state: str
    record: dict[str, Any]


class Journal:
    """An open journal; use as a context manager. OutputError if it cannot be written, or another run has it open."""

    def __init__(self, folder: Path) -> None:
        self.path = Path(folder) / NAME
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=0.5)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"cannot write {self.path}: {reason}") from None
        try:
            with self._errors():
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
                # Commits survive the death of the process at once, that of the machine after the next checkpoint: waiting
                # for the disk at every commit took as long as short trainings themselves.
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
                self._db.execute("BEGIN EXCLUSIVE")
                for statement in _TABLES.split(";"):
                    self._db.execute(statement)
                self._db.execute("UPDATE jobs SET state = 'planned' WHERE state = 'claimed'")
                self._db.execute("COMMIT")
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            text = str(error)
            if "locked" in text:
                raise OutputError(
                    f"{self.path} is in use by another run: wait for it, or choose another --out"
                ) from None
            if "not a database" in text or "malformed" in text:
                raise OutputError(
                    f"{self.path} is damaged ({text}): choose another --out, and go on from the table beside it with --from"
                ) from None
            if "readonly" in text or "full" in text or "unable to open" in text or "disk I/O" in text:
                raise OutputError(
                    f"cannot write {self.path}: {text}; what was finished is kept, run it again"
                ) from None
            raise OutputError(f"{self.path} is not the journal of a run ({text}): choose another --out") from None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def start(self, identity: dict[str, Any], jobs: Sequence[Job], known: Mapping[Job, dict[str, Any]]) -> None:
        """Write down what the run is and its first jobs; TrainingError if the journal is of another run.

        `known` are records made elsewhere: jobs among them are finished as soon as they are planned.
        """
        self._known = known
        wanted = {key: json.dumps(value, sort_keys=True) for key, value in identity.items()}
        with self._transaction() as db:
            stored = dict(db.execute("SELECT key, value FROM run").fetchall())
            for key in sorted({*stored, *wanted}) if stored else ():
                if stored.get(key) != wanted.get(key):
                    raise TrainingError(
                        f"{self.path.parent} holds another run: {key} is {_short(stored.get(key))} there and "
                        f"{_short(wanted.get(key))} here; choose another --out"
                    )
            if not stored:
                db.executemany("INSERT INTO run VALUES (?, ?)", wanted.items())
                self._insert(db, jobs)

    def add(self, jobs: Sequence[Job]) -> None:
        """Plan further jobs, all or none of them."""
        with self._transaction() as db:
            self._insert(db, jobs)

    def _insert(self, db: sqlite3.Connection, jobs: Sequence[Job]) -> None:
        rows = [
            (
                str(job.rank),
                job.seed,
                job.sampler,
                " ".join(map(str, job.teachers)),
                "finished" if job in self._known else "planned",
                json.dumps(self._known[job]) if job in self._known else None,
            )
            for job in jobs
        ]
        columns = "rank, seed, sampler, teachers, state, record"
        db.executemany(f"INSERT INTO jobs ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)

    def claim(self, ids: Sequence[int]) -> None:
        """These jobs are being trained."""
        with self._transaction() as db:
            db.executemany("UPDATE jobs SET state = 'claimed' WHERE id = ?", [(i,) for i in ids])

    def finish(self, job: int, record: dict[str, Any]) -> None:
        """A job ended with this record."""
        with self._transaction() as db:
            db.execute("UPDATE jobs SET state = 'finished', record = ? WHERE id = ?", (json.dumps(record), job))

    def died(self, job: int, reason: str, record: dict[str, Any]) -> bool:
        """A worker died on a job; True if that was once too often, and the job is `failed` with this record."""
        with self._transaction() as db:
            (deaths,) = db.execute("SELECT deaths FROM jobs WHERE id = ?", (job,)).fetchone()
            over = deaths + 1 >= DEATHS
            text = json.dumps({**record, "status": "failed", "reason": f"{reason}, {DEATHS} times"}) if over else None
            db.execute(
                "UPDATE jobs SET deaths = ?, state = ?, record = ? WHERE id = ?",
                (deaths + 1, "failed" if over else "planned", text, job),
            )
        return over

    def plan_again(self, ids: Sequence[int]) -> None:
        """These jobs failed for a reason that was not theirs."""
        with self._transaction() as db:
            statement = "UPDATE jobs SET state = 'planned', deaths = 0, record = NULL WHERE id = ?"
            db.executemany(statement, [(i,) for i in ids])

    def entries(self) -> list[Entry]:
        """All jobs, in the order of planning."""
        with self._errors():
            rows = self._db.execute(
                "SELECT id, rank, seed, sampler, teachers, state, record FROM jobs ORDER BY id"
            ).fetchall()
        try:
            return [self._entry(*row) for row in rows]
        except ValueError as error:
            raise OutputError(
                f"{self.path} is damaged ({one_line(error)[:100]}): choose another --out, and go on from the table beside it "
                f"with --from"
            ) from None

    @staticmethod
    def _entry(i: int, rank: str, seed: int, sampler: str, teachers: str, state: str, record: str | None) -> Entry:
        job = Job(int(rank), seed, sampler, tuple(map(int, teachers.split())))
        return Entry(i, job, state, json.loads(record or "{}"))


def _short(value: str | None) -> str:
    text = value or "missing"
    return text if len(text) <= 200 else text[:200] + "..."
