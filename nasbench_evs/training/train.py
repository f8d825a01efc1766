"""Train one architecture by a protocol and say everything about it, epoch by epoch.

The same architecture, seed, protocol, machine type and versions give the same curves.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from nasbench_evs.errors import TrainingError
from nasbench_evs.metrics import BLOCKS, block_scores, score
from nasbench_evs.models import build
from nasbench_evs.spaces import Architecture
from nasbench_evs.training.inputs import Inputs
from nasbench_evs.training.protocol import Protocol

CURVES = (
    "train_loss", "valid_loss", "test_loss", "valid_score", "test_score", "train_seconds", "eval_seconds", "cpu_seconds",
)  # fmt: skip
_SPLITS = ("valid", "test")
EXPLODED = 100.0  # nats: a mean loss beyond it is divergence
_EVALUATION_BATCH = 512
_CPU_EVALUATION_BATCH = 128  # what its caches hold


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

    name = f"{architecture.space.name} {architecture} seed {seed}"
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
    with _reproducible(name, inputs.device):
        return _fit(make().to(inputs.device), protocol, inputs, teacher_logits, keep_logits)


def _fit(
    network: nn.Module, protocol: Protocol, inputs: Inputs, teacher_logits: np.ndarray | None, keep_logits: bool
) -> Training:
    device, metric = inputs.device, inputs.schema.metric
    rows = inputs.rows["train"]
    epoch_size = protocol.epoch_size or len(rows)
    batches = max(1, round(epoch_size / protocol.batch_size))
    optimiser = _optimiser(network, protocol, device)
    schedule = _schedule(optimiser, protocol, batches * protocol.epochs)
    weights = _class_weights(inputs, protocol)
    teachers = None
    if teacher_logits is not None:
        teachers = torch.zeros((len(inputs.labels), teacher_logits.shape[1]), device=device)
        teachers[torch.from_numpy(rows).to(device)] = torch.as_tensor(
            teacher_logits, dtype=torch.float32, device=device
        )
    # Which sequences share a batch is drawn from torch's generator, so that one state decides everything.
    order = np.random.default_rng(int(torch.randint(2**62, ())))
    slices = _slices(rows, epoch_size, order)
    names = [name for name in CURVES if name.split("_")[0] not in {*_SPLITS} - set(inputs.curve_rows)]
    result = Training(curves={name: [] for name in names})
    best, best_weights = -math.inf, None
    for _ in range(protocol.epochs):
        start, cpu_start = time.perf_counter(), _cpu_seconds(device)
        network.train()
        total = torch.zeros((), device=device)
        for batch in _batches(next(slices), inputs.lengths, batches, protocol.pool, order):
            index = torch.from_numpy(batch).to(device)
            optimiser.zero_grad(set_to_none=True)
            with _autocast(protocol, device):
                logits = network(*inputs.arguments(batch))
            logits = logits.float()
            loss = F.cross_entropy(logits, inputs.labels[index], weights)
            total += loss.detach() * len(batch)
            if teachers is not None:
                mix = protocol.teacher_weight
                loss = (1 - mix) * loss + mix * F.mse_loss(logits, teachers[index])
            loss.backward()
            if protocol.clip:
                nn.utils.clip_grad_norm_(network.parameters(), protocol.clip)
            optimiser.step()
            schedule.step()
        train_loss = float(total) / epoch_size
        trained = time.perf_counter()
        result.curves["train_loss"].append(train_loss)
        result.curves["train_seconds"].append(trained - start)
        if not train_loss < EXPLODED:
            result.reason = f"mean training loss {train_loss:.3g} in epoch {len(result.curves['train_loss'])}"
        else:
            result.reason = _evaluate(network, protocol, inputs, weights, result)
        result.curves["eval_seconds"].append(time.perf_counter() - trained)
        result.curves["cpu_seconds"].append(_cpu_seconds(device) - cpu_start)
        if result.reason:
            result.status = "diverged"
            for name in names:
                result.curves[name] += [math.nan] * (len(result.curves["train_loss"]) - len(result.curves[name]))
            break
        if keep_logits and protocol.score_at == "best epoch" and result.curves["valid_score"][-1] * metric.sign > best:
            best = result.curves["valid_score"][-1] * metric.sign
            best_weights = {name: value.clone() for name, value in network.state_dict().items()}
    if protocol.score_at == "end":
        _finish(network, protocol, inputs, weights, result)
    if best_weights is not None:
        network.load_state_dict(best_weights)
    if keep_logits and (best_weights is not None or (protocol.score_at == "end" and result.status == "ok")):
        result.logits = predict(network, protocol, inputs, rows).cpu().numpy()
    return result


def _cpu_seconds(device: torch.device) -> float:
    """CPU seconds of this thread so far; NaN where the work is done on another device."""
    return time.thread_time() if device.type == "cpu" else math.nan


def predict(network: nn.Module, protocol: Protocol, inputs: Inputs, rows: np.ndarray) -> torch.Tensor:
    """Logits of these sequences, float32 (N, outputs), in their order, on the device."""
    network.eval()
    order = np.argsort(inputs.lengths[rows], kind="stable")
    size = _CPU_EVALUATION_BATCH if inputs.device.type == "cpu" else _EVALUATION_BATCH
    parts = []
    with torch.inference_mode(), _autocast(protocol, inputs.device):
        for start in range(0, len(rows), size):
            parts.append(network(*inputs.arguments(rows[order[start : start + size]])).float())
    logits = torch.cat(parts)
    back = torch.empty_like(logits)
    back[torch.from_numpy(order).to(inputs.device)] = logits
    return back


def _evaluate(
    network: nn.Module, protocol: Protocol, inputs: Inputs, weights: torch.Tensor | None, result: Training
) -> str:
    """Append losses and scores of the splits that have curves; what went wrong, or ""."""
    scores = {}
    for split, rows in inputs.curve_rows.items():
        loss, labels, probabilities = _losses(network, protocol, inputs, weights, rows)
        result.curves[f"{split}_loss"].append(loss)
        if not loss < EXPLODED:
            return f"{split} loss {loss:.3g} in epoch {len(result.curves['train_loss'])}"
        scores[split] = score(inputs.schema.metric.name, labels, probabilities)
    for split, value in scores.items():
        result.curves[f"{split}_score"].append(value)
    return ""


def _finish(
    network: nn.Module, protocol: Protocol, inputs: Inputs, weights: torch.Tensor | None, result: Training
) -> None:
    """Fill in `final`, by the last weights, on whole splits; a training whose losses explode here has diverged."""
    start, cpu_start = time.perf_counter(), _cpu_seconds(inputs.device)
    metric = inputs.schema.metric.name
    final: dict[str, Any] = {f"{split}_{what}": math.nan for split in _SPLITS for what in ("loss", "score")}
    final |= {f"{split}_blocks": [math.nan] * BLOCKS for split in _SPLITS}
    final["valid_cpu_seconds"] = 0.0 if inputs.device.type == "cpu" else math.nan
    found: dict[str, Any] = {}
    for split in _SPLITS if result.status == "ok" else ():
        rows = inputs.rows[split]
        loss, labels, probabilities = _losses(network, protocol, inputs, weights, rows)
        if not loss < EXPLODED:
            result.status, result.reason = "diverged", f"{split} loss {loss:.3g} at the end"
            break
        found[f"{split}_loss"] = loss
        found[f"{split}_score"] = score(metric, labels, probabilities)
        if split == "valid":
            final["valid_cpu_seconds"] = _cpu_seconds(inputs.device) - cpu_start
        found[f"{split}_blocks"] = block_scores(metric, labels, probabilities, inputs.blocks[rows]).tolist()
    if result.status == "ok":
        final |= found
    final["cpu_seconds"] = _cpu_seconds(inputs.device) - cpu_start
    final["eval_seconds"] = time.perf_counter() - start
    result.final = final


def _losses(
    network: nn.Module, protocol: Protocol, inputs: Inputs, weights: torch.Tensor | None, rows: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Mean loss of these sequences, their labels (N,) and predicted probabilities float64 (N, outputs)."""
    logits = predict(network, protocol, inputs, rows)
    labels = inputs.labels[torch.from_numpy(rows).to(inputs.device)]
    loss = float(F.cross_entropy(logits, labels, weights))
    return loss, labels.cpu().numpy(), logits.double().softmax(dim=-1).cpu().numpy()


