import pytest
import torch

from nasbench_evs.errors import TrainingError
from nasbench_evs.training.arithmetic import _gpu_arithmetic, reproducible

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


def test_gpus_compute_as_exactly_as_asked_and_are_left_as_they_were():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    with _gpu_arithmetic(torch.device("cuda")):
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == (False, True)
        assert torch.backends.cudnn.enabled
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == before
