"""`nasbench-evs table card`, and what lies beside a table for it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from nasbench_evs import locations
from nasbench_evs.cli.output import TABLE, check_installed
from nasbench_evs.files import check_folder
from nasbench_evs.progress import with_progress


@click.command("card")
@TABLE
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the card and its figure.")
def card_command(table: Path, out: Path) -> None:
    """Write a table's card: protocol, noise between seeds, whether searchers can be told apart, scores, costs.

    Baselines are read from baselines.json beside the table, a pilot's figures from NAME.pilot.json, if they are there;
    without boosting among them it is fitted to the same sequences, if the dataset is prepared here.

    \b
    Example:
      nasbench-evs table card datasets/digits/ffn-3.h5 --out cards
    """
    from nasbench_evs.analysis.beside import baselines_of, read_pilot
    from nasbench_evs.analysis.table_card import check_card, write_table_card
    from nasbench_evs.datasets import store
    from nasbench_evs.datasets.boosting import BASELINES, boosting
    from nasbench_evs.models import networks
    from nasbench_evs.tables import read

    check_installed("matplotlib")
    check_folder(out)
    opened = read(table)
    header = opened.header
    check_card(opened, table.stem)
    spec = networks.find(header.space.name)
    sequences = spec is not None and spec.inputs == "sequences"  # which the baselines read
    baselines = baselines_of(table.parent / "baselines.json", header) if sequences else []
    pilot = read_pilot(table.with_suffix(".pilot.json"), header)
    found = None
    if header.dataset in store.prepared() and not any(each["network"] in BASELINES for each in baselines):
        dataset = store.open_dataset(header.dataset)
        if dataset.fingerprint == header.fingerprint:
            subset, train = (header.protocol.get(name) for name in ("subset", "train"))
            part = dataset.subset(subset) if subset else dataset
            found = with_progress("boosting", lambda _: boosting(part, train=train))
    write_table_card(opened, table.stem, out, found, baselines, pilot, made_by=_command(table, out))
    print(f"written to {out / table.stem}.md", file=sys.stderr)


def _command(table: Path, out: Path) -> str:
    """The command that makes this card, for its reader: shipped tables as from the root of a checkout."""
    known = {each.path.resolve(): each for each in locations.known_tables()}.get(table.resolve())
    if known is None:
        return f"nasbench-evs table card {table} --out {out}"
    if known.origin == locations.SHIPPED:
        folder = f"datasets/{known.dataset}"
        return f"nasbench-evs table card {folder}/{known.space}.h5 --out {folder}"
    return f"nasbench-evs table card {known.dataset}/{known.space} --out {out}"
