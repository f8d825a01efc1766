"""What a network says of sequences, and how good that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from nasbench_evs.metrics import block_scores, score
from nasbench_evs.training.arithmetic import autocast
from nasbench_evs.training.inputs import Inputs
from nasbench_evs.training.protocol import Protocol

EXPLODED = 100.0  # nats: a mean loss beyond it is divergence
_EVALUATION_BATCH = 512
_CPU_EVALUATION_BATCH = 128  # what its caches hold

# From what Inputs.batch makes of B sequences to logits (B, outputs).
Forward = Callable[[Any], torch.Tensor]


@dataclass(frozen=True)
class Evaluation:
    """How good predictions for N sequences are.

    loss           the task's mean loss, by the weights of the training's classes
    labels         int64 (N,)
    probabilities  float64 (N, outputs)
    metric         the name of the dataset's
    """

    loss: float
    labels: np.ndarray
    probabilities: np.ndarray
    metric: str

    @property
    def exploded(self) -> bool:
        """The loss is above EXPLODED or no number; probabilities may be no numbers then, and have no score."""
        return not self.loss < EXPLODED

    def score(self) -> float:
        return score(self.metric, self.labels, self.probabilities)

    def block_scores(self, blocks: np.ndarray) -> list[float]:
        """The scores without each block (`blocks` are those of the sequences, (N,)): BLOCKS numbers."""
        return block_scores(self.metric, self.labels, self.probabilities, blocks).tolist()


def evaluate(
    network: nn.Module,
    protocol: Protocol,
    inputs: Inputs,
    rows: np.ndarray,
    class_weights: torch.Tensor | None = None,
    *,
    forward: Forward | None = None,
) -> Evaluation:
    """Evaluate the predictions for these sequences; see `predict`."""
    logits = predict(network, protocol, inputs, rows, forward=forward)
    labels = inputs.labels[torch.from_numpy(rows).to(inputs.device)]
    loss = float(F.cross_entropy(logits, labels, class_weights))
    probabilities = logits.double().softmax(dim=-1).cpu().numpy()
    return Evaluation(loss, labels.cpu().numpy(), probabilities, inputs.schema.metric.name)


def predict(
    network: nn.Module, protocol: Protocol, inputs: Inputs, rows: np.ndarray, *, forward: Forward | None = None
) -> torch.Tensor:
    """Logits of these sequences, float32 (N, outputs), in their order, on the device.

    The network is left in evaluation mode. `forward` is called in its place (a path through it, say), if there is one.
    """
    network.eval()
    forward = network if forward is None else forward
    order = np.argsort(inputs.lengths[rows], kind="stable")
    size = _CPU_EVALUATION_BATCH if inputs.device.type == "cpu" else _EVALUATION_BATCH
    parts = []
    with torch.inference_mode(), autocast(protocol, inputs.device):
        for start in range(0, len(rows), size):
            parts.append(forward(inputs.batch(rows[order[start : start + size]])).float())
    logits = torch.cat(parts)
    back = torch.empty_like(logits)
    back[torch.from_numpy(order).to(inputs.device)] = logits
    return back
