"""Feed-forward ReLU networks on a fixed-length vector (paper 003)."""

from itertools import pairwise

import torch
from torch import nn

from nasbench_evs.models.layers import Dropout
from nasbench_evs.spaces import Architecture, VectorShape


class FFNNetwork(nn.Module):
    """Linear layers, between them a layer norm if the shape has one, ReLU and dropout: (B, inputs) to (B, outputs)."""

    def __init__(self, architecture: Architecture, shape: VectorShape, dropout: float) -> None:
        super().__init__()
        widths = [shape.inputs, *(int(size) for size in architecture.options.values()), shape.outputs]
        layers: list[nn.Module] = []
        for n_layer, (n_in, n_out) in enumerate(pairwise(widths)):
            layers += [nn.Linear(n_in, n_out)]
            if n_layer < len(widths) - 2:
                layers += [nn.LayerNorm(n_out)] if shape.norm == "layer" else []
                layers += [nn.ReLU(), Dropout(dropout)]
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits, (B, outputs)."""
        return self.layers(inputs)
