"""A table's card: how its architectures were trained, how much of a score is chance, and what the scores are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nasbench_evs.analysis.gate import gate_section
from nasbench_evs.analysis.worth import NAMES, worth_section
from nasbench_evs.datasets.boosting import BASELINES
from nasbench_evs.errors import NotRecorded
from nasbench_evs.files import replacing, write_text
from nasbench_evs.tables import Table
from nasbench_evs.tables.noise import RANDOM_SAMPLERS, seed_noise, split_agreement

_DARK, _MIDDLE, _LIGHT = "#1b6ca8", "#5e4c7e", "#f4a259"
_NOT_SHOWN = ("shape", "trainer", "teachers", "teach_after", "teacher_weight")


class DistillationEffect(NamedTuple):
    """Knowledge distillation against plain training of the same architectures with the same seeds (paper 000, table 3).

    `plain` and `distilled` are mean scores over architectures of the mean over seeds; `difference` is their difference
    with its standard error over architectures; `best_*` the best single architecture's mean.
    """

    architectures: int
    seeds: int
    plain: float
    distilled: float
    difference: float
    error: float
    best_plain: float
    best_distilled: float


def distillation(table: Table, split: str) -> DistillationEffect | None:
    """The comparison over random architectures trained both ways; None if fewer than two were."""
    score = table.scores(split)
    usable = ~np.isnan(score) & np.isin(table["sampler"], RANDOM_SAMPLERS)
    taught = {(int(r), int(s)): v for r, s, v in _rows(table, score, usable & (table["distilled"] == 1))}
    plain = {(int(r), int(s)): v for r, s, v in _rows(table, score, usable & (table["distilled"] == 0))}
    both = sorted(set(taught) & set(plain))
    ranks = sorted({rank for rank, _ in both})
    if len(ranks) < 2:
        return None

    def means(scores: Mapping[tuple[int, int], float]) -> np.ndarray:
        return np.array([np.mean([scores[key] for key in both if key[0] == rank]) for rank in ranks])

    a, b = means(plain), means(taught)
    sign = table.header.metric.sign
    return DistillationEffect(
        len(ranks),
        len({seed for _, seed in both}),
        float(a.mean()),
        float(b.mean()),
        float((b - a).mean()),
        float((b - a).std(ddof=1) / len(ranks) ** 0.5),
        float((a * sign).max() * sign),
        float((b * sign).max() * sign),
    )


def _rows(table: Table, score: np.ndarray, rows: np.ndarray) -> list[tuple[Any, Any, Any]]:
    return list(zip(table["rank"][rows], table["seed"][rows], score[rows], strict=True))


def protocol_line(protocol: Mapping[str, Any]) -> str:
    """What decides a training, in one line."""
    return ", ".join(f"{key} {value}" for key, value in protocol.items() if key not in _NOT_SHOWN and value is not None)


def write_table_card(
    table: Table,
    name: str,
    folder: Path,
    boosting: Mapping[str, Any] | None,
    baselines: Sequence[Mapping[str, Any]],
    pilot: Mapping[str, Any] | None = None,
    *,
    made_by: str = "",
) -> None:
    """Write `name`.md and `name`.png into `folder`; the last line names the command, `made_by`, if it is given.

    `boosting` is what datasets.boosting found on the same sequences; `baselines` what `nasbench-evs baselines` did,
    `pilot` what `nasbench-evs pilot` did. What
    people have to say about the protocol stands in `name`.notes.md in that folder and is copied into the card.
    """
    check_card(table, name)
    figure = f"{name}.png"
    _draw(table, baselines, folder / figure)
    header = table.header
    space, metric = header.space, header.metric
    lines = [
        f"# {header.dataset}, {header.space.label}",
        "",
        f"{len(table):,} trainings of {len(np.unique(table['rank'])):,} architectures of the space {space.name} "
        f"({space.size:,}), {table.epochs} epochs each; score: {metric.name}.",
        "",
        f"Protocol: {protocol_line(header.protocol)}.",
        "",
        "## How much of a score is chance",
        "",
        *_noise(table),
        "",
        *_splits(table),
        *gate_section(table, pilot),
        "## What the scores are worth",
        "",
        *_scores(table, boosting, baselines),
        "",
        *worth_section(table, baselines),
        *_notes(folder / f"{name}.notes.md"),
        f"![learning curves and scores]({figure})",
        "",
        *_taught(table),
        "## What it cost",
        "",
        *_costs(table),
        "",
        *([f"Made by `{made_by}`.", ""] if made_by else []),
    ]
    write_text(folder / f"{name}.md", "\n".join(lines), force=True)


def check_card(table: Table, name: str) -> None:
    """NotRecorded if the table has too little for a card."""
    if table.header.curves == "best":
        raise NotRecorded(f"{name} of {table.header.dataset} holds best epochs only: a card needs curves")
    if np.isnan(table.scores("valid")).all():
        raise NotRecorded(f"{name} of {table.header.dataset}: no record has a score, there is nothing to report")


def _notes(path: Path) -> list[str]:
    return [path.read_text(encoding="utf-8").strip(), ""] if path.is_file() else []


def _noise(table: Table) -> list[str]:
    noise = {split: seed_noise(table, split) for split in ("valid", "test")}
    if np.isnan(noise["valid"].std):
        return ["Too few architectures have several seeds to say."]
    lines = [
        f"From {noise['valid'].architectures} random architectures with several seeds:",
        "",
        "| split | correlation of two seeds | sd between seeds | sd between architectures | variance that is architecture |",
        "| --- | --- | --- | --- | --- |",
    ]
    for split, each in noise.items():
        lines.append(f"| {split} | {each.correlation:.3f} | {each.std:.4f} | {each.between:.4f} | {each.share:.1%} |")
    return lines


def _splits(table: Table) -> list[str]:
    found = split_agreement(table)
    if np.isnan(found.leading_tau):
        return []
    return [
        f"Kendall's tau between validation and test scores of the {found.architectures:,} architectures that no search chose is "
        f"{found.tau:.2f}; among the {found.leading:,} with the best validation scores, {found.leading_tau:.2f}: so much of "
        "what a search decides among good architectures holds for other sequences.",
        "",
    ]


def _scores(table: Table, boosting: Mapping[str, Any] | None, baselines: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| | validation | test | |", "| --- | --- | --- | --- |"]
    if boosting is not None:
        lines.append(
            f"| gradient boosting on aggregates | {boosting['valid']:.4f} | {boosting['test']:.4f} | same sequences, "
            "stopped early on validation |"
        )
    for each in baselines:
        name = NAMES.get(each["network"], each["network"])
        scores = " | ".join(f"{each[f'{split}_mean']:.4f} ± {each[f'{split}_std']:.4f}" for split in ("valid", "test"))
        lines.append(f"| {name} | {scores} | {_how(each)} |")
    valid, test = table.scores("valid"), table.scores("test")
    first = ~np.isnan(valid) & (table["seed"] <= 0)
    kinds = sorted(set(zip(table["distilled"][first] == 1, table["sampler"][first], strict=True)))
    for taught, sampler in kinds:
        rows = first & (table["sampler"] == sampler) & ((table["distilled"] == 1) == taught)
        what = sampler.decode() + (", with teachers" if taught else "")
        lines.append(
            f"| {what}: mean of {rows.sum()} | {valid[rows].mean():.4f} | {np.nanmean(test[rows]):.4f} | seed 0 |"
        )
        best = np.flatnonzero(rows)[np.argmax(valid[rows] * table.header.metric.sign)]
        architecture = table.header.space.unrank(int(table["rank"][best]))
        lines.append(
            f"| {what}: best by validation | {valid[best]:.4f} | {test[best]:.4f} | `{architecture}`, one seed |"
        )
    lines += _repeated(table, valid, test)
    labels = int(table.header.protocol.get("subset") or 0)
    if labels:
        lines += ["", f"All on the same {labels:,} sequences."]
    trained = int(table.header.protocol.get("train") or 0)
    if trained:
        lines += [
            "",
            f"All trained on the same {trained:,} sequences and scored on the whole validation and test splits.",
        ]
    return lines


def _how(baseline: Mapping[str, Any]) -> str:
    """What mean and deviation of a baseline are over, and where it is not as in paper 000's appendix A."""
    if baseline["network"] == "minirocket":
        return f"ridge on {baseline['kernels']:,} random kernels over a regular grid, sd over {baseline['seeds']} draws"
    if baseline["network"] in BASELINES:
        return f"stopped early on validation, sd over {baseline['seeds']} seeds"
    if "best" in baseline:
        return f"the best {baseline['best']} of {baseline['trials']} settings, sd over them"
    return (
        f"the best of {baseline['trials']} settings, sd over {baseline['seeds']} seeds; unlike paper 000's: kernel 1, no "
        "dropout in the head, no max pooling"
    )


