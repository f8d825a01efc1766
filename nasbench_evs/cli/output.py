"""What the commands share: common options, printing rows, showing progress."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import NoneType
from typing import Any

import click

from nasbench_evs.errors import OutputError

Row = Mapping[str, Any]

FORMAT = click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", help="How to print the answer."
)
FORCE = click.option("--force", is_flag=True, help="Overwrite what exists.")
DEVICE = click.option("--device", help="With --source train: where to train, cpu or cuda.  [default: cpu]")


class TablePath(click.ParamType):
    """The path of a table, or the name of one that nasbench-evs list shows: DATASET, or DATASET/SPACE."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        if path.suffix in (".h5", ".hdf5") or path.exists() or len(path.parts) > 2:
            return path
        from nasbench_evs.benchmark import find_table

        return find_table(*path.parts)


TABLE = click.argument("table", type=TablePath())


_EXTRAS = {"matplotlib": "plots", "pyarrow": "parquet", "ray": "cluster", "aeon": "rocket", "xgboost": "predictors"}


def check_installed(*modules: str) -> None:
    """OutputError unless these are there: asked before the work that ends with them."""
    for module in modules:
        if find_spec(module) is None:
            raise OutputError(f"{module} is not installed: pip install 'nasbench-evs[{extra_of(module)}]'")


def extra_of(module: str) -> str:
    """The extra that brings a module."""
    return _EXTRAS.get(module.partition(".")[0], "train")


def with_progress(what: str, work: Callable[[Callable[..., None]], Any]) -> Any:
    """Run `work(report)`, showing done, total and the time left on stderr; `report(done, total, detail)` says more."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def report(done: int, total: int, detail: str = "") -> None:
            bar.update(task, completed=done, total=total, description=f"{what} {detail}".strip())

        return work(report)


def print_rows(rows: Sequence[Row], form: str) -> None:
    if form == "json":
        print(json.dumps([{k: None if _is_nan(v) else v for k, v in row.items()} for row in rows], indent=1))
    elif form == "csv":
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(rows[0] if rows else [])
        writer.writerows(["" if v is None or _is_nan(v) else v for v in row.values()] for row in rows)
        print(buffer.getvalue(), end="")
    else:
        print(_aligned(rows))


def _aligned(rows: Sequence[Row]) -> str:
    # Columns without any value tell nothing on a screen; the other formats keep them.
    names = [name for name in (rows[0] if rows else []) if any(_shown(row[name]) for row in rows)]
    columns = []
    for name in names:
        cells = [name, *(_shown(row[name]) for row in rows)]
        width = max(map(len, cells))
        text = all(isinstance(row[name], str | NoneType) for row in rows)
        columns.append([cell.ljust(width) if text else cell.rjust(width) for cell in cells])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _shown(value: Any) -> str:
    if value is None or _is_nan(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.5g}" if abs(value) >= 10 else f"{value:.5f}"
    return str(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
