"""Train one architecture by a protocol and say everything about it, epoch by epoch.

On a CPU the same architecture, seed, protocol, machine type and versions give the same curves. On a GPU they should, as
PyTorch's deterministic algorithms promise; nobody has seen that yet (benchmarks/README.md).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from nasbench_evs.metrics import BLOCKS
from nasbench_evs.models import build
from nasbench_evs.spaces import Architecture
from nasbench_evs.training.arithmetic import reproducible
from nasbench_evs.training.evaluation import EXPLODED, predict
from nasbench_evs.training.inputs import Inputs
from nasbench_evs.training.losses import distillation
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.trainer import Trainer

CURVES = (
    "train_loss", "valid_loss", "test_loss", "valid_score", "test_score", "train_seconds", "eval_seconds", "cpu_seconds",
)  # fmt: skip
_SPLITS = ("valid", "test")


@dataclass
class Training:
    """What came of one training.

    status     "ok" or "diverged" (losses or logits that are no numbers, or above EXPLODED); `reason` says which
    curves     of each name of CURVES, one number an epoch that ran; an epoch that diverged has no scores. Those of the
               test split are missing where the protocol has no test curves. Seconds of the wall, and `cpu_seconds` of
               this thread, for training and evaluation together (NaN on other devices)
    final      with score_at "end": losses and scores of the last weights on whole splits, scores without each block
               (`valid_blocks`, `test_blocks`), CPU seconds that this took and those of the validation split in them, and
               seconds of the wall; NaN if the training diverged, seconds excepted
    logits     of the training sequences (N, outputs), in the order of rows["train"], by the weights that are scored: of
               the best epoch by validation score, or the last ones; only if asked for
    """

    status: str = "ok"
    reason: str = ""
    curves: dict[str, list[float]] = field(default_factory=dict)
    final: dict[str, Any] | None = None
    logits: np.ndarray | None = None


def train(
    architecture: Architecture,
    seed: int,
    protocol: Protocol,
    inputs: Inputs,
    *,
    teacher_logits: np.ndarray | None = None,
    keep_logits: bool = False,
) -> Training:
    """Train an architecture on `inputs` (made for its space, on the device to train on).

    `teacher_logits` (N, outputs), in the order of rows["train"], are what the student's logits are pulled towards
    (paper 000, section 3.4).
    """

    def make() -> nn.Module:
        return build(architecture, inputs.shape, dropout=protocol.dropout, embedding_std=protocol.embedding_std)

    name = f"{architecture.space.whole.name} {architecture} seed {seed}"
    return train_network(make, name, protocol, inputs, teacher_logits=teacher_logits, keep_logits=keep_logits)


def train_network(
    make: Callable[[], nn.Module],
    name: str,
    protocol: Protocol,
    inputs: Inputs,
    *,
    teacher_logits: np.ndarray | None = None,
    keep_logits: bool = False,
) -> Training:
    """Train what `make` makes; the name decides all random numbers. See `train`."""
    with reproducible(name, inputs.device):
        return _fit(make().to(inputs.device), protocol, inputs, teacher_logits, keep_logits)


def _fit(
    network: nn.Module, protocol: Protocol, inputs: Inputs, teacher_logits: np.ndarray | None, keep_logits: bool
) -> Training:
    device, sign = inputs.device, inputs.schema.metric.sign
    loss = None if teacher_logits is None else distillation(teacher_logits, inputs, protocol.teacher_weight)
    trainer = Trainer(network, protocol, inputs, loss=loss)
    names = [name for name in CURVES if name.split("_")[0] not in {*_SPLITS} - set(inputs.curve_rows)]
    result = Training(curves={name: [] for name in names})
    best, best_weights = -math.inf, None
    for _ in range(protocol.epochs):
        start, cpu_start = time.perf_counter(), _cpu_seconds(device)
        for batch in trainer.batches.rest():
            trainer.train_step(batch)
        train_loss = trainer.train_loss
        trained = time.perf_counter()
        result.curves["train_loss"].append(train_loss)
        result.curves["train_seconds"].append(trained - start)
        if not train_loss < EXPLODED:
            result.reason = f"mean training loss {train_loss:.3g} in epoch {len(result.curves['train_loss'])}"
        else:
            result.reason = _evaluate(trainer, result)
        result.curves["eval_seconds"].append(time.perf_counter() - trained)
        result.curves["cpu_seconds"].append(_cpu_seconds(device) - cpu_start)
        if result.reason:
            result.status = "diverged"
            for name in names:
                result.curves[name] += [math.nan] * (len(result.curves["train_loss"]) - len(result.curves[name]))
            break
        if keep_logits and protocol.score_at == "best epoch" and result.curves["valid_score"][-1] * sign > best:
            best = result.curves["valid_score"][-1] * sign
            best_weights = {name: value.clone() for name, value in network.state_dict().items()}
    if protocol.score_at == "end":
        _finish(trainer, result)
    if best_weights is not None:
        network.load_state_dict(best_weights)
    if keep_logits and (best_weights is not None or (protocol.score_at == "end" and result.status == "ok")):
        result.logits = predict(network, protocol, inputs, inputs.rows["train"]).cpu().numpy()
    return result


def _evaluate(trainer: Trainer, result: Training) -> str:
    """Append losses and scores of the splits that have curves; what went wrong, or ""."""
    found = {}
    for split, rows in trainer.inputs.curve_rows.items():
        found[split] = trainer.evaluate(rows)
        result.curves[f"{split}_loss"].append(found[split].loss)
        if found[split].exploded:
            return f"{split} loss {found[split].loss:.3g} in epoch {len(result.curves['train_loss'])}"
    for split, evaluation in found.items():
        result.curves[f"{split}_score"].append(evaluation.score())
    return ""


def _finish(trainer: Trainer, result: Training) -> None:
    """Fill in `final`, by the last weights, on whole splits; a training whose losses explode here has diverged."""
    inputs = trainer.inputs
    start, cpu_start = time.perf_counter(), _cpu_seconds(inputs.device)
    final: dict[str, Any] = {f"{split}_{what}": math.nan for split in _SPLITS for what in ("loss", "score")}
    final |= {f"{split}_blocks": [math.nan] * BLOCKS for split in _SPLITS}
    final["valid_cpu_seconds"] = 0.0 if inputs.device.type == "cpu" else math.nan
    found: dict[str, Any] = {}
    for split in _SPLITS if result.status == "ok" else ():
        rows = inputs.rows[split]
        evaluation = trainer.evaluate(rows)
        if evaluation.exploded:
            result.status, result.reason = "diverged", f"{split} loss {evaluation.loss:.3g} at the end"
            break
        found[f"{split}_loss"] = evaluation.loss
        found[f"{split}_score"] = evaluation.score()
        if split == "valid":
            final["valid_cpu_seconds"] = _cpu_seconds(inputs.device) - cpu_start
        found[f"{split}_blocks"] = evaluation.block_scores(inputs.blocks[rows])
    if result.status == "ok":
        final |= found
    final["cpu_seconds"] = _cpu_seconds(inputs.device) - cpu_start
    final["eval_seconds"] = time.perf_counter() - start
    result.final = final


def _cpu_seconds(device: torch.device) -> float:
    """CPU seconds of this thread so far; NaN where the work is done on another device."""
    return time.thread_time() if device.type == "cpu" else math.nan
