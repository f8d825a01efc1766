"""What an experiment writes: its results as one file, a summary, a page and figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from nasbench_evs.analysis import plots
from nasbench_evs.analysis.config import Experiment
from nasbench_evs.analysis.fidelity import FIDELITY, search_fidelity, write_fidelity
from nasbench_evs.analysis.live import write_trainings
from nasbench_evs.analysis.outcome import Outcome
from nasbench_evs.analysis.page import page
from nasbench_evs.analysis.regrets import Regrets, all_regrets
from nasbench_evs.analysis.runs import RESULTS, Run, write_results
from nasbench_evs.analysis.statistics import mean
from nasbench_evs.analysis.trained import agreement_section, arms, section
from nasbench_evs.files import remove, write_text

SUMMARY = "summary.csv"
PAGE = "results.md"
TRAINED = "trained.svg"


def write_report(experiment: Experiment, runs: Iterable[Run], folder: Path, command: str) -> list[Outcome]:
    """Everything that follows from the runs, into `folder`; replaces what an earlier call wrote there.

    RESULTS holds all runs, also those of seeds that not every searcher has ended; all else is about the others. InvalidQuery
    if there are none, after RESULTS has been written.
    """
    runs = sorted(runs, key=lambda run: run[:4])
    write_results(runs, folder / RESULTS)
    trainings = write_trainings(experiment, runs, folder)
    outcomes = [Outcome(each) for each in all_regrets(experiment, runs)]
    write_text(folder / SUMMARY, _summary(outcomes), force=True)
    fidelity = [row for each in outcomes for row in search_fidelity(each.regrets)]
    if fidelity:
        write_fidelity(fidelity, folder / FIDELITY)
    else:
        remove(folder / FIDELITY)
    figures = _figures(experiment, outcomes, folder)
    text = page(experiment, outcomes, fidelity, command, figures)
    if trainings is not None:
        found = arms(experiment, trainings)
        plots.trained(found, folder / TRAINED)
        metrics = {each.label: each.metric.name for each in experiment.benchmarks if each.trains}
        text += "\n".join(["", *section(found, metrics), "", f"![the three best so far]({TRAINED})", ""])
        if agree := agreement_section(experiment, trainings):
            text += "\n".join(["", *agree, ""])
    write_text(folder / PAGE, text, force=True)
    return outcomes


def _summary(outcomes: Sequence[Outcome]) -> str:
    """One row for each regime, benchmark, searcher and budget to report."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["regime", "benchmark", "searcher", "evaluations", "seeds", "regret", "ci_half_width", "normalized_regret",
         "reference", "reference_is", "scale", "own_seconds"]
    )  # fmt: skip
    for regrets in (each.regrets for each in outcomes):
        for benchmark in regrets.benchmarks:
            reference = regrets.references[benchmark]
            for searcher in regrets.searchers:
                own = regrets.own_seconds(searcher, benchmark)
                for mark in regrets.config(benchmark).marks:
                    values = regrets.final(benchmark, searcher, mark)
                    value, half_width = mean(values)
                    writer.writerow(
                        [regrets.regime, benchmark, searcher, mark, int((~np.isnan(values)).sum()), f"{value:.6f}",
                         f"{half_width:.6f}", f"{value / reference.scale:.5f}", f"{reference.value:.6f}", reference.how,
                         f"{reference.scale:.6f}", f"{own:.3f}"]
                    )  # fmt: skip
    return buffer.getvalue()


def _figures(experiment: Experiment, outcomes: Sequence[Outcome], folder: Path) -> list[tuple[str, str]]:
    """Titles and names of the figures that were drawn."""
    drawn = []
    for outcome in outcomes:
        regime = outcome.regrets.regime
        if len(outcome.searchers) > 1:
            plots.pooled(outcome, folder / f"{regime}-pooled.svg")
            drawn.append(("normalized regret over the suite, and ranks, with 95 % intervals", f"{regime}-pooled.svg"))
        if plots.differences(outcome, folder / f"{regime}-differences.svg"):
            drawn.append(("regret less that of the control on each benchmark", f"{regime}-differences.svg"))
        plots.anytime(outcome.regrets, folder / f"{regime}-evaluations.svg")
        drawn.append(("regret over evaluations", f"{regime}-evaluations.svg"))
        if plots.anytime(outcome.regrets, folder / f"{regime}-seconds.svg", "seconds"):
            drawn.append(("regret over simulated seconds", f"{regime}-seconds.svg"))
        if experiment.against:
            _against(outcome.regrets, folder / f"{regime}-against.svg")
            drawn.append((f"regret at the end against {experiment.against}", f"{regime}-against.svg"))
    return drawn


def _against(regrets: Regrets, target: Path) -> None:
    """Final regret against the hyper-parameter in which some searchers differ and nothing else."""
    name = regrets.experiment.against
    varied = [each for each in regrets.experiment.searchers if set(each.parameters) == {name}]
    varied.sort(key=lambda each: each.parameters[name])
    series = {}
    for benchmark in regrets.benchmarks:
        ends = [mean(regrets.final(benchmark, each.label)) for each in varied]
        values = np.array([each.parameters[name] for each in varied], float)
        series[benchmark] = (values, np.array([e.value for e in ends]), np.array([e.ci_half_width for e in ends]))
    plots.lines(series, target, xlabel=name, ylabel="regret at the end")
