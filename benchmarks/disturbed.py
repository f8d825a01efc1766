"""Runs of the command line as processes that are killed at random moments, and what must be as if nobody had.

`benchmarks/kills.py` and tests/generators use it. It finds processes in /proc, so it needs Linux.
"""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nasbench_evs.errors import NasbenchError
from nasbench_evs.tables import read

COMMAND = Path(sys.executable).parent / "nasbench-evs"
CLOCKED = ("train_seconds", "eval_seconds", "cpu_seconds")
VICTIMS = ("driver", "worker", "both")
LONGEST = 900  # seconds that a run may take
MOST_KILLS = 10  # of one run, after which it may end
MOST_DEATHS = (
    2  # of workers alone, in one run: a training whose worker died three times counts as failed, and rightly so
)


def start(*arguments):
    """The command as a process, in a session of its own, so that no Ctrl-C of ours reaches it."""
    return subprocess.Popen(
        [COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def children(pid):
    """The processes that a process started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            found += [int(child) for child in task.read_text().split()]
    return found


def workers(pid, mark=b"spawn_main"):
    """Those of them whose command line has the mark: what trains and searches, and not what watches over resources."""
    found = []
    for child in children(pid):
        with contextlib.suppress(OSError):
            if mark in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def finished(folder):
    """What the journals anywhere in a folder say has ended, by journal and row; their runs are dead."""
    found = {}
    for path in sorted(folder.rglob("journal.sqlite")):
        name = str(path.relative_to(folder))
        with contextlib.closing(sqlite3.connect(path)) as db:
            tables = {table for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            rows = []
            if "jobs" in tables:
                rows = db.execute("SELECT id, record FROM jobs WHERE state = 'finished'").fetchall()
            elif "searches" in tables:
                rows = db.execute("SELECT rowid, run FROM searches").fetchall()
        found |= {(name, row): text for row, text in rows}
    return found


def records(path):
    """What a table says of each training, but for what is measured with a clock."""
    table = read(path)
    names = [name for name in table.columns if name not in CLOCKED and not name.endswith("_seconds")]
    keys = zip(table["rank"].tolist(), table["seed"].tolist(), table["distilled"].tolist(), strict=True)
    return {key: repr([table[name][i].tolist() for name in names if name != "hardware"]) for i, key in enumerate(keys)}


@dataclass(frozen=True)
class Kind:
    """A kind of run.

    `arguments` of the command that writes into a folder; `outcome` what must come of it there; `workers` the processes that
    work for one whose driver has this number.
    """

    name: str
    arguments: Callable[[Path], tuple]
    outcome: Callable[[Path], Mapping[Hashable, str]]
    workers: Callable[[int], list[int]] = workers


@dataclass
class Tally:
    """What became of runs that were killed; the last three must be 0, and `said` is what was said of them."""

    kills: Counter = field(default_factory=Counter)
    runs: int = 0
    records: int = 0
    lost: int = 0
    wrong: int = 0
    unreadable: int = 0
    said: list[str] = field(default_factory=list)


def disturb(kind, folder, expected, kills, chance, tally, report=lambda: None):
    """Carry out a run that is killed until the tally has so many kills, and go on with it until it has ended.

    Half of the moments are any, the other half are right after something was written. `expected` is the outcome of an
    undisturbed run.
    """
    out = folder / f"{kind.name}-{tally.runs}"
    tally.runs += 1
    kept, killed = {}, Counter()
    while True:
        run = start(*kind.arguments(out))
        while sum(tally.kills.values()) < kills and sum(killed.values()) < MOST_KILLS:
            try:
                _wait(run, out, chance)
            except BaseException:
                run.kill()
                raise
            if run.poll() is not None:
                break
            victim = chance.choice(VICTIMS if killed["worker"] < MOST_DEATHS else ("driver", "both"))
            if _kill(victim, run.pid, kind.workers(run.pid)):
                tally.kills[victim] += 1
                killed[victim] += 1
                report()
            if victim != "worker":
                break
        try:
            _, errors = run.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            run.kill()
            return _count(tally, "unreadable", 1, f"{out}: still running after {LONGEST} s")
        try:
            before, kept = kept, finished(out)
            for table in out.rglob("*.h5"):
                read(table)
        except (sqlite3.Error, NasbenchError) as error:
            return _count(tally, "unreadable", 1, f"{out}: {error}")
        changed = [key for key, text in before.items() if kept.get(key, text) != text]
        _count(tally, "lost", len(before.keys() - kept.keys()), f"{out}: finished, and gone")
        _count(tally, "wrong", len(changed), f"{out}: finished, and made again")
        if run.returncode == 0:
            break
        # Beside the driver's own death only that of a worker ends a run, and says so.
        if run.returncode != -signal.SIGKILL and not _said(errors):
            return _count(tally, "unreadable", 1, f"{out}: exit code {run.returncode}: {errors}")
    found = kind.outcome(out)
    tally.records += len(expected)
    _count(tally, "lost", len(expected.keys() - found.keys()), f"{out}: missing at the end")
    wrong = [key for key in found if found[key] != expected.get(key)]
    return _count(tally, "wrong", len(wrong), f"{out}: other than undisturbed: {wrong[:3]}")


def _said(errors):
    last = (errors.splitlines() or [""])[-1]
    return last.startswith("error: ") and "died" in last and "Traceback" not in errors


def _count(tally, what, number, said):
    if number:
        setattr(tally, what, getattr(tally, what) + number)
        tally.said.append(said)


def _kill(victim, driver, working):
    """Whether there was somebody to kill."""
    chosen = {"driver": [driver], "worker": working[:1], "both": [driver, *working]}[victim]
    for pid in chosen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(chosen)


def _wait(run, out, chance):
    """Until a moment to kill at."""
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0.2, 6.0))
        return
    before, until = _written(out), time.monotonic() + LONGEST
    while run.poll() is None and _written(out) in (before, 0) and time.monotonic() < until:
        time.sleep(0.002)
    time.sleep(chance.uniform(0.0, 0.05))


def _written(out):
    """When something in a folder was last written, 0 before there is anything."""
    latest = 0
    for folder, _, names in os.walk(out):
        for name in [".", *names]:
            with contextlib.suppress(OSError):
                latest = max(latest, os.stat(os.path.join(folder, name)).st_mtime_ns)
    return latest
