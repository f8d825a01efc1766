"""What an experiment writes: a tidy file of results, a summary, a page and figures."""

from __future__ import annotations

import csv
import io
import lzma
import math
from collections.abc import Sequence
from pathlib import Path
from typing import get_type_hints

import numpy as np

from nasbench_evs.analysis import plots
from nasbench_evs.analysis.config import Experiment
from nasbench_evs.analysis.regrets import Fidelity, Regrets, search_fidelity, wins
from nasbench_evs.analysis.runs import Run, tidy
from nasbench_evs.analysis.statistics import SIGNIFICANT, friedman, mean, mean_ranks, pairwise
from nasbench_evs.errors import InvalidQuery, OutputError, one_line
from nasbench_evs.files import replacing
from nasbench_evs.surrogate.card import tau_interval

RESULTS = "results.csv.xz"  # half of what gzip makes of it
_DIGITS = "%.5g"  # of its numbers: far below what two trainings of an architecture differ by
SUMMARY = "summary.csv"
PAGE = "results.md"
FIDELITY = "search-fidelity.csv"
_AGAINST = "regret-against"


def write_report(experiment: Experiment, runs: Sequence[Run], folder: Path, command: str) -> Regrets:
    """Everything that follows from the runs, into `folder`; replaces what an earlier call wrote there."""
    regrets = Regrets(experiment, runs)
    if not regrets.seeds:
        raise InvalidQuery("no seed has ended for every searcher on every benchmark yet: let the experiment go on")
    with replacing(folder / RESULTS, force=True) as scratch, lzma.open(scratch, "wb") as out:
        out.write(tidy(list(regrets.runs.values())).to_csv(index=False, float_format=_DIGITS).encode())
    with replacing(folder / SUMMARY, force=True) as scratch:
        scratch.write_text(_summary(regrets), encoding="utf-8")
    plots.anytime(regrets, folder)
    plots.anytime(regrets, folder, "seconds")
    table = regrets.table()
    if len(regrets.searchers) > 1:
        plots.critical_difference(regrets.searchers, mean_ranks(table), pairwise(table), folder / "ranks")
    if experiment.against:
        _against(regrets, folder)
    fidelity = search_fidelity(regrets)
    if fidelity:
        write_fidelity(fidelity, folder / FIDELITY)
    else:
        (folder / FIDELITY).unlink(missing_ok=True)
    with replacing(folder / PAGE, force=True) as scratch:
        scratch.write_text(_page(regrets, table, fidelity, command, folder), encoding="utf-8")
    return regrets


def _summary(regrets: Regrets) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["benchmark", "searcher", "split", "best_known", "evaluations", "seeds", "regret", "margin", "own_seconds"]
    )
    for benchmark in regrets.benchmarks:
        budget = regrets.config(benchmark).budget
        marks = np.array(sorted({math.ceil(budget * share) for share in (0.2, 0.4, 0.6, 0.8, 1.0)}), float)
        for searcher in regrets.searchers:
            values = regrets.curve(benchmark, searcher, marks)
            own = regrets.own_seconds(searcher, benchmark)
            for mark, column in zip(marks, values.T, strict=True):
                at = mean(column)
                writer.writerow(
                    [benchmark, searcher, regrets.split[benchmark], f"{regrets.best[benchmark]:.6f}", int(mark),
                     int((~np.isnan(column)).sum()), f"{at.value:.6f}", f"{at.ci_half_width:.6f}", f"{own:.3f}"]
                )  # fmt: skip
    return buffer.getvalue()


def _page(regrets: Regrets, table: np.ndarray, fidelity: Sequence[Fidelity], command: str, folder: Path) -> str:
    experiment = regrets.experiment
    names = regrets.searchers
    lines = [f"# {experiment.title}", ""]
    if experiment.question:
        lines += [experiment.question, ""]
    lines += [
        f"Written by `{command}`: {len(regrets.seeds)} seeds, {experiment.workers} simulated worker"
        f"{'s' if experiment.workers > 1 else ''}. Regret is how far the score of the incumbent (the best validation score that "
        f"the search has seen, {'of one training' if experiment.noise else 'each a mean over trainings'}) is below the best "
        "known score, as means over recorded or predicted trainings; on the test split where there is one. Smaller is better; "
        "± is half the width of a 95 % interval over seeds. Where a seed found nothing within the constraint, the mean is of the "
        "others, and the number stands in brackets; for ranks and tests such a seed counts as the worst seen on the benchmark.",
        "",
        "## Regret at the end",
        "",
        f"| benchmark | split | best known | evaluations | {' | '.join(names)} |",
        f"| --- | --- | --- | --- | {' | '.join('---' for _ in names)} |",
    ]
    for benchmark in regrets.benchmarks:
        finals = [regrets.final(benchmark, searcher) for searcher in names]
        lines.append(
            f"| {benchmark} | {regrets.split[benchmark]} | {regrets.best[benchmark]:.4f} | {regrets.config(benchmark).budget} | "
            f"{' | '.join(map(_cell, finals))} |"
        )
    if any(regrets.config(benchmark).limits for benchmark in regrets.benchmarks):
        lines += ["", *_recommendations(regrets)]
    if len(names) > 1:
        lines += ["", *_comparison(regrets, table)]
    if fidelity:
        lines += ["", *_fidelity(fidelity)]
    lines += ["", "## Figures", "", "![regret over evaluations](regret-over-evaluations.svg)"]
    if (folder / "regret-over-seconds.svg").exists():
        lines += ["", "![regret over simulated seconds](regret-over-seconds.svg)"]
    if experiment.against and (folder / f"{_AGAINST}.svg").exists():
        lines += ["", f"![regret at the end against {experiment.against}]({_AGAINST}.svg)"]
    return "\n".join(lines) + "\n"


