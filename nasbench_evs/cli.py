"""The `nasbench-evs` command: data to stdout, messages to stderr, one line for a user's mistake."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import click

import nasbench_evs
from nasbench_evs.errors import DatasetError, InvalidArchitecture, InvalidQuery, NasbenchError, NotRecorded, OutputError

if TYPE_CHECKING:
    import numpy as np

    from nasbench_evs.benchmark import Benchmark

Row = Mapping[str, Any]

_FORMAT = click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", help="How to print the answer."
)
_FORCE = click.option("--force", is_flag=True, help="Overwrite what exists.")
_MOST = 10_000_000  # architectures that one command prints
_TABLE = click.argument("table", type=click.Path(path_type=Path))


def main() -> None:
    """Run the command; exit with 0, 1 for a mistake or a refusal, 2 for wrong usage, 130 if interrupted."""
    if sys.stdout is None:
        _fail("standard output is closed: there is nowhere to write the answer to", 1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for terminals that cannot show every character
    with contextlib.suppress(ValueError):  # not in the main thread
        # A scheduler's SIGTERM ends the command like Ctrl-C does: temporary files are removed.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        cli.main(standalone_mode=False)
        sys.stdout.flush()  # so that a full disk is noticed here
    except NasbenchError as error:
        _fail(str(error), 1)
    except click.Abort:
        _fail("interrupted", 130)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f"; see {context.command_path} --help" if context is not None else ""
        _fail(" ".join(error.format_message().split()).rstrip(".") + hint, 2)
    except BrokenPipeError:
        _discard_output()
        sys.exit(141)
    except OSError as error:
        _discard_output()
        _fail(f"{error.filename or 'output'}: {error.strerror or error}", 1)
    except MemoryError:
        _fail("out of memory: ask for fewer architectures at once, or use a larger machine", 1)


def _discard_output() -> None:
    """What could not be written must not fail once more when the process exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> None:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(nasbench_evs.__version__, prog_name="nasbench-evs")
def cli() -> None:
    """Query, make and check the nasbench-evs benchmarks.

    \b
    Example:
      nasbench-evs query digits --arch 32-144-24
    """


@cli.command("list")
@_FORMAT
def list_command(form: str) -> None:
    """What can be loaded by name.

    \b
    Example:
      nasbench-evs list --format csv
    """
    from nasbench_evs.benchmark import list_benchmarks

    _print_rows(list_benchmarks(), form)


@cli.command()
@click.argument("benchmark")
@click.option("--arch", "texts", multiple=True, help="A canonical string; may be repeated.")
@click.option("--rank", "ranks", multiple=True, type=int, help="An architecture's integer index; may be repeated.")
@click.option(
    "--random", "random", type=int, help="This many random architectures (recorded ones if nothing predicts)."
)
@click.option("--file", "file", help="Canonical strings, one a line (- for standard input; # starts a comment).")
@click.option("--sample-seed", type=int, help="Seed of --random.")
@click.option("--space", help="Space, where a dataset has several.")
@click.option("--source", default="auto", help="auto, table or surrogate.  [default: auto]")
@click.option("--split", default="valid", help="valid or test.  [default: valid]")
@click.option("--epoch", type=int, help="Read the score at this epoch, not at the best one.")
@click.option("--seed", type=int, help="The training with this seed, not the mean over seeds.")
@click.option("--distilled", is_flag=True, help="Trainings with teachers.")
@_FORMAT
def query(
    benchmark: str,
    texts: Sequence[str],
    ranks: Sequence[int],
    random: int | None,
    file: str | None,
    sample_seed: int | None,
    space: str | None,
    source: str,
    split: str,
    epoch: int | None,
    seed: int | None,
    distilled: bool,
    form: str,
) -> None:
    """The score of architectures; BENCHMARK is a name of `nasbench-evs list` or the path of a table.

    \b
    Examples:
      nasbench-evs query digits --arch 32-144-24 --split test
      nasbench-evs query abank --random 5 --format csv
      nasbench-evs query table.h5 --file architectures.txt --source table
    """
    import numpy as np

    from nasbench_evs.benchmark import load

    if not texts and not ranks and random is None and file is None:
        raise InvalidQuery("no architecture given: use --arch TEXT, --rank N, --random N or --file FILE")
    if sample_seed is not None and (random is None or sample_seed < 0):
        raise InvalidQuery(f"--sample-seed {sample_seed}: expected 0 or more, together with --random")
    bench = load(benchmark, space, source=source)
    parts = [bench.space.parse_many([*texts]), bench.space.unrank_many(list(ranks))]
    if file is not None:
        parts.append(bench.space.stack(_architectures_in(file, bench)))
    if random is not None:
        parts.append(_random(bench, random, sample_seed))
    choices = np.concatenate(parts)
    scores = bench.query_many(choices, split=split, epoch=epoch, seed=seed, distilled=distilled)
    columns: dict[str, Any] = {"architecture": bench.space.format_many(choices), "rank": bench.space.rank_many(choices)}
    for name, field in scores._asdict().items():
        columns[name] = field if isinstance(field, np.ndarray) else [field] * len(choices)
    with contextlib.suppress(NotRecorded):  # some tables know no costs
        columns |= bench.cost_many(choices)._asdict()
    values = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()]
    _print_rows([dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)], form)


