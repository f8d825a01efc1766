"""Measure what the design promises about speed, and print it as a Markdown table.

    python benchmarks/speed.py

Every figure is the median of several runs on the machine named above the table. Needs only the installed package.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import nasbench_evs as nb
from nasbench_evs.benchmark import SurrogateBenchmark, TableBenchmark
from nasbench_evs.locations import shipped
from nasbench_evs.metrics import metric
from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.tables import Header, Table, build, write
from nasbench_evs.training.machine import cpu_name

RECORDS, EPOCHS, MILLION = 100_000, 30, 1_000_000
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as in an ordinary installation
COMMAND = Path(sys.executable).parent / "nasbench-evs"


def timed(work: Callable[[], object], runs: int = 5) -> float:
    """Median seconds of a call."""
    spent = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def in_process(code: str, runs: int = 5) -> float:
    """Median of what `code`, which prints one number, prints in a fresh interpreter."""
    outputs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(runs)
    ]
    return statistics.median(float(output) for output in outputs)


def large_table(score_at: str) -> Table:
    """100,000 records with three curves of 30 epochs of float noise, which compresses as badly as real scores."""
    space = SeqNASSpace()
    generator = np.random.default_rng(0)
    ranks = np.unique(generator.integers(space.size, size=2 * RECORDS, dtype=np.uint64))[:RECORDS]
    curves = {
        name: generator.normal(0.75, 0.02, (RECORDS, EPOCHS)).astype(np.float32).clip(0, 1)
        for name in ("train_loss", "valid_curve", "test_curve")
    }
    protocol = {"epochs": EPOCHS, "score_at": score_at}
    final = {f"{split}_score": curves[f"{split}_curve"][:, -1] for split in ("valid", "test")}
    columns = curves | (final if score_at == "end" else {})
    header = Header(space, "made", "made by benchmarks/speed.py", protocol, metric("roc_auc"))
    choices = space.unrank_many(ranks)
    return build(header, choices=choices, seed=0, sampler="random", distilled=0, epochs_run=EPOCHS, **columns)


def first_query(path: Path, table: Table) -> str:
    """Code that opens a table and asks for one architecture; `start` is when, `before` the memory before it."""
    return f"""
import time
import nasbench_evs as nb
import nasbench_evs.tables
def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024
before = peak()
start = time.perf_counter()
bench = nb.load({str(path)!r})
score = bench.query(bench.space.unrank({int(table["rank"][777])}))
"""


def measure() -> list[tuple[str, str, str]]:
    """(what, figure, bar) of every promise."""
    rows = []

    def row(what: str, seconds: float, bar: str, unit: str = "s") -> None:
        factor = {"s": 1, "ms": 1e3, "µs": 1e6}[unit]
        rows.append((what, f"{seconds * factor:.3g} {unit}", bar))
        print(f"{what}: {rows[-1][1]} ({bar})", file=sys.stderr)

    clock = "import time; start = time.perf_counter()\n"
    row(
        "`import nasbench_evs`",
        in_process(clock + "import nasbench_evs; print(time.perf_counter() - start)"),
        "150 ms",
        "ms",
    )

    space = SeqNASSpace()
    choices = space.sample_many(MILLION, 0)

    def make_million() -> None:
        sampled = space.sample_many(MILLION, 0)
        space.rank_many(sampled)
        space.encode_many(sampled)

    row("a million architectures sampled, ranked, encoded", timed(make_million), "3 s")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.h5"
        opening = f"open {RECORDS:,} records with 3 x {EPOCHS} curves and answer the first query"
        for score_at, bar in (("best epoch", "0.5 s"), ("end", "0.08 s")):
            table = large_table(score_at)
            write(table, path, force=True)
            row(
                f"{opening}, scores at the {score_at}",
                in_process(first_query(path, table) + "print(time.perf_counter() - start)"),
                bar,
            )
        columns = sum(array.nbytes for array in table.columns.values())
        memory = in_process(first_query(path, table) + "print(peak() - before)")
        rows.append(("memory while opening it, over the uncompressed columns", f"{memory / columns:.2f} x", "3 x"))
        del table
        bench = nb.load(path)
        assert isinstance(bench, TableBenchmark)
        known = space.architectures(bench.pool[::10])
        row("one tabular query", timed(lambda: [bench.query(a) for a in known]) / len(known), "5 µs", "µs")
        pool = bench.pool
        row(f"{len(pool):,} tabular queries at once", timed(lambda: bench.query_many(pool)), "-", "ms")

    both = nb.load("abank")
    known = both.space.architectures(both.table["choices"])
    row(
        "one tabular query, with a surrogate for the rest",
        timed(lambda: [both.query(a) for a in known]) / len(known),
        "5 µs",
        "µs",
    )

    folder = shipped("surrogate") / "abank" / "seqnas"
    row(
        "load a surrogate",
        in_process(f"""
import catboost
from nasbench_evs.surrogate import Surrogate
{clock}
Surrogate.load({str(folder)!r}); print(time.perf_counter() - start)"""),
        "50 ms",
        "ms",
    )
    surrogate = SurrogateBenchmark(Surrogate.load(folder))
    row("a million surrogate predictions with both uncertainties", timed(lambda: surrogate.query_many(choices)), "4 s")
    some = space.architectures(choices[:1000])
    row("one surrogate query", timed(lambda: [surrogate.query(a) for a in some]) / len(some), "0.5 ms", "ms")
    for what, source in (("recorded", "table"), ("predicted", "surrogate")):
        command = [COMMAND, "query", "digits", "--arch", "512-128-8", "--source", source]
        seconds = timed(lambda command=command: subprocess.run(command, check=True, capture_output=True))
        row(f"`nasbench-evs query`, cold, {what}", seconds, "1 s")
    return rows


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    figures = measure()
    print(f"{cpu_name()}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}\n")
    print("| what | measured | bar |\n| --- | --- | --- |")
    for what, figure, bar in figures:
        print(f"| {what} | {figure} | {bar} |")
