"""Use one table and one surrogate for long and from many processes: same answers, and nothing that grows.

    python benchmarks/soak.py --readers 64 --queries 1000000 --searches 2000

Readers open both at the same time, and their answers have one hash. Queries, one after another, are of recorded architectures,
of others that are asked for again, and of ever new ones; searches are by several searchers. Memory, open files and threads are
read after the first tenth and at the end.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import multiprocessing
import os
import platform
import sys
import threading
import time
from typing import NamedTuple

import numpy as np

import nasbench_evs as nb
from nasbench_evs import search
from nasbench_evs.training.machine import cpu_name

DATASET = "bpic2012"
GROWTH = 16 * 2**20  # bytes that memory may grow by after the first tenth, whatever is done how often
SEEDS = 4  # of each searcher, again and again
SEARCHERS = {
    "random": SEEDS,
    "evolution": SEEDS,
    "local": SEEDS,
    "asha": SEEDS,
    "reinforce": 1,
    "bananas": 1,
}  # the last take long
_PATIENCE = 1800  # seconds for a reader
_ROUND = 10_000  # queries: so many of a round are predicted ones that come again, new ones, and new ones many at once
_OLD, _NEW, _BATCH = 10, 10, 100


class Use(NamedTuple):
    """What a process uses: bytes of memory, open files, threads."""

    memory: int
    files: int
    threads: int


class Part(NamedTuple):
    """What was done how often, in how many seconds, what it used after a tenth and at the end, and whether answers agree."""

    what: str
    seconds: float
    early: Use
    late: Use
    same: bool

    @property
    def flat(self) -> bool:
        grown = self.late.memory - self.early.memory
        return grown <= GROWTH and self.late.files <= self.early.files and self.late.threads <= self.early.threads


def use() -> Use:
    """What this process uses now; memory and files as Linux counts them."""
    gc.collect()
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return Use(pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")), threading.active_count())


def answers(dataset: str = DATASET) -> str:
    """A hash of what a table and its surrogate, freshly opened, answer for the same architectures."""
    digest = hashlib.sha256()
    for source in ("table", "surrogate"):
        bench = nb.load(dataset, source=source)
        choices = bench.space.sample_many(300, 0) if bench.pool is None else bench.pool[:300]
        for split in ("valid", "test"):
            scores = bench.query_many(choices, split=split)
            digest.update(scores.value.tobytes() + scores.noise_std.tobytes() + scores.seconds.tobytes())
        architectures = bench.space.architectures(choices[:20])
        digest.update(repr([bench.query(each).value for each in architectures]).encode())
    return digest.hexdigest()


def _reader(start: object, found: object, dataset: str) -> None:
    start.wait()  # type: ignore[attr-defined]
    found.put(answers(dataset))  # type: ignore[attr-defined]


def readers(n: int, dataset: str = DATASET) -> Part:
    """n processes that open the files at the same moment."""
    context = multiprocessing.get_context("forkserver")  # what is imported is imported once
    context.set_forkserver_preload(["catboost", "h5py", "nasbench_evs.benchmark", "nasbench_evs.surrogate"])
    start, found = context.Barrier(n), context.Queue()
    before, began = use(), time.perf_counter()
    processes = [context.Process(target=_reader, args=(start, found, dataset)) for _ in range(n)]
    for process in processes:
        process.start()
    hashes = {found.get(timeout=_PATIENCE) for _ in processes}
    for process in processes:
        process.join()
    spent = time.perf_counter() - began
    right = all(process.exitcode == 0 for process in processes) and hashes == {answers(dataset)}
    return Part(f"{n} readers at once", spent, before, before, right)  # what they use ends with them


def queries(n: int, dataset: str = DATASET) -> Part:
    """n queries of recorded architectures, of others that come again, and of new ones, alone and many at once."""
    bench = nb.load(dataset)
    recorded = bench.space.architectures(bench.recorded_choices)
    old = [bench.space.sample(seed) for seed in range(200)]
    rng = np.random.default_rng(0)
    began, early, done = time.perf_counter(), None, 0
    first = [bench.query(each) for each in (*recorded, *old)]
    while done < n:
        for at in rng.integers(len(recorded), size=_ROUND - _OLD - _NEW - _BATCH).tolist():
            bench.query(recorded[at], split="test" if at % 7 == 0 else "valid")
        for at in rng.integers(len(old), size=_OLD).tolist():
            bench.predicted.query(old[at], seed=done)
        for each in bench.space.architectures(bench.space.sample_many(_NEW, rng)):
            bench.query(each)
        bench.predicted.query_many(bench.space.sample_many(_BATCH, rng), seed=done)
        done += _ROUND
        if early is None and done >= n / 10:
            early = use()
        _progress("queries", done, n, began)
    spent, late = time.perf_counter() - began, use()
    again = [bench.query(each) for each in (*recorded, *old)]
    same = all(repr(a) == repr(b) for a, b in zip(first, again, strict=True))
    return Part(f"{done:,} queries in one process", spent, early or late, late, same)


def searches(n: int, dataset: str = DATASET) -> Part:
    """n searches, each searcher in turn, of a few seeds that come again."""
    bench = nb.load(dataset)
    turns = [(name, seed) for seed in range(SEEDS) for name, seeds in SEARCHERS.items() if seed < seeds]
    began, early, same = time.perf_counter(), None, True
    known: dict[tuple[str, int], str] = {}
    for done in range(1, n + 1):
        name, seed = turns[(done - 1) % len(turns)]
        result = search.run(name, bench, budget=12, seed=seed)
        said = repr([(str(trial.architecture), trial.epoch, trial.value) for trial in result.trials])
        same &= known.setdefault((name, seed), said) == said
        if early is None and done >= max(n / 10, min(len(turns), n)):
            early = use()
        _progress("searches", done, n, began)
    spent, late = time.perf_counter() - began, use()
    return Part(f"{n:,} searches in one process", spent, early or late, late, same)


def _progress(what: str, done: int, total: int, began: float) -> None:
    if done * 20 // total > (done - 1) * 20 // total and sys.stderr.isatty():
        left = (time.perf_counter() - began) / done * (total - done)
        print(f"{done:,} of {total:,} {what}, {left:.0f} s left", file=sys.stderr)


def line(part: Part) -> str:
    """The part as a row of a Markdown table."""

    def both(name: str, unit: float = 1) -> str:
        return " / ".join(f"{getattr(each, name) / unit:.0f}" for each in (part.early, part.late))

    told = f"| {part.what} | {part.seconds:.0f} s | {'the same' if part.same else 'not the same'} |"
    if part.early == part.late:
        return f"{told} | | |"
    return f"{told} {both('memory', 2**20)} MiB | {both('files')} | {both('threads')} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=64)
    parser.add_argument("--queries", type=int, default=1_000_000)
    parser.add_argument("--searches", type=int, default=2000)
    options = parser.parse_args()
    print(f"{cpu_name()}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}\n")
    print("| what | time | answers | memory after a tenth / at the end | open files | threads |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    parts = []
    for work, n in ((readers, options.readers), (queries, options.queries), (searches, options.searches)):
        if n:
            parts.append(work(n))
            print(line(parts[-1]), flush=True)
    wrong = [part.what for part in parts if not (part.same and part.flat)]
    if wrong:
        sys.exit(f"other answers, or more than {GROWTH >> 20} MiB more, or files or threads: {'; '.join(wrong)}")


if __name__ == "__main__":
    main()
