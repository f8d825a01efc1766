"""`nasbench-evs surrogate ...`."""

from __future__ import annotations

import contextlib
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_evs.cli.output import FORCE, TABLE, check_installed
from nasbench_evs.errors import InvalidQuery, SurrogateError, UnknownBenchmark
from nasbench_evs.progress import with_progress

if TYPE_CHECKING:
    from nasbench_evs.tables import Table


@click.group()
def surrogate() -> None:
    """Fit surrogates to tables, and evaluate them."""


@surrogate.command("fit")
@TABLE
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write; by default where load() looks for it.")
@click.option("--seed", type=int, default=0, help="Seed of the fit.  [default: 0]")
@FORCE
def fit_command(table: Path, out: Path | None, seed: int, force: bool) -> None:
    """Fit a surrogate to a table, so that queries answer for every architecture of its space.

    \b
    Example:
      nasbench-evs surrogate fit table.h5
    """
    from nasbench_evs import locations
    from nasbench_evs.files import check_target
    from nasbench_evs.surrogate import Surrogate
    from nasbench_evs.surrogate.sidecar import SIDECAR
    from nasbench_evs.tables import read

    if seed < 0:
        raise InvalidQuery(f"--seed {seed}: expected 0 or more")
    opened = read(table)
    out = out or locations.surrogate_of(table)
    check_target(out, force=force, marker=SIDECAR)
    fitted = with_progress("fitting", lambda report: Surrogate.fit(opened, seed=seed, progress=report))
    fitted.save(out, force=force)
    print(f"written to {out}", file=sys.stderr)
    print(json.dumps(fitted.card["metrics"], indent=1))


@surrogate.command("out-of-fold")
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
def out_of_fold_command(tables: tuple[Path, ...]) -> None:
    """Add to the surrogates of tables what models predict of recorded architectures that they did not see.

    surrogate fit writes the same; this is for surrogates without it. Their models and cards stay as they are.

    \b
    Example:
      nasbench-evs surrogate out-of-fold datasets/*/*.h5
    """
    from nasbench_evs.surrogate.fit import add_out_of_fold

    for path, folder, table in _fitted(tables):
        with_progress(f"{path}: holding out", partial(add_out_of_fold, folder, table))
        print(f"written to {folder}", file=sys.stderr)


@surrogate.command("reference")
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--evaluations", type=int, help="Predictions of each split.  [default: 300000]")
@click.option("--seed", type=int, default=0, help="Seed of the search.  [default: 0]")
def reference_command(tables: tuple[Path, ...], evaluations: int | None, seed: int) -> None:
    """Find the best predicted means of the surrogates of tables: reference.json beside their models.

    Regret on a surrogate is against these. About half a minute for each split.

    \b
    Example:
      nasbench-evs surrogate reference datasets/*/*.h5
    """
    from nasbench_evs.surrogate import Surrogate
    from nasbench_evs.surrogate.reference import EVALUATIONS, find_reference, write_reference

    evaluations = EVALUATIONS if evaluations is None else evaluations
    for name, value, low in (("--evaluations", evaluations, 1), ("--seed", seed, 0)):
        if value < low:
            raise InvalidQuery(f"{name} {value}: expected {low} or more")
    for path, folder, table in _fitted(tables):
        fitted = Surrogate.load(folder)
        references = {
            split: find_reference(fitted, split, evaluations=evaluations, seed=seed, starts=table["choices"])
            for split in fitted.splits
        }
        write_reference(folder, fitted, references)
        for split, found in references.items():
            print(f"{path} {split} {found.value:.6f} {found.how} {found.architecture}", flush=True)


@surrogate.command("evaluate")
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--repeats", type=int, default=3, help="How many times folds are drawn.  [default: 3]")
@click.option("--folds", type=int, default=5, help="Folds over architectures.  [default: 5]")
@click.option("--seed", type=int, default=0, help="Seed of the folds.  [default: 0]")
def evaluate_command(tables: tuple[Path, ...], repeats: int, folds: int, seed: int) -> None:
    """Say how far to trust the surrogates of tables: card.json and card.md beside their models.

    Minutes for each table: it is fitted again and again, without what it is then tested on.

    \b
    Example:
      nasbench-evs surrogate evaluate datasets/*/*.h5
    """
    from nasbench_evs.surrogate.card import SUMMARY, read_card, summary, write_card
    from nasbench_evs.surrogate.evaluate import evaluate

    for name, value, low in (("--repeats", repeats, 1), ("--folds", folds, 2), ("--seed", seed, 0)):
        if value < low:
            raise InvalidQuery(f"{name} {value}: expected {low} or more")
    opened = _fitted(tables)
    print("\n".join(SUMMARY), flush=True)
    for path, folder, table in opened:

        def report(what: str, path: Path = path) -> None:
            print(f"{path}: {what}", file=sys.stderr, flush=True)

        splits = evaluate(table, repeats=repeats, folds=folds, seed=seed, progress=report)
        header = table.header
        card = {
            "dataset": header.dataset,
            "space": path.stem,
            "metric": header.metric.name,
            "table_sha256": table.reference_sha256,
            "splits": splits,
        }
        before = {}
        with contextlib.suppress(SurrogateError):  # this is how a damaged one is made again
            before = read_card(folder, table.reference_sha256) or {}
        card |= {name: before[name] for name in ("searches", "figure") if name in before}
        write_card(folder, card)
        print("\n".join(summary(card)), flush=True)
        print(f"written to {folder}", file=sys.stderr)


