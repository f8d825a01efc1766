"""kill -9 at random moments: of the driver, of a worker, of both; nothing may be lost, wrong or unreadable afterwards.

    nice python benchmarks/kills.py --kills 300 --cluster 30

Runs of a small recipe by two worker processes, the same by two workers of a Ray cluster, searches with real trainings, and
experiments of both kinds of searches are killed and started again until each has ended. What every session finds in the
journals must hold all that the one before it found, and each record in the end is compared with that of a run which nobody
disturbed, but for what is measured with a clock. The cluster is started and stopped here, on this machine.
"""

import argparse
import contextlib
import os
import platform
import random
import sys
import tempfile
import time
from pathlib import Path

from disturbed import VICTIMS, Kind, Tally, disturb, records, start, workers

from nasbench_evs.analysis.runs import RESULTS, read_results
from nasbench_evs.datasets import store
from nasbench_evs.datasets.prepare import prepare
from nasbench_evs.datasets.sources.synthetic import SYNTHETIC, make

RECIPE = """
dataset = "synthetic"
subset = 200
space = "seqnas"
[protocol]
epochs = 1
batch_size = 64
embedding = 3
channels = 1
hidden = 4
teach_after = 4
teachers = 2
score_at = "end"
curve_rows = 20
[plan]
random = 14
repeated = 3
seeds = 2
distilled = 2
[plan.search]
searcher = "bananas-paper"
architectures = 6
start = 5
batch = 2
[plan.search.parameters]
initial = 5
batch = 2
pool_size = 10
"""
EXPERIMENT = """
regime = "noisy"
seeds = 2
budget = 60
workers = 2
[[searcher]]
name = "evolution"
[[benchmark]]
name = "bpic2012"
source = "table"
[[benchmark]]
name = "{table}"
source = "train"
label = "trained"
budget = 3
"""
SHARES = {"search": 0.3, "experiment": 0.1}  # of what is not the cluster's; the rest are runs of the recipe


def generate(recipe, *options):
    return Kind(
        "generate",
        lambda out: ("generate", recipe, "--out", out, "--workers", "2", *options),
        lambda out: records(out / "table.h5"),
    )


def search(recipe):
    return Kind(
        "search",
        lambda out: (
            "search", "evolution", recipe, "--source", "train", "--workers", "1", "--budget", "12", "--out", out,
        ),
        lambda out: records(out / "seed-0" / "table.h5"),
    )  # fmt: skip


def experiment(folder, table):
    file = folder / "experiment.toml"
    file.write_text(EXPERIMENT.format(table=table))
    return Kind("experiment", lambda out: ("experiment", file, "--out", out, "--processes", "2"), _searches)


def _searches(out):
    """Each search's points, but for its clock where it trains."""
    found = {}
    for run in read_results(out / RESULTS):
        points = [point._replace(seconds=0.0) if run.benchmark == "trained" else point for point in run.points]
        found[run.benchmark, run.searcher, run.regime, run.seed] = repr(points)
    return found


@contextlib.contextmanager
def cluster(recipe):
    """The recipe on a Ray cluster of two CPUs."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_ADDRESS"] = ""
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        (raylet,) = (each.process.pid for each in started.head_node.all_processes["raylet"])
        kind = generate(recipe, "--executor", "ray", "--address", started.address)
        yield Kind("cluster", kind.arguments, kind.outcome, lambda _: workers(raylet, b"_Actor"))
    finally:
        started.shutdown()


def undisturbed(kind, folder):
    run = start(*kind.arguments(folder))
    _, errors = run.communicate()
    if run.returncode:
        sys.exit(f"the run that nobody disturbs fails: {errors}")
    return kind.outcome(folder)


def cpu():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300, help="How many in all.  [default: 300]")
    parser.add_argument("--cluster", type=int, default=30, help="Of them on a Ray cluster.  [default: 30]")
    parser.add_argument("--seed", type=int, default=0, help="Of the moments and victims.  [default: 0]")
    arguments = parser.parse_args()
    chance, began = random.Random(arguments.seed), time.monotonic()
    tallies = {}

    def report():
        done = sum(sum(each.kills.values()) for each in tallies.values())
        left = (time.monotonic() - began) / done * (arguments.kills - done) / 60
        print(f"{done}/{arguments.kills} kills, {left:.0f} min left   ", end="\r", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as named, contextlib.ExitStack() as stack:
        folder = Path(named)
        os.environ["NASBENCH_EVS_HOME"] = str(folder / "home")
        prepare(make(400), SYNTHETIC.rules).save(store.folder("synthetic"))
        recipe = folder / "recipe.toml"
        recipe.write_text(RECIPE)
        known = undisturbed(generate(recipe), folder / "undisturbed")
        plan = {}
        for kind in (search(recipe), experiment(folder, folder / "undisturbed" / "table.h5")):
            if kills := round((arguments.kills - arguments.cluster) * SHARES[kind.name]):
                plan[kind] = kills, undisturbed(kind, folder / f"undisturbed-{kind.name}")
        if arguments.cluster:
            plan[stack.enter_context(cluster(recipe))] = arguments.cluster, known
        if rest := arguments.kills - sum(kills for kills, _ in plan.values()):
            plan[generate(recipe)] = rest, known
        tallies |= {kind: Tally() for kind in plan}
        with contextlib.suppress(KeyboardInterrupt):  # what was done until then is shown
            while left := {kind: kills - sum(tallies[kind].kills.values()) for kind, (kills, _) in plan.items()}:
                kind = max(left, key=lambda each: left[each] / plan[each][0])
                if not left[kind]:
                    break
                kills, expected = plan[kind]
                disturb(kind, folder, expected, kills, chance, tallies[kind], report)
    show(tallies.values(), [kind.name for kind in tallies])
    print(
        f"\n{cpu()}, {os.cpu_count()} cores, Python {platform.python_version()}, {(time.monotonic() - began) / 60:.0f} min"
    )
    said = [each for tally in tallies.values() for each in tally.said]
    for each in said:
        print(each, file=sys.stderr)
    sys.exit(1 if said else 0)


def show(tallies, names):
    print("| runs of | kills | driver | worker | both | runs | records compared | lost | wrong | unreadable |")
    print("| --- |" + " --- |" * 9)
    rows = [
        [sum(each.kills.values()), *(each.kills[victim] for victim in VICTIMS), each.runs, each.records, each.lost,
         each.wrong, each.unreadable]
        for each in tallies
    ]  # fmt: skip
    for name, figures in zip([*names, "**all**"], [*rows, map(sum, zip(*rows, strict=True))], strict=True):
        print("| " + " | ".join(map(str, (name, *figures))) + " |")


if __name__ == "__main__":
    main()