def _architectures_in(file: str, bench: Benchmark) -> list[Any]:
    try:
        if file == "-" and sys.stdin is None:
            raise InvalidQuery("standard input is closed: there are no architectures to read")
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidQuery(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidQuery(f"cannot read {file}: it is no text") from None
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        line = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if line:
            try:
                found.append(bench.space.parse(line))
            except InvalidArchitecture as error:
                raise InvalidArchitecture(f"{file}, line {number}: {error}") from None
    if not found:
        raise InvalidQuery(f"{file} holds no architectures: expected one canonical string a line")
    return found


def _random(bench: Benchmark, n: int, seed: int | None) -> np.ndarray:
    import numpy as np

    from nasbench_evs.benchmark import TableBenchmark

    if not 1 <= n <= _MOST:
        raise InvalidQuery(f"--random {n}: expected 1 or more, at most {_MOST:,}")
    if not isinstance(bench, TableBenchmark):
        return bench.space.sample_many(n, seed)
    pool = bench.pool
    if n > len(pool):
        raise InvalidQuery(f"--random {n}: the table holds {len(pool)} architectures, and no surrogate predicts others")
    return pool[np.random.default_rng(seed).choice(len(pool), n, replace=False)]


@cli.command("import-release")
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for <dataset>/seqnas.h5.")
@_FORCE
def import_release_command(archive: Path, out: Path, force: bool) -> None:
    """Turn the records released by the authors of SeqNAS into tables, one per dataset.

    \b
    Example:
      nasbench-evs import-release nas-bench-event-sequences.zip --out published
    """
    from nasbench_evs.tables import import_release

    written = import_release(archive, out, force=force)
    for name, table in written.items():
        print(f"{out / name}: {len(table)} records", file=sys.stderr)
    print(f"{sum(map(len, written.values()))} records in {len(written)} tables")


@cli.group()
def table() -> None:
    """Look at, check, merge and export tables."""


@table.command()
@_TABLE
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="How to print it.")
def info(table: Path, form: str) -> None:
    """What a table holds and how it was made.

    \b
    Example:
      nasbench-evs table info datasets/digits/ffn-3.h5
    """
    import numpy as np

    from nasbench_evs.tables import read

    opened = read(table)
    header = opened.header
    facts = {
        "space": f"{header.space.name} (version {header.space.version})",
        "space size": header.space.size,
        **{key: value for key, value in header.identity.items() if key != "space"},
        "records": len(opened),
        "architectures": len(np.unique(opened["rank"])),
        "epochs": opened.epochs if header.curves == "epochs" else "best epoch only",
        "status": _counts(opened["status"]),
        "samplers": _counts(opened["sampler"]),
        "seeds": np.unique(opened["seed"][opened["seed"] >= 0]).tolist() or "not recorded",
        "machines": [name.decode() for name in opened.hardware["cpu"]] or "not recorded",
        "created": header.created,
        "library": header.library,
        "code": header.code,
        "content sha256": opened.content_sha256,
    }
    if form == "json":
        print(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        width = max(map(len, facts))
        for name, value in facts.items():
            print(
                f"{name:<{width}}  {value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)}"
            )


def _counts(values: np.ndarray) -> dict[str, int]:
    import numpy as np

    names, counts = np.unique(values, return_counts=True)
    return {name.decode() or "not recorded": int(count) for name, count in zip(names, counts, strict=True)}


@table.command("verify")
@_TABLE
def verify_command(table: Path) -> None:
    """Check hashes, ranks, AVecs, keys, curves and costs of every record.

    \b
    Example:
      nasbench-evs table verify datasets/digits/ffn-3.h5
    """
    from nasbench_evs.tables import read, verify

    opened = read(table)
    try:
        passed = verify(opened)
    except NasbenchError as error:
        raise type(error)(f"{table}: {error}") from None
    for line in passed:
        print(f"ok  {line}")
    print(f"{len(opened)} records hold", file=sys.stderr)


@table.command("merge")
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The merged table.")
@_FORCE
def merge_command(shards: Sequence[Path], out: Path, force: bool) -> None:
    """Merge tables of one space, dataset and protocol; identical records collapse, conflicting ones are refused.

    \b
    Example:
      nasbench-evs table merge shard-1.h5 shard-2.h5 --out table.h5
    """
    from nasbench_evs.tables import merge, read, write

    merged = merge([read(shard) for shard in shards], [str(shard) for shard in shards])
    write(merged, out, force=force)
    print(f"{out}: {len(merged)} records", file=sys.stderr)


@table.command()
@_TABLE
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", help="File format.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file to write.")
@_FORCE
def export(table: Path, form: str, out: Path, force: bool) -> None:
    """Write all records, curves included, for other tools.

    \b
    Example:
      nasbench-evs table export datasets/digits/ffn-3.h5 --format csv --out digits.csv
    """
    from nasbench_evs.files import replacing
    from nasbench_evs.tables import read

    frame = read(table).to_frame(curves=True)
    with replacing(out, force=force) as scratch:
        try:
            if form == "csv":
                frame.to_csv(scratch, index=False)
            else:
                frame.to_parquet(scratch, index=False)
        except ImportError as error:
            needs = "pip install 'nasbench-evs[parquet]'" if form == "parquet" else "install it, or use another ending"
            raise OutputError(f"cannot write {out}: {' '.join(str(error).split())[:80]}; {needs}") from None
    print(f"{out}: {len(frame)} records", file=sys.stderr)


@cli.group()
def surrogate() -> None:
    """Fit surrogates to tables."""


@surrogate.command("fit")
@_TABLE
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write; by default where load() looks for it.")
@click.option("--seed", type=int, default=0, help="Seed of the fit.  [default: 0]")
@_FORCE
def fit_command(table: Path, out: Path | None, seed: int, force: bool) -> None:
    """Fit a surrogate to a table, so that queries answer for every architecture of its space.

    \b
    Example:
      nasbench-evs surrogate fit table.h5
    """
    from nasbench_evs import locations
    from nasbench_evs.surrogate import Surrogate
    from nasbench_evs.tables import read

    if seed < 0:
        raise InvalidQuery(f"--seed {seed}: expected 0 or more")
    opened = read(table)
    out = out or locations.surrogate_of(table.resolve())
    if out.exists() and not force:
        raise OutputError(f"{out} exists already: choose another --out, or overwrite with --force")
    fitted = _with_progress("fitting", lambda report: Surrogate.fit(opened, seed=seed, progress=report))
    fitted.save(out, force=force)
    print(f"written to {out}", file=sys.stderr)
    print(json.dumps(fitted.card["metrics"], indent=1))


@cli.group()
def data() -> None:
    """Prepare and look at event-sequence datasets."""


@data.command()
@click.argument("name")
@click.option("--from", "source", type=click.Path(path_type=Path), help="Raw files: a folder or a file.")
@click.option("--labels", type=click.Path(path_type=Path), help="Your own data: CSV or Parquet with id and label.")
@click.option("--schema", type=click.Path(path_type=Path), help="Your own data: schema.toml that names the columns.")
@_FORCE
def add(name: str, source: Path | None, labels: Path | None, schema: Path | None, force: bool) -> None:
    """Turn raw files into a prepared dataset, split 60/20/20.

    \b
    Examples:
      nasbench-evs data add physionet2012 --from downloads/challenge-2012
      nasbench-evs data add my-data --from events.csv.gz --labels labels.csv --schema schema.toml
      nasbench-evs data add synthetic
    """
    from nasbench_evs.datasets import custom, prepare, store
    from nasbench_evs.datasets.sources import SOURCES

    place = store.folder(name)
    if place.exists() and not force:
        raise OutputError(f"{name} is prepared already, in {place}: prepare it again with --force")
    own = labels is not None or schema is not None
    if own and (source is None or labels is None or schema is None):
        raise InvalidQuery("your own data takes all three: --from EVENTS --labels LABELS --schema SCHEMA.toml")
    if own and name in SOURCES:
        raise InvalidQuery(f"{name!r} is the name of a built-in dataset: choose another for your own data")
    if not own and name not in SOURCES:
        raise DatasetError(
            f"no dataset {name!r}: expected one of {', '.join(SOURCES)}; your own data takes --labels and --schema"
        )
    if not own and source is None and name != "synthetic":
        raise DatasetError(
            f"{name} needs its raw files. {SOURCES[name].get}; then run: nasbench-evs data add {name} --from DIR"
        )

    def work(report: Callable[[int, int], None]) -> Any:
        if own:
            raw, rules = custom.read(name, *(path for path in (source, labels, schema) if path is not None))
        else:
            raw, rules = SOURCES[name].read(source or Path()), SOURCES[name].rules
        report(1, 3)
        dataset = prepare(raw, rules, source=str(source.name) if source else "made")
        report(2, 3)
        dataset.save(place, force=force)
        report(3, 3)
        return dataset

    dataset = _with_progress("reading, preparing, writing", work)
    print(f"{name}: {len(dataset):,} sequences, {len(dataset.time):,} events, fingerprint {dataset.fingerprint[:16]}")
    print(f"written to {place}", file=sys.stderr)


@data.command("list")
@_FORMAT
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
    _print_rows(rows, form)


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
def card(name: str, out: Path) -> None:
    """Write the card of a built-in dataset: what it is, its rules, statistics and baseline, one figure.

    \b
    Example:
      nasbench-evs data card physionet2012 --out datasets/physionet2012
    """
    from nasbench_evs.analysis.baseline import baseline
    from nasbench_evs.datasets import store
    from nasbench_evs.datasets.card import write_card
    from nasbench_evs.datasets.sources import SOURCES

    dataset = store.open_dataset(name)
    if name not in SOURCES:
        raise DatasetError(f"{name} is your own data: nobody but you can say what it is and who may use it")
    known = _with_progress("boosting", lambda report: baseline(dataset))
    write_card(dataset, SOURCES[name], out, known)
    print(f"written to {out}", file=sys.stderr)


@data.command("baseline")
@click.argument("names", nargs=-1, required=True)
@_FORMAT
def baseline_command(names: Sequence[str], form: str) -> None:
    """What gradient boosting on counts and aggregates scores: a sequence model should not be below it.

    \b
    Example:
      nasbench-evs data baseline credit-default oulad
    """
    from nasbench_evs.analysis.baseline import baseline
    from nasbench_evs.datasets import store

    datasets = [store.open_dataset(name) for name in names]

    def work(report: Callable[[int, int], None]) -> list[dict[str, Any]]:
        rows = []
        for dataset in datasets:
            rows.append(baseline(dataset))
            report(len(rows), len(datasets))
        return rows

    rows = _with_progress("boosting", work)
    _print_rows([{**row, "most_important": ", ".join(row["most_important"])} for row in rows], form)


def _with_progress(what: str, work: Callable[[Callable[[int, int], None]], Any]) -> Any:
    """Run `work(report)`, showing done, total and the time left on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        return work(lambda done, total: bar.update(task, completed=done, total=total))


def _print_rows(rows: Sequence[Row], form: str) -> None:
    if form == "json":
        print(json.dumps([{k: None if _is_nan(v) else v for k, v in row.items()} for row in rows], indent=1))
    elif form == "csv":
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(rows[0] if rows else [])
        writer.writerows(["" if v is None or _is_nan(v) else v for v in row.values()] for row in rows)
        print(buffer.getvalue(), end="")
    else:
        print(_aligned(rows))


def _aligned(rows: Sequence[Row]) -> str:
    # Columns without any value tell nothing on a screen; the other formats keep them.
    names = [name for name in (rows[0] if rows else []) if any(_shown(row[name]) for row in rows)]
    columns = []
    for name in names:
        cells = [name, *(_shown(row[name]) for row in rows)]
        width = max(map(len, cells))
        text = all(isinstance(row[name], str | NoneType) for row in rows)
        columns.append([cell.ljust(width) if text else cell.rjust(width) for cell in cells])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _shown(value: Any) -> str:
    if value is None or _is_nan(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.5g}" if abs(value) >= 10 else f"{value:.5f}"
    return str(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


if __name__ == "__main__":
    main()