def _fitted(tables: tuple[Path, ...]) -> list[tuple[Path, Path, Table]]:
    """Each path with the folder of its surrogate and its table; an error if any has no surrogate, or another table's."""
    from nasbench_evs import locations
    from nasbench_evs.surrogate import Surrogate
    from nasbench_evs.tables import read

    opened = []
    for path in tables:
        table, folder = read(path), locations.surrogate_of(path)
        if not folder.is_dir():
            raise UnknownBenchmark(f"no surrogate is fitted for {path}: run nasbench-evs surrogate fit {path}")
        Surrogate.load(folder).check_belongs_to(table.reference_sha256, path)
        opened.append((path, folder, table))
    return opened


@surrogate.command("figure")
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
def figure_command(tables: tuple[Path, ...]) -> None:
    """Draw predicted against recorded scores into the cards of tables' surrogates (the `plots` extra).

    Predictions are those of models that did not see the architecture (see surrogate out-of-fold). The cards must be there: see
    surrogate evaluate; its figures are not computed again.

    \b
    Example:
      nasbench-evs surrogate figure datasets/*/*.h5
    """
    from nasbench_evs.analysis.held_out_figure import FIGURE, draw_held_out
    from nasbench_evs.surrogate import Surrogate
    from nasbench_evs.surrogate.card import read_card, write_card

    opened = []
    for path, folder, table in _fitted(tables):
        card = read_card(folder, table.reference_sha256)
        if card is None:
            raise SurrogateError(
                f"the surrogate of {path} has no card of this table: run nasbench-evs surrogate evaluate {path}"
            )
        opened.append((folder, table, card))
    for folder, table, card in opened:
        draw_held_out(Surrogate.load(folder), table, card, folder / FIGURE)
        write_card(folder, {**card, "figure": FIGURE})
        print(folder / FIGURE)


@surrogate.command("fidelity")
@click.argument("experiment", type=click.Path(path_type=Path))
def fidelity_command(experiment: Path) -> None:
    """Say in the cards whether searchers rank on a surrogate as on recorded trainings.

    EXPERIMENT is the folder that nasbench-evs experiment wrote, for searchers on both sources of a dataset; of several regimes
    the clean one is taken. The cards must be there: see surrogate evaluate.

    \b
    Example:
      nasbench-evs surrogate fidelity analysis/sources
    """
    from nasbench_evs import locations
    from nasbench_evs.analysis.fidelity import FIDELITY, read_fidelity
    from nasbench_evs.benchmark import find_table
    from nasbench_evs.surrogate.card import SUMMARY, read_card, summary, write_card
    from nasbench_evs.tables.hdf5 import read_reference_sha256

    cards = []
    rows = read_fidelity(experiment / FIDELITY)
    for found in {(each.dataset, each.space): each for each in reversed(rows)}.values():  # the first regime of each
        path = find_table(found.dataset, found.space or None)
        folder = locations.surrogate_of(path)
        card = read_card(folder, read_reference_sha256(path))
        if card is None:
            raise UnknownBenchmark(
                f"the surrogate of {path} has no card yet: run nasbench-evs surrogate evaluate {path}"
            )
        figures = {key: value for key, value in found._asdict().items() if key not in ("dataset", "space")}
        cards.append((folder, {**card, "searches": {"experiment": experiment.as_posix(), **figures}}))
    print("\n".join(SUMMARY))
    for folder, card in cards:
        write_card(folder, card)
        print("\n".join(summary(card)))


@surrogate.command("predictors")
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("analysis/predictors"), show_default=True)
@click.option("--seeds", type=int, default=20, help="How many times architectures are drawn.  [default: 20]")
@click.option("--predictor", "names", multiple=True, help="Compare this one only; may be repeated.")
def predictors_command(tables: tuple[Path, ...], out: Path, seeds: int, names: tuple[str, ...]) -> None:
    """Compare performance predictors: tau on unseen architectures against how many were seen.

    Hours for many tables; the same command goes on where it was stopped. Writes results.csv, a page and a figure.

    \b
    Example:
      nasbench-evs surrogate predictors datasets/*/seqnas.h5 --seeds 5
    """
    from nasbench_evs.analysis import predictors as analysis
    from nasbench_evs.files import check_folder, write_text
    from nasbench_evs.surrogate.predictors import PREDICTORS
    from nasbench_evs.tables import read

    if seeds < 1:
        raise InvalidQuery(f"--seeds {seeds}: expected 1 or more")
    check_installed("matplotlib")
    check_folder(out)
    opened = [(f"{path.parent.name}/{path.stem}", read(path)) for path in tables]
    command = f"nasbench-evs surrogate predictors {' '.join(map(str, tables))} --seeds {seeds}"
    command += "".join(f" --predictor {name}" for name in names)
    results = with_progress(
        "comparing",
        lambda report: analysis.compare(
            opened, out, predictors=names or tuple(PREDICTORS), seeds=seeds, progress=report
        ),
    )
    write_text(out / analysis.PAGE, analysis.page(results, command), force=True)
    analysis.figure(results, out / analysis.FIGURE)
    print(f"written to {out}", file=sys.stderr)
