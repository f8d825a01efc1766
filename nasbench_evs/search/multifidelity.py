"""Successive halving: ASHA (Li et al. 2020), Hyperband (Li et al. 2017) and BOHB (Falkner et al. 2018).

Their resource is epochs of the recorded curves; a rung is a number of epochs. Promoted trainings go on where they stopped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from nasbench_evs.arguments import check_float, check_int
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.searcher import MultiFidelitySearcher, Step
from nasbench_evs.spaces import SearchSpace


def rungs(epochs: int, eta: int) -> list[int]:
    """The epochs of the rungs, increasing: epochs / eta^j rounded, as long as that is one or more."""
    count = int(math.log(epochs, eta) + 1e-9)
    return sorted({max(1, round(epochs / eta**j)) for j in range(count + 1)})


class ASHA(MultiFidelitySearcher):
    """Asynchronous successive halving: the best 1/eta of a rung go on whenever a worker is free."""

    def __init__(self, space: SearchSpace | Domain, seed: int = 0, *, epochs: int, eta: int = 3) -> None:
        super().__init__(space, seed, epochs=epochs)
        self.eta = check_int("eta", eta, 2)
        self.rungs = rungs(self.epochs, self.eta)
        self._results: list[list[tuple[float, bytes]]] = [[] for _ in self.rungs]
        self._promoted: list[set[bytes]] = [set() for _ in self.rungs]

    def _next(self) -> Step | None:
        for level in reversed(range(len(self.rungs) - 1)):
            results = sorted(self._results[level], key=lambda each: -each[0])
            for score, key in results[: len(results) // self.eta]:
                if key not in self._promoted[level] and score > -np.inf:
                    self._promoted[level].add(key)
                    return self._step(key, self.rungs[level + 1])
        drawn = self.new(self.random, 1)
        return self._step(drawn[0].tobytes(), self.rungs[0]) if len(drawn) else None

    def _reached(self, step: Step, score: float) -> None:
        if step.epoch in self.rungs:
            self._results[self.rungs.index(step.epoch)].append((score, step.architecture.key))


@dataclass
class _Bracket:
    """One successive halving: `sizes` architectures at each of `rungs`; a rung begins when the one below has ended."""

    rungs: list[int]
    sizes: list[int]
    level: int = 0
    waiting: list[bytes] = field(default_factory=list)  # to be promoted to this level
    begun: int = 0  # steps of this level that were asked for
    results: list[tuple[float, bytes]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.level == len(self.rungs)

    def reached(self, score: float, key: bytes) -> None:
        self.results.append((score, key))
        if len(self.results) == self.sizes[self.level]:
            best = sorted((each for each in self.results if each[0] > -np.inf), key=lambda each: -each[0])
            self.level, self.begun, self.results = self.level + 1, 0, []
            if not self.ended:
                self.waiting = [key for _, key in best[: self.sizes[self.level]]]
                self.sizes[self.level] = len(self.waiting)  # fewer, if too many failed
                if not self.waiting:
                    self.level = len(self.rungs)


class Hyperband(MultiFidelitySearcher):
    """Brackets of successive halving, from many short trainings to few whole ones, again and again.

    With several workers a new bracket begins where all begun ones wait for results.
    """

    def __init__(self, space: SearchSpace | Domain, seed: int = 0, *, epochs: int, eta: int = 3) -> None:
        super().__init__(space, seed, epochs=epochs)
        self.eta = check_int("eta", eta, 2)
        self.rungs = rungs(self.epochs, self.eta)
        self._brackets: list[_Bracket] = []
        self._begun = 0
        self._where: dict[bytes, _Bracket] = {}

    def _next(self) -> Step | None:
        for bracket in self._brackets:
            step = self._step_of(bracket)
            if step is not None:
                return step
        bracket = self._new_bracket()
        step = self._step_of(bracket)
        if step is not None:
            self._brackets.append(bracket)
        return step

    def _new_bracket(self) -> _Bracket:
        most = len(self.rungs) - 1
        s = most - self._begun % (most + 1)
        self._begun += 1
        first = math.ceil((most + 1) / (s + 1) * self.eta**s)  # Hyperband, algorithm 1
        return _Bracket(self.rungs[most - s :], [max(1, first // self.eta**i) for i in range(s + 1)])

    def _step_of(self, bracket: _Bracket) -> Step | None:
        if bracket.ended or bracket.begun == bracket.sizes[bracket.level]:
            return None
        if bracket.level == 0:
            drawn = self.new(self._draw, 1)
            if not len(drawn):  # nothing is left: the rung ends with what has begun
                bracket.sizes[0] = bracket.begun
                if bracket.begun and len(bracket.results) == bracket.begun:
                    score, key = bracket.results.pop()
                    bracket.reached(score, key)
                    return self._step_of(bracket)
                return None
            key = drawn[0].tobytes()
            self._where[key] = bracket
        else:
            key = bracket.waiting[bracket.begun]
        bracket.begun += 1
        return self._step(key, bracket.rungs[bracket.level])

    def _draw(self, n: int) -> np.ndarray:
        """New architectures for a bracket."""
        return self.random(n)

    def _reached(self, step: Step, score: float) -> None:
        bracket = self._where.get(step.architecture.key)
        if bracket is not None and not bracket.ended and step.epoch == bracket.rungs[bracket.level]:
            bracket.reached(score, step.architecture.key)
            self._brackets = [each for each in self._brackets if not each.ended]


class BOHB(Hyperband):
    """Hyperband whose architectures come from a density model of good and bad ones, at the longest epoch with enough results.

    `random_fraction` of them are random; otherwise the best of `samples` draws by the ratio of the densities of the best
    `top` share and of the rest. The densities are products of kernels for categories (Aitchison & Aitken); inactive is a
    category. To draw, the paper multiplies all bandwidths by 3; HpBandSter, its authors' code, those of continuous
    parameters only. Here all are categories, and drawn with the bandwidths that they have.
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        epochs: int,
        eta: int = 3,
        random_fraction: float = 1 / 3,
        samples: int = 64,
        top: float = 0.15,
    ) -> None:
        super().__init__(space, seed, epochs=epochs, eta=eta)
        self.random_fraction = check_float("random_fraction", random_fraction, 0, 1)
        self.samples = check_int("samples", samples, 1)
        self.top = check_float("top", top, 0, 1)
        self._at: dict[int, list[tuple[float, np.ndarray]]] = {epoch: [] for epoch in self.rungs}

    def _reached(self, step: Step, score: float) -> None:
        if step.epoch in self._at:
            row = np.frombuffer(step.architecture.key, np.int8)
            self._at[step.epoch].append((score, row))
        super()._reached(step, score)

    def _draw(self, n: int) -> np.ndarray:
        rows = [self._modelled() if self.rng.random() >= self.random_fraction else None for _ in range(n)]
        return np.concatenate([self.random(1) if row is None else row[None] for row in rows])

    def _modelled(self) -> np.ndarray | None:
        """The most promising draw, None while there are too few results."""
        fewest = len(self.space.choices) + 1
        for epoch in reversed(self.rungs):
            results = sorted(self._at[epoch], key=lambda each: -each[0])
            if len(results) >= fewest + 2:
                good = max(fewest, int(self.top * len(results)))
                bad = max(fewest, int((1 - self.top) * len(results)))
                best = _Density(self.space, np.array([row for _, row in results[:good]]))
                rest = _Density(self.space, np.array([row for _, row in results[-bad:]]))
                drawn = self.space.complete(best.sample(self.samples, self.rng), self.rng)
                if self.domain.limits and self.domain.pool is None:
                    drawn = drawn[self.domain.feasible(drawn)]
                if not len(drawn):
                    return None
                chosen: np.ndarray = drawn[np.argmax(best.log(drawn) - rest.log(drawn))]
                return chosen
        return None


class _Density:
    """A kernel density over choice indices, -1 included (Falkner et al. 2018, appendix).

    Their bandwidths follow from standard deviations of the indices, which for choices with many options gives uniform kernels
    that learn nothing. Here another option than the kernel's has the probability that counting from one would give it.
    """

    def __init__(self, space: SearchSpace, rows: np.ndarray) -> None:
        self.rows = rows
        self._options = np.array([len(choice.options) for choice in space.choices])
        self._widths = np.minimum(self._options / (len(rows) + self._options + 1), self._options / (self._options + 1))

    def log(self, choices: np.ndarray) -> np.ndarray:
        """Log densities, (N,)."""
        same = choices[:, None, :] == self.rows[None]
        kernels = np.where(same, np.log1p(-self._widths), np.log(self._widths / self._options))
        value: np.ndarray = np.logaddexp.reduce(kernels.sum(axis=2), axis=1) - np.log(len(self.rows))
        return value

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Rows (n, C) around those it was made of; not all of them valid."""
        drawn = self.rows[rng.integers(len(self.rows), size=n)].copy()
        other = rng.random(drawn.shape) < self._widths
        anything = (rng.random(drawn.shape) * self._options).astype(np.int8)
        return np.where(other, anything, drawn)
