"""Searches of an experiment whose architectures are really trained, and every one of their trainings as rows of a file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig, Experiment, SearcherConfig
from nasbench_evs.analysis.one_search import run_of
from nasbench_evs.analysis.runs import DIGITS, RESULTS_LIMIT, Run, Task, write_compressed
from nasbench_evs.errors import OutputError, one_line
from nasbench_evs.files import write_text
from nasbench_evs.reader import Source
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.registry import make

if TYPE_CHECKING:
    import pandas as pd

    from nasbench_evs.generators.driver import Progress
    from nasbench_evs.generators.live import LiveSearch
    from nasbench_evs.training.recipe import Recipe

TRAININGS = "trainings.csv.xz"
_FOLDER = "live"
_FILE = "trainings.csv"
_KEYS = ("benchmark", "searcher", "seed", "settings")
_COLUMNS = {
    "benchmark": "str", "searcher": "str", "seed": "int64", "settings": "str", "evaluation": "int64", "rank": "uint64",
    "distilled": "int64", "valid": "float64", "test": "float64", "seconds": "float64", "real_seconds": "float64",
}  # fmt: skip


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

    None, and no file, if the experiment trains nothing. OutputError if a search's trainings are in neither place.
    """
    import pandas as pd

    labels = {each.label for each in experiment.benchmarks if each.trains}
    wanted = [run for run in runs if run.benchmark in labels]
    if not wanted:
        return None
    target = folder / TRAININGS
    before = read_trainings(target) if target.exists() else None
    parts = []
    for run in wanted:
        fresh = _own_folder(folder, run.benchmark, run.searcher, run.seed, run.settings) / _FILE
        key = (run.benchmark, run.searcher, run.seed, run.settings)
        if fresh.exists():
            parts.append(read_trainings(fresh))
        elif before is not None and (rows := _same(before, key)).any():
            parts.append(before[rows])
        else:
            raise OutputError(
                f"the trainings of {run.searcher} on {run.benchmark}, seed {run.seed}, are neither in {target} nor in {fresh}: "
                "bring one of them back, or raise the experiment's version"
            )
    frame = pd.concat(parts, ignore_index=True)
    write_compressed(frame, target)
    return frame


def read_trainings(path: Path) -> pd.DataFrame:
    """One row for each training of each search; OutputError for anything else.

    `benchmark`, `searcher`, `seed` and `settings` say which search; `evaluation` counts from 1 in the order of asking;
    `rank`; `distilled`: 1 if it was taught; `valid` and `test`: its own scores; `seconds` of this training; `real_seconds` of
    all the search's trainings by the wall.
    """
    import pandas as pd

    advice = "move it away, or choose another --out"
    file = Source(path, OutputError, "trainings of this version of nasbench-evs", advice, RESULTS_LIMIT)
    content = file.unpacked() if path.suffix == ".xz" else file.content()
    try:
        empty = {name: [""] for name, kind in _COLUMNS.items() if kind == "float64"}
        frame = pd.read_csv(
            io.BytesIO(content), dtype=_COLUMNS, keep_default_na=False, na_values=empty, low_memory=False
        )
        if missing := [name for name in _COLUMNS if name not in frame]:
            raise ValueError(f"it has no column {missing[0]}")
    except (ValueError, OverflowError, MemoryError, RecursionError) as error:  # among them pandas' own
        raise file.refusal(f"it holds no {file.what} ({one_line(error)})") from None
    wrong = {
        "evaluation": frame["evaluation"] < 1,
        "seed": frame["seed"] < 0,
        "distilled": ~frame["distilled"].isin([0, 1]),
        **{name: np.isinf(frame[name]) for name in ("valid", "test")},
        **{name: np.isinf(frame[name]) | (frame[name] < 0) for name in ("seconds", "real_seconds")},
        "evaluation of that search": frame.duplicated([*_KEYS, "evaluation"]),
    }
    for name, rows in wrong.items():
        if rows.any():
            row = int(np.flatnonzero(rows)[0])
            value = frame[name].iloc[row] if name in frame else f"there twice ({frame['evaluation'].iloc[row]})"
            raise file.refusal(f"{name} is {str(value)[:50]}", place=f"row {row + 2}")
    return frame


def _same(frame: pd.DataFrame, key: tuple[str, str, int, str]) -> np.ndarray:
    """Which rows are of that search, bool (rows,)."""
    return np.logical_and.reduce([frame[name].to_numpy() == value for name, value in zip(_KEYS, key, strict=True)])
