"""`nasbench-evs search --source train`."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nasbench_evs.generators.live import LiveSearch

_OPTIONS = (
    click.option("--batch", type=int, help="Architectures asked for at a time.  [default: the searcher's own, else 8]"),
    click.option("--executor", type=click.Choice(["local", "ray"]), help="Where workers live.  [default: local]"),
    click.option("--address", help="With --executor ray: of a running cluster.  [default: where Ray finds one]"),
    click.option("--per-device", type=int, help="With --executor ray: workers that share a GPU.  [default: 1]"),
)


def live_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that only real trainings have; each is None where it is not given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_live(
    searcher: str, benchmark: str, space: str | None, seeds: int, out: Path | None, **arguments: Any
) -> list[LiveSearch]:
    """A search with real trainings for each seed, in folders of `out`, showing how far it is; see `search_live`."""
    from nasbench_evs.cli.generate import Screen
    from nasbench_evs.cli.output import resumable
    from nasbench_evs.generators.live import search_live, training_recipe

    recipe = training_recipe(benchmark, space)
    arguments = {name: value for name, value in arguments.items() if value is not None}
    found = []
    for seed in range(seeds):
        with resumable(), Screen(f"seed {seed}: " if seeds > 1 else "") as screen:
            live = search_live(
                searcher,
                recipe,
                seed=seed,
                out=None if out is None else out / f"seed-{seed}",
                report=screen.show,
                **arguments,
            )
        print(f"written to {live.folder}", file=sys.stderr)
        found.append(live)
    return found


def live_columns(live: LiveSearch) -> dict[str, Any]:
    """What the line of a search says beside what it says of one on a table."""
    best = live.result.incumbents
    scores = {"valid": math.nan, "test": math.nan}
    if len(best) and best[-1] >= 0:
        scores = {split: live.score(live.result.trials[best[-1]].architecture, split) for split in scores}
    return {**scores, "real_seconds": live.real_seconds}
