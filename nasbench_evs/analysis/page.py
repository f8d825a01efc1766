"""The page of an experiment: a verdict, then for each regime what was measured and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nasbench_evs.analysis.comparison import RESOLVED_EFFECT, RESOLVED_SEEDS, Comparison
from nasbench_evs.analysis.config import Experiment
from nasbench_evs.analysis.fidelity import Fidelity
from nasbench_evs.analysis.outcome import Outcome
from nasbench_evs.analysis.statistics import mean
from nasbench_evs.analysis.verdict import bracketed, counted, verdict
from nasbench_evs.surrogate.card import tau_interval

_ASKS = {
    "clean": "how well does it search? A search sees the objective and is judged by it",
    "noisy": "how well does it search with what one really gets? A search sees one training each, others judge it",
    "transfer": "what is it worth to a user? The noisy searches, judged by test scores",
}
_METHOD = (
    "Regret is how far the true value of the incumbent (the best architecture by what the search saw) is behind the reference. "
    "**Normalized**, it is a share of the scale: what the median random architecture loses, so 1 is a random pick and 0 the "
    "reference. Means over benchmarks and ranks have 95 % intervals from resampled benchmarks (a surrogate and its table are "
    "one) and seeds: they are about other benchmarks of this kind. Tests are paired over the same seeds (Wilcoxon, Holm); d is a "
    "mean difference in standard deviations of such differences, negative where the searcher is better. A pair of searchers "
    f"is *resolved* on a benchmark if at most {RESOLVED_SEEDS} seeds tell them apart after Holm, |d| {RESOLVED_EFFECT} or more. "
    "*Detectable* is the smallest true difference that these seeds find four times in five."
)


def page(
    experiment: Experiment,
    outcomes: Sequence[Outcome],
    fidelity: Sequence[Fidelity],
    command: str,
    figures: Sequence[tuple[str, str]],
) -> str:
    """The whole page as Markdown; `figures` are titles and file names, the file name begins with its regime if it has one."""
    lines = [f"# {experiment.title}", ""]
    if experiment.question:
        lines += [experiment.question, ""]
    lines += [*verdict(outcomes), ""]
    workers = f", {experiment.workers} simulated workers" if experiment.workers > 1 else ""
    lines += [f"Written by `{command}`, version {experiment.version}{workers}.", "", _METHOD]
    for outcome in outcomes:
        own = [each for each in figures if each[1].startswith(f"{outcome.regrets.regime}-")]
        lines += ["", *_regime(outcome), *(f"\n![{title}]({name})" for title, name in own)]
    lines += ["", *_own_seconds(outcomes)]
    if fidelity:
        lines += ["", *_fidelity(fidelity)]
    return "\n".join(lines) + "\n"


# A regime


def _regime(outcome: Outcome) -> list[str]:
    regrets = outcome.regrets
    lines = [f"## {regrets.regime.capitalize()}", "", f"*{_ASKS[regrets.regime]}.*", "", *_pooled(outcome)]
    if outcome.controls:
        lines += ["", *_controls(outcome)]
    lines += ["", *_benchmarks(outcome)]
    if any(regrets.config(benchmark).limits for benchmark in regrets.benchmarks):
        lines += ["", *_recommendations(outcome)]
    if len(outcome.searchers) > 1:
        lines += ["", *_wins(outcome)]
    return lines


def _pooled(outcome: Outcome) -> list[str]:
    regrets = outcome.regrets
    budgets = {regrets.config(benchmark).budget for benchmark in regrets.benchmarks}
    marks = [mark for mark in regrets.marks if {mark} != budgets]
    columns = [(f"at {mark}", outcome.at(mark), 3) for mark in marks]
    columns.append((f"at {budgets.pop()}" if len(budgets) == 1 else "at the end", outcome.final, 3))
    columns += [("area under the curve", outcome.areas, 3), ("mean rank", outcome.ranks, 1)]
    return [
        f"Normalized regret, {counted(len(regrets.benchmarks), 'benchmark')} ({len(set(regrets.groups))} independent), "
        f"{counted(len(regrets.seeds), 'seed')}, with 95 % intervals:",
        "",
        *_table(
            ["searcher", *(name for name, _, _ in columns)],
            [
                [outcome.searchers[i], *(bracketed(value, i, digits) for _, value, digits in columns)]
                for i in outcome.order
            ],
        ),
    ]


def _controls(outcome: Outcome) -> list[str]:
    names = list(outcome.controls)
    rows = []
    for i in outcome.order:
        cells = []
        for control in names:
            test = next((each for each in outcome.controls[control] if each.searcher == outcome.searchers[i]), None)
            if test is None:
                cells += ["-"] * 4
            else:
                better, worse = outcome.better_and_worse(test.searcher, control)
                cells += [_signed(test), f"{test.effect_size:+.2f}", f"{test.p_holm:.2g}", f"{better} · {worse}"]
        rows.append([outcome.searchers[i], *cells])
    header = [text for control in names for text in (f"less {control}", "d", "p (Holm)", "benchmarks better · worse")]
    of = f"of {len(outcome.regrets.benchmarks)}"
    return [
        f"Against controls, each seed's mean over the suite; and on how many benchmarks {of} a searcher is significantly better "
        "or worse by itself (Holm within the benchmark):",
        "",
        *_table(["searcher", *header], rows),
    ]


def _benchmarks(outcome: Outcome) -> list[str]:
    regrets = outcome.regrets
    rows = []
    for benchmark in regrets.benchmarks:
        reference = regrets.references[benchmark]
        unit = regrets.config(benchmark).metric.name
        cells = [_cell(regrets.final(benchmark, searcher)) for searcher in outcome.searchers]
        resolved = f"{outcome.resolved[benchmark]} of {outcome.pairs}"
        detectable = _number(outcome.detectable_on(benchmark) * reference.scale)
        rows.append(
            [
                benchmark,
                unit,
                f"{reference.value:.4f} ({reference.how})",
                _number(reference.scale),
                resolved,
                detectable,
                *cells,
            ]
        )
    return [
        "Regret at the end of each benchmark's budget in its own metric, ± half the width of a 95 % interval over seeds. Where a "
        "seed found nothing with a true value, the mean is of the others, and their number stands in brackets; elsewhere "
        "such a seed counts as the worst seen on the benchmark. Below 0: better than a reference that is not exact.",
        "",
        *_table(
            ["benchmark", "metric", "reference", "scale", "resolved pairs", "detectable", *outcome.searchers], rows
        ),
    ]


def _recommendations(outcome: Outcome) -> list[str]:
    """Under a constraint a searcher may answer otherwise than with the best it saw."""
    regrets = outcome.regrets
    return [
        "Regret of what is recommended: of up to three architectures that a search recommends, the best by what it sees of each "
        "(paper 003, algorithm 3, and a training of each of them).",
        "",
        *_table(
            ["benchmark", *outcome.searchers],
            [
                [benchmark, *(_cell(regrets.answers(benchmark, searcher)) for searcher in outcome.searchers)]
                for benchmark in regrets.benchmarks
            ],
        ),
    ]


def _wins(outcome: Outcome) -> list[str]:
    names, wins = outcome.searchers, outcome.wins
    rows = []
    for i in outcome.order:
        cells = [
            "-" if i == j else f"{wins.value[i, j]:.0%} [{100 * wins.low[i, j]:.0f}, {100 * wins.high[i, j]:.0f}]"
            for j in outcome.order
        ]
        rows.append([names[i], *cells])
    return [
        "How probably the row's searcher ends with a smaller regret than the column's, same seed and benchmark, ties half:",
        "",
        *_table(["", *(names[j] for j in outcome.order)], rows),
    ]


# The rest


def _own_seconds(outcomes: Sequence[Outcome]) -> list[str]:
    regrets = [each.regrets for each in outcomes if each.regrets.regime != "transfer"]
    rows = []
    for name in outcomes[0].searchers:
        values = [each.own_seconds(name, benchmark) for each in regrets for benchmark in each.benchmarks]
        rows.append([name, f"{np.mean(values):.2f}", f"{max(values):.2f}"])
    return [
        "## Own seconds",
        "",
        "Real seconds of a searcher's own work in one search, mean over seeds, on the machine that ran it.",
        "",
        *_table(["searcher", "mean over benchmarks", "largest of a benchmark"], rows),
    ]


def _fidelity(found: Sequence[Fidelity]) -> list[str]:
    return [
        "## Does a surrogate rank searchers as recorded trainings do?",
        "",
        "Kendall's tau between the searchers' mean regrets on the surrogate and on the table of a dataset, [95 % interval over "
        "resampled seeds]; and of the pairs that differ significantly on both, how many differ in the same direction.",
        "",
        *_table(
            ["dataset", "regime", "tau", "same direction"],
            [
                [each.dataset, each.regime, tau_interval(each._asdict()), f"{each.agree} of {each.pairs}"]
                for each in found
            ],
        ),
    ]


# Cells


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(each)} |" for each in (header, ["---"] * len(header), *rows)]


def _signed(test: Comparison) -> str:
    return f"{test.difference:+.3f} ± {test.ci_half_width:.3f}"


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "-"


def _cell(values: np.ndarray) -> str:
    """Mean ± half the width of its interval over the seeds with a value, and in brackets how many have none."""
    value, half_width = mean(values)
    if math.isnan(value):
        return "none"
    lost = int(np.isnan(values).sum())
    return (
        f"{value:.4f}"
        + ("" if math.isnan(half_width) else f" ± {half_width:.4f}")
        + (f" ({lost} found none)" if lost else "")
    )
