"""Candidate protocols, compared before one is piloted: on architectures that the pilot does not use, two seeds each.

Whoever chooses a protocol by the architectures that judge it finds one that is good by chance on these.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.errors import RecipeError
from nasbench_evs.files import write_text
from nasbench_evs.generators.driver import Progress
from nasbench_evs.generators.generate import generate
from nasbench_evs.generators.pilot import ARCHITECTURES
from nasbench_evs.generators.verdict import cpu_seconds
from nasbench_evs.tables import Table, read
from nasbench_evs.tables.reliability import agreement
from nasbench_evs.training.recipe import Recipe

OTHERS = 24  # that follow the pilot's in the plan's order
SEEDS = 2


def candidate(
    recipe: Recipe,
    out: str | Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    report: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """How two trainings by this recipe's protocol agree on the architectures after the pilot's; also in `out`/others.json.

    Interrupted, the same call goes on. RecipeError, and the errors of `generate`.
    """
    if recipe.protocol.score_at != "end":
        raise RecipeError("candidates are protocols with score_at = 'end'")
    plan = replace(
        recipe.plan, skip=ARCHITECTURES, first=OTHERS, repeated=0, seeds_of_all=SEEDS, search=None, distilled=0
    )
    out = Path(out)
    table = read(generate(replace(recipe, plan=plan), out / "others", workers=workers, device=device, report=report))
    found = {"dataset": recipe.dataset, "train": recipe.train, "protocol": recipe.protocol.to_dict(), **figures(table)}
    write_text(out / "others.json", json.dumps(found, indent=1) + "\n", force=True)
    return found


def figures(table: Table) -> dict[str, Any]:
    """`agreement` of a table's architectures with seeds 0 and 1, and CPU seconds of a training, evaluation included."""
    rows = np.flatnonzero(table["seed"] < SEEDS).reshape(-1, SEEDS)
    valid, test = (table[f"{split}_score"][rows] for split in ("valid", "test"))
    return {
        **agreement(valid, test, sign=table.header.metric.sign)._asdict(),
        "cpu_seconds": float(np.nanmedian(cpu_seconds(table))),
    }
