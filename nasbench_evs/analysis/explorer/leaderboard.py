"""The leaderboard of an experiment, as plain values: who ends first in each regime, how sure that is, and what could be seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.entrants import FILE
from nasbench_evs.analysis.explorer.data import rounded, rounded_number
from nasbench_evs.analysis.outcome import Outcome
from nasbench_evs.analysis.regrets import all_regrets
from nasbench_evs.analysis.runs import read_runs
from nasbench_evs.analysis.statistics import mean
from nasbench_evs.analysis.suite import Interval
from nasbench_evs.errors import InvalidQuery

_POINTS = 40  # of a curve over the budget
_ASKS = {
    "clean": "A search sees the objective itself and is judged by it: how well does it search?",
    "noisy": "A search sees one training of each architecture and is judged by others: how well does it search with what one "
    "really gets?",
    "transfer": "The noisy searches, judged by test scores: what is it worth to a user?",
}


def leaderboard(folder: Path) -> dict[str, Any]:
    """What the results of an experiment in `folder` say, by the experiment file beside it (`folder`.toml), or in it (FILE).

    InvalidQuery if there is no such file or nothing to compare yet, OutputError if there are no results.
    """
    file = folder.with_name(f"{folder.name}.toml")
    if not folder.is_dir():
        raise InvalidQuery(
            f"--results {folder}: no such folder; expected one that nasbench-evs experiment {file} has written"
        )
    if not file.is_file() and not (folder / FILE).is_file():
        raise InvalidQuery(
            f"--results {folder}: expected the experiment file {file} beside the folder; put a copy of it there"
        )
    experiment = read_experiment(file if file.is_file() else folder / FILE)
    outcomes = [Outcome(each) for each in all_regrets(experiment, list(read_runs(experiment, folder).values()))]
    return {
        "title": experiment.title,
        "question": experiment.question,
        "version": experiment.version,
        "regimes": [_regime(each) for each in outcomes],
    }


def _regime(outcome: Outcome) -> dict[str, Any]:
    """Searchers are in the order of their mean normalized regret at the end, best first."""
    regrets, order = outcome.regrets, outcome.order
    budgets = sorted({regrets.config(benchmark).budget for benchmark in regrets.benchmarks})
    shares = np.linspace(0, 1, _POINTS + 1)
    curves = outcome.curves(shares)[0].value
    return {
        "regime": regrets.regime,
        "asks": _ASKS[regrets.regime],
        "searchers": [outcome.searchers[i] for i in order],
        "seeds": len(regrets.seeds),
        "independent": len(set(regrets.groups)),
        "budgets": budgets,
        "final": _interval(outcome.final, order),
        "marks": [
            {"evaluations": mark, **_interval(outcome.at(mark), order)} for mark in regrets.marks if [mark] != budgets
        ],
        "area": _interval(outcome.areas, order),
        "rank": _interval(outcome.ranks, order, 2),
        "wins": _interval(_reordered(outcome.wins, order), range(len(order)), 3),
        "detectable": rounded_number(outcome.detectable, 4),
        "pairs": outcome.pairs,
        "controls": {name: _control(outcome, name) for name in outcome.controls},
        "shares": rounded(shares, 3),
        "curves": [rounded(curves[i], 4) for i in order],
        "benchmarks": [_benchmark(outcome, benchmark) for benchmark in regrets.benchmarks],
    }


def _interval(interval: Interval, order: Sequence[int], digits: int = 4) -> dict[str, Any]:
    parts = {name: getattr(interval, name)[list(order)] for name in Interval._fields}
    return {name: [rounded(row, digits) for row in part] if part.ndim > 1 else rounded(part, digits)
            for name, part in parts.items()}  # fmt: skip


def _reordered(interval: Interval, order: Sequence[int]) -> Interval:
    """Both axes of a matrix over searchers."""
    return Interval(*(part[np.ix_(order, order)] for part in interval))


def _control(outcome: Outcome, name: str) -> list[dict[str, Any] | None]:
    """Each searcher, in order, against this control; None for the control itself."""
    tests = {each.searcher: each for each in outcome.controls[name]}
    found: list[dict[str, Any] | None] = []
    for i in outcome.order:
        test = tests.get(outcome.searchers[i])
        found.append(
            None
            if test is None
            else {
                "difference": rounded_number(test.difference, 4),
                "half": rounded_number(test.ci_half_width, 4),
                "p": rounded_number(test.p_holm, 6),
                "significant": test.significant,
            }
        )
    return found


def _benchmark(outcome: Outcome, benchmark: str) -> dict[str, Any]:
    """Regrets at the end of the budget in the benchmark's own metric, [mean, half the width of its interval]."""
    regrets = outcome.regrets
    reference = regrets.references[benchmark]
    ends = [mean(regrets.final(benchmark, outcome.searchers[i])) for i in outcome.order]
    return {
        "name": benchmark,
        "metric": regrets.config(benchmark).metric.name,
        "budget": regrets.config(benchmark).budget,
        "reference": rounded_number(reference.value),
        "how": reference.how,
        "scale": rounded_number(reference.scale),
        "resolved": outcome.resolved[benchmark],
        "detectable": rounded_number(outcome.detectable_on(benchmark) * reference.scale),
        "regrets": [rounded(end) for end in ends],
    }
