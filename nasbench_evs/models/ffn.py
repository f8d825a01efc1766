"""Feed-forward ReLU networks on a fixed-length vector (paper 003)."""

from itertools import pairwise

import torch
from torch import nn

from nasbench_evs.models.dropout import Dropout
from nasbench_evs.spaces import Architecture, VectorShape


class FFNNetwork(nn.Module):
    """Linear layers with ReLU and dropout between: (B, inputs) to (B, outputs)."""

    def __init__(self, architecture: Architecture, shape: VectorShape, dropout: float) -> None:
        super().__init__()
        widths = [shape.inputs, *(int(size) for size in architecture.options.values()), shape.outputs]
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.ReLU(), Dropout(dropout)]
        self.layers = nn.Sequential(*layers[:-2])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits, (B, outputs)."""
        return self.layers(inputs)
