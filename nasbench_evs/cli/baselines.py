"""`nasbench-evs baselines`: what a table's scores are compared with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_evs.cli.output import FORCE, FORMAT, check_installed, print_rows
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.progress import with_progress

if TYPE_CHECKING:
    from nasbench_evs.analysis.beside import Baseline
    from nasbench_evs.datasets import Dataset
    from nasbench_evs.training.recipe import Recipe

_NOT_PRINTED = ("protocols", "protocol", "machine", "valid_curves", "valid_blocks", "test_blocks")


@click.command("baselines")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--network",
    "networks",
    multiple=True,
    help="gru, lstm, transformer (the default: these three), boosting, boosting-last-events or minirocket; may be repeated.",
)
@click.option("--trials", type=int, default=30, help="Settings that Optuna tries, for each network.  [default: 30]")
@click.option("--best", type=int, default=3, help="How many of them, the best, are averaged.  [default: 3]")
@click.option("--device", default="cpu", help="Where to train: cpu, cuda, cuda:0.  [default: cpu]")
@click.option(
    "--out", type=click.Path(path_type=Path), help="A JSON file to write as well; what else it has stays there."
)
@FORCE
@FORMAT
def baselines_command(
    recipe: Path,
    networks: tuple[str, ...],
    trials: int,
    best: int,
    device: str,
    out: Path | None,
    force: bool,
    form: str,
) -> None:
    """GRU, LSTM and Transformer with tuned hyper-parameters, trained as the recipe's architectures are, and others.

    Mean and standard deviation of these three are over the best settings. The others have no settings, so --trials, --best
    and --device mean nothing to them, and are over three seeds: boosting on counts (`boosting`) and with the last events
    beside them (`boosting-last-events`), and `minirocket`, a ridge on random convolutions of the same sequences on a
    regular grid (the `rocket` extra).

    A file that is there keeps its other baselines; --force replaces those that are named.

    \b
    Example:
      nasbench-evs baselines generators/credit-default.toml --network gru --out datasets/credit-default/baselines.json
    """
    from nasbench_evs.datasets.boosting import BASELINES
    from nasbench_evs.datasets.store import open_dataset
    from nasbench_evs.files import check_target, write_text
    from nasbench_evs.generators.baselines import NETWORKS
    from nasbench_evs.training.recipe import Recipe

    names = (*NETWORKS, *BASELINES, "minirocket")
    unknown = sorted(set(networks) - set(names))
    if unknown:
        raise InvalidQuery(f"unknown network {', '.join(unknown)}: expected some of {', '.join(names)}")
    if "minirocket" in networks:
        check_installed("aeon")
    wanted = tuple(dict.fromkeys(networks or NETWORKS))
    if out is not None:
        check_target(out, force=True)
    read = Recipe.read(recipe)
    dataset = open_dataset(read.dataset)
    kept: Sequence[Mapping[str, Any]] = _others(out, wanted, read, dataset, force=force) if out is not None else []
    found: list[dict[str, Any]] = []
    for network in wanted:
        work = partial(_work, network, read, dataset, trials, best, device)
        found.append(with_progress(network, work))
        if out is not None:  # after every network, which takes minutes
            known = {each["network"]: each for each in (*kept, *found)}
            rows = sorted(known.values(), key=lambda each: names.index(each["network"]))
            write_text(out, json.dumps(rows, indent=1) + "\n", force=True)
    print_rows([{k: v for k, v in row.items() if k not in _NOT_PRINTED} for row in found], form)


def _work(
    network: str,
    recipe: Recipe,
    dataset: Dataset,
    trials: int,
    best: int,
    device: str,
    report: Callable[[int, int], None],
) -> dict[str, Any]:
    from nasbench_evs.datasets.boosting import BASELINES, boosting_baseline
    from nasbench_evs.datasets.rocket import minirocket
    from nasbench_evs.generators.baselines import NETWORKS, tune

    if network in NETWORKS:
        return tune(recipe, dataset, network, trials=trials, best=best, device=device, report=report)
    part = dataset.subset(recipe.subset) if recipe.subset else dataset
    if network in BASELINES:
        found = boosting_baseline(part, BASELINES[network], train=recipe.train, report=report)
    else:
        found = minirocket(part, train=recipe.train, report=report)
    return found | {"subset": recipe.subset}


def _others(path: Path, wanted: tuple[str, ...], recipe: Recipe, dataset: Dataset, *, force: bool) -> list[Baseline]:
    """What the file has already; InvalidQuery where that is of other sequences, or, without `force`, among the wanted."""
    from nasbench_evs.analysis.beside import read_baselines

    found = read_baselines(
        path, dataset=recipe.dataset, metric=dataset.schema.metric.name, subset=recipe.subset, train=recipe.train
    )
    again = [each["network"] for each in found if each["network"] in wanted]
    if again and not force:
        raise InvalidQuery(f"{path} has {', '.join(again)} already: --force replaces that")
    return found
