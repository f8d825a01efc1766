"""`nasbench-evs data ...`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from nasbench_evs.cli.output import FORCE, FORMAT, check_installed, print_rows
from nasbench_evs.errors import DatasetError, InvalidQuery, OutputError, did_you_mean
from nasbench_evs.progress import with_progress

TRAIN = click.option(
    "--train", type=int, metavar="N", help="Train on N sequences only, those with the smallest id hashes; default all."
)


@click.group()
def data() -> None:
    """Prepare and look at event-sequence datasets."""


@data.command()
@click.argument("name")
@click.option("--from", "source", type=click.Path(path_type=Path), help="Raw files: a folder or a file.")
@click.option("--labels", type=click.Path(path_type=Path), help="Your own data: CSV or Parquet with id and label.")
@click.option("--schema", type=click.Path(path_type=Path), help="Your own data: schema.toml that names the columns.")
@FORCE
def add(name: str, source: Path | None, labels: Path | None, schema: Path | None, force: bool) -> None:
    """Turn raw files into a prepared dataset, split 60/20/20 unless its rules give other shares.

    \b
    Examples:
      nasbench-evs data add physionet2012 --from downloads/challenge-2012
      nasbench-evs data add my-data --from events.csv.gz --labels labels.csv --schema schema.toml
      nasbench-evs data add synthetic
    """
    from nasbench_evs.datasets import custom, prepare, store
    from nasbench_evs.datasets.dataset import MANIFEST
    from nasbench_evs.datasets.sources import SOURCES
    from nasbench_evs.files import check_target

    place = store.folder(name)
    own = labels is not None or schema is not None
    if own and name in SOURCES:
        raise InvalidQuery(f"{name!r} is the name of a built-in dataset: choose another for your own data")
    if not own and name not in SOURCES:
        raise DatasetError(
            f"no dataset {name!r}: expected one of {', '.join(SOURCES)}; your own data takes --labels and --schema"
            f"{did_you_mean(name, SOURCES)}"
        )
    if own and (source is None or labels is None or schema is None):
        raise InvalidQuery("your own data takes all three: --from EVENTS --labels LABELS --schema SCHEMA.toml")
    if not own and source is None and name != "synthetic":
        raise DatasetError(
            f"{name} needs its raw files. {SOURCES[name].get}; then run: nasbench-evs data add {name} --from DIR"
        )
    if place.exists() and not force:
        raise OutputError(f"{name} is prepared already, in {place}: prepare it again with --force")
    check_target(place, force=force, marker=MANIFEST)

    def work(report: Callable[[int, int], None]) -> Any:
        if source is not None and labels is not None and schema is not None:
            return custom.add(name, source, labels, schema, force=force)
        raw, rules = SOURCES[name].read(source or Path()), SOURCES[name].rules
        report(1, 3)
        dataset = prepare(raw, rules, source=str(source.name) if source else "made")
        report(2, 3)
        dataset.save(place, force=force)
        report(3, 3)
        return dataset

    dataset = with_progress("reading, preparing, writing", work)
    print(f"{name}: {len(dataset):,} sequences, {len(dataset.time):,} events, fingerprint {dataset.fingerprint[:16]}")
    print(f"written to {place}", file=sys.stderr)


@data.command("list")
@FORMAT
def data_list(form: str) -> None:
    """The datasets there are, and which are prepared here.

    \b
    Example:
      nasbench-evs data list
    """
    from nasbench_evs.datasets import store
    from nasbench_evs.datasets.describe import statistics
    from nasbench_evs.datasets.sources import SOURCES

    prepared = store.prepared()
    rows = []
    for name in [*SOURCES, *(name for name in prepared if name not in SOURCES)]:
        row: dict[str, Any] = {"dataset": name, "prepared": name in prepared}
        facts: dict[str, Any] = {}
        if name in prepared:
            try:
                facts = statistics(store.open_dataset(name))
            except DatasetError as error:
                row["prepared"] = "damaged"
                print(f"warning: {error}", file=sys.stderr)
        for short, key in (
            ("sequences", "sequences"),
            ("events", "events"),
            ("mean", "events per sequence, mean"),
            ("median", "events per sequence, median"),
            ("p95", "events per sequence, 95 %"),
            ("classes", "classes"),
            ("score", "score"),
            ("synthetic", "synthetic"),
        ):
            row[short] = facts.get(key)
        if name in SOURCES and not facts:
            row["score"] = SOURCES[name].rules.metric
        rows.append(row)
    print_rows(rows, form)


@data.command()
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="How to print it.")
def describe(name: str, form: str) -> None:
    """Statistics of a prepared dataset, with histograms of lengths and time gaps.

    \b
    Example:
      nasbench-evs data describe physionet2012
    """
    from nasbench_evs.datasets import store
    from nasbench_evs.datasets.describe import gaps, histogram, statistics

    dataset = store.open_dataset(name)
    facts = statistics(dataset)
    if form == "json":
        print(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        print(f"{key:<{width}}  {f'{value:,}' if isinstance(value, int) else value}")
    for title, values, unit in (
        ("events per sequence", dataset.full_lengths, "events"),
        ("time between events", gaps(dataset), dataset.schema.time_unit),
    ):
        print(f"\n{title}")
        print("\n".join(histogram(values, unit)))


@data.command()
@click.argument("name", required=False)
def where(name: str | None) -> None:
    """The folder of a prepared dataset, or of all of them.

    \b
    Example:
      nasbench-evs data where physionet2012
    """
    from nasbench_evs.datasets import store

    if name is None:
        print(store.home() / "datasets")
    else:
        store.open_dataset(name)
        print(store.folder(name))


@data.command()
@click.argument("name")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for README.md and figure.png.")
@click.option("--forms", is_flag=True, help="All forms of the baseline, on sequences as they are and shuffled.")
@TRAIN
def card(name: str, out: Path, forms: bool, train: int | None) -> None:
    """Write the card of a built-in dataset: what it is, its rules, statistics and baselines, one figure.

    \b
    Example:
      nasbench-evs data card physionet2012 --out datasets/physionet2012
    """
    from nasbench_evs.datasets import store
    from nasbench_evs.datasets.boosting import FORMS, boosting
    from nasbench_evs.datasets.card import write_card
    from nasbench_evs.datasets.sources import SOURCES
    from nasbench_evs.files import check_folder

    dataset = store.open_dataset(name)
    if name not in SOURCES:
        raise DatasetError(f"{name} is your own data: nobody but you can say what it is and who may use it")
    check_installed("matplotlib")
    check_folder(out)
    kinds = [(form, shuffled) for form in FORMS for shuffled in (False, True)] if forms else [(FORMS[0], False)]

    def work(report: Callable[[int, int], None]) -> list[dict[str, Any]]:
        rows = []
        for form, shuffled in kinds:
            rows.append(boosting(dataset, form=form, shuffled=shuffled, train=train))
            report(len(rows), len(kinds))
        return rows

    write_card(dataset, SOURCES[name], out, with_progress("boosting", work))
    print(f"written to {out}", file=sys.stderr)


@data.command("baseline")
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--form",
    "seen",
    type=click.Choice(["counts", "last-events"]),
    default="counts",
    help="Counts and aggregates, or the last events one by one as well.",
)
@click.option("--shuffled", is_flag=True, help="Events dealt to the times of their sequence at random.")
@TRAIN
@click.option("--threads", type=int, default=-1, help="Of the processor; -1 takes all.")
@FORMAT
def baseline_command(
    names: Sequence[str], seen: str, shuffled: bool, train: int | None, threads: int, form: str
) -> None:
    """What gradient boosting scores: a sequence model should not be below it.

    \b
    Examples:
      nasbench-evs data baseline credit-default oulad
      nasbench-evs data baseline football-next --form last-events --train 48000
    """
    from nasbench_evs.datasets import store
    from nasbench_evs.datasets.boosting import boosting

    datasets = [store.open_dataset(name) for name in names]

    def work(report: Callable[[int, int], None]) -> list[dict[str, Any]]:
        rows = []
        for dataset in datasets:
            rows.append(boosting(dataset, form=seen.replace("-", " "), shuffled=shuffled, train=train, threads=threads))
            report(len(rows), len(datasets))
        return rows

    rows = with_progress("boosting", work)
    lists = ["most_important", "valid_blocks", "test_blocks"]
    if form == "json":
        print_rows(rows, form)
        return
    if form == "table":  # twenty numbers have no room on a screen
        rows = [{name: row[name] for name in row if not name.endswith("_blocks")} for row in rows]
    print_rows(
        [{n: ", ".join(map(str, v)) if n in lists else v for n, v in row.items()} for row in rows],
        form,
    )
