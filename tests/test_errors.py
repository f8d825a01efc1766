"""Near names for what was misspelled."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_evs.errors import InvalidQuery, did_you_mean, shown

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


class Loud:
    def __repr__(self):
        return "many\nlines\n" * 1000


class Broken:
    def __repr__(self):
        raise ValueError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("valid", "'valid'"),
        (None, "None"),
        ([1, 2], "[1, 2]"),
        (2**70, str(2**70)),
        (10**5000, "<int instance>"),
        ("\ud800", r"'\ud800'"),
        (np.zeros((4, 5)), "ndarray of shape (4, 5)"),
        (pd.DataFrame({"a": range(9)}), "DataFrame of shape (9, 1)"),
        (np.array([[1], [2]]), "array([[1], [2]])"),
        (object(), "<object>"),
        (Broken(), "<Broken instance>"),
    ],
    ids=range(11),  # pytest would write an integer of 5000 digits
)
def test_a_value_in_a_message(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    "value", [Loud(), "x" * 10**6, [["y" * 1000] * 1000] * 1000, np.array(["z" * 1000]), lambda: 0, re], ids=range(6)
)
def test_a_value_in_a_message_is_short_whatever_it_is(value):
    assert len(shown(value)) < 80
    assert shown(value).isprintable()
    assert not re.search("at 0x", shown(value))


@given(st.text())
def test_a_message_is_one_line_that_can_be_printed(text):
    message = str(InvalidQuery(f"name = {text}: expected another"))
    assert message.isprintable()
    assert len(message.encode()) > 0
    if text.isprintable():
        assert message == f"name = {text}: expected another"


def test_a_message_keeps_its_beginning_and_its_end():
    message = str(InvalidQuery(f"a path {'x' * 10**6}: expected another"))
    assert len(message) < 2100
    assert message.startswith("a path x")
    assert message.endswith("x: expected another")
