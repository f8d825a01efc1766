"""Searches of an experiment whose architectures are really trained, and every one of their trainings as rows of a file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig, Experiment, SearcherConfig
from nasbench_evs.analysis.one_search import run_of
from nasbench_evs.analysis.runs import DIGITS, Run, Task, read_cells, rounded, write_compressed
from nasbench_evs.errors import OutputError
from nasbench_evs.files import write_text
from nasbench_evs.reader import MIB, Source
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.registry import make

if TYPE_CHECKING:
    import pandas as pd

    from nasbench_evs.generators.driver import Progress
    from nasbench_evs.generators.live import LiveSearch
    from nasbench_evs.tables import Header
    from nasbench_evs.training.recipe import Recipe

TRAININGS = "trainings.csv.xz"
_FOLDER = "live"
_FILE = "trainings.csv"
_KEYS = ("benchmark", "searcher", "seed", "settings")
_COLUMNS: dict[str, type] = {
    "benchmark": object, "searcher": object, "seed": np.int64, "settings": object, "evaluation": np.int64, "rank": np.uint64,
    "distilled": np.int64, "valid": np.float64, "test": np.float64, "seconds": np.float64, "real_seconds": np.float64,
}  # fmt: skip
_WHOLE = {"seed": (0, 2**63 - 1), "evaluation": (1, 2**63 - 1), "rank": (0, 2**64 - 1), "distilled": (0, 1)}
_SECONDS = ("seconds", "real_seconds")
_LIMIT = 128 * MIB  # of a file that is unpacked: a million trainings


def check_live(config: BenchmarkConfig, searcher: SearcherConfig) -> None:
    """That the searcher can be made and driven there; nothing is trained. The errors of `search_live`."""
    from nasbench_evs.generators.live import planned

    search = planned(str(searcher.name), _recipe(config), **_arguments(config, searcher, 0)).plan.search
    if search is not None:
        bench = config.load()
        domain = Domain.on(bench, config.limits)
        make(search.algorithm, domain, seed=0, epochs=bench.epochs, parameters=search.parameters)


def search_and_train(
    task: Task, settings: str, folder: Path, *, workers: int, device: str, report: Callable[[Progress], None]
) -> Run:
    """Run one search by training what it asks for, in a folder of its own within `folder`, then judge its incumbents.

    The same call goes on where it was stopped; a new training that judges is made again if it was stopped among these.
    """
    from nasbench_evs.generators.live import search_live

    config, searcher, _, seed = task
    own = _own_folder(folder, config.label, searcher.label, seed, settings)
    live = search_live(
        str(searcher.name), _recipe(config), **_arguments(config, searcher, seed), out=own, workers=workers, device=device,
        report=report,
    )  # fmt: skip
    run = run_of(task, settings, live.result, device)
    write_text(own / _FILE, _rows(task, settings, live).to_csv(index=False, float_format=f"%.{DIGITS}g"), force=True)
    return run


def _recipe(config: BenchmarkConfig) -> Recipe:
    from nasbench_evs.generators.live import training_recipe

    return training_recipe(config.name, config.space)


def _arguments(config: BenchmarkConfig, searcher: SearcherConfig, seed: int) -> dict[str, Any]:
    return {
        "budget": config.budget,
        "seed": seed,
        "constraint": config.limits or None,
        "parameters": searcher.parameters,
        "distilled": searcher.distilled,
    }


def _own_folder(folder: Path, benchmark: str, searcher: str, seed: int, settings: str) -> Path:
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{benchmark}-{searcher}").strip("-")
    return folder / _FOLDER / f"{name}-{seed}-{settings}"


def _rows(task: Task, settings: str, live: LiveSearch) -> pd.DataFrame:
    """One row for each training that the search asked for: see `read_trainings`."""
    import pandas as pd

    trials, table = live.result.trials, live.table
    places = {int(rank): i for i, rank in enumerate(table["rank"].tolist())}
    rows = np.array([places[trial.architecture.rank] for trial in trials], np.int64)
    return pd.DataFrame(
        {
            "benchmark": task.benchmark.label,
            "searcher": task.searcher.label,
            "seed": task.seed,
            "settings": settings,
            "evaluation": np.arange(1, len(trials) + 1),
            "rank": table["rank"][rows],
            "distilled": table["distilled"][rows].astype(int),
            "valid": table.scores("valid")[rows],
            "test": table.scores("test")[rows],
            "seconds": table.seconds()[rows],
            "real_seconds": live.real_seconds,
        }
    )


# One file


def write_trainings(experiment: Experiment, runs: Iterable[Run], folder: Path) -> pd.DataFrame | None:
    """All trainings of searches that have ended as TRAININGS in `folder`, from their folders and from what it held before.

    None, and no file, if the experiment trains nothing. OutputError if a search's trainings are in neither place, or are not
    those that its run speaks of.
    """
    import pandas as pd

    trained = {each.label: each for each in experiment.benchmarks if each.trains}
    wanted = [run for run in runs if run.benchmark in trained]
    if not wanted:
        return None
    target = folder / TRAININGS
    before = read_trainings(target) if target.exists() else None
    parts = []
    for run in wanted:
        fresh = _own_folder(folder, run.benchmark, run.searcher, run.seed, run.settings) / _FILE
        if fresh.exists():
            part, path = read_trainings(fresh), fresh
        elif before is not None and (rows := _same(before, run)).any():
            part, path = before[rows], target
        else:
            raise OutputError(
                f"the trainings of {run.searcher} on {run.benchmark}, seed {run.seed}, are neither in {target} nor in {fresh}: "
                "bring one of them back, or raise the experiment's version"
            )
        _check(part, run, trained[run.benchmark].recorded, path)
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    write_compressed(frame, target)
    return frame


def read_trainings(path: Path) -> pd.DataFrame:
    """One row for each training of each search, each search's in the order of asking; OutputError for anything else.

    `benchmark`, `searcher`, `seed` and `settings` say which search; `evaluation` counts from 1; `rank`; `distilled`: 1 if it was
    taught; `valid` and `test`: its own scores, NaN where none; `seconds` of this training, `real_seconds` of all the search's
    trainings by the wall, NaN where unknown.
    """
    import pandas as pd

    advice = "move it away, or choose another --out"
    file = Source(path, OutputError, "trainings of this version of nasbench-evs", advice, _LIMIT)
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    last: dict[tuple[Any, ...], int] = {}  # evaluation of each search
    for row, cells in read_cells(file, tuple(_COLUMNS)):
        for name, text in zip(_COLUMNS, cells, strict=True):
            try:
                columns[name].append(_value(name, text))
            except ValueError:
                expected = "a finite number" + " of 0 or more" * (name in _SECONDS)
                if name in _WHOLE:
                    expected = "an integer from {} to {}".format(*_WHOLE[name])
                raise file.refusal(f"{name} is {text[:50]!r}, expected {expected}", place=f"row {row}") from None
        search = tuple(columns[name][-1] for name in _KEYS)
        evaluation, following = columns["evaluation"][-1], last.get(search, 0) + 1
        if evaluation != following:
            problem = f"evaluation is {evaluation}, expected {following}, the search's next"
            raise file.refusal(problem, place=f"row {row}")
        last[search] = evaluation
    return pd.DataFrame({name: np.array(columns[name], dtype) for name, dtype in _COLUMNS.items()})


def _value(name: str, text: str) -> Any:
    """What a cell holds; ValueError for what no training has."""
    if name in _WHOLE:
        low, high = _WHOLE[name]
        if not low <= (whole := int(text)) <= high:
            raise ValueError
        return whole
    if _COLUMNS[name] is object:
        return text
    value = float(text) if text else math.nan
    if text and (not math.isfinite(value) or (name in _SECONDS and value < 0)):
        raise ValueError
    return value


def _check(part: pd.DataFrame, run: Run, header: Header, path: Path) -> None:
    """OutputError unless these can be the trainings of that search, on the header's benchmark; `path` is where they were."""
    file = Source(path, OutputError, "trainings", "bring back the file as it was, or raise the experiment's version")
    who = f"{run.searcher} on {run.benchmark}, seed {run.seed}"
    low, high = header.metric.low, header.metric.high
    wrong = {
        "searcher": (~_same(part, run), f"expected {who}, with the settings {run.settings}"),
        "rank": (part["rank"] > header.space.size - 1, f"expected one below {header.space.size}"),
        **{
            name: (
                (part[name] < low) | (part[name] > high),
                f"expected a {header.metric.name} from {low:g} to {high:g}",
            )
            for name in ("valid", "test")
        },
    }
    for name, (rows, expected) in wrong.items():
        if rows.any():
            at = int(np.flatnonzero(rows)[0])
            raise file.refusal(
                f"{name} is {str(part[name].iloc[at])[:50]}, {expected}", place=f"row {part.index[at] + 2}"
            )
    asked = int(max((point.evaluations for point in run.curve), default=0))
    if len(part) != asked:
        raise file.refusal(f"it has {len(part)} trainings of {who}, which asked for {asked}")
    found = set(zip(part["rank"].tolist(), part["valid"].map(rounded), strict=True))
    for point in run.curve:
        if point.rank >= 0 and (point.rank, point.seen) not in found:
            raise file.refusal(f"it has no training of rank {point.rank} with the score {point.seen}, which {who}, saw")


def _same(frame: pd.DataFrame, run: Run) -> np.ndarray:
    """Which rows are of that search, bool (rows,)."""
    return np.logical_and.reduce([frame[name].to_numpy() == getattr(run, name) for name in _KEYS])
