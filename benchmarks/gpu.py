"""What a GPU does here: the contracts of trainings, architectures per hour against a core, and a shard of a frozen recipe.

    python benchmarks/gpu.py generators/tafeng-churn.toml --device cuda --out runs/gpu

Whoever has a GPU first runs this and copies the printed table into benchmarks/README.md. Throughput is of the first
architectures of the recipe's plan, from the first that ends to the last, so that what workers need to start does not count.
The recipe's dataset must be prepared. `--device cpu` tries the script out.
"""

import argparse
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from nasbench_evs.benchmark import find_table
from nasbench_evs.datasets.store import open_dataset
from nasbench_evs.errors import NasbenchError
from nasbench_evs.generators.generate import generate
from nasbench_evs.generators.verify import verify_sample
from nasbench_evs.tables import read
from nasbench_evs.training.device import usable
from nasbench_evs.training.inputs import prepare_inputs
from nasbench_evs.training.machine import Machine
from nasbench_evs.training.recipe import Recipe
from nasbench_evs.training.train import train

TESTS = Path(__file__).parents[1] / "tests" / "training" / "test_gpu.py"


def tests(device):
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", str(TESTS), "--device", device]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout[-4000:], file=sys.stderr)
    return "all pass" if done.returncode == 0 else f"FAILED: {done.stdout.strip().splitlines()[-1]}"


def per_hour(recipe, architectures, workers, device, out):
    """Architectures per hour of these workers, which share the device."""
    ends = []

    def note(progress):
        if len(ends) < progress.done:
            ends.extend([time.perf_counter()] * (progress.done - len(ends)))

    plan = replace(recipe.plan, first=architectures, skip=0, repeated=0, seeds_of_all=1, bananas=None, distilled=0)
    generate(replace(recipe, plan=plan), out, workers=workers, device=device, report=note)
    return 3600 * (len(ends) - 1) / (ends[-1] - ends[0])


def peak_memory(recipe, device):
    """GiB that the largest of ten random trainings takes, with the data that its worker keeps there."""
    dataset = open_dataset(recipe.dataset)
    space = recipe.search_space(dataset)
    inputs = prepare_inputs(space, dataset, recipe.subset, recipe.protocol, device, train=recipe.train)
    protocol = replace(recipe.protocol, epochs=1)
    for architecture in (space.sample(seed) for seed in range(10)):
        train(architecture, 0, protocol, inputs)
    return torch.cuda.max_memory_allocated(usable(device)) / 2**30


def verified(table, sample, device):
    checks = verify_sample(table, sample, device=device)
    exact = sum(check.difference == 0 for check in checks)
    return f"{exact} of {len(checks)} exactly, {sum(check.passed for check in checks)} pass"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist")
    parser.add_argument("--architectures", type=int, default=24)
    parser.add_argument("--per-device", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--shard", type=int, nargs=2, default=[1, 50], metavar=("I", "N"))
    parser.add_argument("--sample", type=int, default=5)
    options = parser.parse_args()
    device, sample = options.device, options.sample
    recipe = Recipe.read(options.recipe)
    options.out.mkdir(parents=True)
    usable(device)
    rows = [("contracts of trainings (tests/training/test_gpu.py)", tests(device))]
    core = per_hour(recipe, options.architectures, 1, "cpu", options.out / "core")
    rows.append(("architectures per hour, one core", f"{core:.0f}"))
    for workers in options.per_device:
        rate = per_hour(recipe, options.architectures, workers, device, options.out / f"device-{workers}")
        rows.append((f"architectures per hour, {workers} on one device", f"{rate:.0f} ({rate / core:.2f} times)"))
    if torch.device(device).type == "cuda":
        rows.append(("memory of one training at its peak", f"{peak_memory(recipe, device):.2f} GiB"))
    workers, (part, parts) = max(options.per_device), options.shard
    start = time.perf_counter()
    path = generate(recipe, options.out / "shard", workers=workers, device=device, shard=(part, parts))
    shard = read(path)
    took = f"{len(shard)} records in {(time.perf_counter() - start) / 60:.1f} min"
    rows.append((f"shard {part}/{parts} of {options.recipe.name}, {workers} on one device", took))
    rows.append((f"{sample} of its records trained again here", verified(shard, sample, device)))
    try:
        recorded = read(find_table(recipe.dataset, recipe.space))
        rows.append((f"{sample} records of CPUs trained again here", verified(recorded, sample, device)))
    except NasbenchError as error:
        rows.append(("records of CPUs trained again here", f"none: {error}"))
    machine = Machine.here(device)
    print(f"{machine.gpu or 'no GPU'}, {machine.cpu}, torch {torch.__version__}, {options.recipe.name}\n")
    print("| what | measured |\n| --- | --- |")
    for what, measured in rows:
        print(f"| {what} | {measured} |")


if __name__ == "__main__":
    main()
