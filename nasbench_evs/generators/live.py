"""A search with real trainings: any searcher's requests as a plan, carried out by workers, and its result as on a table."""

from __future__ import annotations

import hashlib
import heapq
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nasbench_evs import locations
from nasbench_evs.benchmark import TableBenchmark
from nasbench_evs.benchmark.load import find_table
from nasbench_evs.datasets.store import home, open_dataset
from nasbench_evs.errors import InvalidQuery, OutputError, RecipeError, UnknownBenchmark
from nasbench_evs.files import write_text
from nasbench_evs.generators.driver import Progress
from nasbench_evs.generators.generate import generate
from nasbench_evs.generators.plan import Planner, Scored
from nasbench_evs.generators.proposals import batch_of
from nasbench_evs.reader import Source
from nasbench_evs.search.run import Result, Trial
from nasbench_evs.spaces import Architecture
from nasbench_evs.spaces.subspaces import SUBSPACES
from nasbench_evs.tables import Table, read
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.recipe import Plan, Recipe, Search
from nasbench_evs.training.record import Job, records_of, score_of
from nasbench_evs.training.retrain import dataset_of

_CLOCK = "seconds.json"
_TRAJECTORY = "evaluations.csv"


class LiveSearch(NamedTuple):
    """What a search with real trainings did, the table of its trainings, and its folder (with the trajectory as CSV).

    `real_seconds` are what the trainings took by the wall, but for what was in flight when a session was killed.
    """

    result: Result
    table: Table
    folder: Path
    real_seconds: float

    def score(self, architecture: Architecture, split: str) -> float:
        """The score of an architecture's training; NaN if it has none. InvalidQuery if it was not trained."""
        rows = np.flatnonzero(self.table["rank"] == architecture.rank)
        if not len(rows):
            raise InvalidQuery(f"{architecture} was not trained by this search: expected one of its trials")
        return float(self.table.scores(split)[rows[0]])


def training_recipe(name: str | Path, space: str | None = None) -> Recipe:
    """Dataset, space and protocol by which `search_live` trains; its plan is of no account.

    `name` is a dataset's with a table that has a name (see `load`) or else with a recipe `generators/NAME.toml`, or the path
    of a table (*.h5) or of a recipe (*.toml); `space` as for `load`. UnknownBenchmark; RecipeError if the table was not made by
    this library's trainer, DatasetError if its dataset is not here, or is another one.
    """
    if space in SUBSPACES:
        raise InvalidQuery(
            f"space {space!r}: a search with real trainings is over a whole space; leave it out, or search its table"
        )
    path = Path(name) if str(name).endswith(".toml") else locations.shipped("generators") / f"{name}.toml"
    known = {each.dataset for each in locations.known_tables()}
    if str(name).endswith(".toml") or (str(name) not in known and len(Path(name).parts) == 1 and path.is_file()):
        recipe = Recipe.read(path)
        if space is not None and space != recipe.space:
            raise UnknownBenchmark(f"the recipe {path} is of the space {recipe.space!r}, not of {space!r}")
        return recipe
    header = read(find_table(name, space)).header
    values = header.protocol
    recipe = Recipe(
        dataset=header.dataset,
        protocol=Protocol.recorded(values),
        plan=Plan(),
        space=header.space.label,
        subset=values.get("subset"),
        train=values.get("train"),
    )
    if recipe.search_space(dataset_of(header)) != header.space:
        raise RecipeError(f"no recipe has the space of {name}, {header.space!r}: expected one that a label names")
    return recipe


def search_live(
    searcher: str,
    recipe: Recipe,
    *,
    budget: int,
    seed: int = 0,
    batch: int | None = None,
    constraint: Mapping[str, float] | None = None,
    parameters: Mapping[str, Any] | None = None,
    distilled: bool | None = None,
    out: str | Path | None = None,
    workers: int = 1,
    device: str = "cpu",
    executor: str = "local",
    address: str | None = None,
    per_device: int = 1,
    report: Callable[[Progress], None] = lambda _: None,
) -> LiveSearch:
    """Search with real trainings by the recipe's protocol (see `training_recipe`): a plan with that search alone.

    `searcher` is a name of `search.SEARCHERS`, "seqnas" (paper 000: `bananas-paper` whose trainings are taught by the best
    three before them, from the 31st on), or "package.module:Class". It asks for `budget` architectures, `batch` at a time,
    and is told when the batch has ended: what it sees does not depend on the number of workers, of which more than `batch`
    are refused. Every training has seed 0; `seed` is the searcher's. `distilled`: whether the best trainings teach, as for
    "seqnas"; None: as the searcher has it. `workers` to `per_device` say who trains, as for
    `generate`. Interrupted or killed, the same call goes on: `out`, by default a folder in the home of nasbench-evs that
    follows from what is searched, has the journal.

    In the result, an evaluation is `finished`, on a simulated clock with as many workers, when its batch has ended.
    InvalidQuery, and the errors of `generate`.
    """
    recipe = planned(
        searcher, recipe, budget=budget, seed=seed, batch=batch, constraint=constraint, parameters=parameters,
        distilled=distilled, workers=workers,
    )  # fmt: skip
    folder = _derived(recipe, open_dataset(recipe.dataset).fingerprint) if out is None else Path(out)
    clock = _Clock(folder / _CLOCK)

    def on_progress(progress: Progress) -> None:
        clock.show(progress.done)
        report(progress)

    target = generate(
        recipe,
        folder,
        workers=workers,
        device=device,
        executor=executor,
        address=address,
        per_device=per_device,
        report=on_progress,
    )
    table = read(target)
    result = result_of(recipe, table, workers)
    write_text(folder / _TRAJECTORY, result.trajectory.to_csv(index=False), force=True)
    return LiveSearch(result, table, folder, clock.seconds)


