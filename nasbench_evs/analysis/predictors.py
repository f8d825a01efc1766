"""Performance predictors compared: Kendall's tau on architectures they did not see, against how many they saw.

The counterpart of paper 004's table 1 for event sequences.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nasbench_evs.errors import InvalidQuery, OutputError, did_you_mean
from nasbench_evs.files import replacing, write_text
from nasbench_evs.reader import Source
from nasbench_evs.surrogate.predictors import PREDICTORS, predictor
from nasbench_evs.tables.noise import RANDOM_SAMPLERS
from nasbench_evs.tables.table import Table

SIZES = (25, 50, 100, 200, 400)
RESULTS = "results.csv"
PAGE = "README.md"
FIGURE = "predictors.svg"
TESTED = 0.25  # of the architectures
MOST_TESTED = 500


class Result(NamedTuple):
    """One predictor, fitted once. `seconds` are those of fitting and predicting on the machine that ran it."""

    table: str
    predictor: str
    architectures: int
    seed: int
    kendall_tau: float
    seconds: float


def compare(
    tables: Sequence[tuple[str, Table]],
    folder: Path,
    *,
    predictors: Iterable[str] = tuple(PREDICTORS),
    sizes: Sequence[int] = SIZES,
    seeds: int = 20,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Result]:
    """Fit every predictor to every number of architectures of every table (name, table), with `seeds` seeds each.

    A seed draws the architectures that are tested and, among the others, those that are fitted; all predictors get the
    same, and more are those of fewer and others. Only architectures that no searcher chose count (all, where a table
    holds no others), each with the mean of its validation scores. Results are written to RESULTS in `folder` one by one:
    a second call goes on where the first was stopped. Seeds come first, so that a stopped run has compared all
    predictors on all tables.
    """
    for name in (predictors := list(predictors)):
        if name not in PREDICTORS:
            raise InvalidQuery(
                f"unknown predictor {name!r}: expected some of {', '.join(PREDICTORS)}{did_you_mean(name, PREDICTORS)}"
            )
    known = read_results(folder)
    done = {each[:4] for each in known}
    samples = {name: _means(table) for name, table in tables}
    todo = []
    for seed in range(seeds):
        for name, (choices, _) in samples.items():
            tested = min(MOST_TESTED, round(TESTED * len(choices)))
            for size in sizes:
                if size <= len(choices) - tested:
                    todo += [(name, each, size, seed) for each in predictors]
    if not todo:
        fewest = min((len(choices) for choices, _ in samples.values()), default=0)
        raise InvalidQuery(
            f"nothing to compare: {fewest} architectures, sizes {', '.join(map(str, sizes))}, {seeds} seeds; expected "
            f"tables with more than {round(min(sizes, default=1) / (1 - TESTED))} architectures"
        )
    left = [key for key in todo if key not in done]
    # Written anew, it is without the line that a kill may have cut short.
    write_text(folder / RESULTS, "".join(map(_line, [Result._fields, *known])), force=True)
    for count, (name, each, size, seed) in enumerate(left):
        progress(len(todo) - len(left) + count, len(todo))
        result = _result(name, *samples[name], each, size, seed, dict(tables)[name])
        _append(_line(result), folder / RESULTS)
        known.append(result)
    progress(len(todo), len(todo))
    return known


def _means(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Architectures, choices (M, C), and the means of their validation scores, larger is better."""
    scored = ~np.isnan(table.scores("valid")) & (table["distilled"] != 1)
    drawn = scored & np.isin(table["sampler"], RANDOM_SAMPLERS)
    choices, means = table.architecture_means("valid", drawn if drawn.any() else None)
    return choices, table.header.metric.sign * means


def _result(
    name: str, choices: np.ndarray, scores: np.ndarray, each: str, size: int, seed: int, table: Table
) -> Result:
    from scipy.stats import kendalltau

    order = np.random.default_rng(seed).permutation(len(choices))
    tested = min(MOST_TESTED, round(TESTED * len(choices)))
    test, train = order[:tested], order[tested : tested + size]
    start = time.perf_counter()
    predicted = predictor(each, table.header.space, seed).fit(choices[train], scores[train]).predict(choices[test])
    seconds = time.perf_counter() - start
    tau = float(kendalltau(predicted.mean, scores[test]).statistic)
    # Predicting the same for all orders nothing.
    return Result(name, each, size, seed, round(0.0 if np.isnan(tau) else tau, 5), round(seconds, 3))


