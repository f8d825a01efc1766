"""The toy of paper 003 (figure 1): where the rejection reward and the Abs reward end. Run it with

python -m nasbench_evs.analysis.toy analysis/toy/ffn-2.h5 --out analysis/toy/README.md
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.benchmark import TableBenchmark
from nasbench_evs.errors import NasbenchError
from nasbench_evs.files import write_text
from nasbench_evs.search import Domain
from nasbench_evs.search.tabnas import Factorised, TabNAS, TuNASAbs
from nasbench_evs.spaces import Architecture
from nasbench_evs.tables import read

LIMIT = 25  # parameters
LEARNING_RATE = 0.02
STEPS = 2_000
BETAS = (-0.01, -0.1, -0.5, -1.0, -2.0, -3.0)
SAMPLES = (0, 16, 64)  # Monte-Carlo samples; 0: P(V) exactly


def converged(
    cls: type[Factorised], bench: TableBenchmark, seed: int, *, learning_rate: float = LEARNING_RATE, **parameters: Any
) -> Architecture:
    """The most probable architecture when a controller has converged; it sees the mean loss of every network."""
    domain = Domain(bench.space, limits={"params": LIMIT}, costs=bench.costs)
    searcher = cls(domain, seed, learning_rate=learning_rate, steps=STEPS, patience=sys.maxsize, **parameters)
    while asked := searcher.ask(1):
        searcher.tell(asked, [1 - bench.query(asked[0]).value])
    probabilities = searcher.controller.option_probabilities
    return bench.space.architectures(np.array([[each.argmax() for each in probabilities]], np.int8))[0]


def page(bench: TableBenchmark, seeds: int) -> str:
    """The nine losses, and how many of the seeds end where."""
    lines = [
        "# The toy of paper 003",
        "",
        "Nine networks of two layers on two inputs, really trained (`python -m nasbench_evs.generators.toy --out "
        "analysis/toy/ffn-2.h5`); the figure's own losses are not in the paper's text. Score: log loss on the validation split, "
        f"mean over {len(bench.seeds(bench.space.architectures(bench.pool[:1])[0]))} seeds; ± is its standard error.",
        "",
        f"| network | parameters | at most {LIMIT} | loss |",
        "| --- | --- | --- | --- |",
    ]
    for architecture in sorted(bench.space.architectures(bench.pool), key=lambda a: bench.query(a).value):
        score, params = bench.query(architecture), bench.cost(architecture).params
        loss = f"{score.value:.4f} ± {score.standard_error:.4f}"
        lines.append(f"| {architecture} | {params} | {'yes' if params <= LIMIT else 'no'} | {loss} |")
    lines += [
        "",
        f"The most probable network after {STEPS:,} updates with Adam at {LEARNING_RATE}, {seeds} seeds (`python -m "
        "nasbench_evs.analysis.toy analysis/toy/ffn-2.h5 --out analysis/toy/README.md`):",
        "",
        "| reward | ends at |",
        "| --- | --- |",
    ]
    rewards: list[tuple[str, type[Factorised], dict[str, Any]]] = [
        (f"rejection, {f'{n} Monte-Carlo samples' if n else 'P(V) exactly'}", TabNAS, {"samples": n}) for n in SAMPLES
    ]
    rewards.append(("rejection, P(V) exactly, Adam at 0.1 as in the paper", TabNAS, {"learning_rate": 0.1}))
    rewards += [(f"Abs, β = {beta:g}", TuNASAbs, {"beta": beta}) for beta in BETAS]
    for name, cls, parameters in rewards:
        ends = Counter(str(converged(cls, bench, seed, **parameters)) for seed in range(seeds))
        lines.append(f"| {name} | {', '.join(f'{where} in {count}' for where, count in ends.most_common())} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    try:
        text = page(TableBenchmark(read(arguments.table)), arguments.seeds)
        write_text(arguments.out, text, force=True)
    except NasbenchError as error:
        sys.exit(f"error: {error}")
