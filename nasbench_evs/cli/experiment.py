"""`nasbench-evs experiment`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_evs.cli.generate import describe
from nasbench_evs.cli.output import check_installed, find_own_modules, resumable
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.progress import with_progress

if TYPE_CHECKING:
    from nasbench_evs.analysis.runs import Task
    from nasbench_evs.generators.driver import Progress


@click.command("experiment")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--searcher",
    "entrants",
    multiple=True,
    metavar="PLACE",
    help="A searcher of your own beside those of FILE, which are taken from its results; may be repeated. It needs --out.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write; by default named like the file, beside it, of a shipped one in the current folder.",
)
@click.option("--processes", type=int, help="How many run at the same time.  [default: one for each core]")
@click.option("--report-only", is_flag=True, help="Run nothing: write the report of what has ended.")
@click.option(
    "--device",
    help='Where a benchmark with source = "train" trains, and where incumbents are trained anew.  [default: cpu]',
)
def experiment_command(
    file: Path,
    entrants: tuple[str, ...],
    out: Path | None,
    processes: int | None,
    report_only: bool,
    device: str | None,
) -> None:
    """Compare search algorithms as an experiment file says: many seeds, in parallel, resumable.

    FILE is a path, or the name of a shipped one: suite-1, development.

    Writes results.csv.xz (the incumbents of every search and what they are worth), summary.csv, a page and figures. The same
    command goes on where it was stopped, and from a results.csv.xz that is there: only the searches that it lacks are run. It
    needs matplotlib (the `plots` extra). A benchmark with source = "train" is searched by training: a journal of its own in
    the folder keeps every training, and trainings.csv.xz has their scores.

    With --searcher module:Class, or path/to/file.py:Class, only your own searcher runs, on the benchmarks, budget and seeds of
    FILE; the rows of all others are those of the results that ship with it, and the page has yours among them.

    \b
    Examples:
      nasbench-evs experiment analysis/suite-1.toml
      nasbench-evs experiment suite-1 --searcher my_searcher:MySearcher --out mine
    """
    from nasbench_evs.analysis.config import read_experiment
    from nasbench_evs.analysis.entrants import baselines, experiment_file, with_entrants, write_file
    from nasbench_evs.analysis.experiment import run_experiment
    from nasbench_evs.analysis.report import PAGE, write_report
    from nasbench_evs.analysis.runs import RESULTS, read_results, read_runs
    from nasbench_evs.files import check_folder

    if processes is not None and processes < 1:
        raise InvalidQuery(f"--processes {processes}: expected 1 or more")
    command = " ".join([f"nasbench-evs experiment {file}", *(f"--searcher {each}" for each in entrants)])
    path = experiment_file(file)
    experiment = read_experiment(path)
    # Of a shipped one that is named, all that ships counts; at a path the results lie where they are written.
    known = read_results(path.with_suffix("") / RESULTS) if path != file else []
    if entrants:
        if out is None:
            raise InvalidQuery("--searcher runs beside the results of the file: name another folder with --out")
        known = baselines(experiment, path.with_suffix(""))
        experiment = with_entrants(experiment, entrants)
    if any(":" in str(each.name) for each in experiment.searchers):
        find_own_modules()
    folder = out or (path if path == file else Path(file.name)).with_suffix("")
    check_installed("matplotlib")
    check_folder(folder)
    if device is not None and not any(each.retrain for each in experiment.benchmarks):
        raise InvalidQuery(f"--device {device}: nothing is trained in {file}; leave it out")
    if report_only:
        runs = read_runs(experiment, folder, known)
    else:

        def work(report: Any) -> Any:
            def training(done: int, total: int, task: Task, progress: Progress) -> None:
                report(done, total, f"{task.searcher.label}, seed {task.seed}: {describe(progress)}")

            return run_experiment(
                experiment, folder, processes=processes, progress=report, training=training, device=device or "cpu",
                known=known,
            )  # fmt: skip

        with resumable():
            runs = with_progress("searching", work)
    write_report(experiment, runs.values(), folder, command)
    if folder.resolve() != path.with_suffix("").resolve():
        write_file(path, entrants, folder)
    print(f"written to {folder}", file=sys.stderr)
    print(folder / PAGE)
