"""Whether searchers can be told apart on a table: reliability, and what the pilot found, for cards and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nasbench_evs.spaces.subspaces import SUBSPACES, subspace_ranks
from nasbench_evs.tables import Table
from nasbench_evs.tables.noise import RANDOM_SAMPLERS
from nasbench_evs.tables.reliability import KS, reliability, seed_rows

FIRST = 200  # of a sub-space's frozen order, by which its table is judged
_FEWEST = 40  # architectures with three seeds: ten good ones
_R_K = (
    "R_k is the share of the variance of a mean of k trainings that is architecture, among those that one seed calls the best "
    "quarter, and among all; for transfer, between one seed's validation and another's test score. In brackets, 95 % of "
    "resamples of the architectures."
)
_PILOT_ROWS = {  # as shown, and in the pilot's file
    "best quarter": "top quarter",
    "all": "all",
    "best quarter, transfer": "transfer",
    "all, transfer": "transfer, all",
}


def gate_section(table: Table, pilot: Mapping[str, Any] | None) -> list[str]:
    """Lines of Markdown, a heading first; none where too few architectures have three seeds and there was no pilot.

    `pilot` is what `nasbench-evs pilot` wrote.
    """
    lines = _recorded(table) + (_pilot(pilot) if pilot is not None else [])
    return ["## Can searchers be told apart?", "", _R_K, "", *lines] if lines else []


def pilot_section(pilot: Mapping[str, Any]) -> list[str]:
    """What `nasbench-evs pilot` found, as lines of Markdown without a heading: for its terminal."""
    return [_R_K, "", *_pilot(pilot)]


def _recorded(table: Table) -> list[str]:
    among = np.isin(table["sampler"], RANDOM_SAMPLERS)
    whose = "that no search chose"
    for name, subspace in SUBSPACES.items():
        if subspace.space == table.header.space.name and (table["sampler"] == name.encode()).any():
            first = subspace_ranks(name, table.header.space)[:FIRST]
            among &= np.isin(table["rank"], np.array(first, np.uint64))
            whose = f"of the first {FIRST} of {name}"
    rows = seed_rows(table, among)
    if len(rows) < _FEWEST:
        return []
    sign = table.header.metric.sign
    valid, test = (table.scores(split)[rows] for split in ("valid", "test"))
    found = {"best quarter": reliability(valid, sign=sign), "all": reliability(valid, sign=sign, share=1.0)}
    if not np.isnan(test).all():
        found["best quarter, transfer"] = reliability(valid, test, sign=sign)
    return [
        f"From {len(rows)} architectures {whose}, seeds 0, 1, 2:",
        "",
        *_rows({name: each.to_dict() for name, each in found.items()}),
        "",
    ]


def _rows(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A table of reliabilities, each as `Reliability.to_dict` gives it."""
    lines = [
        f"| | {' | '.join(f'R_{k}' for k in KS)} | sd between architectures | sd between seeds |",
        f"| --- |{' --- |' * (len(KS) + 2)}",
    ]
    for name, each in found.items():
        cells = []
        for k in KS:
            low, _, _, high = each["quantiles"][f"R_{k}"]
            cells.append(f"{each[f'R_{k}']:.2f} ({low:.2f} to {high:.2f})")
        lines.append(f"| {name} | {' | '.join(cells)} | {each['signal']:.4f} | {each['noise']:.4f} |")
    return lines


def _pilot(pilot: Mapping[str, Any]) -> list[str]:
    top, longer, cost = pilot["reliability"]["top quarter"], pilot["twice the steps"], pilot["cost"]
    k, scores = pilot["k"], pilot["scores"]
    asked = f"R_{k or KS[-1]}"
    lines = [
        f"The pilot, before anything else was recorded: the first {pilot['architectures']} of {pilot['order']} on "
        f"{pilot['dataset']} with {pilot['seeds']} seeds. Verdict: **{pilot['verdict']}**{f', k = {k}' if k else ''}; in the "
        f"best quarter the 10 % quantile of {asked} is {top['quantiles'][asked][1]:.2f}, the 90 % quantile of R_{KS[-1]} "
        f"{top['quantiles'][f'R_{KS[-1]}'][2]:.2f}; {pilot['at chance']} of {pilot['trainings']} trainings at chance.",
        "",
        *_rows({shown: pilot["reliability"][name] for shown, name in _PILOT_ROWS.items()}),
        "",
        f"Scores: mean {scores['valid']['mean']:.4f}, best architecture {scores['valid']['best']:.4f} on validation; "
        f"{scores['test']['mean']:.4f} and {scores['test']['best']:.4f} on test. A training takes "
        f"{cost['cpu seconds, median']:.1f} CPU seconds (median; mean {cost['cpu seconds, mean']:.1f}), the "
        f"{cost['trainings of the plan']:,} trainings of the plan {cost['core hours of the plan']:.1f} core hours. With twice "
        f"the steps, {longer['architectures']} architectures gain {longer['median gain, valid']:+.4f} on validation (median; "
        f"{longer['median gain, test']:+.4f} on test), and Kendall's tau between their order and that of the protocol's means "
        f"is {longer['tau, valid']:.2f} ({longer['tau, test']:.2f} by test scores).",
        "",
        "The pilot's best architecture (by its mean validation score) against baselines on the same sequences, on test:",
        "",
        "| baseline | validation | test | the architecture is better by | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    for rival in pilot["baselines"]:
        against = pilot["order matters"][rival["name"]]
        low, high = against["interval"]
        lines.append(
            f"| {rival['name']} | {rival['valid']:.4f} | {rival['test']:.4f} | {against['difference']:+.4f} ({low:+.4f} to "
            f"{high:+.4f}) | {against['verdict']} |"
        )
    return [*lines, "", "Intervals of differences: 95 %, over ten blocks of sequences.", ""]
