"""`nasbench-evs import-release` and `nasbench-evs table ...`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_evs.cli.cards import card_command
from nasbench_evs.cli.output import FORCE, TABLE
from nasbench_evs.errors import InvalidQuery, NasbenchError, OutputError, TableFormatError, one_line
from nasbench_evs.progress import with_progress

if TYPE_CHECKING:
    import numpy as np

    from nasbench_evs.tables import Table


@click.command("import-release")
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for <dataset>/seqnas.h5.")
@FORCE
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


@click.group()
def table() -> None:
    """Look at, check, merge and export tables."""


@table.command()
@TABLE
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="How to print it.")
def info(table: Path, form: str) -> None:
    """What a table holds and how it was made.

    \b
    Example:
      nasbench-evs table info datasets/digits/ffn-3.h5
    """
    import numpy as np

    from nasbench_evs.tables import read
    from nasbench_evs.tables.format import COLUMNS

    opened = read(table)
    header = opened.header
    facts = {
        "space": f"{header.space.name} (version {header.space.version})",
        "space size": header.space.size,
        **{key: value for key, value in header.identity.items() if key != "space"},
        "records": len(opened),
        "architectures": len(np.unique(opened["rank"])),
        "score at": header.score_at,
        "epochs": opened.epochs if header.curves == "epochs" else "best epoch only",
        "status": _counts(opened["status"]),
        "samplers": _counts(opened["sampler"]),
        "seeds": np.unique(opened["seed"][opened["seed"] >= 0]).tolist() or "not recorded",
        "machines": [name.decode() for name in opened.hardware["cpu"]] or "not recorded",
        "created": header.created,
        "library": header.library,
        "code": header.code,
        "verified": "; ".join(header.verified) or "not recorded",
        "latency": "; ".join(header.latency) or "not recorded",
        "format": opened.version,
        "optional columns": [
            column.path for name, column in COLUMNS.items() if column.optional and name in opened.columns
        ]
        or "none",
        "commits": _counts(opened["code_commit"]),
        "results sha256": opened.results_sha256,
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
@TABLE
@click.option("--sample", type=int, default=0, help="Train that many records again and compare.  [default: 0]")
@click.option("--sample-seed", type=int, default=0, help="Which records.  [default: 0]")
@click.option("--device", default="cpu", help="Where to train them: cpu, cuda, cuda:0.  [default: cpu]")
@click.option("--here", is_flag=True, help="Only records of this machine; the table then says that they came out.")
def verify_command(table: Path, sample: int, sample_seed: int, device: str, here: bool) -> None:
    """Check hashes, ranks, AVecs, keys, curves and costs of every record, and whether a sample comes out again.

    What does not hold is named with its first record.

    \b
    Example:
      nasbench-evs table verify datasets/digits/ffn-3.h5
    """
    from nasbench_evs.tables import read, verify

    if sample < 0 or sample_seed < 0:
        raise InvalidQuery(f"--sample {sample} --sample-seed {sample_seed}: expected 0 or more")
    opened = read(table)
    if here and opened.version == 1:
        raise InvalidQuery(f"{table} is of format 1, which cannot say what was verified: leave --here out")
    try:
        passed = verify(opened)
    except NasbenchError as error:
        raise type(error)(f"{table}: {error}") from None
    if sample:
        _verify_sample(table, opened, sample, sample_seed, device, here)
    elif here:
        raise InvalidQuery("--here goes with --sample: how many records of this machine are trained again")
    print(f"{table}: {len(opened):,} records hold, {len(passed)} checks")


def _verify_sample(path: Path, table: Table, sample: int, seed: int, device: str, here: bool) -> None:
    from nasbench_evs.generators.verify import verified_line, verify_sample
    from nasbench_evs.tables import write
    from nasbench_evs.training.machine import Machine

    checks = with_progress(
        "training", lambda report: verify_sample(table, sample, seed=seed, device=device, here=here, report=report)
    )
    for check in checks:
        if check.difference == 0:
            how = "every loss and score comes out exactly"
        else:
            where = f"other machine or versions, tolerance {check.tolerance:.2g}"
            where = "on the same machine type and versions" if check.same_machine else where
            how = f"recorded {check.recorded:.5f}, now {check.repeated:.5f}, first losses {check.begun:.1g} apart ({where})"
        print(f"{'ok' if check.passed else 'NO'}  {check.training}: {how}")
    if not all(check.passed for check in checks):
        wrong = sum(not check.passed for check in checks)
        raise TableFormatError(f"{path}: {wrong} of {len(checks)} records do not come out again")
    if here:
        write(table.stating(verified_line(checks, Machine.here(device))), path, force=True)


@table.command("latency")
@TABLE
@click.option("--device", default="cpu", help="Where to measure: cpu, cuda, cuda:0.  [default: cpu]")
def latency_command(table: Path, device: str) -> None:
    """Measure the latency of each architecture on this machine, and write it into the table.

    Each is timed twice, in opposite orders, on one thread: where the two differ, the machine was not quiet and nothing is
    written. What a latency was before is replaced. It needs PyTorch and the prepared dataset.

    \b
    Example:
      nasbench-evs table latency run/table.h5
    """
    from nasbench_evs.tables import read, write
    from nasbench_evs.training.latency import with_latencies

    opened = read(table)
    if opened.version == 1:
        raise InvalidQuery(f"{table} is of format 1, to which nothing is added: record it in format 2")
    measured = with_progress("measuring", lambda report: with_latencies(opened, device, report))
    write(measured, table, force=True)
    print(f"{table}: {measured.header.latency[0]}")


@table.command("install")
@TABLE
@click.option("--name", help="What to call it.  [default: as its dataset]")
@FORCE
def install_command(table: Path, name: str | None, force: bool) -> None:
    """Put a table of your own where it is found by name, with the surrogate beside it, after verifying both.

    Then nasbench-evs list shows it, and query, search and experiments take its name. The name of a shipped table is refused.

    \b
    Examples:
      nasbench-evs table install run/table.h5
      nasbench-evs table install run/table.h5 --name my-data-long
    """
    from nasbench_evs.benchmark import install

    known = install(table, name, force=force)
    print(f"{known.dataset} {known.space}: {known.path}")


table.add_command(card_command)


@table.command("merge")
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The merged table.")
@FORCE
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
@TABLE
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", help="File format.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file to write.")
@FORCE
def export(table: Path, form: str, out: Path, force: bool) -> None:
    """Write all records, curves included, for other tools.

    Beside a Parquet file NAME.parquet comes its data card, NAME.md: Markdown with the head that pages of data sets have at
    Hugging Face, where it is called README.md.

    \b
    Example:
      nasbench-evs table export datasets/digits/ffn-3.h5 --format csv --out digits.csv
    """
    from nasbench_evs.datasets.sources import SOURCES
    from nasbench_evs.files import replacing
    from nasbench_evs.tables import read
    from nasbench_evs.tables.data_card import data_card

    card = out.with_suffix(".md")
    if form == "parquet":
        if find_spec("pyarrow") is None:
            raise OutputError(f"cannot write {out}: Parquet needs pyarrow; pip install 'nasbench-evs[parquet]'")
        if card.exists() and not force:
            raise OutputError(f"{card} exists already: choose another --out, or overwrite with --force")
    opened = read(table)
    frame = opened.to_frame(curves=True)
    with replacing(out, force=force) as scratch:
        if form == "parquet":
            frame.to_parquet(scratch, index=False)
        else:
            try:
                frame.to_csv(scratch, index=False)
            except ImportError as error:  # a compression that the ending asks for
                raise OutputError(
                    f"cannot write {out}: {one_line(error)[:80]}; install it, or use another ending"
                ) from None
    print(f"{out}: {len(frame)} records", file=sys.stderr)
    if form == "parquet":
        known = SOURCES.get(opened.header.dataset)
        facts = [] if known is None else [f"- {known.what}", f"- Licence as its source states it: {known.licence}"]
        with replacing(card, force=force) as scratch:
            cite = "" if known is None else f"The event sequences: {known.citation}"
            scratch.write_text(data_card(opened, frame, out.name, source=facts, cite=cite), encoding="utf-8")
        print(f"{card}: its data card", file=sys.stderr)
