"""Near names for what was misspelled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_evs.errors import did_you_mean

NAMES = ("random", "evolution", "bananas", "tpe")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("evolutoin", "; did you mean 'evolution'?"),
        ("Random", "; did you mean 'random'?"),
        ("BANANA", "; did you mean 'bananas'?"),
        ("hyperband", ""),
        (3, ""),
        (None, ""),
    ],
)
def test_the_nearest_name_or_nothing(name, hint):
    assert did_you_mean(name, NAMES) == hint


@given(st.text(), st.lists(st.text()))
def test_only_what_is_known_is_offered(name, known):
    hint = did_you_mean(name, known)
    assert hint == "" or hint in {f"; did you mean {each!r}?" for each in known}
