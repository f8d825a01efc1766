"""What to train first on a dataset that was never recorded: the portfolios that ship, and what they were worth elsewhere."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasbench_evs import locations
from nasbench_evs.arguments import as_path
from nasbench_evs.errors import InvalidQuery, NotRecorded, did_you_mean, shown
from nasbench_evs.files import write_text
from nasbench_evs.reader import Source

FILE = "across/portfolios.json"  # in the shipped folder analysis
COMMAND = "nasbench-evs across"  # which makes it
PORTFOLIO, GRU = "portfolio", "tuned GRU"  # approaches


@dataclass(frozen=True)
class Member:
    """An architecture of a portfolio, and what is recorded of it, by dataset.

    places    1 is the best of the compared architectures by mean validation score
    params    parameters; seconds those of one training on a simulated clock; what is unknown is left out
    """

    architecture: str
    places: dict[str, int]
    params: dict[str, int]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Portfolio:
    """In the order in which to train them; `left_out` is the dataset that they were chosen without ("": none)."""

    left_out: str
    members: list[Member]


@dataclass(frozen=True)
class Recorded:
    """A dataset that portfolios were chosen on; `table_sha256` as surrogates name a table."""

    dataset: str
    metric: str
    protocol: str
    table_sha256: str


@dataclass(frozen=True)
class Worth:
    """What one approach found on a dataset that it knew nothing of, in a regime.

    trainings   that it spends there (None: unknown)
    value       true value of what it chooses by validation scores, mean over seeds, in the dataset's metric
    error       standard error of it over seeds (NaN: it is the same with each)
    regret      normalized: 0 is the best architecture, 1 the median one (see `references.Reference`); NaN: not comparable
    portfolio_better    the share of seeds with which the portfolio is better, ties count half (NaN: not paired)
    """

    dataset: str
    regime: str
    approach: str
    trainings: int | None
    value: float
    error: float
    regret: float
    portfolio_better: float

    @property
    def name(self) -> str:
        """The approach with its trainings; of a GRU they are settings."""
        return self.approach if self.approach == GRU else f"{self.approach} ({self.trainings})"


@dataclass(frozen=True)
class Compared:
    """Datasets that share architectures, portfolios chosen among these, and what each was worth on the dataset left out.

    space   a key of `correlations.PLANS`: which architectures; `what` says it in words
    architectures, trainings    how many all datasets share, and how many trainings of each chose
    """

    space: str
    what: str
    architectures: int
    trainings: int
    datasets: list[Recorded]
    portfolios: list[Portfolio]
    worth: list[Worth]

    @property
    def names(self) -> list[str]:
        """Of the datasets."""
        return [each.dataset for each in self.datasets]


@dataclass(frozen=True)
class Recommendation:
    """A portfolio for `dataset`, and of what it was chosen; `known` says what is recorded of the dataset itself.

    `worth` is that of leaving out one dataset after the other, or of leaving out this one, if it is one of them.
    """

    dataset: str
    known: str
    compared: Compared
    portfolio: Portfolio
    worth: list[Worth]


def write_portfolios(found: Sequence[Compared], target: Path) -> None:
    """As JSON."""
    import msgspec

    write_text(target, json.dumps(msgspec.to_builtins(list(found)), indent=1) + "\n", force=True)


def read_portfolios(path: str | os.PathLike[str]) -> list[Compared]:
    """What `write_portfolios` wrote; InvalidQuery for anything else."""
    source = Source(as_path("path", path), InvalidQuery, f"what {COMMAND} writes", "make it again")
    found = source.json(list[Compared], nan=True)
    if not found:
        raise source.refusal("it holds no comparison")
    for each in found:
        if not each.portfolios or any(not portfolio.members for portfolio in each.portfolios):
            raise source.refusal(f"{each.space} has no portfolio, or an empty one")
        if sorted(portfolio.left_out for portfolio in each.portfolios) != sorted(["", *each.names]):
            raise source.refusal(f"{each.space} has not one portfolio without each dataset and one of all")
    return found


def recommend(dataset: str, space: str | None = None, *, path: str | os.PathLike[str] | None = None) -> Recommendation:
    """The portfolio for a dataset: of all that were compared, or without it where it is one of them.

    `space` is a key of `correlations.PLANS`; None: the first one that the dataset was compared on, else the first. `path` is what
    `write_portfolios` wrote (None: what ships). InvalidQuery for what is no name, NotRecorded where there are none of it.

    >>> recommend("my-data").portfolio.left_out
    ''
    """
    if not isinstance(dataset, str) or not dataset.strip() or Path(dataset).name != dataset or dataset.endswith(".h5"):
        raise InvalidQuery(f"dataset {shown(dataset)}: expected the name of a dataset, recorded or not")
    place = locations.shipped("analysis") / FILE if path is None else path
    found = {each.space: each for each in read_portfolios(place)}
    if space is not None and space not in found:
        raise NotRecorded(
            f"no portfolios of the space {shown(space)}: expected {' or '.join(found)}{did_you_mean(space, found)}"
        )
    own = [each for each in found.values() if dataset in each.names]
    compared = found[space] if space is not None else (own or list(found.values()))[0]
    inside = dataset in compared.names
    (portfolio,) = [each for each in compared.portfolios if each.left_out == (dataset if inside else "")]
    worth = [each for each in compared.worth if not inside or each.dataset == dataset]
    return Recommendation(dataset, _known(dataset, compared, found), compared, portfolio, worth)


def outdated(compared: Compared) -> list[str]:
    """The datasets whose shipped table is another one by now than the portfolios were chosen on."""
    from nasbench_evs.tables.hdf5 import read_reference_sha256

    tables = locations.shipped_tables()
    return [
        each.dataset
        for each in compared.datasets
        if (path := tables.get((each.dataset, "seqnas"))) and read_reference_sha256(path) != each.table_sha256
    ]


def mean_regrets(worth: Sequence[Worth], regime: str) -> dict[str, float]:
    """Of each approach that all datasets have, by its name, the normalized regret in a regime, mean over datasets."""
    of_regime = [each for each in worth if each.regime == regime]
    count = len({each.dataset for each in of_regime})
    regrets: dict[str, list[float]] = {}
    for each in of_regime:
        regrets.setdefault(each.name, []).append(each.regret)
    means = {name: math.fsum(values) / count for name, values in regrets.items() if len(values) == count}
    return {name: value for name, value in means.items() if not math.isnan(value)}


def verdict(worth: Sequence[Worth], regime: str) -> str:
    """On how many datasets the portfolio is better than each of the others, in a sentence; only regrets that are known count."""
    of_regime = [each for each in worth if each.regime == regime]
    regrets = {(each.dataset, each.name): each.regret for each in of_regime}
    portfolio = {each.dataset: each.regret for each in of_regime if each.approach == PORTFOLIO}
    parts = []
    for name in dict.fromkeys(each.name for each in worth if each.approach != PORTFOLIO):
        known = [(own, regrets[dataset, name]) for dataset, own in portfolio.items() if (dataset, name) in regrets]
        known = [(own, other) for own, other in known if not math.isnan(other)]
        if known:
            parts.append(f"{name} on {sum(own < other for own, other in known)} of {len(known)}")
    return f"By the mean over seeds the portfolio is better than {', than '.join(parts)} datasets."


def _known(dataset: str, compared: Compared, found: dict[str, Compared]) -> str:
    if dataset in compared.names:
        return f"{dataset} is recorded: this is what the other datasets recommend for it, and what that is worth there"
    elsewhere = [name for name, each in found.items() if dataset in each.names]
    if elsewhere:
        return f"{dataset} is recorded on other architectures ({', '.join(elsewhere)}): nothing of that was used here"
    spaces = sorted({each.space for each in locations.known_tables() if each.dataset == dataset})
    if spaces:
        return f"{dataset} is recorded ({', '.join(spaces)}), but not among the datasets that were compared"
    names = sorted({each.dataset for each in locations.known_tables()})
    return f"{dataset} was never recorded{did_you_mean(dataset, names)}"


def to_builtins(found: Recommendation) -> Any:
    """Plain JSON values, None for NaN."""
    import msgspec

    return json.loads(msgspec.json.encode(found))
