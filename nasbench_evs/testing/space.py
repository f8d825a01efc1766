"""SpaceContract: ranks and strings are bijections, neighbours differ in one choice, batches agree with single architectures."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasbench_evs.errors import InvalidArchitecture, InvalidQuery
from nasbench_evs.spaces import SearchSpace, from_spec

# Inherited tests run on several classes, which is what a contract is for.
INHERITED = [HealthCheck.differing_executors]


class SpaceContract:
    """Inherit, and set `space`."""

    space: SearchSpace

    @settings(max_examples=200, deadline=None, suppress_health_check=INHERITED)
    @given(data=st.data())
    def test_rank_and_unrank_are_inverse_over_the_whole_range(self, data: st.DataObject) -> None:
        rank = data.draw(st.integers(0, self.space.size - 1))
        architecture = self.space.unrank(rank)
        assert architecture.rank == rank
        assert self.space.check(self.space.stack([architecture])) is not None

    def test_the_ends_of_the_range(self) -> None:
        for rank in (0, self.space.size - 1):
            assert self.space.unrank(rank).rank == rank
        for rank in (-1, self.space.size, 2**70):
            with pytest.raises(InvalidArchitecture, match="out of range"):
                self.space.unrank(rank)

    @pytest.mark.parametrize("method", ["hierarchical", "uniform"])
    def test_batches_agree_with_single_architectures(self, method: str) -> None:
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
    def test_sampling_is_reproducible(self, method: str) -> None:
        first = self.space.sample_many(20, 5, method)
        assert np.array_equal(first, self.space.sample_many(20, 5, method))
        assert self.space.sample(5, method) == self.space.architectures(self.space.sample_many(1, 5, method))[0]
        assert self.space.sample_many(0).shape == (0, len(self.space.choices))

    def test_different_architectures_have_different_strings_ranks_and_avecs(self) -> None:
        choices = np.unique(self.space.sample_many(2000, 1), axis=0)
        assert len(set(self.space.format_many(choices))) == len(choices)
        assert len(np.unique(self.space.rank_many(choices))) == len(choices)
        assert len(np.unique(self.space.encode_many(choices), axis=0)) == len(choices)

    @settings(max_examples=50, deadline=None, suppress_health_check=INHERITED)
    @given(seed=st.integers(0, 2**32))
    def test_options_round_trip(self, seed: int) -> None:
        architecture = self.space.sample(seed)
        assert self.space.from_options(architecture.options) == architecture
        assert {name: architecture[name] for name in architecture} == architecture.options
        given = dict(**architecture)
        assert given == dict(architecture) == architecture.options == dict(architecture.items())
        assert list(given) == list(architecture.keys())
        assert list(given.values()) == list(architecture.values())
        assert np.array([architecture] * 2).shape == (2,)  # one architecture is one object to numpy, not a row of names

    def _differing(self, a: np.ndarray, b: np.ndarray) -> list[int]:
        """The choices in which two rows differ, without those whose parent differs too."""
        differs = a != b
        names = {choice.name: column for column, choice in enumerate(self.space.choices)}
        roots: list[int] = []
        for column in np.flatnonzero(differs).tolist():
            parent = self.space.choices[column].parent
            while parent is not None and not differs[names[parent]]:
                parent = self.space.choices[names[parent]].parent
            if parent is None:
                roots.append(column)
        return roots

    def test_neighbors_differ_in_exactly_one_choice(self) -> None:
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

    def test_mutation_changes_exactly_one_choice(self) -> None:
        choices = self.space.sample_many(200, 9)
        mutated = self.space.mutate_many(choices, 1)
        self.space.check(mutated)
        several = np.array([len(choice.options) > 1 for choice in self.space.choices])
        for before, after in zip(choices, mutated, strict=True):
            assert len(self._differing(before, after)) == int(((before >= 0) & several).any())
        assert np.array_equal(mutated, self.space.mutate_many(choices, 1))
        architecture = self.space.sample(0)
        assert self.space.mutate(architecture, 4) == self.space.mutate(architecture, 4)

    def test_architectures_are_values(self) -> None:
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

    def test_is_rebuilt_from_its_spec(self) -> None:
        again = from_spec(json.loads(json.dumps(self.space.spec, sort_keys=True)))
        assert again == self.space
        assert again.label == self.space.label
        choices = self.space.sample_many(20, 0)
        assert np.array_equal(again.rank_many(choices), self.space.rank_many(choices))

    def test_pickles_small_and_compares_equal(self) -> None:
        architecture = self.space.sample(2)
        back = pickle.loads(pickle.dumps(architecture))
        assert back == architecture
        assert back.space == self.space
        assert len(pickle.dumps(self.space)) < 3000

    def test_invalid_choice_indices_are_refused(self) -> None:
        good = self.space.sample_many(3, 0)
        first = np.arange(good.shape[1]) == 0
        takers = [
            self.space.check, self.space.architectures, self.space.format_many, self.space.rank_many, self.space.encode_many,
            self.space.mutate_many, self.space.neighbors_many,
            lambda bad: self.space.encode_into(bad, np.empty((3, self.space.avec_bits))),
        ]  # fmt: skip
        for bad, message in (
            (good[:, :-1], "shape"),
            (good.astype(float), "integer"),
            (good[0], "shape"),
            (np.where(first, -1, good), "row 0"),
            (np.where(first, 100, good), "row 0"),
            (np.where(first, -2, good), "row 0"),
            (np.where(first, 2**40, good.astype(np.int64)), "row 0"),
            (np.where(first, 256, 0) + good.astype(np.int64), "row 0"),  # the same in eight bits
            (good > 0, "integer"),
            (good.astype(object), "integer"),
            ([[1], [1, 2]], "integer"),
            ("text", "integer"),
            (None, "integer"),
        ):
            for taker in takers:
                with pytest.raises(InvalidArchitecture, match=message):
                    taker(bad)  # type: ignore[arg-type]

    @settings(max_examples=200, deadline=None, suppress_health_check=INHERITED)
    @given(data=st.data())
    def test_a_changed_index_is_refused_or_makes_another_architecture(self, data: st.DataObject) -> None:
        choices = self.space.sample_many(data.draw(st.integers(1, 3)), data.draw(st.integers(0, 20)))
        row, column = data.draw(st.integers(0, len(choices) - 1)), data.draw(st.integers(0, choices.shape[1] - 1))
        choices[row, column] = data.draw(st.integers(-2, len(self.space.choices[column].options)))
        options = {
            choice.name: choice.options[index]
            for choice, index in zip(self.space.choices, choices[row].tolist(), strict=True)
            if 0 <= index < len(choice.options)
        }
        try:
            assert len(options) == (choices[row] != -1).sum()
            expected = self.space.from_options(options)
        except (AssertionError, InvalidArchitecture):
            for take in (self.space.check, self.space.rank_many, self.space.encode_many):
                with pytest.raises(InvalidArchitecture, match=f"row {row}: "):
                    take(choices)
            with pytest.raises(InvalidArchitecture, match="row 0: "):
                self.space.encode_row(choices[row])
        else:
            assert self.space.architectures(choices)[row] == expected
            assert self.space.rank_many(choices)[row] == expected.rank
            assert self.space.encode_row(choices[row]) == expected.avec.tolist()

    def test_completing_takes_what_is_missing_and_nothing_else(self) -> None:
        nothing = np.full((4, len(self.space.choices)), -1)
        completed = self.space.complete(nothing, seed=0)
        assert np.array_equal(self.space.check(completed), completed)
        assert np.array_equal(self.space.complete(completed, seed=1), completed)
        for wrong in (-2, 127, 2**40):
            with pytest.raises(InvalidArchitecture, match=f"row 0: .* index {wrong}: expected 0 to .*-1 for what is"):
                self.space.complete(np.where(nothing == -1, wrong, nothing))

    def test_arguments_without_meaning_are_refused(self) -> None:
        with pytest.raises(InvalidQuery, match="expected one of hierarchical, uniform"):
            self.space.sample(0, "hierarchic")
        with pytest.raises(InvalidQuery, match="-1"):
            self.space.sample_many(-1)
        with pytest.raises(InvalidArchitecture, match="expected an Architecture"):
            self.space.stack(["text"])  # type: ignore[list-item]
        for rank in (1.0, "1", True):
            with pytest.raises(InvalidArchitecture, match="no integer"):
                self.space.unrank(rank)  # type: ignore[arg-type]

    @settings(max_examples=300, deadline=None, suppress_health_check=INHERITED)
    @given(data=st.data())
    def test_a_damaged_string_is_refused_or_is_another_canonical_string(self, data: st.DataObject) -> None:
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
