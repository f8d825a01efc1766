import pytest
import torch

from nasbench_evs.errors import TrainingError
from nasbench_evs.training.arithmetic import reproducible

CPU = torch.device("cpu")


def test_the_name_decides_the_numbers_and_all_is_left_as_it_was():
    drawn = []
    for name in ("one", "one", "another"):
        before = torch.get_rng_state()
        with reproducible(name, CPU):
            drawn.append(float(torch.rand(())))
            assert torch.get_num_threads() == 1
        assert torch.equal(torch.get_rng_state(), before)
    assert drawn[0] == drawn[1] != drawn[2]


def test_memory_that_does_not_suffice_is_a_failed_training():
    with pytest.raises(TrainingError, match="one: no memory"), reproducible("one", CPU):
        raise torch.OutOfMemoryError("no memory")
