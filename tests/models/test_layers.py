import torch

from nasbench_evs.models.layers import Dropout


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
