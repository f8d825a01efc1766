"""The page's expression for whole strings agrees with the parsers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_evs.analysis.explorer.grammar import pattern
from nasbench_evs.errors import InvalidArchitecture
from nasbench_evs.spaces import FFNSpace, SearchSpace, SeqNASSpace

PLAIN = SearchSpace.from_choices({"op (first)": ["a+b", "c/d", "x|y"], "n": [1, 2.5]})
SPACES = [SeqNASSpace(), SeqNASSpace(numerical=False), FFNSpace(3), FFNSpace(2, [1, 11, 111]), PLAIN]


@pytest.mark.parametrize("space", SPACES, ids=str)
@given(data=st.data())
def test_it_matches_what_parses_and_nothing_else(space, data):
    text = str(space.sample(seed=data.draw(st.integers(0, 10**6))))
    assert re.fullmatch(pattern(space), text)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 2))
    edited = text[:at] + data.draw(st.sampled_from(["", *"1248acgdkx/.-0t+m5", text[at : at + 3]])) + text[at + cut :]
    try:
        parses = str(space.parse(edited)) == edited
    except InvalidArchitecture:
        parses = False
    assert bool(re.fullmatch(pattern(space), edited)) == parses


def test_a_space_with_conditions_has_none():
    assert pattern(SearchSpace.from_choices({"a": [1, 2], "b": [1, 2]}, {"b": {"a": [2]}})) is None
