"""What a training minimizes: the class-weighted cross-entropy, and what a teacher adds to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from nasbench_evs.training.inputs import Inputs
from nasbench_evs.training.protocol import Protocol

# From the logits (B, outputs) of sequences, the positions of these (B,) and their task's loss, a scalar, to what is
# minimized, another one. All are on the device.
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def class_weights(inputs: Inputs, protocol: Protocol) -> torch.Tensor | None:
    """Weights with which all classes count the same and the mean weight of a training sequence is 1."""
    if protocol.class_weights == "none":
        return None
    labels = inputs.labels[torch.from_numpy(inputs.rows["train"]).to(inputs.device)]
    counts = torch.bincount(labels, minlength=len(inputs.schema.classes))
    return (counts.sum() / (len(counts) * counts)).float()


def distillation(teacher_logits: np.ndarray, inputs: Inputs, weight: float) -> Loss:
    """(1 - weight) task + weight MSE(logits, teacher's logits): paper 000, section 3.4.

    `teacher_logits` (N, outputs) are in the order of rows["train"].
    """
    device = inputs.device
    teachers = torch.zeros((len(inputs.labels), teacher_logits.shape[1]), device=device)
    rows = torch.from_numpy(inputs.rows["train"]).to(device)
    teachers[rows] = torch.as_tensor(teacher_logits, dtype=torch.float32, device=device)

    def loss(logits: torch.Tensor, index: torch.Tensor, task: torch.Tensor) -> torch.Tensor:
        return (1 - weight) * task + weight * F.mse_loss(logits, teachers[index])

    return loss