def _slices(rows: np.ndarray, size: int, order: np.random.Generator) -> Iterator[np.ndarray]:
    """Epoch after epoch the next `size` rows of an endless concatenation of fresh permutations."""
    left = rows[:0]
    while True:
        while len(left) < size:
            left = np.concatenate([left, order.permutation(rows)])
        yield left[:size]
        left = left[size:]


def _batches(
    rows: np.ndarray, lengths: np.ndarray, batches: int, pool: int, order: np.random.Generator
) -> Iterator[np.ndarray]:
    """One epoch's batches of nearly equal size: sorted by length within pools of batches, in random order."""
    cut: list[np.ndarray] = []
    for part in np.array_split(rows, max(1, round(batches / pool))):
        part = part[np.argsort(lengths[part], kind="stable")]
        cut += np.array_split(part, max(1, round(len(part) * batches / len(rows))))
    yield from (cut[i] for i in order.permutation(len(cut)))


def _class_weights(inputs: Inputs, protocol: Protocol) -> torch.Tensor | None:
    """Weights with which all classes count the same and the mean weight of a training sequence is 1."""
    if protocol.class_weights == "none":
        return None
    labels = inputs.labels[torch.from_numpy(inputs.rows["train"]).to(inputs.device)]
    counts = torch.bincount(labels, minlength=len(inputs.schema.classes))
    return (counts.sum() / (len(counts) * counts)).float()


