"""Contract tests that users inherit: what every benchmark and every searcher promises. They need pytest (the `test` extra).

class TestMine(SearcherContract):
    def make(self, space, seed=0):
        return Mine(space, seed)
"""

import pickle
import random

import numpy as np
import pytest

from nasbench_evs import spaces
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery, NotRecorded
from nasbench_evs.search import Domain


class BenchmarkContract:
    """Inherit, and give a fixture `bench`; its answers must exist for `self.known(bench)` architectures."""

    def known(self, bench):
        return bench.space.architectures(bench.space.sample_many(20, 0))

    def test_single_and_many_agree(self, bench):
        architectures = self.known(bench)
        for split in ("valid", "test"):
            many = bench.query_many(architectures, split=split)
            assert len(many) == len(architectures)
            for i, architecture in enumerate(architectures):
                one = bench.query(architecture, split=split)
                for name, value in one._asdict().items():
                    field = getattr(many, name)
                    expected = field[i] if isinstance(field, np.ndarray) else field
                    assert value == expected or (value != value and expected != expected), name

    def test_answers_can_be_changed_and_travel(self, bench):
        many = bench.query_many(self.known(bench))
        for n in range(len(many) + 1):  # also where there are as many architectures as fields
            some = many._replace(**{k: v[:n] for k, v in many._asdict().items() if isinstance(v, np.ndarray)})
            assert (type(some), len(some), some.metric) == (type(many), n, many.metric)
            assert np.array_equal(some.value, many.value[:n])
            back = pickle.loads(pickle.dumps(some))
            assert (type(back), len(back)) == (type(many), n)
        with pytest.raises((TypeError, ValueError), match="score"):
            many._replace(score=1)

    def test_choice_indices_are_answered_like_architectures(self, bench):
        architectures = self.known(bench)
        rows = bench.space.stack(architectures)
        assert np.array_equal(bench.query_many(rows).value, bench.query_many(architectures).value)

    def test_an_empty_batch_has_an_empty_answer(self, bench):
        assert len(bench.query_many([])) == 0

    def test_a_score_says_what_it_is(self, bench):
        score = bench.query(self.known(bench)[0], split="test")
        assert (score.metric, score.direction, score.split) == (bench.metric.name, bench.metric.direction, "test")
        assert score.source in ("table", "surrogate", "train", "function")
        assert isinstance(score.value, float)

    def test_arguments_without_meaning_are_refused(self, bench):
        architecture = self.known(bench)[0]
        with pytest.raises(InvalidQuery, match="valid, test"):
            bench.query(architecture, split="train")
        for seed in (-1, 1.5, True, "0"):
            with pytest.raises(InvalidQuery, match="seed"):
                bench.query(architecture, seed=seed)
        for epoch in (True, 1.5, "1"):
            with pytest.raises(InvalidQuery, match="epoch"):
                bench.query(architecture, epoch=epoch)
        for epoch in (0, 10**6, -1):
            with pytest.raises(NotRecorded, match="epoch"):
                bench.query(architecture, epoch=epoch)
        with pytest.raises(InvalidQuery, match="use query"):
            bench.query_many(architecture)
        with pytest.raises(InvalidArchitecture, match="expected an Architecture"):
            bench.query(str(architecture))

    def test_an_architecture_of_another_space_is_refused(self, bench):
        other = spaces.SearchSpace.from_choices({"a": [1, 2]}).unrank(0)
        with pytest.raises(InvalidArchitecture, match="custom"):
            bench.query(other)
        with pytest.raises(InvalidArchitecture, match="custom"):
            bench.query_many([other])

    @pytest.mark.parametrize("noise", [True, False])
    def test_a_search_sees_many_as_it_sees_one(self, bench, noise):
        architectures = self.known(bench)
        for epoch in (None, *range(1, min(bench.epochs, 1) + 1)):
            values, seconds = bench.observe_many(architectures, seed=5, noise=noise, epoch=epoch)
            assert values.shape == seconds.shape == (len(architectures),)
            one = [bench.observe(each, seed=5, noise=noise, epoch=epoch) for each in architectures]
            np.testing.assert_array_equal(values, [each.value for each in one])
            np.testing.assert_allclose(seconds, [each.seconds for each in one])
            if not noise:
                np.testing.assert_array_equal(values, bench.query_many(architectures, epoch=epoch).value)
        assert [len(each) for each in bench.observe_many([], seed=5, noise=noise)] == [0, 0]

    def test_true_values_are_the_objective_where_there_are_any(self, bench):
        architectures = self.known(bench)
        values = bench.true_values(architectures)
        assert values.shape == (len(architectures),)
        known = ~np.isnan(values)
        np.testing.assert_array_equal(values[known], bench.query_many(architectures).value[known])
        assert len(bench.true_values([])) == 0

    def test_the_best_and_how_far_others_are_behind(self, bench):
        if not len(bench.recorded_choices):
            for ask in (lambda: bench.top(3), bench.optimum, lambda: bench.regret(self.known(bench))):
                with pytest.raises(NotRecorded, match="nothing is recorded"):
                    ask()
            return
        values = bench.true_values(bench.recorded_choices)
        best = bench.top(3)
        order = np.sort(-bench.metric.sign * values[~np.isnan(values)])[:3]
        assert [each.value for each in best] == (-bench.metric.sign * order).tolist()
        found = bench.true_values([each.architecture for each in best])
        np.testing.assert_array_equal(found, [each.value for each in best])
        optimum = bench.optimum()
        assert (optimum.architecture, optimum.value) == best[0]
        assert optimum.how in ("exact", "best known")
        regret = bench.regret(bench.recorded_choices)
        np.testing.assert_allclose(regret, np.abs(values - optimum.value))
        assert bench.regret([optimum.architecture]) == [0]

    def test_regimes_and_counts_without_meaning_are_refused(self, bench):
        for ask in (bench.top, bench.regret, bench.true_values):
            with pytest.raises(InvalidQuery, match="regime 'loud': expected one of clean, noisy, transfer"):
                ask(*([1] if ask == bench.top else [self.known(bench)]), regime="loud")
        for k in (0, True, 1.5):
            with pytest.raises(InvalidQuery, match="k = "):
                bench.top(k)

    def test_travels_to_other_processes(self, bench):
        architecture = self.known(bench)[0]
        back = pickle.loads(pickle.dumps(bench))
        assert back.query(architecture).value == bench.query(architecture).value


