"""Reference values: the best that a long search over a surrogate's means knows, which ships with it and regret is against.

Regrets of different people compare only where they are against the same value. A space that is small enough is enumerated;
in a larger one evolution is followed by local searches that look at all neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

import numpy as np
from msgspec import Meta

from nasbench_evs.errors import InvalidArchitecture, SurrogateError
from nasbench_evs.files import write_text
from nasbench_evs.reader import Source
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.version import __version__

if TYPE_CHECKING:
    from nasbench_evs.surrogate.model import Surrogate

REFERENCE = "reference.json"
EVALUATIONS = 300_000  # predictions of each split
_FORMAT, _VERSION = "nasbench-evs surrogate reference", 1
_ADVICE = "find it again with nasbench-evs surrogate reference TABLE"
_TOLERANCE = 1e-5
_RANDOM, _EVOLUTION = 0.1, 0.5  # shares of the predictions; local searches have the rest
_GENERATION, _PARENTS = 5_000, 500
_CLIMBERS = 50  # local searches at the same time

Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Reference:
    """The best known mean of one split: whose it is, "exact" or "best known", and how it was found."""

    value: float
    architecture: Annotated[str, Meta(max_length=10_000)]
    how: Literal["exact", "best known"]
    evaluations: Annotated[int, Meta(ge=1, le=2**62)]
    search: Annotated[str, Meta(max_length=1000)]


class _File(TypedDict):
    format: str
    version: int
    surrogate: str
    splits: dict[str, Reference]


def find_reference(
    surrogate: Surrogate,
    split: str,
    *,
    evaluations: int = EVALUATIONS,
    seed: int = 0,
    starts: np.ndarray | None = None,
) -> Reference:
    """Search a surrogate's means of one split with about so many predictions; the same arguments find the same.

    `starts` are more architectures to begin with, choice indices (N, C): the recorded ones, say.
    """
    space, sign = surrogate.space, surrogate.metric.sign

    def score(choices: np.ndarray) -> np.ndarray:
        return sign * surrogate.predict_mean(choices, split)

    how: Literal["exact", "best known"]
    if space.size <= evaluations:
        found = _Found(space, score)
        found.add(space.unrank_many(np.arange(space.size, dtype=np.uint64)))
        how, search = "exact", "enumeration of the space"
    else:
        found = _search(space, score, evaluations, np.random.default_rng(seed), starts)
        how, search = "best known", f"evolution, then local searches with all neighbours (seed {seed})"
    choices, value = found.best
    return Reference(sign * value, space.format_many(choices[None])[0], how, found.count, search)


def _search(
    space: SearchSpace, score: Score, evaluations: int, generator: np.random.Generator, starts: np.ndarray | None
) -> _Found:
    found = _Found(space, score)
    half = int(_RANDOM * evaluations) // 2
    for method in ("uniform", "hierarchical"):
        found.add(space.sample_many(half, generator, method))
    if starts is not None:
        found.add(starts)
    while found.count < (_RANDOM + _EVOLUTION) * evaluations:
        parents = found.choices[generator.integers(len(found.choices), size=_GENERATION)]
        children = space.mutate_many(parents, generator)
        twice = generator.random(_GENERATION) < 0.5
        children[twice] = space.mutate_many(children[twice], generator)
        if not found.add(children):  # what is near the best is known
            break
    climbers = found.choices[:_CLIMBERS]
    while True:
        _climb(space, score, climbers, found)
        if found.count >= evaluations:
            return found
        climbers = space.sample_many(_CLIMBERS, generator, "uniform")


def _climb(space: SearchSpace, score: Score, at: np.ndarray, found: _Found) -> None:
    """From each row to its best neighbour, all at the same time, until none is better."""
    values = score(at)
    while len(at):
        neighbors, owner = space.neighbors_many(at)
        scores = found.scored(neighbors)
        best = np.full(len(at), -np.inf)
        np.maximum.at(best, owner, scores)
        better = best > values
        steps = np.flatnonzero(scores == best[owner])
        rows = np.zeros(len(at), np.intp)
        rows[owner[steps[::-1]]] = steps[::-1]  # the first of those that are equally good
        at, first = np.unique(neighbors[rows[better]], axis=0, return_index=True)  # two may meet: they go on as one
        values = best[better][first]


class _Found:
    """What was predicted so far: the number of architectures, and the best of them, best first."""

    def __init__(self, space: SearchSpace, score: Score) -> None:
        self._space, self._score = space, score
        self._known = np.empty(0, np.uint64)  # ranks, sorted
        self.choices = np.empty((0, len(space.choices)), np.int8)
        self._values = np.empty(0)

    @property
    def count(self) -> int:
        return len(self._known)

    @property
    def best(self) -> tuple[np.ndarray, float]:
        return self.choices[0], float(self._values[0])

    def add(self, choices: np.ndarray) -> int:
        """Predict those that are new; how many were."""
        before = self.count
        self.scored(choices)
        return self.count - before

    def scored(self, choices: np.ndarray) -> np.ndarray:
        """The scores of these, (N,), which are remembered."""
        ranks, first, owner = np.unique(self._space.rank_many(choices), return_index=True, return_inverse=True)
        distinct = choices[first]
        values = self._score(distinct)
        new = ~np.isin(ranks, self._known, assume_unique=True)
        self._known = np.union1d(self._known, ranks)
        pool = np.concatenate([self.choices, distinct[new]])
        scores = np.concatenate([self._values, values[new]])
        best = np.argsort(-scores, kind="stable")[:_PARENTS]
        self.choices, self._values = pool[best], scores[best]
        return values[owner]


def write_reference(folder: Path, surrogate: Surrogate, references: dict[str, Reference]) -> None:
    """Write what was found for each split beside the models of a saved surrogate."""
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "surrogate": surrogate.identity,
        "found by": f"nasbench-evs {__version__}",
        "splits": {split: asdict(reference) for split, reference in references.items()},
    }
    write_text(folder / REFERENCE, json.dumps(content, indent=1) + "\n", force=True)


def read_reference(folder: Path, surrogate: Surrogate) -> dict[str, Reference]:
    """The references beside a surrogate, by split; none if there is no file. SurrogateError if it is damaged or another's."""
    file = Source(folder / REFERENCE, SurrogateError, "the reference values of a surrogate", _ADVICE)
    if not file.path.is_symlink() and not file.path.exists():
        return {}
    content = file.json(_File)
    if (content["format"], content["version"]) != (_FORMAT, _VERSION):
        raise SurrogateError(f"{file.path} is no reference that this nasbench-evs reads: {_ADVICE}")
    if content["surrogate"] != surrogate.identity:
        raise SurrogateError(
            f"{file.path} is of another surrogate, or of this one before it was fitted again: {_ADVICE}"
        )
    for split, reference in content["splits"].items():
        try:
            best = np.frombuffer(surrogate.space.parse(reference.architecture).key, np.int8)
        except InvalidArchitecture as error:
            raise SurrogateError(f"{file.path}: {error}; {_ADVICE}") from None
        predicted = surrogate.predict_mean(best[None], split)[0] if split in surrogate.splits else np.nan
        if not np.isclose(predicted, reference.value, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise file.refusal(f"{reference.value} is not what the surrogate predicts of {split}, {predicted:.6f}")
    return content["splits"]
