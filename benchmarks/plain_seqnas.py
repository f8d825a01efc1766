"""The seqnas network as PyTorch's own layers say it: what the faster parts of `nasbench_evs.models` must equal.

It serves two purposes: tests hold the faster network against it, and `benchmarks/training.py` measures how much faster
that is. The parameters have the same names.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from nasbench_evs.models import gru, layers, seqnas
from nasbench_evs.models.layers import Dropout
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
        elif type(child) in PLAIN:
            setattr(module, name, PLAIN[type(child)](child))
        else:
            _make_plain(child)


class NormedConvolution(nn.Module):
    """Batch norm over the valid events, then the grouped convolution."""

    def __init__(self, fast: layers.NormedConvolution) -> None:
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


class GRU(nn.Module):
    """PyTorch's GRU."""

    def __init__(self, fast: gru.GRU) -> None:
        super().__init__()
        self.gru = fast.gru

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.gru(x)[0]


class CrossAttention(nn.Module):
    """Keys and values of every event of the memory."""

    def __init__(self, fast: seqnas.CrossAttention) -> None:
        super().__init__()
        self.heads = fast.heads
        self.query, self.key, self.value, self.norm, self.out = fast.query, fast.key, fast.value, fast.norm, fast.out

    def forward(self, x: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (self.query(x), self.key(memory), self.value(memory))
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        return self.out(self.norm(mixed.transpose(1, 2).flatten(-2)))


class TimeEncoding(nn.Module):
    """Sines and cosines, side by side."""

    def __init__(self, fast: seqnas.TimeEncoding) -> None:
        super().__init__()
        self.width = len(fast.rate)
        rate = torch.exp(-math.log(10_000.0) * torch.arange(0, self.width, 2) / self.width)
        self.register_buffer("rate", rate, persistent=False)

    def forward(self, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        low = time.masked_fill(~mask, math.inf).amin(dim=1, keepdim=True)
        high = time.masked_fill(~mask, -math.inf).amax(dim=1, keepdim=True)
        unit = torch.where(mask, (time - low) / (high - low).clamp(min=torch.finfo(time.dtype).tiny), 0.0)
        angle = unit[..., None] * self.rate
        return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)[..., : self.width]


class Head(nn.Module):
    """Padding filled with what the pooling ignores."""

    def __init__(self, fast: seqnas.Head) -> None:
        super().__init__()
        self.rate, self.pool, self.linear = fast.rate, fast.pool, fast.linear

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        x = F.mish(x)
        if self.rate and self.training:
            x = F.dropout1d(x, self.rate)  # of (B, L, W): whole time steps
        inside = mask[..., None]
        pooled = []
        if "mean" in self.pool:
            pooled.append(x.masked_fill(~inside, 0.0).sum(dim=1) / inside.sum(dim=1))
        if "max" in self.pool:
            pooled.append(x.masked_fill(~inside, -math.inf).amax(dim=1))
        return self.linear(torch.stack(pooled).mean(dim=0))


PLAIN = {
    layers.NormedConvolution: NormedConvolution,
    seqnas.Convolution: Convolution,
    gru.GRU: GRU,
    seqnas.CrossAttention: CrossAttention,
    seqnas.TimeEncoding: TimeEncoding,
    seqnas.Head: Head,
}
