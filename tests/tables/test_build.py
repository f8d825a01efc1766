"""Making tables from arrays: what fits, what is missing, what is refused."""

import numpy as np
import pytest

from nasbench_evs.errors import TableFormatError
from nasbench_evs.tables import build
from tests.conftest import make_header, make_table


def test_machines_are_kept_once_and_only_if_used():
    machines = [{"cpu": "b"}, {"cpu": "unused"}, {"cpu": "a", "threads": 2}, {"cpu": "b"}]
    table = make_table([0, 1, 2], machines=machines, hardware=[0, 3, 2])
    assert table.hardware["cpu"].tolist() == [b"a", b"b"]
    assert table["hardware"].tolist() == [1, 1, 0]
    assert table.hardware["threads"].tolist() == [2, -1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"colour": 1}, "no such columns: colour"),
        ({"rank": [1]}, "no such columns: rank"),
        ({"status": "fine"}, "status is one of ok, diverged, failed does not hold"),
        ({"status": b"\xff"}, "training/status"),
        ({"sampler": [65]}, "expected text, got 65"),
        ({"seed": -5}, "seed is not negative does not hold"),
        ({"seed": [1, 2]}, r"shape \(2,\), expected \(1,\)"),
        ({"distilled": 7}, "distilled is 0, 1 or not recorded does not hold"),
        ({"valid_curve": [[7.7]]}, "valid_curve lies in"),
        ({"valid_curve": [[np.inf]]}, "valid_curve lies in"),
        ({"valid_curve": [0.5]}, r"expected a curve per record, shape \(N, epochs\), got shape \(1,\)"),
        ({"valid_curve": 0.5}, "expected a curve per record"),
        ({"valid_curve": [[0.5], [0.5, 0.6]]}, "expected a curve per record"),
        ({"valid_curve": None}, "expected a curve per record"),
        ({"machines": [{"cpux": "a"}]}, "unknown keys"),
        ({}, "a training that is ok has a score"),
        ({"seed": [1.5]}, "seed.*integers"),
        ({"distilled": 1000}, "do not fit int8"),
        ({"valid_curve": [[1.0, 2.0]], "test_curve": [[1.0]]}, "1 and 2 epochs"),
        ({"params": [1, 2]}, "costs/params"),
        ({"hardware": 3}, "machine 3, of 0"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, message):
    header = make_header()
    with pytest.raises(TableFormatError, match=message):
        build(header, choices=header.space.unrank_many([0]), **columns)


def test_one_curve_is_not_everybodys():
    header = make_header()
    with pytest.raises(TableFormatError, match=r"shape \(1, 2\), expected \(3, 2\)"):
        build(header, choices=header.space.unrank_many([0, 1, 2]), valid_curve=[[0.5, 0.6]])


def test_masked_values_are_missing():
    header = make_header()
    scores = np.ma.masked_array([[0.5, 0.9]], [[False, True]])
    seed = np.ma.masked_array([7], [True])
    table = build(header, choices=header.space.unrank_many([0]), seed=seed, valid_curve=scores)
    assert np.isnan(table["valid_curve"][0, 1])
    assert table["seed"][0] == -1


def test_one_training_has_one_record():
    with pytest.raises(TableFormatError, match=r"two records of one training: 2-4 \(rank 2\), seed 1"):
        make_table([2, 2, 2], [0, 1, 1])
    with pytest.raises(TableFormatError, match="seed not recorded"):
        make_table([2, 2], -1)


def test_a_table_needs_records():
    header = make_header()
    with pytest.raises(TableFormatError, match="at least one record"):
        build(header, choices=header.space.unrank_many([]))
