"""What the journal of a run costs: each of its commits waits for the disk, and opening it checks every record.

    python benchmarks/journal.py datasets/credit-default/seqnas.h5

The records are those of the table, as often as needed, each under an architecture of its own; the journal is made in a
temporary folder, so set TMPDIR to the disk on which runs are made. Two commits belong to a training (claimed, finished).
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from nasbench_evs import tables
from nasbench_evs.training.journal import NAME, Journal
from nasbench_evs.training.record import Job, records_of, table_of

RECORDED = (1000, 10_000)
MEASURED = 200  # trainings, after so many were recorded


def seconds(call):
    start = time.perf_counter()
    made = call()
    return time.perf_counter() - start, made


def measure(table, recorded, folder):
    """What a training costs after `recorded` others, and opening and writing all of them."""
    records = list(records_of(table).values())
    ranks = np.unique(table.header.space.rank_many(table.header.space.sample_many(2 * recorded + 2 * MEASURED, seed=0)))
    ranks = np.random.default_rng(0).permutation(ranks)[: recorded + MEASURED]
    jobs = [Job(int(rank), 0, "random") for rank in ranks]
    known = {job: records[i % len(records)] for i, job in enumerate(jobs[:recorded])}
    with Journal(folder) as journal:
        journal.start({}, jobs, known)
        commits = []
        for i in range(recorded, len(jobs)):
            commits.append(seconds(lambda i=i: journal.claim([i + 1]))[0])
            commits.append(seconds(lambda i=i: journal.finish(i + 1, records[i % len(records)]))[0])
    opening, entries = seconds(lambda: _open(folder, jobs))
    ended = {entry.job: entry.record for entry in entries if entry.record is not None}
    writing, _ = seconds(lambda: tables.write(table_of(table.header, ended), folder / "table.h5"))
    return {
        "recorded": recorded,
        "a commit, median": f"{1e3 * np.median(commits):.2f} ms",
        "slowest of a hundred": f"{1e3 * np.quantile(commits, 0.99):.2f} ms",
        "two commits of a training": f"{100 * 2 * np.median(commits) / _training(table):.4f} %",
        "opening and checking": f"{opening:.2f} s",
        "writing the shard": f"{writing:.2f} s",
        "size": f"{(folder / NAME).stat().st_size / 1e6:.0f} MB",
    }


def _open(folder, jobs):
    with Journal(folder) as journal:
        return journal.start({}, jobs, {})


def _training(table):
    """Seconds of the median training, evaluation included."""
    return float(np.nanmedian(np.nansum(table["train_seconds"], 1) + np.nansum(table["eval_seconds"], 1)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    table = tables.read(parser.parse_args().table)
    print(f"median training: {_training(table):.1f} s")
    for recorded in RECORDED:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(table, recorded, Path(folder))))
