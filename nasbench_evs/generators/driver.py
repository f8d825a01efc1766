"""One session of a run: who trains what, what is written down, and when the shard is written. Only it writes the journal."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.errors import OutputError, RecipeError, TrainingError
from nasbench_evs.generators.executor import Executor, Handle
from nasbench_evs.generators.messages import Died, Fatal, Message, Ready, Trained, TrainingRequest
from nasbench_evs.generators.plan import Planner, Scored
from nasbench_evs.tables import Header, write
from nasbench_evs.training.journal import Entry, Journal
from nasbench_evs.training.machine import Machine
from nasbench_evs.training.record import Job, Record, score_of, table_of

SHARD_EVERY = 600.0  # seconds between two writings of an unfinished shard, which takes less than one
_SAME_FAILURES = 5  # failed trainings, or workers, without a single success, after which something else is wrong


@dataclass(frozen=True)
class Progress:
    """How far a run is. `best` is NaN before the first score; `per_hour` counts this session's trainings."""

    done: int
    total: int
    failed: int
    best: float
    per_hour: float
    seconds_left: float


class Driver:
    """One session of a run: the driver. Only it writes the journal."""

    def __init__(
        self,
        journal: Journal,
        planner: Planner,
        header: Header,
        executor: Executor[Any],
        target: Path,
        report: Callable[[Progress], None],
    ) -> None:
        self.journal, self.planner, self.header = journal, planner, header
        self.executor, self.target, self.report = executor, target, report
        self.jobs: dict[int, Job] = {}
        self.ended: dict[int, Entry] = {}
        self.best = -np.inf
        self.failed = 0
        self.leading: dict[int, Scored] = {}  # the jobs that others depend on, in the order of planning
        self.waiting: deque[int] = deque()
        self.urgent: deque[int] = deque()  # what later jobs depend on
        self.done_before = 0
        self.trained = 0
        self.failed_here: list[int] = []
        self.failed_starts = 0  # workers that died before they were ready, since the last record
        self.stuck: RecipeError | None = None
        self.started = time.monotonic()

    def go(self, entries: Iterable[Entry], workers: int) -> None:
        """Train what is left of these jobs, and what follows from them, and write the shard."""
        for entry in entries:
            self._take(entry)
        self.planner.resume(self.jobs.values())
        self.done_before = len(self.ended)
        self._plan()
        written = time.monotonic()
        try:
            with _interruptible():
                while self.waiting or self.urgent or any(handle.job is not None for handle in self.executor.workers):
                    self._scale_up(workers)
                    self._send_requests()
                    self.report(self._progress())
                    self._receive()
                    if time.monotonic() - written > SHARD_EVERY:
                        self._write(self.ended.values())
                        written = time.monotonic()
        except BaseException:
            with contextlib.suppress(Exception):  # what stopped the run is the news
                self._write(self.ended.values())
            raise
        finally:
            self.executor.close()
        self._seal()
        self.report(self._progress())
        if self.stuck is not None:
            raise self.stuck

    def _take(self, entry: Entry) -> None:
        self.jobs[entry.id] = entry.job
        if self.planner.leads(entry.job):
            self.leading[entry.id] = Scored(entry.job, None)
        if entry.record is not None:
            self._ended(entry)
        else:
            self._queue(entry.id)

    def _ended(self, entry: Entry) -> None:
        self.ended[entry.id] = entry
        self.failed += entry.state == "failed"
        score = np.nan if entry.record is None else score_of(entry.record, self.header) * self.header.metric.sign
        self.best = max(self.best, score) if not np.isnan(score) else self.best
        if entry.id in self.leading:
            self.leading[entry.id] = Scored(entry.job, score)

    def _queue(self, job: int) -> None:
        dependent = self.planner.found(self.jobs[job]) or self.jobs[job].teachers
        (self.urgent if dependent else self.waiting).append(job)

    def _plan(self) -> None:
        """Name the jobs that follow from what is known by now."""
        try:
            while jobs := self.planner.following(list(self.leading.values())):  # what is known already may lead on
                for entry in self.journal.add(jobs):
                    self._take(entry)
        except RecipeError as error:  # the rest of the plan is trained first
            self.stuck = error

    def _scale_up(self, most: int) -> None:
        """As many workers as there is work for, at most so many."""
        workers = self.executor.workers
        busy = sum(handle.job is not None for handle in workers)
        needed = min(most, len(self.waiting) + len(self.urgent) + busy)
        while len(workers) < needed:
            self.executor.start()

    def _send_requests(self) -> None:
        for handle in self.executor.workers:
            if not handle.ready or handle.job is not None:
                continue
            if not (self.urgent or self.waiting):
                return
            handle.job = (self.urgent or self.waiting).popleft()
            job = self.jobs[handle.job]
            self.journal.claim([handle.job])
            request = TrainingRequest(job.rank, job.seed, job.teachers, self.planner.teaches(job), self._lineage(job))
            self.executor.send(handle, request)

    def _lineage(self, job: Job) -> dict[int, tuple[int, ...]]:
        """Who taught whom, for a job with teachers: a worker may have to train one of them again."""
        return {each.job.rank: each.job.teachers for each in self.leading.values()} if job.teachers else {}

    def _receive(self) -> None:
        """Wait until some worker says something or dies."""
        for received in self.executor.receive(1.0):
            self._on_message(received.handle, received.message)

    def _on_message(self, handle: Handle, message: Message) -> None:
        if isinstance(message, Fatal):
            raise TrainingError(message.reason)
        if isinstance(message, Died):
            self._on_death(handle, f"the worker died ({message.reason})")
        elif isinstance(message, Ready):
            handle.machine = message.machine
        elif handle.job is not None and handle.machine is not None:
            job, handle.job = handle.job, None
            if isinstance(message, Trained):
                self._on_record(job, message.record)
            else:
                self._fail(job, message.reason, handle.machine)

    def _on_death(self, handle: Handle, reason: str) -> None:
        """Another will take its place when there is work, unless it is the place that kills."""
        if handle.machine is None:
            self.failed_starts += 1
            if not any(other.ready for other in self.executor.workers) or self.failed_starts >= _SAME_FAILURES:
                raise TrainingError(f"{reason} before it trained anything: run it again, or with fewer workers")
        elif handle.job is not None:
            self._fail(handle.job, reason, handle.machine)

    def _on_record(self, job: int, record: Record) -> None:
        self._ended(self.journal.finish(job, record))
        self.trained += 1
        self.failed_starts = 0
        if job in self.leading:
            self._plan()

    def _fail(self, job: int, reason: str, machine: Machine) -> None:
        failed = self.journal.died(job, reason, machine)
        if failed is None:
            self._queue(job)
            return
        self._ended(failed)
        self.failed_here.append(job)
        everything = len(self.ended) == len(self.jobs)
        if not self.trained and (len(self.failed_here) >= _SAME_FAILURES or everything):
            self.journal.plan_again(self.failed_here)  # no architecture is to blame
            for each in self.failed_here:
                del self.ended[each]
            raise TrainingError(f"every training fails: {reason}")
        if job in self.leading:
            self._plan()

    def _seal(self) -> None:
        """Write the shard from the journal, read and checked once more: it must hold all that this session knows."""
        entries = self.journal.entries()
        lost = len(self.ended) - sum(entry.record is not None for entry in entries)
        if lost or len(entries) != len(self.jobs):
            raise OutputError(
                f"{self.journal.path} has lost {lost} records and {len(self.jobs) - len(entries)} jobs during this run: "
                f"{self.target} is left as it was; run it again"
            )
        self._write(entries)

    def _write(self, entries: Iterable[Entry]) -> None:
        """Write the shard of those of these jobs that ended."""
        ended = {entry.job: entry.record for entry in entries if entry.record is not None}
        if ended:
            write(table_of(self.header, ended), self.target, force=True)

    def _progress(self) -> Progress:
        done, total = len(self.ended), self.planner.total
        hours = (time.monotonic() - self.started) / 3600
        here = done - self.done_before
        per_hour = here / hours if hours > 0 else 0.0
        best = self.best * self.header.metric.sign if self.best > -np.inf else float("nan")
        left = (total - done) / per_hour * 3600 if per_hour else float("nan")
        return Progress(done, total, self.failed, best, per_hour, left)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM, which schedulers send before they kill, ends the run as Ctrl-C does."""
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # whoever handles it may know more
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
