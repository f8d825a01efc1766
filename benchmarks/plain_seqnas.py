"""The seqnas network as PyTorch's own layers say it: what the faster parts of `nasbench_evs.models.seqnas` must equal.

It serves two purposes: tests hold the faster network against it, and `benchmarks/training.py` measures how much faster
that is. The parameters have the same names.
"""

import torch
from torch import nn

from nasbench_evs.models import seqnas
from nasbench_evs.models.dropout import Dropout
from nasbench_evs.spaces import Architecture, SequenceShape


class SeqNASNetwork(seqnas.SeqNASNetwork):
    """Logits (B, outputs) of a padded batch of event sequences, without any of the shortcuts."""

    def __init__(self, architecture: Architecture, shape: SequenceShape, dropout: float) -> None:
        super().__init__(architecture, shape, dropout)
        _make_plain(self)


def _make_plain(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, Dropout):
            setattr(module, name, nn.Dropout(child.rate))
        elif isinstance(child, seqnas.NormedConvolution):
            setattr(module, name, NormedConvolution(child))
        elif isinstance(child, seqnas.Convolution):
            setattr(module, name, Convolution(child))
        else:
            _make_plain(child)


class NormedConvolution(nn.Module):
    """Batch norm over the valid events, then the grouped convolution."""

    def __init__(self, fast: seqnas.NormedConvolution) -> None:
        super().__init__()
        self.norm, self.convolution = fast.norm, fast.convolution

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        normed = torch.zeros_like(x)
        normed[mask] = self.norm(x[mask]).to(normed.dtype)
        return self.convolution(normed.transpose(1, 2)).transpose(1, 2)


class Convolution(nn.Module):
    """A one-dimensional convolution, with the transpositions it takes."""

    def __init__(self, fast: seqnas.Convolution) -> None:
        super().__init__()
        self.convolution = fast.convolution

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        inside = x.masked_fill(~mask[..., None], 0.0)
        return self.convolution(inside.transpose(1, 2)).transpose(1, 2)