def planned(
    searcher: str,
    recipe: Recipe,
    *,
    budget: int,
    seed: int,
    batch: int | None = None,
    constraint: Mapping[str, float] | None = None,
    parameters: Mapping[str, Any] | None = None,
    distilled: bool | None = None,
    workers: int = 1,
) -> Recipe:
    """The recipe with such a search as its plan (see `search_live`); InvalidQuery and RecipeError if it cannot be made."""
    values: dict[str, Any] = {"searcher": searcher, "architectures": budget, "seed": seed}
    given = {"batch": batch, "parameters": parameters, "constraint": constraint, "distilled": distilled}
    values |= {name: value for name, value in given.items() if value is not None}
    search = Search.from_dict(values)
    most = batch_of(search)
    if workers > most:
        raise InvalidQuery(
            f"{workers} workers: {searcher} asks for {most} architectures at a time; expected at most as many workers, or a "
            f"larger batch"
        )
    space = recipe.search_space(open_dataset(recipe.dataset))
    search = replace(search, architectures=min(search.architectures, space.size))
    return replace(recipe, plan=Plan(search=search))


def result_of(recipe: Recipe, table: Table, workers: int = 1) -> Result:
    """The result of the search that the recipe plans, given the table of all its trainings: the searcher is told them again."""
    header = table.header
    planner = Planner(recipe, header.space, shape=header.shape)
    proposals, search = planner.proposals, recipe.plan.search
    if proposals is None or search is None:
        raise InvalidQuery("the plan has no search: expected a section [plan.search]")
    records = records_of(table)
    sign = header.metric.sign
    planner.following([Scored(job, score_of(record, header) * sign) for job, record in records.items()])
    seconds = dict(zip(records, table.seconds().tolist(), strict=True))
    known = [taken for taken in seconds.values() if not math.isnan(taken)]
    missing = float(np.mean(known)) if known else 1.0  # a training that failed
    trials: list[Trial] = []
    begins, trained = 0.0, set[Job]()
    for told in proposals.batches:
        free = [begins] * workers
        rows = []
        for job, score in told:
            taken = 0.0 if job in trained else missing if math.isnan(seconds[job]) else seconds[job]
            trained.add(job)
            rows.append((job, score, free[0]))
            heapq.heapreplace(free, free[0] + taken)
        begins = max(free)
        choices = header.space.unrank_many(np.array([job.rank for job, _ in told], np.uint64))
        fits = proposals.domain.feasible(choices).tolist()
        for (_, score, started), fit, architecture in zip(rows, fits, header.space.architectures(choices), strict=True):
            trials.append(Trial(architecture, None, sign * score, fit, float(len(trials) + 1), started, begins))
    recommended = proposals.searcher.recommend(3)
    return Result(
        searcher=search.searcher,
        bench=TableBenchmark(table),
        regime="noisy",
        seed=search.seed,
        trials=trials,
        recommended=recommended,
        own_seconds=proposals.own_seconds,
        timed=bool(known),
    )


def _derived(recipe: Recipe, fingerprint: str) -> Path:
    """The folder of a search, by all that decides what it finds."""
    search = recipe.plan.search
    name = "search" if search is None else re.sub(r"[^A-Za-z0-9]+", "-", search.searcher)
    decides = [
        recipe.dataset,
        fingerprint,
        recipe.space,
        recipe.subset,
        recipe.train,
        recipe.protocol.to_dict(),
        recipe.plan.identity,
    ]
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]
    return home() / "searches" / f"{recipe.dataset}-{recipe.space}-{name}-{digest}"


class _Clock:
    """Seconds that trainings took by the wall, over all sessions; a session counts until its last training ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.seconds = Source(path, OutputError, "seconds", limit=1000).json(float)
        except OutputError:  # the first session, or a file that a crash of the machine damaged
            self.seconds = 0.0
        self.seconds = max(self.seconds, 0.0)
        self._before, self._began = self.seconds, time.monotonic()
        self._done: int | None = None

    def show(self, done: int) -> None:
        if self._done is not None and done > self._done:
            self.seconds = self._before + time.monotonic() - self._began
            write_text(self._path, json.dumps(self.seconds), force=True)
        self._done = done
