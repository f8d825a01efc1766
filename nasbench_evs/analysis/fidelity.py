"""Search fidelity: whether a surrogate ranks searchers as the table does that it was fitted to."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, get_type_hints

import numpy as np

from nasbench_evs.analysis.config import BenchmarkConfig
from nasbench_evs.analysis.regrets import Regrets
from nasbench_evs.analysis.statistics import SIGNIFICANT, pairwise, rank_agreement
from nasbench_evs.benchmark import find_table
from nasbench_evs.errors import OutputError, one_line
from nasbench_evs.files import write_text
from nasbench_evs.reader import Source
from nasbench_evs.spaces.subspaces import SUBSPACES

FIDELITY = "search-fidelity.csv"


class Fidelity(NamedTuple):
    """Whether searchers rank alike on a dataset's surrogate and among its recorded trainings, in a regime.

    `dataset` and `space` as in the experiment file (space "": the dataset's default). `tau` is Kendall's tau between their
    mean final regrets, `low` and `high` its 95 % interval over resampled seeds; `agree` of `pairs` that differ significantly
    on both (Wilcoxon over seeds, Holm) differ in the same direction.
    """

    dataset: str
    space: str
    regime: str
    searchers: int
    seeds: int
    tau: float
    low: float
    high: float
    agree: int
    pairs: int


def search_fidelity(regrets: Regrets) -> list[Fidelity]:
    """For every dataset of which the experiment has both the surrogate and the table, the whole space without a constraint.

    Empty for searchers of which none can be ranked before another.
    """
    sources: dict[Path, dict[str, BenchmarkConfig]] = {}
    for config in map(regrets.config, regrets.benchmarks):
        if not config.limits and config.space not in SUBSPACES and config.source in ("surrogate", "table"):
            sources.setdefault(find_table(config.name, config.space), {})[config.source] = config
    found = []
    for configs in sources.values():
        if not {"surrogate", "table"} <= set(configs):
            continue
        pair = regrets.finals(configs["surrogate"].label), regrets.finals(configs["table"].label)
        tau, low, high = rank_agreement(*pair)
        if math.isnan(tau):
            continue
        tests = [pairwise(each.T) for each in pair]
        both = [two for two in tests[0] if tests[0][two] < SIGNIFICANT and tests[1][two] < SIGNIFICANT]
        signs = [[np.sign(each[a].mean() - each[b].mean()) for a, b in both] for each in pair]
        agree = sum(x == y for x, y in zip(*signs, strict=True))
        config = configs["surrogate"]
        searchers, seeds = pair[0].shape
        found.append(
            Fidelity(
                config.name, config.space or "", regrets.regime, searchers, seeds, tau, low, high, agree, len(both)
            )
        )
    return found


def write_fidelity(found: Sequence[Fidelity], path: Path) -> None:
    """One row for each dataset and regime."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(Fidelity._fields)
    writer.writerows([round(value, 4) if isinstance(value, float) else value for value in each] for each in found)
    write_text(path, buffer.getvalue(), force=True)


def read_fidelity(path: Path) -> list[Fidelity]:
    """What `write_fidelity` wrote; OutputError for anything else."""
    try:
        text = Source(path, OutputError, "how searchers rank on surrogates").text()
        names, *rows = csv.reader(text.splitlines(), strict=True)
        kinds = list(get_type_hints(Fidelity).values())
        if tuple(names) != Fidelity._fields or not rows:
            raise ValueError("another header, or no rows")
        found = [Fidelity(*(kind(value) for kind, value in zip(kinds, row, strict=True))) for row in rows]
        for each in found:
            counts = (each.searchers, each.seeds, each.agree, each.pairs - each.agree)
            if min(counts) < 0 or not -1 <= each.low <= each.tau <= each.high <= 1:
                raise ValueError(f"{each.dataset[:50]} has figures that cannot be")
        return found
    except (OutputError, csv.Error, ValueError) as error:
        raise OutputError(
            f"{path} does not say how searchers rank on surrogates ({one_line(error)}): nasbench-evs experiment writes it for "
            "an experiment on both the surrogate and the table of a dataset"
        ) from None
