"""What the commands share: common options, printing rows, showing progress."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
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


class Interrupted(click.Abort):
    """Ctrl-C in a command that goes on when it is run again; the message says so."""


@contextlib.contextmanager
def resumable() -> Iterator[None]:
    """Around work that the same command goes on with: interrupted, it says which command that is."""
    try:
        yield
    except KeyboardInterrupt:
        command = shlex.join(["nasbench-evs", *sys.argv[1:]])
        raise Interrupted(f"interrupted; the same command goes on where it was: {command}") from None


def find_own_modules() -> None:
    """Make what lies in the current folder importable: a searcher of one's own may be there."""
    sys.path.insert(0, os.getcwd())


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
    columns: list[list[str]] = []
    texts: list[bool] = []
    for name in names:
        cells = [name, *(_shown(row[name]) for row in rows)]
        width = max(map(len, cells))
        text = all(isinstance(row[name], str | NoneType) for row in rows)
        texts.append(text)
        columns.append([cell.ljust(width) if text else cell.rjust(width) for cell in cells])
    keys = max(1, [*texts, False].index(False))
    blocks = _folded(columns, keys, shutil.get_terminal_size().columns if sys.stdout.isatty() else 0)
    return "\n\n".join("\n".join("  ".join(line).rstrip() for line in zip(*block, strict=True)) for block in blocks)


def _folded(columns: list[list[str]], keys: int, width: int) -> list[list[list[str]]]:
    """The columns as blocks that fit `width` (0: any), each beginning with the first `keys`, which say what a row is about.

    What is wider alone stays whole; of keys that take more than half of the width only the first one is repeated.
    """

    def wide(some: list[list[str]]) -> int:
        return sum(len(each[0]) + 2 for each in some) - 2

    head = columns[: keys if wide(columns[:keys]) * 2 <= width else 1]
    blocks = [head]
    for column in columns[len(head) :]:
        if width and len(blocks[-1]) > len(head) and wide([*blocks[-1], column]) > width:
            blocks.append(head)
        blocks[-1] = [*blocks[-1], column]
    return blocks


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