def _repeated(table: Table, valid: np.ndarray, test: np.ndarray) -> list[str]:
    """The best of the architectures with three or more seeds, whose mean is not one lucky training."""
    rows = np.flatnonzero(~np.isnan(valid) & (table["distilled"] != 1))
    ranks, owner, counts = np.unique(table["rank"][rows], return_inverse=True, return_counts=True)
    if counts.max() < 3:
        return []
    mean_valid = np.bincount(owner, valid[rows]) / counts
    order = np.where(counts >= 3, mean_valid * table.header.metric.sign, -np.inf)
    best = int(order.argmax())
    members = rows[owner == best]
    architecture = table.header.space.unrank(int(ranks[best]))
    shown = " | ".join(f"{s[members].mean():.4f} ± {s[members].std(ddof=1):.4f}" for s in (valid, test))
    return [
        f"| best mean of {(counts >= 3).sum()} with several seeds | {shown} | `{architecture}`, {len(members)} seeds |"
    ]


def _taught(table: Table) -> list[str]:
    found = {split: distillation(table, split) for split in ("valid", "test")}
    first = found["valid"]
    if first is None:
        return []
    lines = [
        "## Do teachers help?",
        "",
        f"The same {first.architectures} random architectures with and without teachers (paper 000, section 3.4 and table 3), up "
        f"to {first.seeds} seeds each; ± is a standard error over architectures.",
        "",
        "| split | without | with teachers | difference | best without | best with |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for split, each in found.items():
        if each is not None:
            lines.append(
                f"| {split} | {each.plain:.4f} | {each.distilled:.4f} | {each.difference:+.4f} ± {each.error:.4f} | "
                f"{each.best_plain:.4f} | {each.best_distilled:.4f} |"
            )
    return [*lines, ""]


def _costs(table: Table) -> list[str]:
    seconds, what = _spent(table)
    status, counts = np.unique(table["status"], return_counts=True)
    outcome = ", ".join(f"{count:,} {name.decode()}" for name, count in zip(status, counts, strict=True))
    cpus = ", ".join(cpu.decode() for cpu in np.unique(table.hardware["cpu"]))
    return [
        f"{what} per training on one thread ({cpus}): median {_short(np.median(seconds))}, mean {_short(seconds.mean())}, "
        f"largest {_short(seconds.max())}; {_short(seconds.sum() / 3600)} hours in all, with other work on the same "
        f"machine. Outcomes: {outcome}."
    ]


def _short(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _spent(table: Table) -> tuple[np.ndarray, str]:
    """Seconds of each training, evaluation included, (N,), and what they are."""
    cpu = np.nansum(table["cpu_seconds"], axis=1) + np.nan_to_num(table["final_cpu_seconds"])
    if cpu.any():
        return cpu, "CPU seconds"
    wall = np.nansum(table["train_seconds"], axis=1) + np.nansum(table["eval_seconds"], axis=1)
    return wall + np.nan_to_num(table["final_eval_seconds"]), "Seconds"


def _draw(table: Table, baselines: Sequence[Mapping[str, Any]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    sign, name = table.header.metric.sign, table.header.metric.name
    valid = table.scores("valid")
    plain = np.flatnonzero(~np.isnan(valid) & (table["distilled"] != 1) & (table["seed"] <= 0))
    order = plain[np.argsort(valid[plain] * sign)]
    epochs = np.arange(1, table.epochs + 1)
    for share, style, label in ((1.0, "-", "best"), (0.5, "--", "median"), (0.05, ":", "5 % quantile")):
        row = order[round(share * (len(order) - 1))]
        left.plot(epochs, table["valid_curve"][row], style, color=_DARK, label=f"{label} architecture")
    for each in baselines:
        if each["network"] == "gru":
            for i, curve in enumerate(each["valid_curves"]):
                left.plot(range(1, len(curve) + 1), curve, color=_LIGHT, label="tuned GRU" if i == 0 else None)
    left.set(xlabel="epoch", ylabel=f"{name}, validation")
    left.legend(frameon=False, fontsize=8)
    samplers = np.unique(table["sampler"][plain])
    bins = np.linspace(float(np.quantile(valid[plain], 0.02)), float(valid[plain].max()), 40)
    for sampler, colour in zip(samplers, (_DARK, _LIGHT, _MIDDLE), strict=False):
        rows = plain[table["sampler"][plain] == sampler]
        right.hist(np.clip(valid[rows], bins[0], None), bins=bins, color=colour, alpha=0.7, label=sampler.decode())
    where = "at the end" if table.header.score_at == "end" else "best epoch"
    right.set(xlabel=f"{name}, validation, {where}\n(the lowest 2 % at the left edge)", ylabel="trainings, seed 0")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    with replacing(path, force=True) as scratch:
        figure.savefig(scratch, dpi=110, format="png", metadata={"Software": None})
