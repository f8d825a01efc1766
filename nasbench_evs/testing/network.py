"""NetworkContract: costs as the formula has them, padding that changes nothing, and every odd shape and batch."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nasbench_evs.errors import InvalidArchitecture
from nasbench_evs.models import build
from nasbench_evs.models.batch import PaddedBatch
from nasbench_evs.spaces import Architecture, SearchSpace, SequenceShape, VectorShape
from nasbench_evs.spaces.shapes import Shape

MIXED = SequenceShape(((20, 8), (7, 5)), 3, 4, 16, 2, 30)
CATEGORICAL = SequenceShape(((20, 8), (7, 5)), 0, 0, 16, 3, 30)
NUMERICAL = SequenceShape((), 5, 3, 8, 2, 12)
SEQUENCES = (MIXED, CATEGORICAL, NUMERICAL)
VECTORS = (VectorShape(11, 3), VectorShape(1, 2), VectorShape(4, 2, "layer"))


Batch = PaddedBatch | torch.Tensor


def make_batch(shape: Shape, lengths: Sequence[int], seed: int = 0, filler: float | None = None) -> Batch:
    """A random batch, of the kind that `Inputs.batch` gives: sequences of so many events, or as many vectors.

    The first two events are simultaneous. Behind the ends of sequences stands the filler (as a code, its remainder by 4); left
    out, what is random too.
    """
    generator = torch.Generator().manual_seed(seed)
    if isinstance(shape, VectorShape):
        return torch.randn((len(lengths), shape.inputs), generator=generator)
    size = (len(lengths), max(lengths))
    codes = [torch.randint(1, rows, size, generator=generator) for rows, _ in shape.categorical]
    categorical = torch.stack(codes, -1) if codes else torch.zeros((*size, 0), dtype=torch.long)
    numerical = torch.randn((*size, shape.numerical), generator=generator)
    time = torch.rand(size, generator=generator).cumsum(1)
    time[:, :2] = 0
    batch = PaddedBatch(categorical, numerical, time, torch.tensor(lengths))
    if filler is not None:
        for tensor, value in ((categorical, int(filler) % 4), (numerical, filler), (time, filler)):
            tensor[~batch.mask] = value
    return batch


def pad(batch: PaddedBatch, steps: int, filler: float) -> PaddedBatch:
    """The same sequences with so many more steps behind them, full of the filler."""

    def longer(tensor: torch.Tensor) -> torch.Tensor:
        value = filler if tensor.is_floating_point() else int(filler) % 4
        more = torch.full((len(tensor), steps, *tensor.shape[2:]), value, dtype=tensor.dtype)
        return torch.cat([tensor, more], dim=1)

    return PaddedBatch(longer(batch.categorical), longer(batch.numerical), longer(batch.time), batch.lengths)


def alone(batch: Batch, row: int) -> Batch:
    """One sequence or vector of a batch, as a batch without padding."""
    if isinstance(batch, torch.Tensor):
        return batch[row : row + 1]
    rows, length = slice(row, row + 1), int(batch.lengths[row])
    categorical, numerical, time = (each[rows, :length] for each in (batch.categorical, batch.numerical, batch.time))
    return PaddedBatch(categorical, numerical, time, batch.lengths[rows])


class NetworkContract:
    """Inherit, and set `space`; its networks are those that `models.build` makes.

    Override `shapes` with VECTORS where the networks read vectors, and `shapes` and `batch` where their inputs are of a kind of
    their own.
    """

    shapes: ClassVar[Sequence[Shape]] = SEQUENCES
    samples: ClassVar[int] = 12  # architectures of each shape that a test looks at
    unused: ClassVar[tuple[str, ...]] = ()  # how names of parameters end that change no logit

    def space(self, shape: Shape) -> SearchSpace:
        """The space for datasets of this shape."""
        raise NotImplementedError

    def batch(self, shape: Shape, lengths: Sequence[int], seed: int = 0, filler: float | None = None) -> Batch:
        """As `make_batch`."""
        return make_batch(shape, lengths, seed, filler)

    def counted(self, architecture: Architecture, shape: Shape) -> nn.Module:
        """A network whose operations are counted: where `build` makes a faster one, a plain one."""
        return build(architecture, shape)

    def architectures(self, seed: int) -> list[tuple[Architecture, Shape]]:
        """Of every shape some, half of them drawn choice by choice, half by rank."""
        found = []
        for shape in self.shapes:
            space, half = self.space(shape), self.samples // 2
            rows = [space.sample_many(self.samples - half, seed), space.sample_many(half, seed, "uniform")]
            found += [(each, shape) for each in space.architectures(np.concatenate(rows))]
        return found

    def test_parameters_and_flops_equal_the_formula(self) -> None:
        for architecture, shape in self.architectures(0):
            cost = architecture.space.cost(architecture, shape)
            network = build(architecture, shape)
            assert sum(p.numel() for p in network.parameters() if p.requires_grad) == cost.params, str(architecture)
            plain = self.counted(architecture, shape).eval()
            longest = shape.length if isinstance(shape, SequenceShape) else 1
            # Attention's products are counted only where they are made one by one.
            with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
                plain(self.batch(shape, [longest]))
            assert counter.get_total_flops() == cost.flops, str(architecture)

    def test_padding_and_company_change_no_logit(self) -> None:
        """In evaluation mode each sequence has the logits that it has alone, whatever stands behind it or beside it."""
        lengths = [1, 3, 7, 10]
        for architecture, shape in self.architectures(1):
            torch.manual_seed(0)
            network = build(architecture, shape).eval()
            batch = self.batch(shape, lengths)
            with torch.no_grad():
                expected = network(batch)
                assert expected.shape == (len(lengths), shape.outputs)
                for row in range(len(lengths)):
                    assert torch.allclose(network(alone(batch, row))[0], expected[row], atol=1e-5), str(architecture)
                if isinstance(batch, PaddedBatch):
                    assert torch.allclose(network(pad(batch, 5, 1e3)), expected, atol=1e-5), str(architecture)

    def test_padding_changes_no_training(self) -> None:
        """In training mode neither logits nor running statistics depend on what stands behind the ends."""
        for architecture, shape in self.architectures(2):
            seen = []
            for filler in (0.0, 1e3 + 3):
                torch.manual_seed(0)
                network = build(architecture, shape).train()
                logits = network(self.batch(shape, [2, 6], filler=filler))
                seen.append([logits, *(each.double() for each in network.buffers())])
            for one, other in zip(*seen, strict=True):
                assert torch.allclose(one, other, atol=1e-5), str(architecture)

    def test_it_trains_on_any_batch(self) -> None:
        """Batches of one, sequences of one event: finite logits and gradients, and one for every parameter that is used."""
        for architecture, shape in self.architectures(3):
            network = build(architecture, shape, dropout=0.0).train()
            for lengths in ([5, 2], [2], [1]):
                network.zero_grad()
                logits = network(self.batch(shape, lengths))
                assert logits.shape == (len(lengths), shape.outputs)
                logits.square().sum().backward()
                for name, parameter in network.named_parameters():
                    if not name.endswith(self.unused):
                        assert parameter.grad is not None, f"{architecture}: {name}"
                        assert torch.isfinite(parameter.grad).all(), f"{architecture}: {name}"
            assert torch.isfinite(network.eval()(self.batch(shape, [1]))).all()

    def test_the_same_seed_is_the_same_network_and_so_is_that_of_a_view(self) -> None:
        for architecture, shape in self.architectures(4):
            view = architecture.space.restrict({}, name="a view")
            networks = []
            for each in (architecture, architecture, view.parse(str(architecture))):
                torch.manual_seed(3)
                networks.append(build(each, shape).state_dict())
            for name, tensor in networks[0].items():
                assert all(torch.equal(tensor, other[name]) for other in networks[1:]), f"{architecture}: {name}"

    def test_a_shape_of_other_inputs_is_refused(self) -> None:
        for shape in self.shapes:
            other = VECTORS[0] if isinstance(shape, SequenceShape) else MIXED
            with pytest.raises(InvalidArchitecture, match="Shape"):
                build(self.space(shape).unrank(0), other)