def _against(regrets: Regrets, folder: Path) -> None:
    """Final regret against the hyper-parameter in which some searchers differ and nothing else."""
    name = regrets.experiment.against
    varied = [each for each in regrets.experiment.searchers if set(each.parameters) == {name}]
    varied.sort(key=lambda each: each.parameters[name])
    series = {}
    for benchmark in regrets.benchmarks:
        ends = [mean(regrets.final(benchmark, each.label)) for each in varied]
        values = np.array([each.parameters[name] for each in varied], float)
        series[benchmark] = (values, np.array([e.value for e in ends]), np.array([e.ci_half_width for e in ends]))
    plots.lines(series, folder / _AGAINST, xlabel=name, ylabel="regret at the end")


def _recommendations(regrets: Regrets) -> list[str]:
    """Under a constraint a searcher may answer otherwise than with the best it saw."""
    names = regrets.searchers
    lines = [
        "## Regret of what is recommended",
        "",
        "Of the up to three architectures that a search recommends, the one with the best validation score (paper 003, algorithm "
        "3, and a training of each of them).",
        "",
        f"| benchmark | {' | '.join(names)} |",
        f"| --- | {' | '.join('---' for _ in names)} |",
    ]
    for benchmark in regrets.benchmarks:
        cells = [_cell(regrets.recommended(benchmark, searcher)) for searcher in names]
        lines.append(f"| {benchmark} | {' | '.join(cells)} |")
    return lines


def _fidelity(found: Sequence[Fidelity]) -> list[str]:
    lines = [
        "## Does a surrogate rank searchers as recorded trainings do?",
        "",
        "Kendall's tau between the searchers' mean regrets on the surrogate and on the table of a dataset, [95 % interval over "
        "resampled seeds]; and of the pairs that differ significantly on both, how many differ in the same direction.",
        "",
        "| dataset | tau | same direction |",
        "| --- | --- | --- |",
    ]
    for each in found:
        lines.append(f"| {each.dataset} | {tau_interval(each._asdict())} | {each.agree} of {each.pairs} |")
    return lines


def write_fidelity(found: Sequence[Fidelity], path: Path) -> None:
    """One row for each dataset."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(Fidelity._fields)
    writer.writerows([round(value, 4) if isinstance(value, float) else value for value in each] for each in found)
    with replacing(path, force=True) as scratch:
        scratch.write_text(buffer.getvalue(), encoding="utf-8")


def read_fidelity(path: Path) -> list[Fidelity]:
    """What `write_fidelity` wrote; OutputError for anything else."""
    try:
        names, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines(), strict=True)
        kinds = list(get_type_hints(Fidelity).values())
        if tuple(names) != Fidelity._fields or not rows:
            raise ValueError("another header, or no rows")
        return [Fidelity(*(kind(value) for kind, value in zip(kinds, row, strict=True))) for row in rows]
    except (OSError, csv.Error, ValueError) as error:
        raise OutputError(
            f"{path} does not say how searchers rank on surrogates ({one_line(error)}): nasbench-evs experiment writes it for "
            "an experiment on both the surrogate and the table of a dataset"
        ) from None


def _comparison(regrets: Regrets, table: np.ndarray) -> list[str]:
    names = regrets.searchers
    ranks, p, won = mean_ranks(table), pairwise(table), wins(regrets)
    order = np.argsort(ranks, kind="stable")
    test = friedman(table)
    verdict = "too few to test" if math.isnan(test) else f"p = {test:.2g} that all are equal (Friedman)"
    lines = [
        "## Ranks",
        "",
        f"Mean ranks over {len(table)} benchmarks, {verdict}. `wins` and `losses` count pairs (benchmark, other searcher) "
        f"that differ significantly over seeds (Wilcoxon, Holm within the benchmark, {SIGNIFICANT}); all other pairs are ties. "
        "`own seconds` are the searcher's own work in one search.",
        "",
        "| searcher | mean rank | wins | ties | losses | own seconds | differs over benchmarks (Wilcoxon, Holm) from |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    pairs = len(regrets.benchmarks) * (len(names) - 1)
    for i in order:
        others = [names[j] for j in order if j != i and p[min(i, j), max(i, j)] < SIGNIFICANT]
        lost = int(won[:, i].sum())
        own = int(won[i].sum())
        lines.append(
            f"| {names[i]} | {ranks[i]:.2f} | {own} | {pairs - own - lost} | {lost} | {regrets.own_seconds(names[i]):.2f} | "
            f"{', '.join(others) or 'none'} |"
        )
    return [*lines, "", *_seed_by_seed(regrets, int(order[0])), "", "![mean ranks](ranks.svg)"]


def _seed_by_seed(regrets: Regrets, first: int) -> list[str]:
    """In how many seeds the searcher of the best mean rank ends with the better architecture."""
    names = regrets.searchers
    others = [name for name in names if name != names[first]]
    lines = [
        f"In how many of {len(regrets.seeds)} seeds `{names[first]}` ends with a smaller regret than the others, and in brackets "
        "with the same:",
        "",
        f"| benchmark | {' | '.join(others)} |",
        f"| --- | {' | '.join('---' for _ in others)} |",
    ]
    for benchmark in regrets.benchmarks:
        own = np.nan_to_num(regrets.final(benchmark, names[first]), nan=np.inf)
        cells = []
        for other in others:
            theirs = np.nan_to_num(regrets.final(benchmark, other), nan=np.inf)
            cells.append(f"{int((own < theirs).sum())} ({int((own == theirs).sum())})")
        lines.append(f"| {benchmark} | {' | '.join(cells)} |")
    return lines


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
