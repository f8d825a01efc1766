"""The first lines of an experiment's page: for each regime who is best, what is told apart, and what could have been."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nasbench_evs.analysis.comparison import Comparison
from nasbench_evs.analysis.outcome import Outcome
from nasbench_evs.analysis.suite import Interval


def verdict(outcomes: Sequence[Outcome]) -> list[str]:
    """Three lines for each regime, as Markdown."""
    lines = ["**Verdict**"]
    for each in outcomes:
        regrets = each.regrets
        lines += [
            "",
            f"{regrets.regime.capitalize()} regime, {counted(len(regrets.benchmarks), 'benchmark')}, "
            f"{counted(len(regrets.seeds), 'seed')}:",
            "",
            f"- **Best at the end**: {_best(each)}.",
            f"- **Told apart**. {_told_apart(each)}.",
            f"- **Could have been found**: {_detectable(each)}.",
        ]
    return lines


def _best(outcome: Outcome) -> str:
    first, *others = outcome.order
    text = f"`{outcome.searchers[first]}`, normalized regret {bracketed(outcome.final, first)}"
    if not others:
        return text
    leads = [f"{_lead(outcome, first, others[0])} the next, `{outcome.searchers[others[0]]}`"]
    for control in outcome.controls:
        i = outcome.searchers.index(control)
        if i in others[1:]:
            leads.append(f"{_lead(outcome, first, i)} `{control}`")
    return f"{text}; its lead [95 % interval] is {', '.join(leads)}"


def _lead(outcome: Outcome, first: int, second: int) -> str:
    lead = outcome.lead(second, first)
    chance = " (the interval holds 0)" if lead.low[0] <= 0 else ""
    return f"{bracketed(lead, 0)}{chance} over"


def _told_apart(outcome: Outcome) -> str:
    if not outcome.controls:
        return "Nothing is tested with one seed, or without random or evolution to compare with"
    return ". ".join(_against(control, tests) for control, tests in outcome.controls.items())


def _against(control: str, tests: Sequence[Comparison]) -> str:
    better = [each.searcher for each in tests if each.significant and each.difference < 0]
    worse = [each.searcher for each in tests if each.significant and each.difference > 0]
    unknown = [each.searcher for each in tests if not each.significant]
    if len(better) == len(tests) > 1:
        return f"Against {control}, all others are better"
    groups = [(better, "better"), (worse, "worse"), (unknown, "not told apart")]
    said = [f"{', '.join(f'`{name}`' for name in names)} {what}" for names, what in groups if names]
    return f"Against {control}, {'; '.join(said)}"


def _detectable(outcome: Outcome) -> str:
    pairs = f"{sum(outcome.resolved.values())} of {outcome.pairs * len(outcome.resolved)}"
    single = f"on single benchmarks {pairs} pairs of searchers are resolved"
    if not outcome.controls:
        return single if outcome.pairs and len(outcome.regrets.seeds) > 1 else "nothing, for the same reason"
    control = next(iter(outcome.controls))
    if not math.isfinite(outcome.detectable):
        return f"with so few seeds no difference to {control}, however large; {single}"
    return (
        f"a difference to {control} of {outcome.detectable:.3f} in normalized regret, four times in five; smaller ones may be "
        f"there and unseen; {single}"
    )


def counted(number: int, what: str) -> str:
    """`1 seed`, `20 seeds`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def bracketed(interval: Interval, i: int, digits: int = 3) -> str:
    """A value and the ends of its interval."""
    value, low, high = (np.round(each[i], digits) + 0.0 for each in interval)  # no -0.000
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
