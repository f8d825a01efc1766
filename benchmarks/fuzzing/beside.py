"""What lies beside a table, and portfolios: JSON without checksums, and what a user reads of it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.fuzzing.mutations import forged, nested
from nasbench_evs.analysis.beside import baselines_of, read_pilot
from nasbench_evs.analysis.recommend import FILE, recommend
from nasbench_evs.analysis.table_card import write_table_card
from nasbench_evs.errors import OutputError
from nasbench_evs.tables import Table, read

ROOT = Path(__file__).parents[2]
_TAKEN = 120  # records of the table whose card is written


def copy_of(name: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        return Path(shutil.copy(ROOT / name, path.with_suffix(".json")))

    return make


@cache
def _table(dataset: str) -> Table:
    whole = read(ROOT / "datasets" / dataset / "seqnas.h5")
    return whole.select(range(_TAKEN))


def read_baselines(path: Path) -> Any:
    table = _table("tafeng-churn")
    found = baselines_of(path, table.header)
    _there(path)
    return _card(path, table, found, None)


def read_a_pilot(path: Path) -> Any:
    table = _table("tafeng-churn")
    found = read_pilot(path, table.header)
    _there(path)
    return _card(path, table, [], found)


def _card(path: Path, table: Table, baselines: Any, pilot: Any) -> str:
    write_table_card(table, "card", path.parent, None, baselines, pilot)
    return (path.parent / "card.md").read_text(encoding="utf-8")


def read_recommendations(path: Path) -> Any:
    return [msgspec.to_builtins(recommend(name, path=path)) for name in ("tafeng-churn", "my-data")]


def _there(path: Path) -> None:
    if not path.exists():
        raise OutputError("no file: a table without baselines or a pilot has a card")


def forge_json(path: Path, generator: random.Random) -> str:
    value, did = forged(json.loads(path.read_text(encoding="utf-8")), generator)
    text = nested() if generator.random() < 0.03 else json.dumps(value)
    path.write_text(text, encoding="utf-8")
    return did


PORTFOLIOS = f"analysis/{FILE}"
