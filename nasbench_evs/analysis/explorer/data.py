"""What the page knows of a table, as plain values: columns of architectures and of trainings, and facts about them.

Numbers are rounded to what is shown; None is what was not recorded. Scores of architectures are means over trainings without
teachers, as `load(..., source="table")` answers.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from nasbench_evs import locations
from nasbench_evs.analysis.explorer.cards import cards
from nasbench_evs.analysis.explorer.effects import marginal_effects
from nasbench_evs.analysis.explorer.grammar import pattern
from nasbench_evs.analysis.explorer.predicted import predictions
from nasbench_evs.benchmark import find_table
from nasbench_evs.benchmark.tabular import TableBenchmark
from nasbench_evs.errors import NotRecorded
from nasbench_evs.spaces.choices import Option
from nasbench_evs.tables import Table, read
from nasbench_evs.tables.format import MISSING
from nasbench_evs.tables.noise import REPEAT, seed_noise, split_agreement

SCORE_DIGITS = 5
_CURVE_DIGITS = 4
_SECOND_DIGITS = 3


def find_tables(names: Iterable[str]) -> dict[str, Path]:
    """The files of the tables to show, by what the page calls them: all of a dataset's by its name, one by its path.

    Without names all that ship. UnknownBenchmark for a name or a path of none.
    """
    shipped = locations.shipped_tables()
    if not names:
        return {f"{dataset}/{space}": path for (dataset, space), path in shipped.items()}
    found: dict[str, Path] = {}
    for name in names:
        own = {f"{dataset}/{space}": path for (dataset, space), path in shipped.items() if dataset == name}
        found |= own or {name: find_table(name)}
    return found


def table_data(name: str, path: Path) -> dict[str, Any]:
    """All that the page shows of the table in a file; TableFormatError if it cannot be read."""
    table = read(path)
    bench = TableBenchmark(table)
    header, space = table.header, table.header.space
    architectures = _architectures(bench)
    surrogate = predictions(path, bench, {split: architectures[split] for split in ("valid", "test")})
    architectures |= surrogate.pop("columns")
    columns = [each for each in _COLUMNS if any(value is not None for value in architectures.get(each[0], ()))]
    return {
        "name": name,
        "dataset": header.dataset,
        "space": space.label,
        "size": f"{space.size:,}",
        "metric": header.metric.name,
        "sign": header.metric.sign,
        "query": _query(path),
        "pattern": pattern(space),
        "choices": [
            {
                "name": each.name,
                "options": [option_text(option) for option in each.options],
                "parent": None if each.parent is None else space.column(each.parent),
            }
            for each in space.choices
        ],
        "columns": [
            dict(
                zip(
                    ("key", "label", "unit", "digits"),
                    (key, label.format(metric=header.metric.name), *rest),
                    strict=True,
                )
            )
            for key, label, *rest in columns
        ],
        "samplers": [sampler.decode() for sampler in np.unique(table["sampler"])],
        "architectures": {key: values for key, values in architectures.items() if key in _ALWAYS or key in dict(_KEYS)},
        "records": _records(table),
        "facts": _facts(table),
        "noise": _noise(table),
        "effects": marginal_effects(table),
        "surrogate": surrogate,
        "cards": cards(path),
    }


# key, label, unit, digits behind the point
_COLUMNS = (
    ("valid", "validation {metric}", "", 4),
    ("test", "test {metric}", "", 4),
    ("valid_std", "validation, sd between seeds", "", 4),
    ("test_std", "test, sd between seeds", "", 4),
    ("predicted_valid", "predicted validation {metric}", "", 4),
    ("predicted_test", "predicted test {metric}", "", 4),
    ("seconds", "seconds of a training", "s", 2),
    ("params", "parameters", "", 0),
    ("flops", "FLOPs of a sample", "", 0),
    ("trainings", "trainings with a score", "", 0),
    ("place", "place by validation score", "", 0),
)
_KEYS = tuple((key, None) for key, *_ in _COLUMNS)
_ALWAYS = ("text", "rank", "choices", "sampler", "valid", "test")


def option_text(option: Option) -> str:
    """An option as the page calls it."""
    return {True: "on", False: "off"}[option] if isinstance(option, bool) else str(option)


def rounded(values: Iterable[float] | np.ndarray, digits: int = SCORE_DIGITS) -> list[Any]:
    """As JSON holds them: rounded, whole ones as integers, None for what is not finite."""
    return [rounded_number(value, digits) for value in np.asarray(values, np.float64).tolist()]


def rounded_number(value: float, digits: int = SCORE_DIGITS) -> float | int | None:
    """`rounded` of one."""
    if not math.isfinite(value):
        return None
    value = round(value, digits)
    return int(value) if value == int(value) else value


def _architectures(bench: TableBenchmark) -> dict[str, list[Any]]:
    pool, table = bench.pool, bench.table
    trained = bench.holds(pool, distilled=False)
    columns = {name: np.full(len(pool), np.nan) for name in ("valid", "test", "valid_std", "test_std", "seconds")}
    trainings = np.zeros(len(pool))
    for split in ("valid", "test"):
        try:
            scores = bench.query_many(pool[trained], split=split)
        except NotRecorded:
            continue
        columns[split][trained], columns[f"{split}_std"][trained] = scores.value, scores.noise_std
        if split == "valid":
            columns["seconds"][trained], trainings[trained] = scores.seconds, scores.trainings
    found = {
        name: rounded(values, _SECOND_DIGITS if name == "seconds" else SCORE_DIGITS) for name, values in columns.items()
    }
    found |= {"trainings": rounded(trainings), "place": _places(columns["valid"] * bench.metric.sign)}
    with contextlib.suppress(NotRecorded):  # some tables know no costs
        found |= {name: rounded(values) for name, values in bench.cost_many(pool)._asdict().items()}
    names = np.unique(table["sampler"]).tolist()
    return {
        "text": bench.space.format_many(pool),
        "rank": list(map(str, bench.space.rank_many(pool).tolist())),  # JSON's numbers end at 2^53
        "choices": pool.T.tolist(),
        "sampler": [names.index(sampler) for sampler in _samplers(table)],
        **found,
    }


def _samplers(table: Table) -> list[bytes]:
    """What proposed each architecture, in order of rank: the sampler of its first record that is no repetition."""
    found: dict[int, bytes] = {}
    for rank, sampler in zip(table["rank"].tolist(), table["sampler"].tolist(), strict=True):
        if found.get(rank, REPEAT) == REPEAT:
            found[rank] = sampler
    return list(found.values())


def _places(values: np.ndarray) -> list[int | None]:
    """1 for the best; None where there is no score."""
    places: list[int | None] = [None] * len(values)
    order = np.argsort(-values, kind="stable")
    for place, row in enumerate(order[np.isfinite(values[order])].tolist(), 1):
        places[row] = place
    return places


def _records(table: Table) -> dict[str, Any]:
    """Every training: `architecture` is its place among the architectures; a curve ends where its training did."""
    _, owner = np.unique(table["rank"], return_inverse=True)
    curves = []
    if table.header.curves == "epochs":
        for curve in table["valid_curve"].tolist():
            values = rounded(curve, _CURVE_DIGITS)
            while values and values[-1] is None:
                values.pop()
            curves.append(values)
    return {
        "architecture": owner.tolist(),
        "seed": [None if seed == MISSING else seed for seed in table["seed"].tolist()],
        "sampler": np.unique(table["sampler"], return_inverse=True)[1].tolist(),
        "teachers": (table["distilled"] == 1).astype(int).tolist(),
        "status": [status.decode() for status in table["status"].tolist()],
        "valid": rounded(table.scores("valid")),
        "test": rounded(table.scores("test")),
        "seconds": rounded(table.seconds(), _SECOND_DIGITS),
        "curve": curves,
    }


def _facts(table: Table) -> list[list[str]]:
    """What the table is, as pairs of a name and a text."""
    header = table.header
    shape = ("shape", "trainer")  # long, and said by the numbers that follow from them
    protocol = [f"{key} {value}" for key, value in header.protocol.items() if key not in shape and value is not None]
    counts = zip(*np.unique(table["sampler"], return_counts=True), strict=True)
    outcomes = zip(*np.unique(table["status"], return_counts=True), strict=True)
    seeds = [seed for seed in np.unique(table["seed"]).tolist() if seed != MISSING]
    return [
        ["dataset", header.dataset],
        ["space", f"{header.space.label}, {header.space.size:,} architectures"],
        ["recorded", f"{len(table):,} trainings of {len(np.unique(table['rank'])):,} architectures"],
        ["score", f"{header.metric.name}, {'larger' if header.metric.sign > 0 else 'smaller'} is better"],
        ["score read at", "the end" if header.score_at == "end" else "the best epoch by validation score"],
        ["epochs", str(table.epochs) if header.curves == "epochs" else "best epoch only"],
        ["seeds", ", ".join(map(str, seeds)) or "not recorded"],
        ["proposed by", ", ".join(f"{name.decode()} ({count:,} trainings)" for name, count in counts)],
        ["outcomes", ", ".join(f"{count:,} {name.decode()}" for name, count in outcomes)],
        ["machines", ", ".join(sorted({cpu.decode() for cpu in table.hardware["cpu"]})) or "not recorded"],
        ["trained again", "; ".join(header.verified) or "not recorded"],
        ["protocol", ", ".join(protocol) or "not recorded"],
    ]


def _noise(table: Table) -> dict[str, Any]:
    """How much of a score is chance, and how far validation and test scores agree."""
    found: dict[str, Any] = {}
    for split in ("valid", "test"):
        noise = seed_noise(table, split)
        found[split] = {name: rounded_number(float(value)) for name, value in noise._asdict().items()}
    agreement = split_agreement(table)
    found["splits"] = {name: rounded_number(float(value)) for name, value in agreement._asdict().items()}
    return found


def _query(path: Path) -> str:
    """The command that asks the library about an architecture of this table, all but the architecture."""
    for (dataset, space), shipped in locations.shipped_tables().items():
        if shipped == path:
            return f"nasbench-evs query {dataset} --space {space} --arch"
    return f"nasbench-evs query {quote(str(path))} --arch"
