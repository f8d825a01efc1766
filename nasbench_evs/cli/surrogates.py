"""`nasbench-evs surrogate ...`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from nasbench_evs.cli.output import FORCE, TABLE, with_progress
from nasbench_evs.errors import InvalidQuery, OutputError


@click.group()
def surrogate() -> None:
    """Fit surrogates to tables."""


@surrogate.command("fit")
@TABLE
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write; by default where load() looks for it.")
@click.option("--seed", type=int, default=0, help="Seed of the fit.  [default: 0]")
@FORCE
def fit_command(table: Path, out: Path | None, seed: int, force: bool) -> None:
    """Fit a surrogate to a table, so that queries answer for every architecture of its space.

    \b
    Example:
      nasbench-evs surrogate fit table.h5
    """
    from nasbench_evs import locations
    from nasbench_evs.surrogate import Surrogate
    from nasbench_evs.tables import read

    if seed < 0:
        raise InvalidQuery(f"--seed {seed}: expected 0 or more")
    opened = read(table)
    out = out or locations.surrogate_of(table)
    if out.exists() and not force:
        raise OutputError(f"{out} exists already: choose another --out, or overwrite with --force")
    fitted = with_progress("fitting", lambda report: Surrogate.fit(opened, seed=seed, progress=report))
    fitted.save(out, force=force)
    print(f"written to {out}", file=sys.stderr)
    print(json.dumps(fitted.card["metrics"], indent=1))
