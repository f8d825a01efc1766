"""pilot(): the gate before a plan is recorded. Can searchers be told apart on what this protocol would record?

The first architectures of the plan's order are trained with three seeds each; these trainings are records of the table to
be. What one seed calls the best quarter must be told apart by the others (tables.reliability), hardly any training may end
at chance, and boosting and a GRU say what the scores are worth. What it costs, and whether longer trainings would order the
architectures alike, is printed beside the verdict.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

from nasbench_evs.datasets.boosting import FORMS, boosting
from nasbench_evs.datasets.dataset import Dataset
from nasbench_evs.datasets.store import open_dataset
from nasbench_evs.errors import OutputError, RecipeError
from nasbench_evs.files import write_text
from nasbench_evs.generators.baselines import tune
from nasbench_evs.generators.driver import Progress
from nasbench_evs.generators.generate import generate
from nasbench_evs.generators.plan import Planner
from nasbench_evs.generators.verdict import against, constant_scores, cost, evaluate, twice_as_long
from nasbench_evs.models.networks import by_label
from nasbench_evs.reader import Source
from nasbench_evs.tables import read
from nasbench_evs.tables.reliability import SEEDS
from nasbench_evs.training.recipe import Recipe

ARCHITECTURES = 64
LONGER = 16  # of them, trained once more with twice the steps
_TRIALS = 10  # settings of the GRU


def pilot(
    recipe: Recipe,
    out: str | Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    stage: Callable[[str], None] = lambda _: None,
    report: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """The figures of the gate for a recipe, also written to `out`/pilot.json; see `evaluate` for the verdict.

    `out` is a folder of this pilot's own: `pilot/table.h5` has its trainings, to go on from. Interrupted, the same call
    goes on. `stage` hears what begins, `report` how far it is. RecipeError, and the errors of `generate`.
    """
    if recipe.protocol.score_at != "end":
        raise RecipeError("a pilot is for protocols with score_at = 'end': whole splits, evaluated once, in blocks")
    out = Path(out)
    dataset = open_dataset(recipe.dataset)
    everything = replace(recipe.plan, skip=0, seeds_of_all=1, search=None, distilled=0)
    plan = replace(everything, first=ARCHITECTURES, repeated=ARCHITECTURES, seeds=SEEDS)
    trained = replace(recipe, plan=plan)
    longer = replace(
        recipe,
        plan=replace(plan, first=LONGER, repeated=0),
        protocol=replace(recipe.protocol, epochs=2 * recipe.protocol.epochs),
    )
    space = recipe.search_space(dataset)
    planned = len({job.rank for job in Planner(trained, space).first})
    if planned < ARCHITECTURES:
        raise RecipeError(f"a pilot trains {ARCHITECTURES} architectures: the plan has {planned}")
    stage(f"{ARCHITECTURES} architectures with {SEEDS} seeds")
    table = read(generate(trained, out / "pilot", workers=workers, device=device, report=report))
    stage(f"{LONGER} of them with twice the steps")
    twice = read(generate(longer, out / "twice", workers=workers, device=device, report=report))
    rivals = _baselines(recipe, dataset, out / "baselines.json", device, stage)
    trainings = Planner(replace(recipe, plan=replace(recipe.plan, search=None, distilled=0)), space).total
    figures = {
        "dataset": recipe.dataset,
        "space": recipe.space,
        "train": recipe.train,
        "protocol": recipe.protocol.to_dict(),
        "order": recipe.plan.architectures or ("exhaustive" if recipe.plan.exhaustive else "random"),
        **evaluate(table, constant_scores(dataset)),
        "cost": cost(table, trainings),
        "twice the steps": twice_as_long(table, twice),
        "baselines": rivals,
        "order matters": {rival["name"]: against(table, rival) for rival in rivals},
        "machine": {name: values[0].decode() for name, values in table.hardware.items() if values.dtype.kind == "S"},
    }
    write_text(out / "pilot.json", json.dumps(figures, indent=1) + "\n", force=True)
    return figures


class _Baseline(TypedDict):
    """As the file has it."""

    name: str
    train: int | None
    valid: float
    test: float
    valid_blocks: list[float]
    test_blocks: list[float]


def _baselines(
    recipe: Recipe, dataset: Dataset, path: Path, device: str, stage: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Boosting on counts and with the last events, and a GRU, each once; those that `path` has already are kept."""
    found: list[dict[str, Any]] = []
    if path.exists() or path.is_symlink():
        file = Source(path, OutputError, "baselines of a pilot", "delete it, and run the pilot again")
        found = [dict(each) for each in file.json(list[_Baseline], nan=True) if each["train"] == recipe.train]

    def keep(each: dict[str, Any]) -> None:
        found.append(each)
        write_text(path, json.dumps(found, indent=1) + "\n", force=True)

    known = {each["name"] for each in found}
    for form in FORMS:
        name = f"boosting on {form}" if form == "counts" else f"boosting with the {form}"
        if name not in known:
            stage(name)
            result = boosting(dataset, form=form, train=recipe.train, threads=1)
            keep({"name": name, "train": recipe.train, **_rival(result["valid"], result["test"], result)})
    if "gru" not in known and by_label(recipe.space).inputs == "sequences":
        stage(f"a GRU, {_TRIALS} settings")
        result = tune(recipe, dataset, "gru", trials=_TRIALS, device=device)
        keep({"name": "gru", "train": recipe.train, **_rival(result["valid_mean"], result["test_mean"], result)})
    return found


def _rival(valid: float, test: float, result: dict[str, Any]) -> dict[str, Any]:
    return {"valid": valid, "test": test, "valid_blocks": result["valid_blocks"], "test_blocks": result["test_blocks"]}