def _line(result: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(result)
    return text.getvalue()


def _append(line: str, path: Path) -> None:
    try:
        with path.open("a", encoding="utf-8") as out:
            out.write(line)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; what was compared is kept, run it again") from None


def read_results(folder: Path) -> list[Result]:
    """The results in a folder; none if it has none. InvalidQuery if the file is something else."""
    path = folder / RESULTS
    if not path.exists() and not path.is_symlink():
        return []
    lines = Source(path, InvalidQuery, "a comparison of predictors").text().splitlines(keepends=True)
    if not lines or lines[0].strip() != ",".join(Result._fields):
        raise InvalidQuery(
            f"{path} holds no comparison of predictors: expected the columns {', '.join(Result._fields)}"
        )
    results = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.endswith("\n"):
            continue
        try:
            [(table, name, size, seed, tau, seconds)] = csv.reader([line], strict=True)
            found = Result(table, name, int(size), int(seed), float(tau), float(seconds))
            if not (
                found.architectures > 0 <= found.seed and -1 <= found.kendall_tau <= 1 and 0 <= found.seconds < 1e12
            ):
                raise ValueError("figures that cannot be")
            results.append(found)
        except (ValueError, csv.Error):
            raise InvalidQuery(f"{path}, line {number}: {line.strip()[:200]!r} is no result; delete the line") from None
    return results


def page(results: Sequence[Result], command: str) -> str:
    """The comparison as markdown: a table for each recorded table, tau as mean ± standard error over seeds."""
    lines = [
        "# Performance predictors compared",
        "",
        "Kendall's tau between predicted and recorded validation scores of architectures that the predictor did not see, "
        "against the number it was fitted to; mean ± standard error over seeds. The best mean of a column is bold, and so "
        "is what differs from it by less than twice the standard error of the paired difference. A record is one noisy "
        "training: its noise ceiling, tau of the best possible predictor, is in the surrogate's card.",
        "",
        f"    {command}",
    ]
    for name in dict.fromkeys(each.table for each in results):
        of_table = [each for each in results if each.table == name]
        sizes = sorted({each.architectures for each in of_table})
        seeds = {size: {e.seed for e in of_table if e.architectures == size} for size in sizes}
        lines += [
            "",
            f"## {name}",
            "",
            f"{min(map(len, seeds.values()))} seeds.",
            "",
            "| predictor | " + " | ".join(map(str, sizes)) + " | seconds at most |",
            "| --- |" + " --- |" * (len(sizes) + 1),
        ]
        taus = {key: _by_seed(of_table, *key) for key in {(e.predictor, e.architectures) for e in of_table}}
        for each in [p for p in PREDICTORS if any(e.predictor == p for e in of_table)]:
            cells = [_cell(taus, each, size) for size in sizes]
            slowest = max(e.seconds for e in of_table if e.predictor == each)
            lines.append(f"| {each} | " + " | ".join(cells) + f" | {slowest:.1f} |")
    lines += ["", f"![tau against training architectures]({FIGURE})"]
    return "\n".join(lines) + "\n"


def _by_seed(results: Sequence[Result], name: str, size: int) -> dict[int, float]:
    return {e.seed: e.kendall_tau for e in results if e.predictor == name and e.architectures == size}


def _cell(taus: dict[tuple[str, int], dict[int, float]], name: str, size: int) -> str:
    own = taus.get((name, size))
    if not own:
        return "-"
    values = np.array(list(own.values()))
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    text = f"{values.mean():.3f} ± {error:.3f}"
    others = [each for (_, other), each in taus.items() if other == size]
    best = max(others, key=lambda each: float(np.mean(list(each.values()))))
    both = sorted(set(own) & set(best))
    difference = np.array([best[seed] - own[seed] for seed in both])
    spread = difference.std(ddof=1) / len(both) ** 0.5 if len(both) > 1 else 0.0
    return f"**{text}**" if difference.mean() <= 2 * spread else text


def figure(results: Sequence[Result], path: Path) -> None:
    """One panel for each table: tau against training architectures, a line for each predictor."""
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(each.table for each in results))
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    shape, axes = plt.subplots(rows, columns, figsize=(3.4 * columns, 2.8 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, names, strict=False):
        for each in PREDICTORS:
            of_both = [e for e in results if e.table == name and e.predictor == each]
            sizes = sorted({e.architectures for e in of_both})
            values = [np.array(list(_by_seed(of_both, each, size).values())) for size in sizes]
            if sizes:
                errors = [v.std(ddof=1) / len(v) ** 0.5 if len(v) > 1 else 0 for v in values]
                axis.errorbar(sizes, [v.mean() for v in values], errors, label=each, lw=1.2, capsize=2)
        axis.set_xscale("log", base=2)
        ticks = sorted({e.architectures for e in results if e.table == name})
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("architectures fitted to", fontsize=8)
        axis.set_ylabel("Kendall's tau", fontsize=8)
        axis.tick_params(labelsize=7)
    axes.flat[0].legend(fontsize=6)
    with replacing(path, force=True) as scratch, plt.rc_context({"svg.hashsalt": "nasbench-evs"}):
        shape.savefig(scratch, format="svg", metadata={"Date": None})
    plt.close(shape)
