"""The ffn networks: layers, parameters and FLOPs as written."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from nasbench_evs.models import build
from nasbench_evs.spaces import FFNSpace, VectorShape


def test_parameters_and_flops_equal_the_formula():
    shape = VectorShape(inputs=11, outputs=3)
    for layers in (1, 3, 5):
        space = FFNSpace(layers)
        for architecture in space.architectures(space.sample_many(10, 0)):
            network = build(architecture, shape).eval()
            cost = space.cost(architecture, shape)
            assert sum(p.numel() for p in network.parameters()) == cost.params
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                assert network(torch.zeros(1, 11)).shape == (1, 3)
            assert counter.get_total_flops() == cost.flops


def test_hidden_layers_are_rectified_and_the_last_is_not():
    network = build(FFNSpace(2, [2, 3]).parse("2-3"), VectorShape(2, 1))
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
