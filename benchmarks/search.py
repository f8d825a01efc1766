"""Searchers' own work: random search, BANANAS, and a part of the experiment that the design bounds.

    python benchmarks/search.py --seeds 2

Ten searchers on six benchmarks with 300 evaluations each, in one process for each core; 20 seeds may take 30 minutes. The
seeds of an experiment are alike, so a few tell what 20 take.
"""

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nasbench_evs as nb
from nasbench_evs import search
from nasbench_evs.analysis.config import BenchmarkConfig, Experiment, SearcherConfig
from nasbench_evs.analysis.experiment import run_experiment

SEARCHERS = (
    "random",
    "evolution",
    "local",
    "reinforce",
    "bananas",
    "bananas-mlp",
    "pnasm",
    "tpe",
    "asha",
    "hyperband",
)
BENCHMARKS = ("credit-default", "bpic2012", "online-retail")  # of each the surrogate and the table
BUDGET = 300
RANDOM = 30_000


def random_search(source):
    """Evaluations of a random search a second, on this process."""
    bench = nb.load("credit-default", "ffn-3" if source == "table" else None, source=source)
    budget = min(RANDOM, len(bench.pool)) if source == "table" else RANDOM
    search.run("random", bench, budget=100)
    start = time.perf_counter()
    done = len(search.run("random", bench, budget=budget).trials)
    return done / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=2)
    seeds = parser.parse_args().seeds
    cores = os.cpu_count()
    print("| what | measured | bar |\n| --- | --- | --- |")
    for source in ("table", "surrogate"):
        with ProcessPoolExecutor(cores) as pool:
            rates = list(pool.map(random_search, [source] * cores))
        print(f"| evaluations of random search a second, {source}, {cores} processes | {sum(rates):,.0f} | 100,000 |")
    benchmarks = [
        BenchmarkConfig(f"{name} {source}", name, None, source, {}, BUDGET, (BUDGET,), ("noisy",))
        for name in BENCHMARKS
        for source in ("surrogate", "table")
    ]
    experiment = Experiment("speed", [SearcherConfig(name, name, {}) for name in SEARCHERS], benchmarks, seeds)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        runs = run_experiment(experiment, Path(folder)).values()
        seconds = time.perf_counter() - start
    own = {name: statistics.mean(run.own_seconds for run in runs if run.searcher == name) for name in SEARCHERS}
    print(f"| BANANAS with {BUDGET} evaluations, own seconds | {own['bananas']:.1f} | 10 |")
    print(
        f"| {len(SEARCHERS)} searchers x {len(benchmarks)} benchmarks x {BUDGET} evaluations, {seeds} seeds | "
        f"{seconds / 60:.1f} min, 20 seeds {20 * seconds / seeds / 60:.0f} min | 20 seeds 30 min |"
    )
    print("\n| searcher | own seconds of a search |\n| --- | --- |")
    for name, value in own.items():
        print(f"| {name} | {value:.2f} |")


if __name__ == "__main__":
    main()
