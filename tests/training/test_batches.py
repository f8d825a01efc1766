import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_evs.training.batches import BatchOrder

LENGTHS = np.random.default_rng(0).integers(1, 50, 2000)


def order(rows, size, batches, pool=3, seed=1):
    return BatchOrder(rows, LENGTHS, size, batches, pool, np.random.default_rng(seed))


@pytest.mark.parametrize(("n", "batches", "pool"), [(100, 7, 3), (5, 5, 1), (64, 1, 8), (97, 13, 100)])
def test_an_epoch_sees_every_sequence_once_in_batches_of_nearly_one_size(n, batches, pool):
    rows = np.arange(1000, 1000 + n)
    cut = list(order(rows, n, batches, pool).rest())
    assert sorted(np.concatenate(cut)) == rows.tolist()
    sizes = [len(batch) for batch in cut]
    assert max(sizes) - min(sizes) <= max(2, n // batches // 3)


def test_batches_of_a_pool_are_sorted_by_length():
    spreads = [np.mean([np.ptp(LENGTHS[b]) for b in order(np.arange(960), 960, 30, pool).rest()]) for pool in (1, 10)]
    assert spreads[1] < spreads[0] / 3


@pytest.mark.parametrize(("n", "size"), [(10, 4), (10, 10), (7, 3), (5, 1), (6, 4)])
def test_epochs_are_of_fresh_permutations_end_to_end(n, size):
    """One batch an epoch, of sequences of one length: what is left is the order of the stream."""
    rows = np.arange(50, 50 + n)
    alike = BatchOrder(rows, np.ones(100, np.int64), size, 1, 1, np.random.default_rng(0))
    stream = np.concatenate([alike.take() for _ in range(20)])
    passes = [stream[i : i + n] for i in range(0, len(stream) - n + 1, n)]
    assert all(sorted(each) == rows.tolist() for each in passes)
    assert len({tuple(each) for each in passes}) > 1


def test_epochs_are_counted_as_they_begin():
    batches = order(np.arange(20), 20, 4)
    assert (batches.epoch, batches.ended) == (0, True)
    first = len(list(batches.rest()))
    assert (batches.epoch, batches.ended) == (1, True)
    batches.take()
    assert (batches.epoch, batches.ended) == (2, False)
    assert len(list(batches.rest())) == first - 1
    assert batches.epoch == 2


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 9), st.integers(0, 40), st.integers(0, 5))
def test_an_order_goes_on_from_its_state(n, size, batches, taken, seed):
    rows = np.arange(100, 100 + n)
    one, other = order(rows, min(size, n), batches, seed=seed), order(rows, min(size, n), batches, seed=99)
    for _ in range(taken):
        one.take()
    other.take()
    other.load_state_dict(one.state_dict())
    for _ in range(25):
        assert one.ended == other.ended
        assert np.array_equal(one.take(), other.take())
        assert one.epoch == other.epoch
