"""Searchers' own work, beside that of an earlier commit in the same run: CPU seconds of 300 evaluations.

    python benchmarks/own_time.py 7111a81

Each figure is the least of some searches, less the least of random search's there (the queries). The commit's code is checked
out into a worktree of its own; the searches take turns, so that what else the machine does touches both alike.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SEARCHERS = ("bananas", "bananas-mlp", "reinforce", "pnasm", "pnasm-a")
MEASURE = """
import sys, time
import nasbench_evs as nb
from nasbench_evs import search

name, source = sys.argv[1:]
bench = nb.load("credit-default", "seqnas", source=source)

def cpu(name, seed):
    start = time.process_time()
    search.run(name, bench, budget=300, seed=seed)
    return time.process_time() - start

for each in ("random", name):
    cpu(each, 9)  # what is loaded and remembered
print(min(cpu(name, seed) for seed in range(2)) - min(cpu("random", seed) for seed in range(2)))
"""


def seconds(code, name, source):
    """CPU seconds of a searcher by the code in that folder."""
    environment = os.environ | {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", MEASURE, name, source]
    return float(subprocess.check_output(command, env=environment, text=True, cwd=code))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("commit")
    parser.add_argument("searchers", nargs="*", default=SEARCHERS)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        subprocess.run(["git", "worktree", "add", "-q", "--detach", before, options.commit], cwd=ROOT, check=True)
        try:
            print(f"| searcher | source | {options.commit} | now | share |\n| --- | --- | --- | --- | --- |")
            for name in options.searchers:
                for source in ("surrogate", "table"):
                    rounds = [[seconds(code, name, source) for code in (before, ROOT)] for _ in range(options.rounds)]
                    old, new = map(min, zip(*rounds, strict=True))
                    print(f"| {name} | {source} | {old:.2f} s | {new:.2f} s | {new / old:.2f} |", flush=True)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", before], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
