"""How a training computes: random numbers that its name decides, one thread, and what a GPU may round."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import torch

from nasbench_evs.errors import TrainingError
from nasbench_evs.models.threads import one_thread
from nasbench_evs.training.protocol import Protocol


@contextlib.contextmanager
def reproducible(name: str, device: torch.device) -> Iterator[None]:
    """Random numbers decided by the name alone, one thread, and everything as it was before afterwards.

    A training that is restored (`Trainer.load_state_dict`) goes on to the bit within it only. TrainingError where the
    device's memory does not suffice.
    """
    devices = [device] if device.type == "cuda" else []
    with one_thread(), torch.random.fork_rng(devices), _gpu_arithmetic(device):
        torch.manual_seed(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest(), "little"))
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise TrainingError(f"{name}: {error}") from None


def autocast(protocol: Protocol, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Within it networks compute in the protocol's precision."""
    if protocol.precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def _gpu_arithmetic(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """cuDNN as exact as everything else (by default its convolutions round their inputs to ten bits), and reproducible."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
