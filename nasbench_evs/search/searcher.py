"""The one interface of search algorithms: ask for architectures, tell their scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nasbench_evs.arguments import check_int
from nasbench_evs.errors import InvalidQuery, shown
from nasbench_evs.search.domain import Domain
from nasbench_evs.spaces import Architecture, SearchSpace

_ATTEMPTS = 100  # proposals that gave nothing new before a random architecture is taken instead
_RANDOM_ATTEMPTS = 20_000  # random architectures without a new one before a domain of unknown size counts as exhausted
_BATCH = 500
_USUAL = 150  # evaluations that defaults are for where nobody says how many there will be


def check_asked(asked: Any, n: int, kinds: tuple[type, ...], what: str = "architectures") -> list[Any]:
    """What a searcher answered `ask(n)` with: at most n of these kinds, none for None. InvalidQuery for anything else."""
    if asked is None:
        return []
    many = isinstance(asked, list | tuple) and not isinstance(asked, Step)
    if many and len(asked) <= n and all(isinstance(each, kinds) for each in asked):
        return list(asked)
    answer = " ".join(f"{asked!r:.200}".split())
    hint = ""
    if many and len(asked) > n:
        answer = f"{len(asked)} items, {answer}"
    elif isinstance(asked, np.ndarray) or (many and any(isinstance(each, np.ndarray) for each in asked)):
        hint = "; space.architectures(choices) makes them of choice indices (n, C)"
    elif isinstance(asked, str) or (many and any(isinstance(each, str) for each in asked)):
        hint = "; space.parse(text) makes one of a string"
    elif isinstance(asked, kinds):
        hint = "; one alone is a list too: [architecture]"
    elif isinstance(asked, Iterable) and not many:
        hint = f"; list(...) makes one of a {type(asked).__name__}"
    raise InvalidQuery(f"the searcher answered ask({n}) with {answer}: expected a list of at most {n} {what}{hint}")


def share_of(budget: int | None, divisor: int, *, low: int, high: int) -> int:
    """A default that follows the budget of evaluations: budget / divisor within [low, high], and less than half of it.

    At least 2; of 150 where the budget is unknown.
    """
    budget = _USUAL if budget is None else check_int("budget", budget, 1)
    return max(2, min(max(budget // divisor, low), high, (budget - 1) // 2))


class Searcher(ABC):
    """A search algorithm: `ask(n)` gives architectures to evaluate, `tell(architectures, scores)` their scores.

    Built from a space (or a Domain: what of it may be asked for), a seed and its hyper-parameters; knows nothing else
    and draws from its own generator. Scores: larger is better; NaN is an evaluation that failed. Results may be told in
    any order, late, or for architectures that were not asked for. No architecture is asked for twice.

    A subclass that has an argument `budget` is told by `run` how many evaluations it will have (None: that is not known), for
    defaults that follow it. A subclass says what to ask for in `_propose`, and learns in `_learn`. One that says
    `non_adaptive = True` promises that what it is told changes nothing of what it asks for, and that asking for many is asking
    for one after another, so that `run` may ask for many at once; its subclasses must say so themselves.
    """

    non_adaptive: ClassVar[bool] = False

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "non_adaptive" not in vars(cls):
            cls.non_adaptive = False  # what inherits from random search may learn

    def __init__(self, space: SearchSpace | Domain, seed: int = 0) -> None:
        self.domain = Domain.of(space)
        self.space = self.domain.space
        self.seed = check_int("seed", seed, 0)
        self.rng = np.random.default_rng(self.seed)
        self._asked: set[bytes] = set()
        self._skip = None if self.domain.pool is None else np.zeros(len(self.domain.pool), bool)
        self._choices: list[np.ndarray] = []
        self._scores: list[float] = []

    # What others call

    def ask(self, n: int = 1) -> list[Architecture]:
        """Up to n architectures to evaluate next; fewer, or none, if nothing is left to ask for."""
        check_int("n", n, 1)
        found = self._propose(n)
        return self.space.architectures(found) if len(found) else []

    def tell(self, architectures: Sequence[Architecture], scores: Sequence[float] | np.ndarray) -> None:
        """The scores of these architectures, one each."""
        if isinstance(architectures, Architecture):
            raise InvalidQuery("tell was given one architecture: expected sequences, tell([architecture], [score])")
        choices = np.array(self.space.stack(architectures))
        try:
            values = np.array(scores, np.float64)
        except (TypeError, ValueError, OverflowError):
            raise InvalidQuery(f"scores {shown(scores)}: expected one number for each architecture") from None
        if values.shape != (len(choices),):
            raise InvalidQuery(
                f"{len(choices)} architectures with scores of shape {values.shape}: expected one score each"
            )
        values[~np.isfinite(values)] = np.nan
        self._mark(choices)
        self._choices.extend(choices)
        self._scores.extend(values.tolist())
        if len(choices):
            self._learn(choices, values)

    def recommend(self, n: int = 1) -> list[Architecture]:
        """The searcher's answer: up to n architectures, best first; by default the best that it was told."""
        check_int("n", n, 0)
        choices, scores = self.told
        order = np.argsort(-scores, kind="stable")
        found: dict[bytes, np.ndarray] = {}
        for row in choices[order[~np.isnan(scores[order])]]:
            if len(found) == n:
                break
            if self.domain.feasible(row[None])[0]:
                found.setdefault(row.tobytes(), row)
        return self.space.architectures(self._stack(list(found.values()))) if found else []

    # What a subclass defines

    @abstractmethod
    def _propose(self, n: int) -> np.ndarray:
        """Up to n architectures to ask for, choice indices (m, C), none of them asked for before."""

    def _learn(self, choices: np.ndarray, scores: np.ndarray) -> None:  # noqa: B027 - nothing to learn is fine
        """Learn from new results; by default they are only kept in `told`."""

    # What a subclass uses

    @property
    def told(self) -> tuple[np.ndarray, np.ndarray]:
        """All results so far, in the order of telling: choice indices (N, C) and scores (N,), NaN where failed."""
        return self._stack(self._choices), np.array(self._scores)

    @property
    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """As `told`; what failed counts as the worst score so far. Empty while nothing has a score."""
        choices, scores = self.told
        if np.isnan(scores).all():
            return choices[:0], scores[:0]
        return choices, np.where(np.isnan(scores), np.nanmin(scores), scores)

    def new(self, draw: Callable[[int], np.ndarray], n: int, patience: int = _ATTEMPTS) -> np.ndarray:
        """Up to n architectures that were not asked for, as often as necessary drawn by `draw(m)`; counts them as asked.

        On a pool a proposal is replaced by the nearest architecture that was not asked for. Where `patience` proposals in a
        row give nothing new, random architectures take their place; fewer than n only if nothing is left.
        """
        check_int("n", n, 0)
        check_int("patience", patience, 1)
        if not callable(draw):
            raise InvalidQuery(f"draw = {shown(draw)}: expected a function that gives m architectures, draw(m)")
        found: list[np.ndarray] = []
        if self._skip is not None and self.domain.pool is not None:
            n = min(n, int((~self._skip).sum()))
            drawn = self.space.check(draw(n))[:n] if n else self._stack([])
            if len(drawn) < n:
                drawn = np.concatenate([drawn, self.random(n - len(drawn))])
            for row in drawn:
                at = self.domain.nearest(row, self.rng, skip=self._skip)
                found.append(self.domain.pool[at])
                self._mark(found[-1][None])
            return self._stack(found)
        attempts = 0
        while len(found) < n and attempts < patience:
            before = len(found)
            drawn = self.space.check(draw(n - len(found)))[: n - len(found)]
            drawn = drawn[self.domain.feasible(drawn)] if self.domain.limits else drawn
            found += self._unseen(drawn)
            attempts = 0 if len(found) > before else attempts + 1
        attempts = 0
        while len(found) < n and attempts < _RANDOM_ATTEMPTS and len(self._asked) < self.space.size:
            before = len(found)
            found += self._unseen(self.random(n - len(found) if not attempts else _BATCH))
            attempts = 0 if len(found) > before else attempts + _BATCH
        return self._stack(found)

    def random(self, n: int) -> np.ndarray:
        """n random architectures of the domain, repeats and all."""
        check_int("n", n, 0)
        if self._skip is not None and self.domain.pool is not None:
            fresh = np.flatnonzero(~self._skip)
            if len(fresh) >= n:  # the same as drawing until they are new, without the waiting
                return self.domain.pool[self.rng.choice(fresh, size=n, replace=False)]
        return self.domain.sample_many(n, self.rng)

    def _unseen(self, choices: np.ndarray) -> list[np.ndarray]:
        fresh = []
        for key, row in zip(_keys(choices), np.asarray(choices, np.int8), strict=True):
            if key not in self._asked:
                self._asked.add(key)
                fresh.append(row)
        return fresh

    def _mark(self, choices: np.ndarray) -> None:
        """These count as asked for."""
        keys = _keys(choices)
        self._asked.update(keys)
        if self._skip is not None:
            self._skip[[at for key in keys if (at := self.domain.position(key)) is not None]] = True

    def _stack(self, rows: list[np.ndarray]) -> np.ndarray:
        return np.array(rows, np.int8).reshape(-1, len(self.space.choices))


