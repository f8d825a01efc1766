"""BenchmarkContract: single answers and many agree, each says what it is, and a search can ask all it needs."""

import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest

from nasbench_evs import spaces
from nasbench_evs.benchmark import REGIMES, Benchmark
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery, NotRecorded
from nasbench_evs.spaces import Architecture


class BenchmarkContract:
    """Inherit, and give a fixture `bench`; its answers must exist for `self.known(bench)` architectures.

    `objective = False` says that it knows no means: then the clean regime must be refused.
    """

    objective = True

    def known(self, bench: Benchmark) -> list[Architecture]:
        return bench.space.architectures(bench.space.sample_many(20, 0))

    def test_single_and_many_agree(self, bench: Benchmark) -> None:
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

    def test_answers_can_be_changed_and_travel(self, bench: Benchmark) -> None:
        many, unknown = bench.query_many(self.known(bench)), dict[str, Any](score=1)
        for n in range(len(many) + 1):  # also where there are as many architectures as fields
            fewer: dict[str, Any] = {k: v[:n] for k, v in many._asdict().items() if isinstance(v, np.ndarray)}
            some = many._replace(**fewer)
            assert (type(some), len(some), some.metric) == (type(many), n, many.metric)
            assert np.array_equal(some.value, many.value[:n])
            back = pickle.loads(pickle.dumps(some))
            assert (type(back), len(back)) == (type(many), n)
        with pytest.raises((TypeError, ValueError), match="score"):
            many._replace(**unknown)

    def test_choice_indices_are_answered_like_architectures(self, bench: Benchmark) -> None:
        architectures = self.known(bench)
        rows = bench.space.stack(architectures)
        assert np.array_equal(bench.query_many(rows).value, bench.query_many(architectures).value)

    def test_an_empty_batch_has_an_empty_answer(self, bench: Benchmark) -> None:
        assert len(bench.query_many([])) == 0

    def test_a_score_says_what_it_is(self, bench: Benchmark) -> None:
        score = bench.query(self.known(bench)[0], split="test")
        assert (score.metric, score.direction, score.split) == (bench.metric.name, bench.metric.direction, "test")
        assert score.source in ("table", "surrogate", "train", "function")
        assert isinstance(score.value, float)

    def test_arguments_without_meaning_are_refused(self, bench: Benchmark) -> None:
        architecture = self.known(bench)[0]
        with pytest.raises(InvalidQuery, match="valid, test"):
            bench.query(architecture, split="train")
        wrong: Any
        for wrong in (-1, 1.5, True, "0"):
            with pytest.raises(InvalidQuery, match="seed"):
                bench.query(architecture, seed=wrong)
        for wrong in (True, 1.5, "1"):
            with pytest.raises(InvalidQuery, match="epoch"):
                bench.query(architecture, epoch=wrong)
        for epoch in (0, 10**6, -1):
            with pytest.raises(NotRecorded, match="epoch"):
                bench.query(architecture, epoch=epoch)
        wrong = architecture
        with pytest.raises(InvalidQuery, match="use query"):
            bench.query_many(wrong)
        wrong = str(architecture)
        with pytest.raises(InvalidArchitecture, match="expected an Architecture"):
            bench.query(wrong)

    def test_an_architecture_of_another_space_is_refused(self, bench: Benchmark) -> None:
        other = spaces.SearchSpace.from_choices({"a": [1, 2]}).unrank(0)
        with pytest.raises(InvalidArchitecture, match="custom"):
            bench.query(other)
        with pytest.raises(InvalidArchitecture, match="custom"):
            bench.query_many([other])

    @pytest.mark.parametrize("noise", [True, False])
    def test_a_search_sees_many_as_it_sees_one(self, bench: Benchmark, noise: bool) -> None:
        architectures = self.known(bench)
        if not noise and not self.objective:
            with pytest.raises(NotRecorded, match="use regime 'noisy'"):
                bench.observe_many(architectures, noise=False)
            return
        for epoch in (None, *range(1, min(bench.epochs, 1) + 1)):
            values, seconds = bench.observe_many(architectures, seed=5, noise=noise, epoch=epoch)
            assert values.shape == seconds.shape == (len(architectures),)
            one = [bench.observe(each, seed=5, noise=noise, epoch=epoch) for each in architectures]
            np.testing.assert_array_equal(values, [each.value for each in one])
            np.testing.assert_allclose(seconds, [each.seconds for each in one])
            if not noise:
                objective = np.where(np.isnan(bench.true_values(architectures)), np.nan, 1.0)
                np.testing.assert_array_equal(values, objective * bench.query_many(architectures, epoch=epoch).value)
        assert [len(each) for each in bench.observe_many([], seed=5, noise=noise)] == [0, 0]

    def test_true_values_are_the_objective_where_there_are_any(self, bench: Benchmark) -> None:
        architectures = self.known(bench)
        if not self.objective:
            with pytest.raises(NotRecorded, match="use regime 'noisy'"):
                bench.true_values(architectures)
            return
        values = bench.true_values(architectures)
        assert values.shape == (len(architectures),)
        known = ~np.isnan(values)
        np.testing.assert_array_equal(values[known], bench.query_many(architectures).value[known])
        assert len(bench.true_values([])) == 0

    def test_the_best_and_how_far_others_are_behind(self, bench: Benchmark) -> None:
        if not len(bench.recorded_choices):
            with pytest.raises(NotRecorded, match="nothing is recorded"):
                bench.top(3)
            return
        values = bench.true_values(bench.recorded_choices)
        best = bench.top(3)
        order = np.sort(-bench.metric.sign * values[~np.isnan(values)])[:3]
        assert [each.value for each in best] == (-bench.metric.sign * order).tolist()
        found = bench.true_values([each.architecture for each in best])
        np.testing.assert_array_equal(found, [each.value for each in best])
        assert bench.metric.sign * bench.optimum().value >= bench.metric.sign * best[0].value

    @pytest.mark.parametrize("regime", REGIMES)
    def test_regret_is_against_the_optimum_or_unknown(self, bench: Benchmark, regime: str) -> None:
        architectures = self.known(bench)
        try:
            optimum, values = bench.optimum(regime), bench.true_values(architectures, regime)
        except NotRecorded:
            with pytest.raises(NotRecorded):
                bench.regret(architectures, regime)
            return
        assert optimum.how in ("exact", "best known")
        regret = bench.regret(architectures, regime)
        np.testing.assert_array_equal(regret, bench.metric.sign * (optimum.value - values))
        if regime == "clean":
            assert bench.regret([optimum.architecture]) == [0]
            assert optimum.how == "best known" or not (regret < 0).any()

    def test_regimes_and_counts_without_meaning_are_refused(self, bench: Benchmark) -> None:
        loud: dict[str, Any] = {"regime": "loud"}
        for ask in (partial(bench.top, 1), bench.optimum, partial(bench.regret, self.known(bench))):
            with pytest.raises(InvalidQuery, match="regime 'loud': expected one of clean, noisy, transfer"):
                ask(**loud)
        wrong: Any
        for wrong in (0, True, 1.5):
            with pytest.raises(InvalidQuery, match="k = "):
                bench.top(wrong)

    def test_travels_to_other_processes(self, bench: Benchmark) -> None:
        architecture = self.known(bench)[0]
        back = pickle.loads(pickle.dumps(bench))
        assert back.query(architecture).value == bench.query(architecture).value
