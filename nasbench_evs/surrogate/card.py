"""The surrogate card: what `evaluate` found, as JSON beside the models and as a page to read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.errors import SurrogateError
from nasbench_evs.files import write_text
from nasbench_evs.reader import Source
from nasbench_evs.surrogate.figures import Calibration, Card
from nasbench_evs.surrogate.sidecar import sha256_of

CARD = "card.json"
PAGE = "card.md"
GOAL = 0.9  # of the noise ceiling

_ADVICE = "make it again with nasbench-evs surrogate evaluate"


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write CARD, with its hash, and PAGE into a surrogate's folder, each whole or not at all."""
    card = {name: _finite(each) for name, each in card.items()}
    write_text(folder / CARD, json.dumps({**card, "sha256": sha256_of(card)}, indent=1) + "\n", force=True)
    write_text(folder / PAGE, page(card), force=True)


def read_card(folder: Path, table_sha256: str | None = None) -> dict[str, Any] | None:
    """The card in a surrogate's folder; None if it has none.

    SurrogateError if it is damaged, or about another table than the one of this hash.
    """
    file = Source(folder / CARD, SurrogateError, "the card of a surrogate", _ADVICE)
    if not file.path.is_symlink() and not file.path.exists():
        return None
    content = file.content()
    card = file.json(dict[str, Any], content)
    written = card.pop("sha256", None)
    if written != sha256_of(card):
        raise SurrogateError(f"{file.path} is damaged, or has no hash, as those of earlier versions: {_ADVICE}")
    for split, figures in file.json(Card, content)["splits"].items():
        lacks = sorted(Calibration.__annotations__.keys() - figures["calibration"].keys())
        if figures["calibration"] and lacks:
            raise file.refusal(f"it has no {lacks[0]}", place=f"calibration of {split} scores")
    if table_sha256 is not None and card["table_sha256"] != table_sha256:
        raise SurrogateError(f"{file.path} is about another table: {_ADVICE}")
    return card


