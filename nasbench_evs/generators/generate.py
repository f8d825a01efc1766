"""generate(): carry out a recipe with worker processes and a journal, and write the shard.

Killed at any instant, it loses at most the trainings in flight; started again, it goes on where it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nasbench_evs.datasets.store import open_dataset
from nasbench_evs.errors import OutputError, RecipeError, did_you_mean
from nasbench_evs.files import check_folder
from nasbench_evs.generators.driver import Driver, Progress
from nasbench_evs.generators.executor import Executor, LocalExecutor
from nasbench_evs.generators.messages import WorkerConfig
from nasbench_evs.generators.plan import Planner
from nasbench_evs.generators.shard import header_of
from nasbench_evs.tables import Header, Table
from nasbench_evs.training.device import usable
from nasbench_evs.training.inputs import prepare_inputs
from nasbench_evs.training.journal import NAME as JOURNAL
from nasbench_evs.training.journal import Journal
from nasbench_evs.training.protocol import trainer_name
from nasbench_evs.training.recipe import Recipe
from nasbench_evs.training.record import Job, Record, records_of

EXECUTORS = ("local", "ray")


def generate(
    recipe: Recipe,
    out: str | Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    shard: tuple[int, int] = (1, 1),
    known: Table | None = None,
    executor: str = "local",
    address: str | None = None,
    per_device: int = 1,
    report: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Train what the recipe (or the `shard` (i, n) of it) plans, and return the path of the table.

    `out` is a folder of this run's own: journal, logits of teachers, shard. What a new run plans and `known` (a table by
    the same protocol) holds is taken from there. `executor` says where workers live: "local", processes of this machine,
    which share the devices evenly if `device` names several, separated by commas; or "ray", on the cluster at `address`
    (see RayExecutor), `per_device` of them on one GPU. Interrupted by SIGINT or SIGTERM it writes what is finished and
    raises KeyboardInterrupt. RecipeError, DatasetError, TrainingError, OutputError.
    """
    if workers < 1:
        raise RecipeError(f"{workers} workers: expected at least 1")
    if not 1 <= shard[0] <= shard[1]:
        raise RecipeError(f"shard {shard[0]}/{shard[1]}: expected i/n with i from 1 to n")
    if executor not in EXECUTORS:
        raise RecipeError(
            f"executor {executor!r}: expected one of {', '.join(EXECUTORS)}{did_you_mean(executor, EXECUTORS)}"
        )
    if per_device < 1:
        raise RecipeError(f"{per_device} workers per device: expected at least 1")
    if executor == "local" and (address is not None or per_device != 1):
        raise RecipeError("an address and workers per device are for the executor ray; local workers share all devices")
    out = Path(out)
    check_folder(out)
    devices = [str(usable(name.strip())) for name in device.split(",")] if executor == "local" else [device]
    dataset = open_dataset(recipe.dataset)
    space = recipe.search_space(dataset)
    inputs = prepare_inputs(space, dataset, recipe.subset, recipe.protocol, train=recipe.train)
    header = header_of(recipe, space, dataset, inputs.shape)
    planner = Planner(recipe, space, shard, inputs.shape)
    if not planner.total:
        raise RecipeError(f"shard {shard[0]}/{shard[1]} of {recipe.dataset} is empty: take fewer shards")
    target = out / ("table.h5" if shard[1] == 1 else f"shard-{shard[0]}-of-{shard[1]}.h5")
    identity = {
        "table": header.identity,
        "plan": recipe.plan.identity,
        "shard": list(shard),
        "trainer": trainer_name(),
    }
    records = _records(known, header)
    begun = (out / JOURNAL).exists() and (out / JOURNAL).stat().st_size > 0
    if target.exists() and not begun:
        raise OutputError(
            f"{target} exists, but the journal of its run does not: choose another --out, or go on from it with --from"
        )
    config = WorkerConfig(
        trainer_name(),
        recipe.dataset,
        dataset.fingerprint,
        recipe.subset,
        recipe.train,
        recipe.protocol,
        space,
        devices[0],
        out.absolute() / "logits",
    )
    with (
        contextlib.closing(_executor(executor, config, devices, address, per_device)) as started,
        Journal(out) as journal,
    ):
        entries = journal.start(identity, planner.first, records)
        Driver(journal, planner, header, started, target, report).go(entries, workers)
    return target


def _executor(
    name: str, config: WorkerConfig, devices: list[str], address: str | None, per_device: int
) -> Executor[Any]:
    if name == "local":
        return LocalExecutor(config, devices)
    from nasbench_evs.generators.cluster import RayExecutor

    return RayExecutor(config, address, per_device)


def _records(known: Table | None, header: Header) -> dict[Job, Record]:
    if known is None:
        return {}
    ours, theirs = header.identity, known.header.identity
    for name, value in ours.items():
        if theirs[name] != value:
            raise RecipeError(f"the table to go on from has another {name}: {theirs[name]}; the recipe has {value}")
    return {job: record for job, record in records_of(known).items() if record.status != "failed"}
