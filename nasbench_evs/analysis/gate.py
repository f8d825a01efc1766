"""The part of a table's card that says whether searchers can be told apart on it: reliability, and what the pilot found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nasbench_evs.spaces.subspaces import SUBSPACES, subspace_ranks
from nasbench_evs.tables import Table
from nasbench_evs.tables.noise import RANDOM_SAMPLERS
from nasbench_evs.tables.reliability import KS, Reliability, reliability, seed_rows

FIRST = 200  # of a sub-space's frozen order, by which its table is judged
_FEWEST = 40  # architectures with three seeds: ten good ones


def gate_section(table: Table, pilot: Mapping[str, Any] | None) -> list[str]:
    """Lines of Markdown, a heading first; none where too few architectures have three seeds and there was no pilot.

    `pilot` is what `nasbench-evs pilot` wrote.
    """
    lines = _reliability(table) + (_pilot(pilot) if pilot is not None else [])
    return ["## Can searchers be told apart?", "", *lines] if lines else []


def _reliability(table: Table) -> list[str]:
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
        f"From {len(rows)} architectures {whose}, seeds 0, 1, 2: R_k is the share of the variance of a mean of k trainings "
        "that is architecture, among those that one seed calls the best quarter, and among all; for transfer, between one "
        "seed's validation and another's test score. In brackets, 95 % of resamples of the architectures.",
        "",
        f"| | {' | '.join(f'R_{k}' for k in KS)} | sd between architectures | sd between seeds |",
        f"| --- |{' --- |' * (len(KS) + 2)}",
        *(_row(name, each) for name, each in found.items()),
        "",
    ]


def _row(name: str, each: Reliability) -> str:
    cells = [f"{each.r[k]:.2f} ({each.quantiles[k][0]:.2f} to {each.quantiles[k][3]:.2f})" for k in KS]
    return f"| {name} | {' | '.join(cells)} | {each.signal:.4f} | {each.noise:.4f} |"


def _pilot(pilot: Mapping[str, Any]) -> list[str]:
    top, longer, cost = pilot["reliability"]["top quarter"], pilot["twice the steps"], pilot["cost"]
    k = pilot["k"]
    asked = f"R_{k}" if k else "R_4"
    lines = [
        f"The pilot, before anything else was recorded: the first {pilot['architectures']} of {pilot['order']} with "
        f"{pilot['seeds']} seeds. Verdict: **{pilot['verdict']}**{f', k = {k}' if k else ''}; {asked} in the best quarter "
        f"{top[asked]:.2f}, its 10 % quantile {top['quantiles'][asked][1]:.2f}; {pilot['at chance']} of "
        f"{pilot['trainings']} trainings at chance; {cost['cpu seconds, median']:.1f} CPU seconds a training (median). With "
        f"twice the steps, {longer['architectures']} architectures gain {longer['median gain, valid']:+.4f} on validation "
        f"(median), and Kendall's tau between their order and that of the protocol's means is {longer['tau, valid']:.2f} "
        f"({longer['tau, test']:.2f} by test scores).",
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
