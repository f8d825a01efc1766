import pytest
import torch
from torch import nn

from nasbench_evs.models.layers import Dropout, float32_states, recurrent_states


def test_the_share_that_is_dropped_and_the_mean_that_is_kept():
    torch.manual_seed(0)
    x = torch.ones(1_000_003)
    for rate in (0.1, 0.3, 0.5):
        dropped = Dropout(rate).train()(x)
        assert abs((dropped == 0).float().mean() - rate) < 0.005
        assert abs(dropped.mean() - 1) < 0.005
        assert len(dropped.unique()) == 2


def test_nothing_is_dropped_in_evaluation_or_at_rate_zero():
    x = torch.randn(3, 5)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0).train()(x), x)


def test_neighbouring_elements_are_dropped_independently():
    torch.manual_seed(1)
    kept = (Dropout(0.5).train()(torch.ones(800_000)) != 0).float().view(-1, 8)
    correlation = torch.corrcoef(kept.T) - torch.eye(8)
    assert correlation.abs().max() < 0.02


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_autocast_does_not_reach_recurrent_layers_on_a_gpu(kind):
    """The CPU's autocast stands for a GPU's; and what is no CPU is computed like this."""
    torch.manual_seed(0)
    layer = kind(4, 4, batch_first=True)
    x = torch.randn(3, 5, 4)
    expected = layer(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert not torch.equal(layer(x)[0].float(), expected)  # it does reach PyTorch's own
        assert torch.equal(float32_states(layer, x), expected)
        assert torch.equal(recurrent_states(layer, x), layer(x)[0])  # as on CPUs it always did
    there = torch.empty(3, 5, 4, dtype=torch.bfloat16, device="meta")
    assert recurrent_states(layer.to("meta"), there).dtype == torch.float32
