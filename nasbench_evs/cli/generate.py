"""`nasbench-evs generate` and `pilot`: what trains."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_evs.cli.output import print_rows, resumable
from nasbench_evs.errors import RecipeError
from nasbench_evs.progress import LINE_EVERY

if TYPE_CHECKING:
    from nasbench_evs.generators.driver import Progress


@click.command("generate")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of this run: journal and shard.")
@click.option("--workers", type=int, default=1, help="Processes that train, one thread each.  [default: 1]")
@click.option("--device", default="cpu", help="Where to train: cpu, cuda:0, or cuda:0,cuda:1.  [default: cpu]")
@click.option("--shard", default="1/1", help="Which part of the plan, such as 3/16.  [default: 1/1]")
@click.option("--from", "known", type=click.Path(path_type=Path), help="A table of the same protocol to go on from.")
@click.option(
    "--executor", type=click.Choice(["local", "ray"]), default="local", help="Where workers live.  [default: local]"
)
@click.option("--address", help="With --executor ray: of a running cluster.  [default: where Ray finds one]")
@click.option("--per-device", type=int, default=1, help="With --executor ray: workers that share a GPU.  [default: 1]")
def generate_command(
    recipe: Path,
    out: Path,
    workers: int,
    device: str,
    shard: str,
    known: Path | None,
    executor: str,
    address: str | None,
    per_device: int,
) -> None:
    """Train and record what a recipe plans; killed, the same command goes on where it was.

    \b
    Examples:
      nasbench-evs generate generators/credit-default.toml --out runs/credit-default --workers 2
      nasbench-evs generate recipe.toml --out runs/all --workers 32 --executor ray --device cuda --per-device 4
    """
    from nasbench_evs.generators.generate import generate
    from nasbench_evs.tables import read as read_table
    from nasbench_evs.training.recipe import Recipe

    part = re.fullmatch(r"(\d{1,6})/(\d{1,6})", shard)
    if not part:
        raise RecipeError(f"--shard {shard!r}: expected i/n, such as 3/16")
    read = Recipe.read(recipe)
    with resumable(), Screen() as screen:
        target = generate(
            read,
            out,
            workers=workers,
            device=device,
            shard=(int(part[1]), int(part[2])),
            known=None if known is None else read_table(known),
            executor=executor,
            address=address,
            per_device=per_device,
            report=screen.show,
        )
    print(target)


@click.command("pilot")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of this pilot: trainings, figures.")
@click.option("--workers", type=int, default=1, help="Processes that train, one thread each.  [default: 1]")
@click.option("--device", default="cpu", help="Where to train: cpu, cuda, cuda:0.  [default: cpu]")
@click.option("--others", is_flag=True, help="Only compare candidates: 24 architectures after the 64, two seeds.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def pilot_command(recipe: Path, out: Path, workers: int, device: str, others: bool, form: str) -> None:
    """The gate before a plan is recorded: can searchers be told apart on what this protocol would record?

    Trains the first 64 architectures of the plan with three seeds each, prints how reliably one training tells the good ones
    apart, the verdict and what the plan would cost, and writes OUT/pilot.json. Killed, the same command goes on.
    OUT/pilot/table.h5 is what `generate --from` goes on from. Protocols are chosen by --others, never by the 64.

    \b
    Example:
      nasbench-evs pilot generators/tafeng-churn.toml --out runs/tafeng-churn --workers 2
    """
    from nasbench_evs.analysis.gate import pilot_section
    from nasbench_evs.generators.candidates import candidate
    from nasbench_evs.generators.pilot import pilot
    from nasbench_evs.training.recipe import Recipe

    read = Recipe.read(recipe)
    if others:
        with resumable(), Screen() as screen:
            found = candidate(read, out, workers=workers, device=device, report=screen.show)
        rows = [{name: value for name, value in found.items() if name != "protocol"}]
        print_rows(rows, "json" if form == "json" else "table")
        return
    with resumable(), Screen() as screen:
        figures = pilot(
            read,
            out,
            workers=workers,
            device=device,
            stage=lambda what: print(f"{what} ...", file=sys.stderr, flush=True),
            report=screen.show,
        )
    print(json.dumps(figures, indent=1) if form == "json" else "\n".join(pilot_section(figures)))


def describe(progress: Progress) -> str:
    """How far trainings are, in one line."""
    done = f"{progress.done}/{progress.total} trained"
    parts = [done, f"{progress.per_hour:.0f} an hour"] if progress.per_hour else [done]
    if progress.best == progress.best:
        parts.append(f"best {progress.best:.5f}")
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    if progress.seconds_left == progress.seconds_left:
        parts.append(f"{progress.seconds_left / 60:.0f} min left")
    return ", ".join(parts)


class Screen:
    """Progress on stderr: a live line on a terminal, a line a minute elsewhere."""

    def __init__(self, title: str = "") -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        self._live = Live("", console=console, transient=True) if console.is_terminal else None
        self._last = -LINE_EVERY
        self._title, self._text = title, ""

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        if self._text:
            print(self._text, file=sys.stderr)

    def show(self, progress: Progress) -> None:
        self._text = self._title + describe(progress)
        if self._live is not None:
            self._live.update(self._text)
        elif time.monotonic() - self._last >= LINE_EVERY:
            self._last = time.monotonic()
            print(self._text, file=sys.stderr, flush=True)
