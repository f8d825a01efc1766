"""The data card of an exported table: what its rows and columns are, as Hugging Face's data set pages are headed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nasbench_evs.tables.format import COLUMNS
from nasbench_evs.tables.table import Table

# Of the columns of `Table.to_frame`; curves and blocks are called NAME.1, NAME.2, ...
COLUMN_TEXTS = {
    "architecture": "canonical string of the architecture; names are stable, see the search space",
    "rank": "integer index of the architecture in its search space",
    "seed": "seed of the training; empty: not recorded",
    "status": "ok, failed or diverged",
    "reason": "why a training failed or diverged",
    "sampler": "what proposed the architecture",
    "distilled": "1: trained with teachers, 0: without; empty: not recorded",
    "teachers": "ranks of the teachers, separated by spaces",
    "epochs_run": "epochs that were trained",
    "train_seconds": "seconds of training by the wall, of all epochs, or of one",
    "eval_seconds": "seconds of evaluation by the wall, of all epochs, or of one",
    "hardware": "which of the machines above trained it, counted from 0",
    "train_loss": "training loss at the moment of the score, or of an epoch",
    "params": "trainable parameters",
    "flops": "floating-point operations of one forward pass of one sample",
    "latency_ms_b1": "milliseconds of a forward pass, batch of 1, median",
    "latency_ms_b256": "milliseconds of a forward pass, batch of 256, median",
    "cpu_seconds": "CPU seconds of the training's thread, of all epochs, or of one",
    "code_commit": "commit of the code that trained it",
    "valid_score": "validation score of the training",
    "test_score": "test score of the training",
    "valid_loss": "validation loss of the training",
    "test_loss": "test loss of the training",
    "final_cpu_seconds": "CPU seconds of the evaluation of whole splits at the end",
    "final_valid_cpu_seconds": "of these, the validation split's",
    "final_eval_seconds": "seconds of that evaluation by the wall",
    "best_epoch": "epoch with the best validation score, where that one counts",
    "valid_curve": "validation score after an epoch",
    "test_curve": "test score after an epoch",
    "valid_loss_curve": "validation loss after an epoch",
    "test_loss_curve": "test loss after an epoch",
    "valid_blocks": "validation score without one tenth of the split",
    "test_blocks": "test score without one tenth of the split",
}


# Of a search space, by its name: where it was published.
PAPERS = {
    "seqnas": "The search space: I. Udovichenko et al., SeqNAS: Neural Architecture Search for Event Sequence Classification, "
    "IEEE Access 2024, doi 10.1109/ACCESS.2024.3349497",
    "ffn": "The search space: C. Yang et al., Resource-Constrained Neural Architecture Search on Tabular Datasets, 2022",
}


def data_card(table: Table, frame: pd.DataFrame, file: str, *, source: Sequence[str] = (), cite: str = "") -> str:
    """Markdown with a YAML head for `frame`, which `table.to_frame` gave and the file of that name holds.

    `source` are lines on where the event sequences come from, `cite` is whom to cite for them; a table itself does not say
    under which licence it is.
    """
    header, seeds = table.header, np.unique(table["seed"][table["seed"] >= 0]).tolist()
    counts = pd.Series(table["status"]).str.decode("utf-8").value_counts()
    groups: dict[str, list[str]] = {}
    for column in frame.columns:
        groups.setdefault(column.partition(".")[0], []).append(column)
    lines = [
        "---",
        f"pretty_name: {json.dumps(f'{header.dataset}, {header.space.label}: recorded trainings')}",
        "license: other",
        "license_name: see-the-section-on-licences",
        f"size_categories: [{_size(len(frame))}]",
        "task_categories: [tabular-regression]",
        "tags: [neural-architecture-search, event-sequences, nasbench-evs]",
        "configs:",
        "  - config_name: default",
        f"    data_files: {json.dumps(file)}",
        "---",
        "",
        f"# Recorded trainings: {header.dataset}, {header.space.label}",
        "",
        f"{len(frame):,} trainings of {len(np.unique(table['rank'])):,} architectures of the search space "
        f"`{header.space.name}` ({header.space.size:,} architectures) on the data set `{header.dataset}`, one row each. Score: "
        f"{header.metric.name}, {'larger' if header.metric.sign > 0 else 'smaller'} is better, read at the {header.score_at}.",
        "",
        f"- Status: {', '.join(f'{count} {name}' for name, count in counts.items())}",
        f"- Seeds: {', '.join(map(str, seeds)) or 'not recorded'}",
        f"- Fingerprint of the prepared data and its split: {header.fingerprint}",
        f"- Made by {header.library}, code {header.code}, {header.created}",
        *(f"- Verified: {text}" for text in header.verified),
        *(f"- Machine {i}: {text}" for i, text in enumerate(_machines(table))),
        "",
        "## Protocol",
        "",
        "All that decides a training besides its architecture and seed:",
        "",
        "```json",
        json.dumps(header.protocol, indent=1, sort_keys=True, ensure_ascii=False),
        "```",
        "",
        "## Columns",
        "",
        "| column | unit | what |",
        "| --- | --- | --- |",
        *(f"| {_names(names)} | {_unit(name)} | {COLUMN_TEXTS[name]} |" for name, names in groups.items()),
        "",
        "Empty cells were not recorded.",
        "",
        "## Licences",
        "",
        "Rows are results of trainings; they hold nothing of the event sequences. "
        + (
            f"They are imported: {origin}. The licence is theirs who released them."
            if (origin := header.protocol.get("imported_from"))
            else "The tables that come with nasbench-evs are under its licence, Apache-2.0; whoever recorded another table says "
            "under which it is."
        ),
        *(["", "The event sequences:", "", *source] if source else []),
        "",
        "## Citation",
        "",
        "- The repository of nasbench-evs",
        *(f"- {PAPERS[name]}" for name in [_family(header.space.spec)] if name in PAPERS),
        *([f"- {cite}"] if cite else []),
    ]
    return "\n".join(lines) + "\n"


def _names(names: Sequence[str]) -> str:
    curve = [f"`{name}`" for name in names if "." in name]
    own = [f"`{name}`" for name in names if "." not in name]
    return ", ".join([*own, *([f"{curve[0]} to {curve[-1]}"] if len(curve) > 1 else curve)])


def _machines(table: Table) -> list[str]:
    """Each machine in words, without what is not known of it."""
    rows = zip(*table.hardware.values(), strict=True)
    return [
        ", ".join(f"{name} {text}" for name, value in zip(table.hardware, row, strict=True) if (text := _text(value)))
        for row in rows
    ]


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value) if value >= 0 else ""


def _family(spec: Mapping[str, Any]) -> str:
    """The name of a space, or of that which it is a part of."""
    parent = spec["parameters"].get("parent")
    return _family(parent) if parent else spec["name"]


def _unit(name: str) -> str:
    return COLUMNS[name].unit if name in COLUMNS else ""


def _size(rows: int) -> str:
    """The class of sizes that Hugging Face has."""
    for limit, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if rows < limit:
            return name
    return "1M<n<10M"
