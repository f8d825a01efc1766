"""`nasbench-evs explore`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from nasbench_evs.cli.output import FORCE, find_own_modules
from nasbench_evs.progress import with_progress


@click.command("explore")
@click.argument("benchmarks", nargs=-1, metavar="[BENCHMARK]...")
@click.option("--results", type=click.Path(path_type=Path), help="Folder of an experiment, for the leaderboard.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The page to write (*.html).")
@FORCE
def explore_command(benchmarks: Sequence[str], results: Path | None, out: Path, force: bool) -> None:
    """One HTML page to look at tables, surrogates and an experiment, and at how far to trust them.

    BENCHMARK is a name of `nasbench-evs list` (all of its tables) or the path of a table; without any, everything that ships.
    The page is one file below 5 MB that works offline, in any browser of the last two years.

    \b
    Examples:
      nasbench-evs explore --results analysis/development --out page.html
      nasbench-evs explore digits table.h5 --out page.html
    """
    from nasbench_evs.analysis.explorer.page import write_page

    find_own_modules()  # the results may be of a searcher there
    left_out = with_progress(
        "reading", lambda report: write_page(benchmarks, results, out, force=force, progress=report)
    )
    for each in left_out:
        print(each, file=sys.stderr)
    print(f"written to {out} ({out.stat().st_size / 1e6:.1f} MB)", file=sys.stderr)
    print(out)
