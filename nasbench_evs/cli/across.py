"""`nasbench-evs across` and `nasbench-evs recommend`."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from nasbench_evs import locations
from nasbench_evs.cli.output import FORCE, FORMAT, TablePath, check_installed, print_rows
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.progress import with_progress

if TYPE_CHECKING:
    from nasbench_evs.analysis.recommend import Member, Recommendation, Worth
    from nasbench_evs.benchmark import TableBenchmark

_SPACE = "seqnas"


@click.command("across")
@click.argument("tables", nargs=-1, type=TablePath(), metavar="[TABLE]...")
@click.option("--out", type=click.Path(path_type=Path), default=Path("analysis/across"), show_default=True)
@click.option("--seeds", type=int, default=200, help="Searches of each kind on each dataset.  [default: 200]")
def across_command(tables: tuple[Path, ...], out: Path, seeds: int) -> None:
    """Compare datasets: how alike they order architectures, and what those that were good on the others are worth on each.

    TABLE is the path of a table of the space seqnas, or a name of nasbench-evs list; without any, all that ship. Tuned GRUs
    are read from what lies beside a table. Minutes. Writes a page, portfolios.json (which nasbench-evs recommend reads),
    correlations.csv, worth.csv and a figure (the `plots` extra).

    \b
    Example:
      nasbench-evs across --out across
    """
    from dataclasses import asdict

    from nasbench_evs.analysis import across, across_page
    from nasbench_evs.analysis.recommend import COMMAND, FILE, write_portfolios
    from nasbench_evs.benchmark import load
    from nasbench_evs.files import check_folder, write_text

    if seeds < 2:
        raise InvalidQuery(f"--seeds {seeds}: expected 2 or more")
    check_installed("matplotlib")
    check_folder(out)
    paths = tables or tuple(path for (_, space), path in locations.shipped_tables().items() if space == _SPACE)
    opened: dict[str, TableBenchmark] = {}
    grus = {}
    for path in paths:
        bench = cast("TableBenchmark", load(path, source="table"))
        if bench.space.label != _SPACE:
            raise InvalidQuery(f"{path} is of the space {bench.space.label}: expected tables of {_SPACE}")
        if bench.dataset in opened:
            raise InvalidQuery(f"{path} is a second table of {bench.dataset}: name one of each dataset")
        opened[bench.dataset] = bench
        if gru := across.tuned_gru(path, bench):
            grus[bench.dataset] = gru
    command = " ".join([COMMAND, *map(str, tables), *(["--seeds", str(seeds)] if seeds != 200 else [])])
    found = with_progress(
        "comparing", lambda report: across.compare_datasets(opened, grus, seeds=seeds, progress=report)
    )
    write_portfolios(found.compared, out / Path(FILE).name)
    across.write_csv(out / "correlations.csv", [across.columns(each) for each in found.correlations])
    across.write_csv(
        out / "worth.csv", [{"space": c.space, **asdict(each)} for c in found.compared for each in c.worth]
    )
    across_page.figure(found, out / across_page.FIGURE)
    write_text(out / across_page.PAGE, across_page.page(found, seeds, command), force=True)
    print(f"written to {out}", file=sys.stderr)
    print(out / across_page.PAGE)


@click.command("recommend")
@click.argument("dataset")
@click.option(
    "--space", help="Where the architectures are from: seqnas-s, or seqnas.  [default: the first that knows it]"
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the strings to this file, for a recipe's plan.")
@FORMAT
@FORCE
def recommend_command(dataset: str, space: str | None, out: Path | None, form: str, force: bool) -> None:
    """Five architectures to train first on a dataset that was never recorded, and what such a five was worth elsewhere.

    DATASET is any name. They were chosen on the recorded datasets, and what that is worth is known from leaving out one of them
    after the other; for one that is recorded, the five are those that the others recommend. Nothing is trained or searched.

    \b
    Examples:
      nasbench-evs recommend my-data
      nasbench-evs recommend tafeng-churn --format json
    """
    from nasbench_evs.analysis import recommend
    from nasbench_evs.files import check_target, write_text

    if out is not None:
        check_target(out, force=force)
    found = recommend.recommend(dataset, space)
    for each in recommend.outdated(found.compared):
        print(f"warning: the table of {each} has changed since these were chosen: {recommend.COMMAND}", file=sys.stderr)
    if form == "json":
        print(json.dumps(recommend.to_builtins(found), indent=1))
    elif form == "csv":
        print_rows(_rows(found), form)
    else:
        _print_all(found)
    if out is not None:
        write_text(out, "".join(f"{each.architecture}\n" for each in found.portfolio.members), force=force)
        print(f"written to {out}", file=sys.stderr)


def _rows(found: Recommendation) -> list[dict[str, Any]]:
    rows = []
    for each in found.portfolio.members:
        row: dict[str, Any] = {"architecture": each.architecture}
        for name in found.compared.names:
            for what, values in (("place", each.places), ("params", each.params), ("seconds", each.seconds)):
                row[f"{name} {what}"] = values.get(name)
        rows.append(row)
    return rows


def _print_all(found: Recommendation) -> None:
    from nasbench_evs.analysis.recommend import verdict

    compared, left_out = found.compared, found.portfolio.left_out
    used = [name for name in compared.names if name != left_out]
    print(f"{found.known}{'' if found.known.endswith('?') else '.'}")
    print(
        f"{len(found.portfolio.members)} architectures of {compared.space}, chosen on {', '.join(used)}: train them in this "
        "order, keep the best by validation score."
    )
    print()
    print_rows([_cells(each, compared.names, left_out) for each in found.portfolio.members], "table")
    print()
    print(
        f"For each dataset: the place among {compared.architectures} architectures by mean validation score, parameters, and "
        f"seconds of a training. Compared are {compared.what}, as far as all these datasets have them."
    )
    for each in compared.datasets:
        print(f"Protocol on {each.dataset}: {each.protocol}.")
    worth = [each for each in found.worth if each.regime == "transfer"]
    if not worth:
        return
    folds = list(dict.fromkeys(each.dataset for each in worth))
    print()
    print(
        "What a portfolio was worth on a dataset that it was chosen without, against searches among the same architectures: test "
        "scores of trainings that were not seen, in brackets normalized regret (0 the best architecture, 1 the median one)."
    )
    print()
    print_rows([_worths(name, worth, folds) for name in dict.fromkeys(each.name for each in worth)], "table")
    print()
    print(verdict(worth, "transfer"))
    count = "One dataset is a case" if len(folds) == 1 else f"{len(folds)} datasets are cases"
    print(f"{count}, not a law: on yours, and by another protocol, it may be otherwise.")
    print('To train them, write them to a file with --out and name it in a recipe: [plan] architectures = "FILE".')


def _cells(member: Member, names: Sequence[str], left_out: str) -> dict[str, str]:
    """A row for people."""
    row = {"architecture": member.architecture}
    for name in names:
        cell = str(member.places.get(name, ""))
        cell += f", {member.params[name]:,} params" if name in member.params else ""
        cell += f", {member.seconds[name]:.1f} s" if name in member.seconds else ""
        row[f"{name} (left out)" if name == left_out else name] = cell
    return row


def _worths(approach: str, worth: Sequence[Worth], folds: Sequence[str]) -> dict[str, str]:
    """A row for people."""
    from nasbench_evs.analysis.recommend import mean_regrets

    row = {"approach (trainings)": approach}
    own = {each.dataset: each for each in worth if each.name == approach}
    for name in folds:
        row[name] = f"{own[name].value:.4f}" if name in own else ""
        if name in own and not math.isnan(own[name].regret):
            row[name] += f" ({own[name].regret:.2f})"
    means = mean_regrets(worth, "transfer")
    if len(folds) > 1:
        row["mean regret"] = f"{means[approach]:.2f}" if approach in means else ""
    return row
