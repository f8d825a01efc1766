"""How a training computes: random numbers that its name decides, one thread, the protocol's precision."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import torch

from nasbench_evs.errors import TrainingError
from nasbench_evs.models.threads import one_thread
from nasbench_evs.training.device import deterministic
from nasbench_evs.training.protocol import Protocol


@contextlib.contextmanager
def reproducible(name: str, device: torch.device) -> Iterator[None]:
    """Random numbers decided by the name alone, one thread, and everything as it was before afterwards.

    A training that is restored (`Trainer.load_state_dict`) goes on to the bit within it only. TrainingError where the
    device's memory does not suffice.
    """
    devices = [device] if device.type == "cuda" else []
    with one_thread(), torch.random.fork_rng(devices), deterministic(device):
        torch.manual_seed(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest(), "little"))
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise TrainingError(f"{name}: {error}") from None


def autocast(protocol: Protocol, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Within it networks compute in the protocol's precision: but recurrent layers, which stay in float32 on a GPU."""
    if protocol.precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()
