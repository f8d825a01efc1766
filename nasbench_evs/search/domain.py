"""Domain: the architectures a searcher may ask for, which is a space, or what records and constraints leave of it.

The rule, once for all searchers: where only some architectures can be answered for (the pool: what a table recorded),
whatever a searcher draws, mutates or composes in the whole space is replaced by the nearest architecture of the pool, by
the number of choices in which they differ, ties at random. Random architectures are drawn from the pool uniformly.
A constraint removes what breaks it from the pool; without a pool, drawing is repeated until the constraint holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from nasbench_evs.arguments import check_float, check_int, of_kind
from nasbench_evs.benchmark import Benchmark
from nasbench_evs.benchmark.base import check_benchmark
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery, InvalidSpace, shown
from nasbench_evs.spaces import Architecture, Cost, SearchSpace
from nasbench_evs.spaces.space import MAX_SAMPLE, check_space, generator_of

ENUMERATED = 20_000  # a space of at most so many architectures is treated as a pool of all of them
_ATTEMPTS = 200  # batches of random architectures, none of which fits, before a constraint counts as impossible
_BATCH = 500
_RETRIES = 30  # of a mutation that breaks the constraint

Seed = int | np.random.Generator | None
Costs = Callable[[np.ndarray, str], np.ndarray]


class Domain:
    """What of `space` may be asked for.

    `pool` (M, C) are the choice indices of the only architectures that can be answered for; None: all. `limits` are the
    largest allowed values of costs, `costs(choices, name)` computes one, an array of shape (N,). InvalidQuery if nothing is
    left. It samples, mutates and has neighbours as a space does; everything else (`choices`, `architectures`, `stack`, ...) is
    its space's, so that what was written for a space runs on it.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        pool: np.ndarray | None = None,
        limits: Mapping[str, float] | None = None,
        costs: Costs | None = None,
    ) -> None:
        check_space(space)
        self.space = space
        self.limits = _limits(limits)
        self._costs = costs
        self._rejects = bool(self.limits)
        if pool is None and space.size <= ENUMERATED:
            pool = space.unrank_many(np.arange(space.size, dtype=np.uint64))
        if pool is not None:
            pool = np.unique(space.check(pool), axis=0)
        self._everything = pool
        if pool is not None and self.limits:
            pool = pool[self.feasible(pool)]
            if not len(pool):
                raise self._impossible()
        self.pool = pool

    @classmethod
    def of(cls, space: SearchSpace | Domain) -> Domain:
        """The domain itself, or the whole of a space."""
        of_kind("space", space, (Domain, SearchSpace), "a search space, such as bench.space, or a Domain", InvalidSpace)
        return space if isinstance(space, Domain) else cls(space)

    @classmethod
    def on(cls, bench: Benchmark, constraint: Mapping[str, float] | None = None) -> Domain:
        """What of a benchmark may be asked for under a constraint: the largest allowed `params` or `flops`, or both."""
        check_benchmark(bench)
        return cls(bench.space, pool=bench.pool, limits=_limits(constraint), costs=bench.costs)

    @property
    def size(self) -> int | None:
        """How many architectures it holds; None where a constraint leaves an unknown number."""
        if self.pool is not None:
            return len(self.pool)
        return None if self._rejects else self.space.size

    def __getattr__(self, name: str) -> Any:
        if name == "space" or name.startswith("__"):  # not there yet while it is unpickled
            raise AttributeError(name)
        return getattr(self.space, name)

    @cached_property
    def relaxed(self) -> Domain:
        """The same without the constraint, which its `feasible` still knows."""
        if not self.limits:
            return self
        other = Domain(self.space, pool=self._everything)
        other.limits, other._costs = self.limits, self._costs
        return other

    def feasible(self, choices: np.ndarray) -> np.ndarray:
        """Which rows keep every limit: bool (N,)."""
        choices = self.space.check(choices)
        fits = np.ones(len(choices), bool)
        for name, limit in self.limits.items():
            fits &= self.cost(choices, name) <= limit
        return fits

    def cost(self, choices: np.ndarray, name: str) -> np.ndarray:
        """The cost of that name of every row, (N,); InvalidQuery if it is unknown here."""
        if self._costs is None:
            raise InvalidQuery(f"the cost {shown(name)} is unknown here: use Domain.on(bench), which knows its costs")
        return np.asarray(self._costs(choices, name))

    def sample(self, seed: Seed = None) -> Architecture:
        """One random architecture."""
        return self.space.architectures(self.sample_many(1, seed))[0]

    def sample_many(self, n: int, seed: Seed = None) -> np.ndarray:
        """n random architectures, with repeats, choice indices (n, C)."""
        n = check_int("n", n, 0, MAX_SAMPLE)
        rng = generator_of(seed)
        if self.pool is not None:
            return self.pool[rng.integers(len(self.pool), size=n)]
        if not self._rejects:
            return self.space.sample_many(n, rng)
        found: list[np.ndarray] = []
        missing, attempts = n, 0
        while missing > 0:
            drawn = self.space.sample_many(max(missing, _BATCH), rng)
            fitting = drawn[self.feasible(drawn)][:missing]
            attempts = 0 if len(fitting) else attempts + 1
            if attempts == _ATTEMPTS:
                raise self._impossible()
            found.append(fitting)
            missing -= len(fitting)
        return np.concatenate([np.empty((0, len(self.space.choices)), np.int8), *found])

    def mutate(self, architecture: Architecture, seed: Seed = None) -> Architecture:
        """A random allowed neighbour."""
        return self.space.architectures(self.mutate_many(self.space.stack([architecture]), seed))[0]

    def mutate_many(self, choices: np.ndarray, seed: Seed = None) -> np.ndarray:
        """For each row a random neighbour that is allowed (with a pool: the allowed one nearest to it)."""
        rng = generator_of(seed)
        choices = self.space.check(choices)
        mutated = self.space.mutate_many(choices, rng)
        if self.pool is not None:
            pairs = zip(mutated, choices, strict=True)
            return self.pool[[self.nearest(row, rng, without=origin) for row, origin in pairs]]
        if not self._rejects:
            return mutated
        for _ in range(_RETRIES):
            wrong = np.flatnonzero(~self.feasible(mutated))
            if not len(wrong):
                return mutated
            mutated[wrong] = self.space.mutate_many(choices[wrong], rng)
        wrong = np.flatnonzero(~self.feasible(mutated))
        mutated[wrong] = self.sample_many(len(wrong), rng)
        return mutated

    def neighbors(self, architecture: Architecture, seed: Seed = None) -> list[Architecture]:
        """All allowed neighbours; with a pool, the allowed ones nearest to neighbours (`seed` breaks ties)."""
        return self.space.architectures(self.neighbors_many(self.space.stack([architecture]), seed)[0])

    def neighbors_many(self, choices: np.ndarray, seed: Seed = None) -> tuple[np.ndarray, np.ndarray]:
        """`neighbors` of every row: choice indices (M, C), and the row each belongs to, (M,)."""
        choices = self.space.check(choices)
        found, owner = self.space.neighbors_many(choices)
        if self.pool is None:
            kept = self.feasible(found) if self._rejects else np.ones(len(found), bool)
            return found[kept], owner[kept]
        rng = generator_of(seed)
        places = [self.nearest(row, rng, without=choices[i]) for row, i in zip(found, owner, strict=True)]
        pairs = np.unique(np.stack([owner, np.array(places, np.intp)], axis=1), axis=0)
        return self.pool[pairs[:, 1]], pairs[:, 0]

    def nearest_to(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """The architecture, or the nearest one of the pool, ties at random."""
        (row,) = self.space.stack([architecture])
        if self.pool is None:
            return architecture
        return self.space.architectures(self.pool[[self.nearest(row, rng)]])[0]

    def nearest(
        self,
        row: np.ndarray,
        rng: np.random.Generator,
        *,
        without: np.ndarray | None = None,
        skip: np.ndarray | None = None,
    ) -> int:
        """The position in `pool` of the architecture nearest to a valid row, ties at random.

        Neither the row `without` nor those that the mask `skip` (M,) names, unless there are no others.
        """
        pool = self._pool
        self._check_nearest(row, rng, without, skip)
        at = self._positions.get(row.astype(np.int8).tobytes())
        if at is not None and (skip is None or not skip[at]) and (without is None or (row != without).any()):
            return at
        distance = (pool != row).sum(axis=1)
        if without is not None and (other := self._positions.get(without.astype(np.int8).tobytes())) is not None:
            distance[other] += len(row) + 1
        if skip is not None:
            distance[skip] += len(row) + 1
        return int(rng.choice(np.flatnonzero(distance == distance.min())))

    def _check_nearest(self, row: Any, rng: Any, without: Any, skip: Any) -> None:
        """The arguments of `nearest`, which searchers call often: their kinds and shapes."""
        width, size = (len(self.space.choices),), (len(self._pool),)
        for name, given in (("row", row), ("without", row if without is None else without)):
            if not isinstance(given, np.ndarray) or given.dtype.kind not in "iu" or given.shape != width:
                raise InvalidArchitecture(
                    f"{name} = {shown(given)}: expected choice indices, an array of shape {width}"
                )
        if skip is not None and (not isinstance(skip, np.ndarray) or skip.dtype != bool or skip.shape != size):
            raise InvalidQuery(f"skip = {shown(skip)}: expected a mask of the pool, bool of shape {size}")
        of_kind("rng", rng, np.random.Generator, "numpy.random.default_rng(seed)")

    @property
    def _pool(self) -> np.ndarray:
        if self.pool is None:
            raise InvalidQuery("this domain has no pool to look in: use what the space has, all of it can be asked for")
        return self.pool

    @cached_property
    def _positions(self) -> dict[bytes, int]:
        """Architecture key -> position in the pool."""
        return {row.tobytes(): position for position, row in enumerate(np.ascontiguousarray(self._pool))}

    def position(self, key: bytes) -> int | None:
        """The position in `pool` of the architecture with this key, None if it is not there."""
        return self._positions.get(of_kind("key", key, bytes, "the key of an architecture"))

    def _impossible(self) -> InvalidQuery:
        limits = ", ".join(f"{name} <= {limit:,g}" for name, limit in self.limits.items())
        return InvalidQuery(f"no architecture with {limits} was found: allow more")


def _limits(constraint: Mapping[str, float] | None) -> dict[str, float]:
    if constraint is None:
        return {}
    of_kind("constraint", constraint, Mapping, "the largest allowed costs, such as {'params': 40000}")
    for name in constraint:
        if not isinstance(name, str) or name not in Cost._fields:
            raise InvalidQuery(f"constraint on {shown(name)}: expected some of {', '.join(Cost._fields)}")
    return {name: check_float(f"constraint {name}", limit, 0, math.inf) for name, limit in constraint.items()}
