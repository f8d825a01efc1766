"""Whether an architecture matters to a user: the best recorded one against baselines on the same sequences, on test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nasbench_evs.metrics import Lead, lead
from nasbench_evs.tables import Table

NAMES = {
    "boosting": "boosting on counts",
    "boosting-last-events": "boosting with the last events",
    "minirocket": "MiniRocket",
    "gru": "tuned GRU",
    "lstm": "tuned LSTM",
    "transformer": "tuned Transformer",
}
_FEWEST = 2  # trainings of an architecture that is chosen by their mean


class Rival(NamedTuple):
    """What the best architecture is compared with: scores on validation and test, and its lead over it on test."""

    name: str
    valid: float
    test: float
    lead: Lead


class Best(NamedTuple):
    """The architecture with the best mean validation score of those with two trainings or more, without teachers."""

    architecture: str
    trainings: int
    among: int  # architectures
    valid: float
    test: float
    rivals: list[Rival]


def best_against(table: Table, baselines: Sequence[Mapping[str, Any]]) -> Best | None:
    """The best of a table against the mean of all that it was chosen among, and against baselines, as baselines.json has them.

    Compared are means over trainings. None where scores without each block were not recorded, or nothing was trained twice.
    """
    sign, valid, test = table.header.metric.sign, table.scores("valid"), table.scores("test")
    known = ~np.isnan(valid) & ~np.isnan(table["test_blocks"]).any(axis=1)
    rows = np.flatnonzero(known & (table["distilled"] != 1))
    ranks, owner, counts = np.unique(table["rank"][rows], return_inverse=True, return_counts=True)
    repeated = counts >= _FEWEST
    if not repeated.any():
        return None
    means = np.where(repeated, sign * np.bincount(owner, valid[rows]) / counts, -np.inf)
    best = int(means.argmax())
    mine, others = rows[owner == best], rows[repeated[owner]]
    blocks = table["test_blocks"][mine].mean(axis=0, dtype=np.float64)

    def rival(name: str, valid: float, test_score: float, test_blocks: Any) -> Rival:
        difference = float(sign * (test[mine].mean() - test_score))
        return Rival(name, valid, test_score, lead(difference, sign * (blocks - np.asarray(test_blocks, np.float64))))

    rivals = [
        rival(
            f"a training of the {int(repeated.sum()):,}, mean",
            float(valid[others].mean()),
            float(test[others].mean()),
            table["test_blocks"][others].mean(axis=0, dtype=np.float64),
        )
    ]
    for name, shown in NAMES.items():
        rivals += [
            rival(shown, each["valid_mean"], each["test_mean"], each["test_blocks"])
            for each in baselines
            if each["network"] == name and "test_blocks" in each
        ]
    return Best(
        str(table.header.space.unrank(int(ranks[best]))),
        len(mine),
        int(repeated.sum()),
        float(valid[mine].mean()),
        float(test[mine].mean()),
        rivals,
    )


def worth_section(table: Table, baselines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of Markdown, a heading first; none where nothing can be compared but the table with itself."""
    found = best_against(table, baselines)
    if found is None or len(found.rivals) < 2:
        return []
    lines = [
        "## Does the architecture matter to a user?",
        "",
        f"The best by its mean validation score, `{found.architecture}` ({found.trainings} trainings; validation "
        f"{found.valid:.4f}, test {found.test:.4f}), of {found.among:,} with two or more, against what else could be taken, on "
        "test:",
        "",
        "| | validation | test | the architecture is better by | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    for each in found.rivals:
        lines.append(
            f"| {each.name} | {each.valid:.4f} | {each.test:.4f} | {each.lead.difference:+.4f} ({each.lead.low:+.4f} to "
            f"{each.lead.high:+.4f}) | {each.lead.verdict} |"
        )
    return [
        *lines,
        "",
        "Scores are means over trainings, of tuned networks over the best settings. Intervals of differences: 95 %, over ten "
        "blocks of sequences: they are about other sequences, not about other trainings.",
        "",
    ]
