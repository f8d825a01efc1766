"""A SQLite file that one process writes, safe against whatever kills it, whose errors are one line each."""

from __future__ import annotations

import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from nasbench_evs.errors import OutputError, one_line
from nasbench_evs.files import flush_names
from nasbench_evs.reader import check_ordinary


class ExclusiveDatabase(ABC):
    """An open file of one writer; use as a context manager.

    What was committed is on the disk. OutputError if the file cannot be written, is damaged or something else, or another
    process has it open. `what` is what messages call it.
    """

    what: str

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() or path.is_symlink():
            check_ordinary(path, OutputError, self.what)
        folder = path.parent
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0.5)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"cannot write {path}: {reason}") from None
        self._db.text_factory = lambda text: text.decode(errors="replace")  # damage is the subclass's to notice
        try:
            with self._errors():
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._db.execute("BEGIN EXCLUSIVE")
                [(found, *_), *_] = self._db.execute("PRAGMA quick_check(1)").fetchall()
                if found != "ok":
                    raise self._damaged(str(found))
                if self._db.execute("SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchall():
                    raise OutputError(f"{self.path} is not {self.what}: choose another --out")
                self._inspect()
                self._db.execute("COMMIT")
                # With a rollback journal all that was committed is in this one file, and with FULL on the disk: a lost
                # write-ahead log would set it back unseen. benchmarks/journal.py measures what it costs.
                self._db.execute("PRAGMA journal_mode = DELETE")
                self._db.execute("PRAGMA synchronous = FULL")
            flush_names(folder, *(each.parent for each in made))
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @abstractmethod
    def _inspect(self) -> None:
        """Look at the file that was opened, before anything is written; OutputError if it is something else."""

    @property
    def _advice(self) -> str:
        """What to do when the file is damaged."""
        return "choose another --out"

    def _damaged(self, how: str) -> OutputError:
        return OutputError(f"{self.path} is damaged ({' '.join(how.split())[:300]}): {self._advice}")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's errors within it are OutputErrors that say what to do."""
        try:
            yield
        except UnicodeDecodeError:  # of a message that quotes the file
            raise self._damaged("its text cannot be read") from None
        except sqlite3.DatabaseError as error:
            text = one_line(error)
            if "locked" in text:
                raise OutputError(
                    f"{self.path} is in use by another run: wait for it, or choose another --out"
                ) from None
            if "not a database" in text or "malformed" in text:
                raise self._damaged(text) from None
            if "readonly" in text or "full" in text or "unable to open" in text or "disk I/O" in text:
                raise OutputError(
                    f"cannot write {self.path}: {text}; what was finished is kept, run it again"
                ) from None
            raise OutputError(f"{self.path} is not {self.what} ({text}): choose another --out") from None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written within it, or nothing."""
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
