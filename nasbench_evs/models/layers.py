"""Layers and operations that several networks share, written so that a CPU trains them fast."""

import contextlib
import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """nn.Dropout, on the CPU with one random byte an element: there, drawing floats took up to a sixth of a training step.

    The rate is then the nearest multiple of 1/256 (0.3 becomes 0.3008), and what is kept is scaled to match.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0:
            return x
        if x.device.type != "cpu":
            return nn.functional.dropout(x, self.rate)
        dropped = round(self.rate * 256)
        random = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        kept = random.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
        return x * kept.to(x.dtype).mul_(256 / (256 - dropped))


class NormedConvolution(nn.Module):
    """Batch norm over valid events, then for each field a convolution of its own along time, which reads zeros outside.

    The norm's scale g and shift b are folded into the weights w: conv(g x + b) = (g w) * x + (b w) * mask, so that no
    gradient flows back to the inputs, which are data; the mask is one more field. Fields are convolved in groups of at most
    GROUP, most of whose weights are zero: on a CPU that takes up to half as long as one field a group.
    """

    GROUP = 15  # and the mask: sixteen, which is what vector units like

    def __init__(self, fields: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(fields)
        self.convolution = nn.Conv1d(fields, fields * channels, kernel, padding=kernel // 2, groups=fields)
        self.groups = -(-fields // self.GROUP)
        self.size = -(-fields // self.groups)  # fields a group; the last may have some that do not exist

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`x` (B, L, R) and `mask` (B, L) to (B, L, R * channels)."""
        fields, inside = x.shape[-1], mask.to(x.dtype)
        mean, variance = self._moments(x, inside)
        rate = torch.rsqrt(variance + self.norm.eps)
        x = torch.addcmul(-mean * rate, x, rate) * inside[..., None]
        x = F.pad(x, (0, self.groups * self.size - fields)).unflatten(-1, (self.groups, self.size))
        x = torch.cat([x, inside[..., None, None].expand(-1, -1, self.groups, 1)], dim=-1).flatten(-2)
        weight, bias = self._grouped(fields)
        y = conv1d(x, weight, bias, self.groups)
        return y[..., : self.convolution.out_channels]

    def _grouped(self, fields: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights (groups * size * channels, size + 1, kernel) of fields and mask, and biases; 0 for missing fields."""
        groups, size, missing = self.groups, self.size, self.groups * self.size - fields
        scale, shift = (F.pad(each, (0, missing)).view(groups, size, 1) for each in (self.norm.weight, self.norm.bias))
        factors = torch.cat([torch.eye(size, device=scale.device) * scale, shift], dim=-1)  # (groups, size, size + 1)
        weight = self.convolution.weight.unflatten(0, (fields, -1))  # (R, channels, 1, kernel)
        weight = F.pad(weight, (0,) * 7 + (missing,)).unflatten(0, (groups, size))
        weight = (weight * factors[:, :, None, :, None]).flatten(0, 2)
        bias = F.pad(self.convolution.bias, (0, len(weight) - self.convolution.out_channels))  # type: ignore[arg-type]
        return weight, bias

    def _moments(self, x: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of each field over the valid events of the batch, or the running ones: both (R,)."""
        norm = self.norm
        running_mean, running_var = norm.running_mean, norm.running_var
        if not self.training or running_mean is None or running_var is None:
            return running_mean, running_var  # type: ignore[return-value]
        with torch.no_grad():
            events, weight = x.flatten(0, 1).float(), inside.flatten().float()
            count = weight.sum()
            mean = weight @ events / count
            variance = (weight @ events.square() / count - mean.square()).clamp(min=0)
            momentum = norm.momentum or 0.0
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(variance * count / (count - 1).clamp(min=1), momentum)
        return mean, variance


def conv1d(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, groups: int = 1) -> torch.Tensor:
    """The convolution of `x` (B, L, W) along L, with zeros outside: F.conv1d, but (B, L, W) again.

    That is what a two-dimensional convolution calls channels last: no copy before it and none after it.
    """
    image = x[:, None].permute(0, 3, 1, 2)
    mixed = F.conv2d(image, weight[:, :, None], bias, padding=(0, weight.shape[-1] // 2), groups=groups)
    return mixed.permute(0, 2, 3, 1)[:, 0]


def attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, allowed: torch.Tensor | None
) -> torch.Tensor:
    """PyTorch's fused attention of (B, heads, L, hidden) to what is `allowed` (None: everything).

    Its half-precision kernel takes five times as long as its float32 one on a CPU.
    """
    if query.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return F.scaled_dot_product_attention(query.float(), key.float(), value.float(), attn_mask=allowed)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)


def full_precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Within it nothing is computed in half precision, whatever autocast says around it."""
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


def recurrent_states(layer: nn.RNNBase, x: torch.Tensor) -> torch.Tensor:
    """All states of PyTorch's own layer, (B, L, inputs) to (B, L, width).

    In float32 elsewhere than on a CPU: there autocast has cuDNN compute recurrent layers in float16, whatever half
    precision it was asked for, and nobody scales the loss for that.
    """
    return layer(x)[0] if x.device.type == "cpu" else float32_states(layer, x)


def float32_states(layer: nn.RNNBase, x: torch.Tensor) -> torch.Tensor:
    """All states of the layer, computed in float32 under autocast too."""
    with full_precision(x.device):
        return layer(x.float())[0]


def concat(parts: list[torch.Tensor]) -> torch.Tensor:
    """The parts side by side, along the last dimension; one part alone is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def additive_mask(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where the mask is true, minus infinity where it is not."""
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, -math.inf)
