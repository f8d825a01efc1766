"""`nasbench-evs list` and `nasbench-evs query`."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_evs.cli.output import DEVICE, FORMAT, print_rows
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery, NotRecorded
from nasbench_evs.reader import Source

if TYPE_CHECKING:
    import numpy as np

    from nasbench_evs.benchmark import Benchmark

_MOST = 10_000_000  # architectures that one command prints


@click.command("list")
@FORMAT
def list_command(form: str) -> None:
    """What can be loaded by name.

    \b
    Example:
      nasbench-evs list --format csv
    """
    from nasbench_evs.benchmark import list_benchmarks

    print_rows(list_benchmarks(lambda message: print(f"warning: {message}", file=sys.stderr)), form)


@click.command()
@click.argument("benchmark")
@click.option("--arch", "texts", multiple=True, help="A canonical string; may be repeated.")
@click.option("--rank", "ranks", multiple=True, type=int, help="An architecture's integer index; may be repeated.")
@click.option(
    "--random", "random", type=int, help="This many random architectures (recorded ones if nothing predicts)."
)
@click.option("--file", "file", help="Canonical strings, one a line (- for standard input; # starts a comment).")
@click.option("--sample-seed", type=int, help="Seed of --random.")
@click.option("--space", help="Space, where a dataset has several, or a part of it (seqnas-s).")
@click.option("--source", default="auto", help="auto, table, surrogate or train.  [default: auto]")
@DEVICE
@click.option("--split", default="valid", help="valid or test.  [default: valid]")
@click.option("--epoch", type=int, help="Read the curve at this epoch, not the score of the training.")
@click.option("--seed", type=int, help="The training with this seed, not the mean over seeds.")
@click.option("--distilled", is_flag=True, help="Trainings with teachers.")
@FORMAT
def query(
    benchmark: str,
    texts: Sequence[str],
    ranks: Sequence[int],
    random: int | None,
    file: str | None,
    sample_seed: int | None,
    space: str | None,
    source: str,
    device: str | None,
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
    bench = load(benchmark, space, source=source, device=device)
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
    print_rows([dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)], form)


def _architectures_in(file: str, bench: Benchmark) -> list[Any]:
    try:
        if file == "-" and sys.stdin is None:
            raise InvalidQuery("standard input is closed: there are no architectures to read")
        what = "canonical strings of architectures, one a line"
        text = sys.stdin.read() if file == "-" else Source(Path(file), InvalidQuery, what).text()
    except (OSError, UnicodeDecodeError) as error:  # of standard input
        raise InvalidQuery(f"cannot read {file}: {getattr(error, 'strerror', None) or 'it is no text'}") from None
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

    if not 1 <= n <= _MOST:
        raise InvalidQuery(f"--random {n}: expected 1 or more, at most {_MOST:,}")
    pool = bench.pool
    if pool is None:
        return bench.space.sample_many(n, seed)
    if n > len(pool):
        raise InvalidQuery(f"--random {n}: the table holds {len(pool)} architectures, and no surrogate predicts others")
    return pool[np.random.default_rng(seed).choice(len(pool), n, replace=False)]
