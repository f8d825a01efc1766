"""The comparison across datasets: which tables share architectures, how alike they order them, and portfolios."""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.analysis.beside import baselines_of, read_pilot
from nasbench_evs.analysis.correlations import PLANS, Correlation, Drawn, correlation, drawn
from nasbench_evs.analysis.portfolios import FEWEST, choose, common_pool, judge
from nasbench_evs.analysis.recommend import GRU, Compared, Member, Portfolio, Recorded, Worth
from nasbench_evs.analysis.references import Reference
from nasbench_evs.analysis.table_card import protocol_line
from nasbench_evs.benchmark import TableBenchmark
from nasbench_evs.errors import InvalidQuery, NotRecorded
from nasbench_evs.files import write_text
from nasbench_evs.spaces.subspaces import SUBSPACES, subspace


@dataclass(frozen=True)
class Gru:
    """What a tuned GRU reaches on a table's sequences; `settings` tried, None where that was not written down."""

    test: float
    settings: int | None


@dataclass(frozen=True)
class Across:
    """All that is compared."""

    correlations: list[Correlation]
    compared: list[Compared]


def compare_datasets(
    tables: Mapping[str, TableBenchmark],
    grus: Mapping[str, Gru],
    *,
    seeds: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Across:
    """Tables of the space seqnas by the name of their dataset, and what tuned GRUs reach there, where that is known.

    Searches and portfolios are repeated with `seeds`. InvalidQuery where no two tables share enough architectures.
    """
    if seeds < 2:
        raise InvalidQuery(f"{seeds} seeds: expected 2 or more")
    parts = {
        name: {dataset: drawn(bench.table, plan) for dataset, bench in tables.items()} for name, plan in PLANS.items()
    }
    pools = {name: common_pool(sources) for name, sources in parts.items()}
    if not any(names for names, _ in pools.values()):
        raise InvalidQuery(
            f"{len(tables)} tables share too few architectures to compare: expected two or more that share {FEWEST}, of "
            f"{' or of '.join(plan.what for plan in PLANS.values())}"
        )
    pairs = [(name, pair) for name in PLANS for pair in combinations(sorted(tables), 2)]
    total = len(pairs) + seeds * sum(len(names) for names, _ in pools.values())
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    correlations = []
    for name, pair in pairs:
        found = correlation(name, pair, *(parts[name][dataset] for dataset in pair))
        correlations += [found] if found else []
        step()
    compared = [
        _compared(name, {each: tables[each] for each in names}, parts[name], ranks, grus, seeds, step)
        for name, (names, ranks) in pools.items()
        if names
    ]
    return Across(correlations, compared)


def tuned_gru(table: Path, bench: TableBenchmark) -> Gru | None:
    """From baselines.json beside the table, else from its pilot's figures; None where neither is there."""
    header = bench.table.header
    for each in baselines_of(table.parent / "baselines.json", header):
        if each["network"] == "gru":
            return Gru(each["test_mean"], each["trials"])
    pilot = read_pilot(table.with_suffix(".pilot.json"), header)
    for each in pilot["baselines"] if pilot else ():
        if each["name"] == "gru":
            return Gru(each["test"], None)
    return None


def columns(found: Correlation) -> dict[str, Any]:
    """A correlation as a flat row."""
    row = asdict(found)
    for name in ("best", "again"):
        values = row.pop(name)
        keys = ("a_5", "a_25", "b_5", "b_25")
        row |= {f"{name}_{key}": value for key, value in zip(keys, values, strict=True)}
    return row


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with the same keys, floats to five digits, nothing for NaN."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    write_text(path, buffer.getvalue(), force=True)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else round(value, 5)
    return value


def _compared(
    name: str,
    tables: Mapping[str, TableBenchmark],
    parts: Mapping[str, Drawn],
    ranks: np.ndarray,
    grus: Mapping[str, Gru],
    seeds: int,
    step: Callable[[], None],
) -> Compared:
    """Portfolios of all datasets and without each, among the shared `ranks`, and what the latter are worth."""
    plan, sources = PLANS[name], {dataset: parts[dataset].of(ranks) for dataset in tables}
    benches = {dataset: _among(bench, name, ranks) for dataset, bench in tables.items()}
    space = next(iter(tables.values())).space
    portfolios, worth = [], []
    for left_out in ("", *tables):
        chosen = choose([each for dataset, each in sources.items() if dataset != left_out])
        texts = space.format_many(space.unrank_many(ranks[chosen]))
        members = [_member(text, row, benches, sources) for text, row in zip(texts, chosen, strict=True)]
        portfolios.append(Portfolio(left_out, members))
        if left_out:
            bench = benches[left_out]
            found, references = judge(left_out, bench, [bench.space.parse(text) for text in texts], seeds, step)
            worth += found
            if left_out in grus and "transfer" in references:
                worth.append(_gru(left_out, grus[left_out], bench, references["transfer"]))
    recorded = [
        Recorded(dataset, bench.metric.name, protocol_line(bench.table.header.protocol), bench.table.reference_sha256)
        for dataset, bench in tables.items()
    ]
    return Compared(name, plan.what, len(ranks), plan.trainings, recorded, portfolios, worth)


def _among(bench: TableBenchmark, name: str, ranks: np.ndarray) -> TableBenchmark:
    """The benchmark of the plan's records of these architectures alone."""
    table = bench.table
    rows = np.isin(table["rank"], ranks) & (table["sampler"] == PLANS[name].sampler) & (table["distilled"] != 1)
    found = TableBenchmark(table.select(rows), bench.judge)
    return found.view(subspace(name, bench.space)) if name in SUBSPACES else found


def _member(text: str, row: int, benches: Mapping[str, TableBenchmark], sources: Mapping[str, Drawn]) -> Member:
    """The architecture in this row of the sources."""
    places, params, seconds = {}, {}, {}
    for dataset, bench in benches.items():
        architecture, means = bench.space.parse(text), sources[dataset].means
        places[dataset] = int((means > means[row]).sum()) + 1
        with contextlib.suppress(NotRecorded):
            params[dataset] = int(bench.cost(architecture).params)
        taken = bench.query(architecture).seconds
        if math.isfinite(taken):
            seconds[dataset] = round(taken, 2)
    return Member(text, places, params, seconds)


def _gru(dataset: str, gru: Gru, bench: TableBenchmark, reference: Reference) -> Worth:
    """Without a regret where a surrogate judges architectures: its means are no test scores of trainings."""
    regret = round(float(bench.metric.sign * (reference.value - gru.test) / reference.scale), 4)
    if bench.common_seeds < 2:
        regret = math.nan
    return Worth(dataset, "transfer", GRU, gru.settings, round(gru.test, 6), math.nan, regret, math.nan)
