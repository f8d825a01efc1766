"""The network contract notices what it is there for."""

from dataclasses import replace

import pytest
from torch import nn

from nasbench_evs.models import networks
from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.testing.network import MIXED, NetworkContract


class Leaky(nn.Module):
    """Reads times behind the ends of sequences, and normalizes over the batch."""

    def __init__(self, shape, over_batch):
        super().__init__()
        self.linear, self.over_batch = nn.Linear(1, shape.outputs), over_batch

    def forward(self, batch):
        total = (batch.time * batch.mask if self.over_batch else batch.time).sum(1, keepdim=True)
        return self.linear(total - total.mean() if self.over_batch else total)


class Contract(NetworkContract):
    shapes = (MIXED,)

    def space(self, shape):
        return SeqNASSpace()


@pytest.mark.parametrize(
    ("test", "over_batch"),
    [
        ("test_parameters_and_flops_equal_the_formula", False),
        ("test_padding_and_company_change_no_logit", False),
        ("test_padding_and_company_change_no_logit", True),
        ("test_padding_changes_no_training", False),
    ],
)
def test_what_breaks_the_contract(test, over_batch, monkeypatch):
    spec = networks.find("seqnas")
    monkeypatch.setitem(
        networks._TABLE, "seqnas", replace(spec, network=lambda _, shape, **__: Leaky(shape, over_batch))
    )
    with pytest.raises(AssertionError):
        getattr(Contract(), test)()
