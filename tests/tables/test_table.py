"""Tables in memory: building, reference epochs, DataFrames, hashes."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nasbench_evs.errors import InvalidQuery
from nasbench_evs.metrics import metric
from nasbench_evs.tables import Table
from tests.conftest import make_end_table, make_header, make_table, with_protocol


def test_records_are_sorted_and_derived_columns_follow(small_table):
    shuffled = make_table([8, 2, 0, 2, 5, 2], [0, 2, 0, 0, 0, 1])
    assert shuffled.content_sha256 == small_table.content_sha256
    space = small_table.header.space
    assert small_table["rank"].tolist() == [0, 2, 2, 2, 5, 8]
    assert small_table["seed"].tolist() == [0, 0, 1, 2, 0, 0]
    assert np.array_equal(small_table["avec"], space.encode_many(small_table["choices"]))
    with pytest.raises(ValueError, match="read-only"):
        small_table["seed"][0] = 7


def test_the_best_epoch_is_chosen_by_validation_score():
    scores = np.array([[0.5, 0.7, 0.6], [0.9, np.nan, np.nan], [np.nan] * 3])
    status = ["ok", "diverged", "diverged"]
    table = make_table([0, 1, 2], scores=scores, status=status)
    assert table.best_epoch.tolist() == [2, 1, 0]
    assert np.allclose(table["test_score"], [0.69, 0.89, np.nan], equal_nan=True)
    smaller = make_table([0, 1, 2], scores=scores, status=status, header=make_header(metric=metric("log_loss")))
    assert smaller.best_epoch.tolist() == [1, 1, 0]


def test_what_counts_as_a_score():
    curves = np.array([[0.5, 0.75], [0.875, np.nan], [0.5, np.nan], [np.nan] * 2])
    status = ["ok", "diverged", "failed", "failed"]
    table = make_table([0, 1, 2, 3], scores=curves, status=status, epochs=2, test_curve=curves / 2)
    nan = np.nan
    for (split, epoch), expected in {
        ("valid", None): [0.75, 0.875, nan, nan],
        ("test", None): [0.375, 0.4375, nan, nan],
        ("valid", 1): [0.5, 0.875, nan, nan],
        ("valid", 2): [0.75, nan, nan, nan],
    }.items():
        found = table.scores(split, epoch)
        assert np.array_equal(found, expected, equal_nan=True), (split, epoch)
        assert np.array_equal(table.scores(split, epoch, slice(1, 3)), expected[1:3], equal_nan=True)
    assert table["valid_score"][2] == 0.5  # what it reached is still recorded
    end = make_end_table([0, 1], failing=[1])
    assert np.array_equal(end.scores(), end["valid_score"], equal_nan=True)
    assert np.isnan(end.scores()).tolist() == [False, True]
    with pytest.raises(InvalidQuery, match="unknown split 'train': expected one of valid, test"):
        table.scores("train")
    for epoch in (0, 3):
        with pytest.raises(InvalidQuery, match=f"epoch {epoch}: expected 1 to 2"):
            table.scores("valid", epoch)


def test_the_hash_covers_what_was_recorded_and_nothing_else(small_table):
    later = Table(
        replace(small_table.header, created="2027-01-01T00:00:00+00:00"), small_table.columns, {**small_table.hardware}
    )
    assert later.content_sha256 == small_table.content_sha256
    assert with_protocol(small_table, epochs=4).content_sha256 != small_table.content_sha256
    for name, array in small_table.columns.items():
        changed = array.copy()
        flat = changed.reshape(-1).view(np.uint8)
        flat[0] ^= 1
        other = Table(small_table.header, {**small_table.columns, name: changed}, small_table.hardware)
        assert other.content_sha256 != small_table.content_sha256, name


def test_to_frame_has_the_columns_of_the_format(small_table):
    frame = small_table.to_frame()
    assert len(frame) == 6
    for name in ("rank", "seed", "sampler", "valid_score", "test_score", "train_seconds", "params", "status"):
        assert name in frame
    row = frame.iloc[1]
    assert row.architecture == str(small_table.header.space.unrank(2))
    assert row.best_epoch == 3
    assert row.valid_score == pytest.approx(small_table["valid_curve"][1, 2])
    assert row.train_seconds == pytest.approx(1.5)
    assert row.params is pd.NA
    curves = small_table.to_frame(curves=True)
    assert curves["valid_curve.2"].tolist() == small_table["valid_curve"][:, 1].tolist()


def test_pickles(small_table):
    back = pickle.loads(pickle.dumps(small_table))
    assert back.content_sha256 == small_table.content_sha256
    with pytest.raises(ValueError, match="read-only"):
        back["seed"][0] = 7
