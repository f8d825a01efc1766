import torch
from hypothesis import given
from hypothesis import strategies as st

from nasbench_evs.models.batch import PaddedBatch


def make(lengths, longest, **profile):
    size = (len(lengths), longest)
    fields = torch.ones(*size, 2, dtype=torch.int32), torch.zeros(*size, 3), torch.zeros(size)
    return PaddedBatch(*fields, torch.tensor(lengths), **profile)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 4))
def test_the_mask_is_true_at_the_first_events_of_each_sequence(lengths, more):
    batch = make(lengths, max(lengths) + more)
    assert batch.mask.dtype == torch.bool
    assert batch.mask.tolist() == [[i < length for i in range(max(lengths) + more)] for length in lengths]
    assert len(batch) == len(lengths)


def test_a_batch_without_profile_has_a_profile_of_no_fields():
    batch = make([2, 1], 2)
    assert batch.profile_categorical.shape == batch.profile_numerical.shape == (2, 0)
    assert batch.profile_categorical.dtype == torch.int32
    profile = torch.tensor([[1.0], [2.0]])
    assert torch.equal(make([2, 1], 2, profile_numerical=profile).profile_numerical, profile)