def _keys(choices: np.ndarray) -> list[bytes]:
    """The key of every row."""
    data, width = np.ascontiguousarray(choices, np.int8).tobytes(), choices.shape[1]
    return [data[start : start + width] for start in range(0, len(data), width)]


class Step(NamedTuple):
    """A part of a training: train this architecture on to this epoch (from 1)."""

    architecture: Architecture
    epoch: int


class MultiFidelitySearcher(Searcher):
    """A searcher that pauses trainings and goes on with some: `ask` gives Steps, `tell` takes them.

    `epochs` is the length of a whole training. Of one architecture the epochs only grow.
    """

    def __init__(self, space: SearchSpace | Domain, seed: int = 0, *, epochs: int) -> None:
        super().__init__(space, seed)
        self.epochs = check_int("epochs", epochs, 1)

    def ask(self, n: int = 1) -> list[Step]:  # type: ignore[override]
        """Up to n steps to take next; fewer, or none, if nothing is left or all of it waits for results."""
        check_int("n", n, 1)
        steps: list[Step] = []
        while len(steps) < n and (step := self._next()) is not None:
            steps.append(step)
        return steps

    def tell(self, steps: Sequence[Step], scores: Sequence[float] | np.ndarray) -> None:  # type: ignore[override]
        """The scores at the ends of these steps."""
        many = isinstance(steps, Iterable) and not isinstance(steps, Step)
        told = list(steps) if many else []
        if not many or not all(isinstance(step, Step) for step in told):
            raise InvalidQuery("a multi-fidelity searcher is told of Steps: expected tell([step], [score])")
        for step in told:
            check_int("epoch", step.epoch, 1, self.epochs)
        super().tell([step.architecture for step in told], scores)
        for step, score in zip(steps, self._scores[len(self._scores) - len(steps) :], strict=True):
            self._reached(step, -np.inf if np.isnan(score) else score)

    def _propose(self, n: int) -> np.ndarray:
        return self.new(self.random, n)

    def _step(self, key: bytes, epoch: int) -> Step:
        """The step of the architecture with this key."""
        return Step(self.space.architectures(np.frombuffer(key, np.int8)[None])[0], epoch)

    @abstractmethod
    def _next(self) -> Step | None:
        """The next step; None if there is none now."""

    @abstractmethod
    def _reached(self, step: Step, score: float) -> None:
        """A step has ended; -inf if it failed."""
