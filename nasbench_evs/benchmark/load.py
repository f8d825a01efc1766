"""load(): one query over recorded trainings and over what a surrogate predicts for the rest of the space."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasbench_evs import locations
from nasbench_evs.arguments import known, of_kind
from nasbench_evs.benchmark.base import Benchmark
from nasbench_evs.benchmark.judge import FittedJudge
from nasbench_evs.benchmark.landscapes import PREFIX, LandscapeBenchmark
from nasbench_evs.benchmark.live import TrainingBenchmark
from nasbench_evs.benchmark.predicted import AutoBenchmark, SurrogateBenchmark
from nasbench_evs.benchmark.tabular import TableBenchmark
from nasbench_evs.errors import InvalidQuery, NasbenchError, UnknownBenchmark, did_you_mean, shown
from nasbench_evs.models import networks
from nasbench_evs.spaces.subspaces import SUBSPACES, subspace
from nasbench_evs.tables.hdf5 import read, read_reference_sha256

if TYPE_CHECKING:
    import pandas as pd

SOURCES = ("auto", "table", "surrogate", "train")


def load(name: str | Path, space: str | None = None, *, source: str = "auto", device: str | None = None) -> Benchmark:
    """Open a benchmark: by the name of its dataset, shipped, of another package or your own; or a table file by its path.

    `space` is the label of a space where a dataset has several ("seqnas" is the default; see `benchmarks()`), or its name if
    that is unambiguous ("ffn" for "ffn-3"), or a part of a space, "seqnas-s": a view with its own ranks and neighbours over
    what there is of the whole. `source`: "table" answers only for what was trained, "surrogate" predicts every architecture,
    "auto" takes the table where it can and the surrogate elsewhere (the table alone if none is fitted, the surrogate alone if
    nothing of a part is recorded). Works offline; needs no PyTorch. "train" trains what is asked for, on `device` (left
    out, the CPU), by the table's protocol: it needs PyTorch (the `train` extra) and the prepared dataset. "landscape:NAME" is
    a made landscape (`benchmark.landscapes`), without `space` and `source`.
    """
    known("source", source, SOURCES)
    if device is not None:
        of_kind("device", device, str, "cpu or cuda")
    if device is not None and source != "train":
        raise InvalidQuery(
            f"device {shown(device)} with source {shown(source)}: nothing is trained there, expected source 'train'"
        )
    if isinstance(name, str) and name.startswith(PREFIX):
        if space is not None or source != "auto":
            raise InvalidQuery(f"{name} is a formula: it has one space and one source, leave both out")
        return LandscapeBenchmark(name.removeprefix(PREFIX))
    path = find_table(name, space)
    bench = _open(path, source, device)
    return bench.view(subspace(space, bench.space)) if space in SUBSPACES else bench


def _open(path: Path, source: str, device: str | None) -> Benchmark:
    if source == "train":
        return TrainingBenchmark(read(path).header, device or "cpu")
    fitted = locations.surrogate_of(path)
    if source == "table" or (source == "auto" and not fitted.is_dir()):
        table = read(path)
        judge = FittedJudge(fitted, table.header.space, table.reference_sha256, path) if fitted.is_dir() else None
        return TableBenchmark(table, judge)
    if not fitted.is_dir():
        raise UnknownBenchmark(
            f"no surrogate is fitted for {path}: run nasbench-evs surrogate fit {path}, or use source='table'"
        )
    from nasbench_evs.surrogate import Surrogate

    surrogate = Surrogate.load(fitted)
    if source == "surrogate":
        surrogate.check_belongs_to(read_reference_sha256(path), path)
        return SurrogateBenchmark(surrogate)
    table = read(path)
    surrogate.check_belongs_to(table.reference_sha256, path)
    return AutoBenchmark(TableBenchmark(table, surrogate), SurrogateBenchmark(surrogate))


def find_table(name: str | Path, space: str | None = None) -> Path:
    """The file that `load` opens for this name or path, and this space: of a part of a space, the file of the whole."""
    if not isinstance(name, str | Path):
        raise UnknownBenchmark(
            f"{shown(name)} is a {type(name).__name__}: expected a name of nasbench-evs list, or a path"
        )
    if space is not None:
        of_kind("space", space, str, "the label of a space, or None", UnknownBenchmark)
    path = Path(name)
    if path.suffix in (".h5", ".hdf5") or len(path.parts) > 1:
        if space is not None and space not in SUBSPACES:
            raise InvalidQuery(
                f"space {shown(space)} goes with the name of a dataset: the table at {path} is of one space, of which a part can "
                f"be named ({', '.join(SUBSPACES)})"
            )
        if not os.path.isfile(path):
            raise UnknownBenchmark(
                f"no table at {path}: expected the path of a table (*.h5) or a name of nasbench-evs list"
            )
        return path
    known = locations.known_tables()
    spaces = list(dict.fromkeys(each.space for each in known if each.dataset == str(name)))
    if not spaces:
        names = sorted({each.dataset for each in known})
        hint = "".join(f"; {missing}" for missing in locations.missing_packages())
        raise UnknownBenchmark(
            f"no benchmark {shown(str(name))}: expected one of {', '.join(names)}, or the path of a table (*.h5)"
            f"{hint or did_you_mean(name, names)}"
        )
    if space is None:
        if len(spaces) > 1 and networks.DEFAULT not in spaces:
            raise UnknownBenchmark(f"{name} has several spaces: name one of {', '.join(spaces)} (space=..., --space)")
        space = networks.DEFAULT if networks.DEFAULT in spaces else spaces[0]
    found = networks.of_label(SUBSPACES[space].space if space in SUBSPACES else space, spaces)
    if len(found) > 1:
        raise UnknownBenchmark(f"{name} has several spaces {shown(space)}: name one of {', '.join(found)}")
    if not found:
        near = did_you_mean(space, [*spaces, *SUBSPACES])
        raise UnknownBenchmark(
            f"{name} has no table of the space {shown(space)}: expected one of {', '.join(spaces)}{near}"
        )
    meant = [each for each in known if (each.dataset, each.space) == (str(name), found[0])]
    if len(meant) > 1:
        raise UnknownBenchmark(
            f"{name} {found[0]} names {len(meant)} tables: {', '.join(f'{each.path} ({each.origin})' for each in meant)}; "
            "rename the folder of one, or say the path of the one that is meant"
        )
    return meant[0].path


def benchmarks() -> pd.DataFrame:
    """What can be loaded by name, one row each: dataset, space, records, architectures, best score, sources, ...

    `origin` is "shipped", "own" (in the user's folder, see `install`) or the package that brings the table. Of what cannot
    be read there is a warning and no row.
    """
    import pandas as pd

    return pd.DataFrame(list_benchmarks())


def list_benchmarks(warn: Callable[[str], None] = warnings.warn) -> list[dict[str, object]]:
    """The rows of `benchmarks()` as plain dicts."""
    rows: list[dict[str, object]] = []
    for message in locations.missing_packages():
        warn(message)
    for each in locations.known_tables():
        try:
            rows.append(_row(each))
        except NasbenchError as error:
            if each.origin == locations.SHIPPED:
                raise
            warn(f"{each.dataset} {each.space} is left out: {error}")
    return rows


def _row(known: locations.KnownTable) -> dict[str, object]:
    bench = TableBenchmark(read(known.path))
    table = bench.table
    scores = bench.metric.sign * table.scores("valid")
    best = float("nan") if np.isnan(scores).all() else bench.metric.sign * np.nanmax(scores)
    return {
        "dataset": known.dataset,
        "space": known.space,
        "size": bench.space.size,
        "records": len(table),
        "architectures": len(bench.pool),
        "epochs": 0 if table.header.curves == "best" else table.epochs,
        "metric": bench.metric.name,
        "best_valid": round(float(best), 4),
        "surrogate": locations.surrogate_of(known.path).is_dir(),
        "origin": known.origin,
    }