def _finite(value: Any) -> Any:
    """JSON values with None for what is no number."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def page(card: Mapping[str, Any]) -> str:
    """The card as markdown."""
    lines = [
        f"# Surrogate of {card['space']} on {card['dataset']}: how far to trust it",
        "",
        f"Made by `nasbench-evs surrogate evaluate datasets/{card['dataset']}/{card['space']}.h5`. {card['metric']}; ± is the "
        "half-width of a 95 % interval over folds, brackets are 95 % intervals over resampled architectures.",
    ]
    if "figure" in card:
        lines += ["", f"![predicted against recorded scores of architectures that were held out]({card['figure']})"]
    for split, figures in card["splits"].items():
        lines += ["", f"## {'Validation' if split == 'valid' else 'Test'} scores", ""]
        lines += _ranks(figures)
        lines += _ceiling(figures)
        lines += _calibration(figures["calibration"])
        lines += _searchers(figures["searchers"])
        lines += _sizes(figures["sizes"])
        lines += _curves(figures["curves"])
    if "searches" in card:
        lines += _searches(card["searches"])
    return "\n".join(lines) + "\n"


def _searches(figures: Mapping[str, Any]) -> list[str]:
    return [
        "",
        "## Searchers",
        "",
        f"Kendall's tau between the mean regrets of {figures['searchers']} searchers on this surrogate and on the recorded "
        f"trainings of the same dataset in the {figures['regime']} regime, {figures['seeds']} seeds each: "
        f"{tau_interval(figures)} over resampled seeds. Of {figures['pairs']} pairs of searchers that differ significantly on "
        f"both, {figures['agree']} differ in the same direction. From `{figures['experiment']}`.",
    ]


def tau_interval(figures: Mapping[str, Any]) -> str:
    """Search fidelity with its interval, as documents show it."""
    return f"{figures['tau']:.2f} [{figures['low']:.2f}, {figures['high']:.2f}]"


SUMMARY = (
    "| surrogate | split | tau | noise ceiling | reached | 80 % intervals cover | tau without a searcher's records "
    "| searchers' ranks: tau |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)


def summary(card: Mapping[str, Any]) -> list[str]:
    """A row of SUMMARY for each split."""
    rows, searches = [], card.get("searches")
    for split, figures in card["splits"].items():
        tau, ceiling, part = figures["kendall_tau"], noise_ceiling(figures), reached(figures)
        covered = figures["calibration"].get("noise_and_knowledge")
        cells = [
            f"{card['dataset']}/{card['space']}",
            split,
            f"{_number(tau['mean'])} ± {_number(tau['plus_minus'])}",
            "-" if ceiling is None else _bracketed(ceiling),
            "-" if part is None else f"{part:.0%}",
            f"{covered['coverage']['80%']:.1%}" if covered else "-",
            ", ".join(f"{name} {_number(each['kendall_tau'])}" for name, each in figures["searchers"].items()) or "-",
            tau_interval(searches) if searches else "-",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


_RANK_FIGURES = {
    "kendall_tau": "Kendall's tau",
    "kendall_tau_drawn": "Kendall's tau, architectures that no searcher chose",
    "sparse_tau": "sparse tau (scores rounded to 0.1 %)",
    "spearman": "Spearman's correlation",
    "r2": "R²",
    "mean_absolute_error": "mean absolute error",
    "top10_regret": "regret of the best of the predicted top 10 of a fold",
}


def _ranks(figures: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{figures['records']:,} trainings of {figures['architectures']:,} architectures; {figures['folds']} folds over "
        f"architectures, {figures['repeats']} times.",
        "",
        "| held out | |",
        "| --- | --- |",
    ]
    lines += [f"| {what} | {_shown(figures[name])} |" for name, what in _RANK_FIGURES.items() if name in figures]
    return lines


def _shown(value: Mapping[str, float | None]) -> str:
    if value["mean"] is None:
        return "-"
    return f"{value['mean']:.4f}" + ("" if value["plus_minus"] is None else f" ± {value['plus_minus']:.4f}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _bracketed(value: Mapping[str, float | None]) -> str:
    return f"{_number(value['value'])} [{_number(value['low'])}, {_number(value['high'])}]"


def noise_ceiling(figures: Mapping[str, Any]) -> Mapping[str, float] | None:
    """The tau that the true means would reach against single trainings; None where it is unknown."""
    ceiling = figures["ceiling"] and figures["ceiling"]["perfect"]
    return None if ceiling is None or ceiling["value"] is None else ceiling


def reached(figures: Mapping[str, Any]) -> float | None:
    """The share of the noise ceiling that is reached, on architectures that no searcher chose."""
    ceiling, tau = noise_ceiling(figures), figures.get("kendall_tau_drawn", {"mean": None})["mean"]
    return None if not ceiling or not ceiling["value"] or tau is None else tau / ceiling["value"]


def architectures_needed(figures: Mapping[str, Any]) -> float | None:
    """To reach GOAL, if what is missing keeps falling as a power of the number of architectures; None if it does not."""
    ceiling = noise_ceiling(figures)
    if ceiling is None:
        return None
    most = ceiling["value"]
    points = [(each["architectures"], each["kendall_tau"]["mean"]) for each in figures["sizes"]]
    known = np.array([(n, most - tau) for n, tau in points if tau is not None and tau < most])
    if len(known) < 3:
        return None
    slope, start = np.polyfit(np.log(known[:, 0]), np.log(known[:, 1]), 1)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        needed = float(np.exp((np.log((1 - GOAL) * most) - start) / slope)) if slope < 0 else math.nan
    return needed if math.isfinite(needed) else None


def _ceiling(figures: Mapping[str, Any]) -> list[str]:
    ceiling = figures["ceiling"]
    if ceiling is None:
        return ["", "Noise ceiling: unknown, too few architectures were trained twice."]
    count, two = ceiling["architectures"], _bracketed(ceiling["two_trainings"])
    if ceiling["chosen"] or ceiling["perfect"] is None or ceiling["architecture_share"] is None:
        return [
            "",
            f"Noise ceiling: unknown. Only {count} architectures that searchers chose were trained several times; tau between "
            f"two trainings of those is {two}, which says nothing about the rest.",
        ]
    text = (
        f"Noise ceiling, from {count} architectures trained several times: tau {_bracketed(ceiling['perfect'])}; tau between "
        f"two trainings {two}; share of a score's variance that is architecture "
        f"{_bracketed(ceiling['architecture_share'])}."
    )
    part = reached(figures)
    if part is not None:
        text += f" The surrogate reaches {part:.0%} of the noise ceiling."
        if part < GOAL:
            needed = architectures_needed(figures)
            text += f" {GOAL:.0%} of it would take "
            text += (
                "an unknown number of architectures: the curve below does not approach it."
                if needed is None
                else f"about {needed:,.0f} architectures, if the curve below goes on as a power law."
            )
    return ["", text]


def _calibration(figures: Mapping[str, Any]) -> list[str]:
    if not figures:
        return []
    lines = [
        "",
        "| intervals from | 50 % cover | 80 % cover | 95 % cover | negative log likelihood | mean sd |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, what in (("noise", "noise alone"), ("noise_and_knowledge", "noise and epistemic")):
        each = figures[name]
        covered = " | ".join(f"{share:.1%}" for share in each["coverage"].values())
        lines.append(f"| {what} | {covered} | {_number(each['negative_log_likelihood'])} | {each['mean_std']:.4f} |")
    return [*lines, "", f"The noise is {figures['noise_is']}."]


def _searchers(figures: Mapping[str, Any]) -> list[str]:
    if not figures:
        return ["", "Leaving a searcher's records out: there is no searcher here whose absence leaves enough records."]
    lines = [
        "",
        "| fitted without what this searcher found | records | tau on them | mean absolute error | mean error | 80 % cover |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, each in figures.items():
        lines.append(
            f"| {name} | {each['records']} | {_number(each['kendall_tau'])} | {each['mean_absolute_error']:.4f} | "
            f"{each['mean_error']:+.4f} | {each['coverage_80']:.1%} |"
        )
    return lines


def _sizes(figures: list[dict[str, Any]]) -> list[str]:
    lines = ["", "| architectures fitted to | tau on held-out records |", "| --- | --- |"]
    return lines + [f"| {each['architectures']:,} | {_shown(each['kendall_tau'])} |" for each in figures]


def _curves(figures: list[dict[str, Any]]) -> list[str]:
    if not figures:
        return []
    lines = [
        "",
        "| first epochs of a real training | tau of its last score | tau of the extrapolation |",
        "| --- | --- | --- |",
    ]
    return lines + [
        f"| {each['epochs']} | {_shown(each['last_score'])} | {_shown(each['extrapolated'])} |" for each in figures
    ]
