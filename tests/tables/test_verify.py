"""verify: each inconsistency by name."""

import numpy as np
import pytest

from nasbench_evs.errors import TableFormatError
from nasbench_evs.tables import Table, verify
from tests.conftest import SHAPE, make_end_table, make_table


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


@pytest.mark.parametrize(
    ("name", "row", "value", "message"),
    [
        ("valid_score", 0, 1.5, r"valid_score lies in \[0, 1\]"),
        ("test_score", 0, -0.5, r"test_score lies in \[0, 1\]"),
        ("valid_blocks", (0, 3), 1.5, r"valid_blocks lies in \[0, 1\]"),
        ("test_blocks", (0, 3), np.inf, r"test_blocks lies in \[0, 1\]"),
        ("valid_score", 0, np.nan, "a training that is ok has a score"),
        ("valid_score", 3, 0.5, "valid_score is empty unless the training is ok"),
        ("test_loss", 3, 0.5, "test_loss is empty unless the training is ok"),
        ("valid_blocks", (3, 0), 0.5, "valid_blocks is empty unless the training is ok"),
        ("test_score", 0, np.nan, "test_blocks belong to a score"),
        ("valid_loss", 0, np.inf, "valid_loss is finite or missing"),
        ("final_cpu_seconds", 0, np.inf, "final_cpu_seconds is finite or missing"),
        ("final_eval_seconds", 0, -1.0, "final_eval_seconds is not negative"),
        ("cpu_seconds", (0, 0), -1.0, "cpu_seconds is not negative"),
        ("final_valid_cpu_seconds", 0, 5.5, "validation split's share of the last evaluation is within it"),
        ("cpu_seconds", (3, 1), 1.0, "cpu_seconds is empty after the last epoch"),
        ("code_commit", 0, b"\xff", "code_commit is text in UTF-8"),
    ],
)
def test_each_inconsistency_of_scores_at_the_end_is_named(end_table, name, row, value, message):
    verify(end_table)
    with pytest.raises(TableFormatError, match=message):
        verify(changed(end_table, name, row, value))


def test_a_block_without_a_class_has_no_score():
    blocks = np.full((1, 10), 0.4)
    blocks[0, 7] = np.nan
    verify(make_end_table([0], valid_blocks=blocks))


def test_costs_are_compared_with_the_formula(small_table):
    cost = small_table.header.space.cost_many(small_table["choices"], SHAPE)
    table = make_table([0, 2, 5], params=cost.params[[0, 1, 4]], flops=cost.flops[[0, 1, 4]])
    assert "params follow from the architecture" in verify(table)
