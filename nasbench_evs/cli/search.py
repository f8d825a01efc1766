"""`nasbench-evs searchers` and `nasbench-evs search`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_evs.cli.live import live_columns, live_options, run_live
from nasbench_evs.cli.output import DEVICE, FORCE, FORMAT, find_own_modules, print_rows
from nasbench_evs.errors import InvalidQuery, NotRecorded, SurrogateError
from nasbench_evs.progress import with_progress

if TYPE_CHECKING:
    from nasbench_evs.search import Result


@click.command("searchers")
@FORMAT
def searchers_command(form: str) -> None:
    """The searchers by name: what each does, where it was published, and its preset, what it sets otherwise than its class.

    A search has one seed: the searcher's own generator, and which training of each architecture it sees in the noisy regime, the
    same for all searchers of that seed. A setting `initial` (and evolution's `population`) is how many random architectures
    a searcher begins with; they count in the budget, of which the default is a fifth.

    \b
    Example:
      nasbench-evs searchers --format json
    """
    from nasbench_evs.search import SEARCHERS

    rows = [
        {
            "searcher": name,
            "about": entry.about,
            "paper": entry.paper,
            "preset": " ".join(f"{key}={value}" for key, value in entry.defaults.items()),
            "class": entry.path,
        }
        for name, entry in SEARCHERS.items()
    ]
    print_rows(rows, form)


@click.command("search")
@click.argument("searcher")
@click.argument("benchmark")
@click.option("--space", help="The space, where a dataset has several, or a part of it (seqnas-s).")
@click.option("--source", default="auto", show_default=True, help="auto, table, surrogate or train.")
@DEVICE
@live_options
@click.option("--budget", type=int, help="Evaluations of each search.  [default: 150, if --seconds is not given]")
@click.option("--seconds", type=float, help="Simulated seconds of each search.")
@click.option("--seeds", type=int, default=1, show_default=True, help="How many searches.")
@click.option(
    "--workers", type=int, default=1, show_default=True, help="Simulated workers; real ones with --source train."
)
@click.option(
    "--regime", default="noisy", show_default=True, help="clean, noisy or transfer: what it sees and is judged by."
)
@click.option(
    "--constraint", "constraints", multiple=True, metavar="NAME=LIMIT", help="params or flops; may be repeated."
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A hyper-parameter; may be repeated.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write every evaluation to this CSV file. With --source train: a folder.",
)
@FORMAT
@FORCE
def search_command(
    searcher: str,
    benchmark: str,
    space: str | None,
    source: str,
    device: str | None,
    budget: int | None,
    seconds: float | None,
    seeds: int,
    workers: int,
    regime: str,
    constraints: tuple[str, ...],
    settings: tuple[str, ...],
    out: Path | None,
    form: str,
    force: bool,
    **trainers: Any,
) -> None:
    """Run a search algorithm on a benchmark: one line for each seed, with the best architecture it saw and what it is worth.

    True value and regret are those of the regime, where something can judge.

    SEARCHER is a name, or where a class of your own is: module:Class, also in the current folder, or path/to/file.py:Class.

    With --source train its architectures are trained, by --workers processes: BENCHMARK is a dataset with a table or a recipe,
    or the path of one. The searcher asks for --batch at a time and is told when all have ended, so it finds the same with any
    number of workers. Killed, the same command goes on. "seqnas" is a searcher here: BANANAS whose trainings teach.

    \b
    Examples:
      nasbench-evs search bananas credit-default --budget 150 --seeds 3
      nasbench-evs search mine:Climber credit-default --set radius=2
      nasbench-evs search evolution synthetic --source train --workers 2 --budget 12
    """
    from nasbench_evs.benchmark import load
    from nasbench_evs.files import check_target, replacing
    from nasbench_evs.search import searcher_class
    from nasbench_evs.search.run import run_with
    from nasbench_evs.training.recipe import PRESETS

    if seeds < 1:
        raise InvalidQuery(f"--seeds {seeds}: expected 1 or more")
    if ":" in searcher:
        find_own_modules()
    limits = {name: _number(name, text) for name, text in _pairs("--constraint", constraints)}
    parameters = {name: _value(text) for name, text in _pairs("--set", settings)}
    if source == "train":
        if seconds is not None:
            raise InvalidQuery("--seconds are simulated ones: with --source train give a --budget of trainings")
        if regime != "noisy":
            raise InvalidQuery(f"--regime {regime}: a search with real trainings sees single trainings; leave it out")
        lives = run_live(
            searcher, benchmark, space, seeds, out, budget=150 if budget is None else budget, workers=workers,
            device=device or "cpu", constraint=limits, parameters=parameters, **trainers,
        )  # fmt: skip
        rows = [_row(live.result, math.nan, math.nan) | live_columns(live) for live in lives]
        print_rows(rows, form)
        return  # nothing judges it: every training was seen
    if given := [name for name, value in {"device": device, **trainers}.items() if value is not None]:
        raise InvalidQuery(f"--{given[0].replace('_', '-')} says how to train: it goes with --source train")
    if searcher in PRESETS:
        raise InvalidQuery(f"{searcher} learns from its own trainings: it goes with --source train")
    searcher_class(searcher)
    if out is not None:
        check_target(out, force=force)
    bench = load(benchmark, space, source=source)
    if budget is None and seconds is None:
        budget = 150

    def work(report: Any) -> list[Any]:
        results = []
        for seed in range(seeds):
            report(seed, seeds)
            results.append(
                run_with(
                    searcher,
                    bench,
                    budget=budget,
                    seconds=seconds,
                    seed=seed,
                    workers=workers,
                    constraint=limits,
                    regime=regime,
                    parameters=parameters,
                )
            )
        return results

    results = with_progress("searching", work)
    judged, unknown = _judged(results)
    rows = [_row(result, *each) for result, each in zip(results, judged, strict=True)]
    if out is not None:
        import pandas as pd

        frames = [result.trajectory.assign(seed=result.seed) for result in results]
        with replacing(out, force=force) as scratch:
            pd.concat(frames).to_csv(scratch, index=False)
        print(f"written to {out}", file=sys.stderr)
    print_rows(rows, form)
    if unknown:
        print(f"not judged: {unknown}", file=sys.stderr)


def _judged(results: list[Result]) -> tuple[list[tuple[float, float]], str]:
    """The true value and the regret of what each search found, NaN where they are unknown; and why they are, if so."""
    values, regrets = [math.nan] * len(results), [math.nan] * len(results)
    try:
        values = [float(result.true_values[-1]) if result.trials else math.nan for result in results]
        regrets = [float(result.regret[-1]) if result.trials else math.nan for result in results]
    except (NotRecorded, SurrogateError) as error:  # a surrogate that was fitted to another table cannot judge
        return list(zip(values, regrets, strict=True)), str(error)
    return list(zip(values, regrets, strict=True)), ""


def _row(result: Result, true_value: float, regret: float) -> dict[str, Any]:
    """What one search found, and what that is worth; empty where nothing within the constraint has a score."""
    best = result.trials[result.incumbents[-1]] if result.trials and result.incumbents[-1] >= 0 else None
    end = result.trials[-1] if result.trials else None
    return {
        "regime": result.regime,
        "seed": result.seed,
        "architecture": str(best.architecture) if best else "",
        "rank": best.architecture.rank if best else None,
        "valid_seen": best.value if best else math.nan,
        "true_value": true_value,
        "regret": regret,
        "evaluations": end.spent if end else 0,
        "simulated_seconds": end.finished if end and result.timed else math.nan,
        "own_seconds": result.own_seconds,
        "recommended": " ".join(map(str, result.recommended)),
    }


def _pairs(option: str, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise InvalidQuery(f"{option} {text!r}: expected NAME=VALUE")
        found.append((name.strip(), value.strip()))
    return found


def _number(name: str, text: str) -> float:
    try:
        return float(text.replace("_", ""))
    except ValueError:
        raise InvalidQuery(f"--constraint {name}={text}: expected a number") from None


def _value(text: str) -> Any:
    """A hyper-parameter as it is meant: true and false, integers, numbers, else text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
