"""Contract tests: what every space and every benchmark promises. A new one is tested by inheriting these."""

import pickle
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasbench_evs import spaces
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery, NotRecorded
from nasbench_evs.search import Domain

# Inherited tests run on several classes, which is what a contract is for.
INHERITED = [HealthCheck.differing_executors]


class SpaceContract:
    """Inherit, and set `space`."""

    space = None

    @settings(max_examples=200, deadline=None, suppress_health_check=INHERITED)
    @given(data=st.data())
    def test_rank_and_unrank_are_inverse_over_the_whole_range(self, data):
        rank = data.draw(st.integers(0, self.space.size - 1))
        architecture = self.space.unrank(rank)
        assert architecture.rank == rank
        assert self.space.check(self.space.stack([architecture])) is not None

    def test_the_ends_of_the_range(self):
        for rank in (0, self.space.size - 1):
            assert self.space.unrank(rank).rank == rank
        for rank in (-1, self.space.size, 2**70):
            with pytest.raises(InvalidArchitecture, match="out of range"):
                self.space.unrank(rank)

    @pytest.mark.parametrize("method", ["hierarchical", "uniform"])
    def test_batches_agree_with_single_architectures(self, method):
        choices = self.space.sample_many(50, 3, method)
        many = self.space.architectures(choices)
        assert [a.rank for a in many] == self.space.rank_many(choices).tolist()
        assert [str(a) for a in many] == self.space.format_many(choices)
        avecs = self.space.encode_many(choices)
        assert avecs.shape == (50, self.space.avec_bits)
        assert avecs.dtype == np.uint8
        for architecture, row, avec in zip(many, choices, avecs, strict=True):
            assert np.array_equal(architecture.avec, avec)
            assert self.space.encode_row(row) == avec.tolist()
        fortran = np.empty(avecs.shape, np.float32, order="F")
        self.space.encode_into(choices, fortran)
        assert np.array_equal(fortran, avecs)
        assert np.array_equal(self.space.unrank_many(self.space.rank_many(choices)), choices)
        assert np.array_equal(self.space.parse_many(self.space.format_many(choices)), choices)

    @pytest.mark.parametrize("method", ["hierarchical", "uniform"])
    def test_sampling_is_reproducible(self, method):
        first = self.space.sample_many(20, 5, method)
        assert np.array_equal(first, self.space.sample_many(20, 5, method))
        assert self.space.sample(5, method) == self.space.architectures(self.space.sample_many(1, 5, method))[0]
        assert self.space.sample_many(0).shape == (0, len(self.space.choices))

    def test_different_architectures_have_different_strings_ranks_and_avecs(self):
        choices = np.unique(self.space.sample_many(2000, 1), axis=0)
        assert len(set(self.space.format_many(choices))) == len(choices)
        assert len(np.unique(self.space.rank_many(choices))) == len(choices)
        assert len(np.unique(self.space.encode_many(choices), axis=0)) == len(choices)

    @settings(max_examples=50, deadline=None, suppress_health_check=INHERITED)
    @given(seed=st.integers(0, 2**32))
    def test_options_round_trip(self, seed):
        architecture = self.space.sample(seed)
        assert self.space.from_options(architecture.options) == architecture
        assert {name: architecture[name] for name in architecture} == architecture.options
        given = dict(**architecture)
        assert given == dict(architecture) == architecture.options == dict(architecture.items())
        assert list(given) == list(architecture.keys())
        assert list(given.values()) == list(architecture.values())
        assert np.array([architecture] * 2).shape == (2,)  # one architecture is one object to numpy, not a row of names

    def _differing(self, a, b):
        """The choices in which two rows differ, without those whose parent differs too."""
        differs = a != b
        names = {choice.name: column for column, choice in enumerate(self.space.choices)}
        roots = []
        for column in np.flatnonzero(differs):
            parent = self.space.choices[column].parent
            while parent is not None and not differs[names[parent]]:
                parent = self.space.choices[names[parent]].parent
            if parent is None:
                roots.append(column)
        return roots

    def test_neighbours_differ_in_exactly_one_choice(self):
        choices = self.space.sample_many(30, 7)
        neighbours, owner = self.space.neighbors_many(choices)
        self.space.check(neighbours)
        for neighbour, row in zip(neighbours, choices[owner], strict=True):
            assert len(self._differing(row, neighbour)) == 1
        for row, architecture in enumerate(self.space.architectures(choices)):
            mine = self.space.neighbors(architecture)
            assert mine == self.space.architectures(neighbours[owner == row])
            assert len(set(mine)) == len(mine)
            options = [len(c.options) - 1 for c in self.space.choices if c.name in architecture.options]
            assert len(mine) == sum(options)

    def test_mutation_changes_exactly_one_choice(self):
        choices = self.space.sample_many(200, 9)
        mutated = self.space.mutate_many(choices, 1)
        self.space.check(mutated)
        changeable = ((choices >= 0) & (np.array([len(c.options) for c in self.space.choices]) > 1)).any(axis=1)
        for before, after, can_change in zip(choices, mutated, changeable, strict=True):
            assert len(self._differing(before, after)) == int(can_change)
        assert np.array_equal(mutated, self.space.mutate_many(choices, 1))
        architecture = self.space.sample(0)
        assert self.space.mutate(architecture, 4) == self.space.mutate(architecture, 4)

    def test_architectures_are_values(self):
        architecture = self.space.sample(2)
        again = self.space.parse(str(architecture))
        assert architecture == again
        assert hash(architecture) == hash(again)
        assert len({architecture, again}) == 1
        assert str(architecture) in repr(architecture)
        with pytest.raises(AttributeError, match="immutable"):
            architecture.key = b""
        with pytest.raises(AttributeError, match="immutable"):
            del architecture.key

    def test_pickles_small_and_compares_equal(self):
        architecture = self.space.sample(2)
        back = pickle.loads(pickle.dumps(architecture))
        assert back == architecture
        assert back.space == self.space
        assert len(pickle.dumps(self.space)) < 3000

    def test_invalid_choice_indices_are_refused(self):
        good = self.space.sample_many(3, 0)
        for bad, message in (
            (good[:, :-1], "shape"),
            (good.astype(float), "integer"),
            (good[0], "shape"),
            (np.where(np.arange(good.shape[1]) == 0, -1, good), "row 0"),
            (np.where(np.arange(good.shape[1]) == 0, 100, good), "row 0"),
            (np.where(np.arange(good.shape[1]) == 0, -2, good), "row 0"),
        ):
            with pytest.raises(InvalidArchitecture, match=message):
                self.space.check(bad)

    def test_arguments_without_meaning_are_refused(self):
        with pytest.raises(InvalidQuery, match="expected one of hierarchical, uniform"):
            self.space.sample(0, "hierarchic")
        with pytest.raises(InvalidQuery, match="-1"):
            self.space.sample_many(-1)
        with pytest.raises(InvalidArchitecture, match="expected an Architecture"):
            self.space.stack(["text"])
        for rank in (1.0, "1", True):
            with pytest.raises(InvalidArchitecture, match="no integer"):
                self.space.unrank(rank)

    @settings(max_examples=300, deadline=None, suppress_health_check=INHERITED)
    @given(data=st.data())
    def test_a_damaged_string_is_refused_or_is_another_canonical_string(self, data):
        text = str(self.space.sample(data.draw(st.integers(0, 50))))
        at = data.draw(st.integers(0, len(text)))
        kind = data.draw(st.sampled_from(["drop", "insert", "replace", "cut"]))
        character = data.draw(st.sampled_from("0123458agckwdtnx/.-+ ,=\nAé"))
        damaged = {
            "drop": text[:at] + text[at + 1 :],
            "insert": text[:at] + character + text[at:],
            "replace": text[:at] + character + text[at + 1 :],
            "cut": text[:at],
        }[kind]
        try:
            architecture = self.space.parse(damaged)
        except InvalidArchitecture as error:
            # A view refuses what its parent can read without pointing into it.
            assert "at character" in str(error) or "is outside " in str(error)
        else:
            assert str(architecture) == damaged


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
        assert score.source in ("table", "surrogate", "train")
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
        from nasbench_evs.spaces import SearchSpace

        other = SearchSpace.from_choices({"a": [1, 2]}).unrank(0)
        with pytest.raises(InvalidArchitecture, match="custom"):
            bench.query(other)
        with pytest.raises(InvalidArchitecture, match="custom"):
            bench.query_many([other])

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
