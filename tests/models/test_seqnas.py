"""The seqnas network: costs as the formula has them, padding that changes nothing, and every odd shape."""

import numpy as np
import plain_seqnas
import pytest
import torch

from nasbench_evs.errors import InvalidArchitecture
from nasbench_evs.models import build
from nasbench_evs.models.seqnas import SPATIAL_DROPOUT, Head
from nasbench_evs.spaces import SearchSpace, SeqNASSpace, SequenceShape, VectorShape
from nasbench_evs.testing.network import CATEGORICAL, MIXED, SEQUENCES, NetworkContract, make_batch

WIDE = SequenceShape(((5, 3),), 37, 2, 8, 3, 20)  # more fields than one group of the stem's convolution holds
SHAPES = (*SEQUENCES, WIDE)


def architectures(shape, n, seed=0):
    space = SeqNASSpace(numerical=shape.numerical > 0)
    half = n // 2
    choices = np.concatenate([space.sample_many(half, seed), space.sample_many(n - half, seed, "uniform")])
    return space.architectures(choices)


class TestSeqNASNetwork(NetworkContract):
    shapes = SHAPES
    unused = ("cross_attention.key.bias",)  # changes no logit

    def space(self, shape):
        return SeqNASSpace(numerical=shape.numerical > 0)

    def counted(self, architecture, shape):
        """PyTorch's own layers, whose products the counter sees (a GRU's, on the CPU, always)."""
        return plain_seqnas.SeqNASNetwork(architecture, shape, 0.3)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_it_computes_what_pytorchs_own_layers_compute(shape, training, monkeypatch):
    """Logits, gradients and running statistics are those of the plain network."""
    monkeypatch.setattr("nasbench_evs.models.seqnas.SPATIAL_DROPOUT", 0.0)
    for seed, architecture in enumerate(architectures(shape, 24, seed=3)):
        torch.manual_seed(seed)
        fast = build(architecture, shape, dropout=0.0)
        with torch.no_grad():
            for parameter in fast.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
        plain = plain_seqnas.SeqNASNetwork(architecture, shape, 0.0)
        plain.load_state_dict(fast.state_dict())
        batch = make_batch(shape, [1, 4, 9, shape.length], seed=seed)
        logits = [network.train(training)(batch) for network in (fast, plain)]
        assert torch.allclose(*logits, atol=1e-5, rtol=1e-4)
        expected = dict(fast.named_parameters())
        for network, answer in zip((fast, plain), logits, strict=True):
            network.zero_grad()
            answer.square().sum().backward()
        for name, parameter in plain.named_parameters():
            if name.endswith("cross_attention.key.bias"):
                assert parameter.grad.abs().max() < 1e-4  # what rounding leaves of nothing
                continue
            size = max(1.0, float(parameter.grad.abs().max()))  # what one entry's rounding errors are a share of
            assert torch.allclose(parameter.grad, expected[name].grad, atol=1e-4 * size, rtol=1e-3), name
        buffers = dict(fast.named_buffers())
        for name, buffer in plain.named_buffers():
            if "running" in name:
                assert torch.allclose(buffer, buffers[name], atol=1e-5), name


def test_dropout_is_only_where_the_architecture_has_it():
    space = SeqNASSpace()
    batch = make_batch(MIXED, [5, 5])
    for text, random in (("k3.t.0.0.mean", False), ("k3d.t.0.0.mean", True), ("k3.t.0.0.d-mean", True)):
        torch.manual_seed(0)
        network = build(space.parse(text), MIXED).train()
        assert torch.equal(network(batch), network(batch)) != random


@pytest.mark.parametrize("pool", ["mean", "max", "mean+max"])
def test_the_head_drops_whole_time_steps(pool):
    """Mish, times 1 / (1 - rate) or 0 for a whole event, and only then pooled over valid events."""
    torch.manual_seed(0)
    head = Head(MIXED.width, MIXED.outputs, SPATIAL_DROPOUT, pool).train()
    x, mask = torch.randn(64, 9, MIXED.width), torch.arange(9) < torch.randint(1, 10, (64, 1))
    torch.manual_seed(1)
    logits = head(x, mask)
    torch.manual_seed(1)
    kept = torch.rand(64, 9) >= 0.2
    x = torch.nn.functional.mish(x) * (kept / 0.8)[..., None]
    rows = [row[:length] for row, length in zip(x, mask.sum(1).tolist(), strict=True)]
    pooled = {"mean": torch.stack([row.mean(0) for row in rows]), "max": torch.stack([row.amax(0) for row in rows])}
    expected = head.linear(sum(pooled[name] for name in pool.split("+")) / len(pool.split("+")))
    assert torch.allclose(logits, expected, atol=1e-5)


def test_what_has_no_network():
    with pytest.raises(InvalidArchitecture, match="SequenceShape"):
        build(SeqNASSpace().unrank(0), VectorShape(3, 1))
    with pytest.raises(InvalidArchitecture, match="real-valued fields"):
        build(SeqNASSpace().unrank(0), CATEGORICAL)
    space = SearchSpace.from_choices({"a": [1, 2]})
    with pytest.raises(InvalidArchitecture, match="'custom' has no networks"):
        build(space.unrank(0), MIXED)
