"""The seqnas network: costs as the formula has them, padding that changes nothing, and every odd shape."""

import numpy as np
import plain_seqnas
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nasbench_evs.errors import InvalidArchitecture
from nasbench_evs.models import build
from nasbench_evs.models.batch import PaddedBatch
from nasbench_evs.models.seqnas import Head
from nasbench_evs.spaces import SearchSpace, SeqNASSpace, SequenceShape, VectorShape

MIXED = SequenceShape(((20, 8), (7, 5)), 3, 4, 16, 2, 30)
CATEGORICAL = SequenceShape(((20, 8), (7, 5)), 0, 0, 16, 3, 30)
NUMERICAL = SequenceShape((), 5, 3, 8, 2, 12)
WIDE = SequenceShape(((5, 3),), 37, 2, 8, 3, 20)  # more fields than one group of the stem's convolution holds
SHAPES = [MIXED, CATEGORICAL, NUMERICAL, WIDE]


def make_batch(shape, lengths, padded_to=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    longest = padded_to or max(lengths)
    lengths = torch.tensor(lengths)
    size = (len(lengths), longest)
    fields = [torch.randint(1, rows, size, generator=generator) for rows, _ in shape.categorical]
    categorical = torch.stack(fields, -1) if fields else torch.zeros((*size, 0), dtype=torch.long)
    numerical = torch.randn((*size, shape.numerical), generator=generator)
    time = torch.rand(size, generator=generator).cumsum(1)
    return PaddedBatch(categorical, numerical, time, lengths)


def architectures(shape, n, seed=0):
    space = SeqNASSpace(numerical=shape.numerical > 0)
    half = n // 2
    choices = np.concatenate([space.sample_many(half, seed), space.sample_many(n - half, seed, "uniform")])
    return space.architectures(choices)


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_and_flops_equal_the_formulas(shape):
    for architecture in architectures(shape, 40):
        network = build(architecture, shape).eval()
        cost = architecture.space.cost(architecture, shape)
        assert sum(p.numel() for p in network.parameters()) == cost.params
        # The counter sees what PyTorch's own layers multiply, and attention's products only where they are made one by
        # one (a GRU's, on the CPU, always are).
        plain = plain_seqnas.SeqNASNetwork(architecture, shape, 0.3).eval()
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            plain(make_batch(shape, [shape.length]))
        assert counter.get_total_flops() == cost.flops


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


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_changes_no_logit(shape):
    lengths = [1, 3, 7, 10]
    for architecture in architectures(shape, 20, seed=1):
        torch.manual_seed(0)
        network = build(architecture, shape).eval()
        tight = make_batch(shape, lengths)
        fields = (tight.categorical, tight.numerical, tight.time)
        padded = []
        for tensor in fields:
            filler = torch.full((4, 5, *tensor.shape[2:]), 3 if tensor.dtype == torch.long else 1e3, dtype=tensor.dtype)
            padded.append(torch.cat([tensor, filler], dim=1))
        with torch.no_grad():
            expected = network(tight)
            assert torch.allclose(network(PaddedBatch(*padded, tight.lengths)), expected, atol=1e-5)
            for i, length in enumerate(lengths):
                alone = PaddedBatch(*(tensor[i : i + 1, :length] for tensor in fields), tight.lengths[i : i + 1])
                assert torch.allclose(network(alone), expected[i : i + 1], atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_trains_on_any_batch(shape):
    """Batches of one, sequences of one event, simultaneous events: finite gradients for every parameter that is used."""
    for architecture in architectures(shape, 16, seed=2):
        network = build(architecture, shape).train()
        for lengths in ([5, 2], [2]):
            batch = make_batch(shape, lengths)
            batch.time = torch.zeros_like(batch.time)
            network.zero_grad()
            logits = network(batch)
            assert logits.shape == (len(lengths), shape.outputs)
            logits.square().sum().backward()
            for name, parameter in network.named_parameters():
                if name.endswith("cross_attention.key.bias"):  # changes no logit
                    continue
                assert parameter.grad is not None, name
                assert torch.isfinite(parameter.grad).all(), name
        network.eval()
        assert torch.isfinite(network(make_batch(shape, [1]))).all()


def test_padding_does_not_reach_the_batch_norm():
    architecture = SeqNASSpace().parse("k1.n.0.0.mean")
    shape = MIXED
    batch = make_batch(shape, [2, 6])
    statistics = []
    for filler in (0.0, 1e6):
        network = build(architecture, shape).train()
        batch.numerical[0, 2:] = filler
        network(batch)
        statistics.append(network.stem.numerical.norm.running_mean.clone())
    assert torch.equal(*statistics)


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
    head = Head(MIXED, True, pool).train()
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


def test_the_same_seed_is_the_same_network():
    architecture = SeqNASSpace().parse("k5d.t.a4/gc.2x8.d-max")
    networks = []
    for _ in range(2):
        torch.manual_seed(3)
        networks.append(build(architecture, MIXED))
    for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_has_no_network():
    with pytest.raises(InvalidArchitecture, match="SequenceShape"):
        build(SeqNASSpace().unrank(0), VectorShape(3, 1))
    with pytest.raises(InvalidArchitecture, match="real-valued fields"):
        build(SeqNASSpace().unrank(0), CATEGORICAL)
    space = SearchSpace.from_choices({"a": [1, 2]})
    with pytest.raises(InvalidArchitecture, match="'custom' has no networks"):
        build(space.unrank(0), MIXED)