class SearcherContract:
    """What every searcher promises. Inherit, and set `make(space, seed)`; `parameters` shorten its warm-up if it has one."""

    repeats = False
    steps = False  # asks for Steps of trainings, not for architectures

    def make(self, space, seed=0):
        raise NotImplementedError

    def space(self):
        return spaces.SeqNASSpace()

    @staticmethod
    def score(architecture):
        """Deterministic and spread out; no searcher must rely on more."""
        return (architecture.rank * 2654435761 % 2**32) / 2**32

    def architecture(self, asked):
        return asked.architecture if self.steps else asked

    def drive(self, searcher, evaluations, score=None, at_once=1, rng=None):
        """Ask and tell until so many were told; with `at_once` > 1 several are out, and told in random order."""
        out, told = [], []
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

    def distinct(self, told):
        keys = [(self.architecture(each), each.epoch if self.steps else 0) for each in told]
        return len(set(keys)) == len(keys)

    def test_same_seed_same_trajectory_and_others_differ(self):
        first, again, other = (self.drive(self.make(self.space(), seed), 30) for seed in (3, 3, 4))
        assert first == again
        assert first != other

    def test_the_global_generators_are_left_alone(self):
        def state():
            return np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002

        before = state()
        self.drive(self.make(self.space(), 1), 30)
        assert state() == before

    def test_asks_for_valid_architectures_without_repeats(self):
        space = self.space()
        told = self.drive(self.make(space, 0), 40)
        assert len(told) == 40
        assert space.check(space.stack([self.architecture(each) for each in told])) is not None
        assert self.repeats or self.distinct(told)

    def test_results_out_of_order(self):
        told = self.drive(self.make(self.space(), 0), 40, at_once=7, rng=np.random.default_rng(0))
        assert len(told) == 40
        assert self.repeats or self.distinct(told)

    def test_failed_evaluations(self):
        rng = np.random.default_rng(0)
        some = self.drive(
            self.make(self.space(), 0), 40, score=lambda a: np.nan if rng.random() < 0.4 else self.score(a)
        )
        assert len(some) == 40
        every = self.drive(self.make(self.space(), 0), 40, score=lambda a: np.nan)
        assert len(every) == 40

    def test_equal_scores(self):
        assert len(self.drive(self.make(self.space(), 0), 40, score=lambda a: 0.5)) == 40

    def test_any_scale_of_scores(self):
        told = self.drive(self.make(self.space(), 0), 40, score=lambda a: -1e6 * self.score(a))
        assert len(told) == 40

    def test_a_space_of_one_architecture(self):
        one = spaces.SearchSpace.from_choices({"only": ["this"]})
        told = self.drive(self.make(one, 0), 10)
        assert {str(self.architecture(each)) for each in told} == {"only=this"}
        assert self.repeats or self.steps or len(told) == 1

    def test_a_small_space_is_searched_to_its_end(self):
        small = spaces.SearchSpace.from_choices({"a": [1, 2, 3], "b": ["x", "y"]}, {"b": {"a": [2]}})
        told = self.drive(self.make(small, 0), 60)
        if not self.repeats:
            assert self.distinct(told)
            assert self.finds_all is False or {self.architecture(each) for each in told} == {
                small.unrank(i) for i in range(small.size)
            }

    finds_all = True  # of a space it is given long enough

    def test_only_the_pool_is_asked_for(self):
        space = self.space()
        pool = np.unique(space.sample_many(60, 0), axis=0)
        domain = Domain(space, pool=pool)
        told = self.drive(self.make(domain, 0), 50)
        allowed = {row.tobytes() for row in pool}
        assert {self.architecture(each).key for each in told} <= allowed
        assert self.repeats or self.distinct(told)

    def test_scores_that_make_no_sense_are_refused(self):
        searcher = self.make(self.space(), 0)
        asked = searcher.ask(2)
        for scores in ([0.5], [[0.5], [0.6]], ["a", "b"]):
            with pytest.raises(InvalidQuery, match="score"):
                searcher.tell(asked[:2] if len(asked) == 2 else asked * 2, scores)
        with pytest.raises(InvalidQuery, match="n = 0"):
            searcher.ask(0)
        with pytest.raises(InvalidQuery, match="seed = -1"):
            self.make(self.space(), -1)
