"""Latency: how long a network takes to answer, in milliseconds, on the machine that trains."""

from __future__ import annotations

import statistics
import time

import torch

from nasbench_evs.models import build
from nasbench_evs.models.threads import one_thread
from nasbench_evs.spaces import Architecture
from nasbench_evs.training.inputs import Inputs
from nasbench_evs.training.protocol import Protocol

_REPEATS = {1: 9, 256: 3}


def latency(architecture: Architecture, protocol: Protocol, inputs: Inputs) -> tuple[float, float]:
    """Median milliseconds of a forward pass in evaluation mode, of one sequence and of 256.

    The sequences are the first of the test split (fewer if it is smaller), padded to the longest of them; one thread.
    The batch is on the device already. What a network has learned does not matter, so it is a fresh one.
    """
    with one_thread(), torch.random.fork_rng([]), torch.inference_mode():
        network = build(architecture, inputs.shape, dropout=protocol.dropout).to(inputs.device).eval()
        one, many = (_median(network, inputs, size, repeats) for size, repeats in _REPEATS.items())
    return one, many


def _median(network: torch.nn.Module, inputs: Inputs, size: int, repeats: int) -> float:
    batch = inputs.batch(inputs.rows["test"][:size])
    times = []
    for _ in range(repeats + 1):  # the first one warms up
        start = time.perf_counter()
        network(batch)
        if inputs.device.type == "cuda":
            torch.cuda.synchronize(inputs.device)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])
