"""SearcherContract: reproducible, valid, without repeats, whatever scores come in whatever order."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nasbench_evs import spaces
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.search import Domain
from nasbench_evs.spaces import Architecture, SearchSpace


class SearcherContract:
    """What every searcher promises. Inherit, and set `make(space, seed)`; `parameters` shorten its warm-up if it has one."""

    repeats = False
    steps = False  # asks for Steps of trainings, not for architectures

    def make(self, space: SearchSpace | Domain, seed: int = 0) -> Any:
        raise NotImplementedError

    def space(self) -> SearchSpace:
        return spaces.SeqNASSpace()

    @staticmethod
    def score(architecture: Architecture) -> float:
        """Deterministic and spread out; no searcher must rely on more."""
        return (architecture.rank * 2654435761 % 2**32) / 2**32

    def architecture(self, asked: Any) -> Architecture:
        return asked.architecture if self.steps else asked

    def drive(
        self,
        searcher: Any,
        evaluations: int,
        score: Callable[[Architecture], float] | None = None,
        at_once: int = 1,
        rng: np.random.Generator | None = None,
    ) -> list[Any]:
        """Ask and tell until so many were told; with `at_once` > 1 several are out, and told in random order."""
        out: list[Any] = []
        told: list[Any] = []
        while len(told) < evaluations:
            if len(out) < at_once:
                asked = searcher.ask(at_once - len(out))
                assert len(asked) <= at_once - len(out)
                out += asked
            if not out:
                break
            each = out.pop(0 if rng is None else int(rng.integers(len(out))))
            searcher.tell([each], [(score or self.score)(self.architecture(each))])
            told.append(each)
        return told

    def distinct(self, told: list[Any]) -> bool:
        keys = [(self.architecture(each), each.epoch if self.steps else 0) for each in told]
        return len(set(keys)) == len(keys)

    def test_same_seed_same_trajectory_and_others_differ(self) -> None:
        first, again, other = (self.drive(self.make(self.space(), seed), 30) for seed in (3, 3, 4))
        assert first == again
        assert first != other

    def test_the_global_generators_are_left_alone(self) -> None:
        def state() -> Any:
            of_numpy: Any = np.random.get_state()  # noqa: NPY002
            return of_numpy[1].tolist(), random.getstate()

        before = state()
        self.drive(self.make(self.space(), 1), 30)
        assert state() == before

    def test_asks_for_valid_architectures_without_repeats(self) -> None:
        space = self.space()
        told = self.drive(self.make(space, 0), 40)
        assert len(told) == 40
        assert space.check(space.stack([self.architecture(each) for each in told])) is not None
        assert self.repeats or self.distinct(told)

    def test_results_out_of_order(self) -> None:
        told = self.drive(self.make(self.space(), 0), 40, at_once=7, rng=np.random.default_rng(0))
        assert len(told) == 40
        assert self.repeats or self.distinct(told)

    def test_failed_evaluations(self) -> None:
        rng = np.random.default_rng(0)
        some = self.drive(
            self.make(self.space(), 0), 40, score=lambda a: np.nan if rng.random() < 0.4 else self.score(a)
        )
        assert len(some) == 40
        every = self.drive(self.make(self.space(), 0), 40, score=lambda a: np.nan)
        assert len(every) == 40

    def test_equal_scores(self) -> None:
        assert len(self.drive(self.make(self.space(), 0), 40, score=lambda a: 0.5)) == 40

    def test_any_scale_of_scores(self) -> None:
        told = self.drive(self.make(self.space(), 0), 40, score=lambda a: -1e6 * self.score(a))
        assert len(told) == 40

    def test_a_space_of_one_architecture(self) -> None:
        one = spaces.SearchSpace.from_choices({"only": ["this"]})
        told = self.drive(self.make(one, 0), 10)
        assert {str(self.architecture(each)) for each in told} == {"only=this"}
        assert self.repeats or self.steps or len(told) == 1

    def test_a_small_space_is_searched_to_its_end(self) -> None:
        small = spaces.SearchSpace.from_choices({"a": [1, 2, 3], "b": ["x", "y"]}, {"b": {"a": [2]}})
        told = self.drive(self.make(small, 0), 60)
        if not self.repeats:
            assert self.distinct(told)
            assert self.finds_all is False or {self.architecture(each) for each in told} == {
                small.unrank(i) for i in range(small.size)
            }

    finds_all = True  # of a space it is given long enough

    def test_only_the_pool_is_asked_for(self) -> None:
        space = self.space()
        pool = np.unique(space.sample_many(60, 0), axis=0)
        domain = Domain(space, pool=pool)
        told = self.drive(self.make(domain, 0), 50)
        allowed = {row.tobytes() for row in pool}
        assert {self.architecture(each).key for each in told} <= allowed
        assert self.repeats or self.distinct(told)

    def test_scores_that_make_no_sense_are_refused(self) -> None:
        searcher = self.make(self.space(), 0)
        asked = searcher.ask(2)
        for scores in ([0.5], [[0.5], [0.6]], ["a", "b"]):
            with pytest.raises(InvalidQuery, match="score"):
                searcher.tell(asked[:2] if len(asked) == 2 else asked * 2, scores)
        with pytest.raises(InvalidQuery, match="n = 0"):
            searcher.ask(0)
        with pytest.raises(InvalidQuery, match="seed = -1"):
            self.make(self.space(), -1)
