"""verify: each inconsistency by name."""

import numpy as np
import pytest

from nasbench_evs.errors import TableFormatError
from nasbench_evs.tables import Table, verify
from tests.conftest import SHAPE, make_table


def changed(table, name, row, value):
    array = table[name].copy()
    array[row] = value
    return Table(table.header, {**table.columns, name: array}, table.hardware)


def test_a_sound_table_passes(small_table, seqnas_table):
    assert "rank follows from choices" in verify(small_table)
    assert len(verify(seqnas_table)) > 10


@pytest.mark.parametrize(
    ("name", "row", "value", "message"),
    [
        ("rank", 1, 99, "rank within the space"),
        ("rank", 1, 3, "rank follows from choices"),
        ("choices", 1, 7, "choices are no architectures"),
        ("avec", 1, 0, "avec follows from choices"),
        ("seed", 2, 0, "one record for each training"),
        ("seed", 2, -2, "seed is not negative"),
        ("status", 0, b"fi", "status is one of"),
        ("distilled", 0, 2, "distilled is 0, 1 or not recorded"),
        ("valid_curve", (0, 0), 1.5, r"valid_curve lies in \[0, 1\]"),
        ("test_curve", (0, 0), -0.5, r"test_curve lies in \[0, 1\]"),
        ("valid_curve", 0, np.nan, "a training that is ok has a score"),
        ("epochs_run", 0, 4, "epochs run is within the curves"),
        ("epochs_run", 0, 2, "valid_curve is empty after the last epoch"),
        ("params", 0, 12345, "params follow from the architecture"),
    ],
)
def test_each_inconsistency_is_named(small_table, name, row, value, message):
    with pytest.raises(TableFormatError, match=message):
        verify(changed(small_table, name, row, value))


def test_costs_are_compared_with_the_formula(small_table):
    cost = small_table.header.space.cost_many(small_table["choices"], SHAPE)
    table = make_table([0, 2, 5], params=cost.params[[0, 1, 4]], flops=cost.flops[[0, 1, 4]])
    assert "params follow from the architecture" in verify(table)