def _optimiser(network: nn.Module, protocol: Protocol, device: torch.device) -> torch.optim.Optimizer:
    settings: dict[str, Any] = {"lr": protocol.learning_rate, "weight_decay": protocol.weight_decay}
    if device.type in ("cpu", "cuda"):
        settings["fused"] = True
    if protocol.optimiser == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=0.9, **settings)
    return (torch.optim.AdamW if protocol.optimiser == "adamw" else torch.optim.Adam)(network.parameters(), **settings)


def _schedule(optimiser: torch.optim.Optimizer, protocol: Protocol, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Learning rate as a share of the peak: one-cycle warms up first, then it and cosine follow a cosine to 0."""
    warm = protocol.warm_up * steps if protocol.schedule == "one-cycle" else 0.0

    def share(step: int) -> float:
        if protocol.schedule == "constant":
            return 1.0
        if step < warm:
            return 0.04 + 0.96 * (1 - math.cos(math.pi * step / warm)) / 2
        return (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1.0, steps - warm)))) / 2

    return torch.optim.lr_scheduler.LambdaLR(optimiser, share)


def _autocast(protocol: Protocol, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    if protocol.precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def _gpu_arithmetic(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """cuDNN as exact as everything else (by default its convolutions round their inputs to ten bits), and reproducible."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


@contextlib.contextmanager
def _reproducible(name: str, device: torch.device) -> Iterator[None]:
    """Random numbers decided by the name alone, one thread, and everything as it was before afterwards."""
    threads = torch.get_num_threads()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), _gpu_arithmetic(device):
        torch.manual_seed(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest(), "little"))
        torch.set_num_threads(1)
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise TrainingError(f"{name}: {error}") from None
        finally:
            torch.set_num_threads(threads)
