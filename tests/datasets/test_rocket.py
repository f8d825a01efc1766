import sys

import numpy as np
import pytest

from nasbench_evs.datasets.prepare import prepare
from nasbench_evs.datasets.rocket import CELLS, grid, minirocket
from nasbench_evs.datasets.sources.synthetic import SYNTHETIC, make
from nasbench_evs.errors import DatasetError, InvalidQuery


@pytest.fixture(scope="module")
def dataset():
    return prepare(make(400), SYNTHETIC.rules)


def test_a_cell_holds_the_means_of_its_events_and_an_empty_one_those_before_it(dataset):
    rows = np.array([7, 3])
    found = grid(dataset, rows)
    fields = dataset.inputs.shape[1]
    assert found.shape == (2, 1 + fields + 4, 64)
    assert found.shape[2] <= CELLS
    for of_sequence, row in zip(found, rows, strict=True):
        events = slice(dataset.offsets[row], dataset.offsets[row + 1])
        time = dataset.time[events].astype(float)
        cell = np.minimum(((time - time[0]) / (time[-1] - time[0]) * 64).astype(int), 63)
        last = np.full(1 + fields, np.nan)
        for at in range(64):
            inside = dataset.inputs[events][cell == at]
            assert of_sequence[0, at] == pytest.approx(np.log1p(len(inside)))
            if len(inside):
                last = inside.mean(axis=0)
            assert of_sequence[1 : 1 + fields, at] == pytest.approx(last, abs=1e-5)


def test_random_numbers_of_codes_are_the_seeds(dataset):
    rows = np.arange(5)
    first, same, another = (grid(dataset, rows, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, same)
    fields = 1 + dataset.inputs.shape[1]
    assert np.array_equal(first[:, :fields], another[:, :fields])
    assert not np.array_equal(first[:, fields:], another[:, fields:])


def test_order_is_what_it_sees(dataset):
    """Only the order of marks tells the synthetic classes apart, which counts and aggregates cannot."""
    pytest.importorskip("aeon", reason="the rocket extra is not installed")
    found = minirocket(dataset, train=200, kernels=1000)
    assert found["test_mean"] > 0.8
    assert len(found["test_blocks"]) == 10
    assert found["valid_std"] > 0
    assert found == minirocket(dataset, train=200, kernels=1000)
    with pytest.raises(DatasetError, match="expected 1 to 240"):
        minirocket(dataset, train=500)
    with pytest.raises(InvalidQuery, match="1 seeds"):
        minirocket(dataset, seeds=1)


def test_what_it_needs_is_said(dataset, monkeypatch):
    monkeypatch.setitem(sys.modules, "aeon.transformations.collection.convolution_based", None)
    with pytest.raises(InvalidQuery, match=r"pip install 'nasbench-evs\[rocket\]'"):
        minirocket(dataset)
