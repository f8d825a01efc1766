"""One training, a step at a time: what it owns can be saved and restored between any two steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from nasbench_evs.errors import TrainingError
from nasbench_evs.training.arithmetic import autocast
from nasbench_evs.training.batches import BatchOrder
from nasbench_evs.training.evaluation import Evaluation, Forward, evaluate
from nasbench_evs.training.inputs import Inputs
from nasbench_evs.training.losses import Loss, class_weights
from nasbench_evs.training.protocol import Protocol


class Trainer:
    """Trains a network, which is on the device of `inputs`, by a protocol: trainer.train_step(trainer.batches.take()).

    network        whose parameters are trained
    optimizer      AdamW, Adam or SGD
    schedule       of the learning rate, over the steps of all epochs of the protocol
    batches        which sequences share a batch, epoch after epoch
    class_weights  of the task's loss (outputs,), or None
    step           how many steps were made
    train_loss     the task's mean loss of the sequences that were trained on since the epoch began

    `loss` says what is minimized where that is not the task's loss: a teacher's, a price of what a network costs.
    """

    def __init__(self, network: nn.Module, protocol: Protocol, inputs: Inputs, *, loss: Loss | None = None) -> None:
        self.network, self.protocol, self.inputs = network, protocol, inputs
        rows = inputs.rows["train"]
        epoch_size = protocol.epoch_size or len(rows)
        batches = max(1, round(epoch_size / protocol.batch_size))
        self.optimizer = _optimizer(network, protocol, inputs.device)
        self.schedule = _schedule(self.optimizer, protocol, batches * protocol.epochs)
        self.class_weights = class_weights(inputs, protocol)
        # Which sequences share a batch is drawn from torch's generator, so that one state decides everything.
        generator = np.random.default_rng(int(torch.randint(2**62, ())))
        self.batches = BatchOrder(rows, inputs.lengths, epoch_size, batches, protocol.pool, generator)
        self.step = 0
        self._loss = loss
        self._start_epoch()

    def train_step(self, rows: np.ndarray, forward: Forward | None = None) -> torch.Tensor:
        """One step of the optimizer and the schedule on these sequences; the task's loss, a scalar on the device.

        `forward` is called in the network's place: a path through it, another one each time.
        """
        task = self.backward(rows, forward)
        self.update()
        return task

    def backward(self, rows: np.ndarray, forward: Forward | None = None) -> torch.Tensor:
        """Add the gradients of the loss on these sequences; the task's loss.

        `train_step` is this and `update`; where gradients of several paths or batches add up, this comes several times
        before the update. A state that is saved between them does not hold the gradients.
        """
        inputs = self.inputs
        if self._epoch != self.batches.epoch:
            self._start_epoch()
        if not self.network.training:
            self.network.train()
        index = torch.from_numpy(rows).to(inputs.device)
        with autocast(self.protocol, inputs.device):
            logits = (self.network if forward is None else forward)(inputs.batch(rows))
        logits = logits.float()
        task = F.cross_entropy(logits, inputs.labels[index], self.class_weights)
        self._total += task.detach() * len(rows)
        self._sequences += len(rows)
        (task if self._loss is None else self._loss(logits, index, task)).backward()
        return task.detach()

    def update(self) -> None:
        """Clip the gradients as the protocol says, make a step of the optimizer and the schedule, forget the gradients."""
        if self.protocol.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.protocol.clip)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1

    def evaluate(self, rows: np.ndarray, forward: Forward | None = None) -> Evaluation:
        """How good the predictions for these sequences are; draws no random numbers."""
        return evaluate(self.network, self.protocol, self.inputs, rows, self.class_weights, forward=forward)

    @property
    def train_loss(self) -> float:
        return float(self._total) / self._sequences if self._sequences else math.nan

    def state_dict(self) -> dict[str, Any]:
        """All that decides how this training goes on, between two steps: tensors, numbers and strings only.

        As everywhere in PyTorch, tensors of the network and the optimizer are the living ones: save or copy them before
        the next step. The random state is that of torch's global generators.
        """
        on_gpu = self.inputs.device.type == "cuda"
        return {
            "protocol": self._identity(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "batches": self.batches.state_dict(),
            "random": torch.get_rng_state(),
            "device_random": torch.cuda.get_rng_state(self.inputs.device) if on_gpu else None,
            "progress": {
                "step": self.step,
                "epoch": self._epoch,
                "total": self._total.clone(),
                "sequences": self._sequences,
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the training stood whose state it is: on a CPU bitwise, on the same type and within `reproducible`.

        Sets torch's global random state. TrainingError if the state is of another protocol, other training sequences or
        another network.
        """
        ours, theirs = self._identity(), state["protocol"]
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name) != theirs.get(name):
                raise TrainingError(
                    f"the state is of a training with {name} = {theirs.get(name)!r}, this one has {ours.get(name)!r}: "
                    f"make the trainer with the protocol and the inputs that the state was made with"
                )
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError as error:
            raise TrainingError(f"the state is of another network: {error}") from None
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.batches.load_state_dict(state["batches"])
        progress = state["progress"]
        self.step, self._epoch, self._sequences = progress["step"], progress["epoch"], progress["sequences"]
        self._total = progress["total"].to(self.inputs.device, copy=True)
        torch.set_rng_state(state["random"].cpu())
        if state["device_random"] is not None and self.inputs.device.type == "cuda":
            torch.cuda.set_rng_state(state["device_random"].cpu(), self.inputs.device)

    def _start_epoch(self) -> None:
        self._epoch = self.batches.epoch
        self._total = torch.zeros((), device=self.inputs.device)
        self._sequences = 0

    def _identity(self) -> dict[str, Any]:
        return self.protocol.to_dict() | {"training sequences": len(self.inputs.rows["train"])}


def _optimizer(network: nn.Module, protocol: Protocol, device: torch.device) -> torch.optim.Optimizer:
    settings: dict[str, Any] = {"lr": protocol.learning_rate, "weight_decay": protocol.weight_decay}
    if device.type in ("cpu", "cuda"):
        settings["fused"] = True
    if protocol.optimiser == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=0.9, **settings)
    return (torch.optim.AdamW if protocol.optimiser == "adamw" else torch.optim.Adam)(network.parameters(), **settings)


def _schedule(optimizer: torch.optim.Optimizer, protocol: Protocol, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Learning rate as a share of the peak: one-cycle warms up first, then it and cosine follow a cosine to 0."""
    warm = protocol.warm_up * steps if protocol.schedule == "one-cycle" else 0.0

    def share(step: int) -> float:
        if protocol.schedule == "constant":
            return 1.0
        if step < warm:
            return 0.04 + 0.96 * (1 - math.cos(math.pi * step / warm)) / 2
        return (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1.0, steps - warm)))) / 2

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)
