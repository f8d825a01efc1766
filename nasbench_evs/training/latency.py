"""Latency: how long a network takes to answer, in milliseconds, on a machine that does nothing else."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import torch

from nasbench_evs.errors import TrainingError
from nasbench_evs.models import build
from nasbench_evs.models.threads import one_thread
from nasbench_evs.spaces import Architecture
from nasbench_evs.tables import Table
from nasbench_evs.training.inputs import Inputs
from nasbench_evs.training.machine import Machine
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.retrain import Retrainer

MOST_DIFFERENCE = 0.1  # between two measurements of one architecture, in the median
_REPEATS = {1: 9, 256: 3}
_COLUMNS = {1: "latency_ms_b1", 256: "latency_ms_b256"}


def with_latencies(table: Table, device: str = "cpu", report: Callable[[int, int], None] = lambda *_: None) -> Table:
    """The same records with the latency of each architecture on this machine, and a line about it in the header.

    All are measured twice, the second time in the opposite order; the mean of the two is written down. TrainingError if they
    differ by more than MOST_DIFFERENCE in the median: the machine did something else meanwhile. Errors of `Retrainer`.
    """
    retrainer = Retrainer(table.header, device)
    ranks, owner = np.unique(table["rank"], return_inverse=True)
    architectures = table.header.space.architectures(table.header.space.unrank_many(ranks))
    rounds = np.full((2, len(ranks), len(_REPEATS)), np.nan)
    order = np.arange(len(ranks))
    for i, position in enumerate((*order, *order[::-1])):
        rounds[i // len(ranks), position] = latency(architectures[position], retrainer.protocol, retrainer.inputs)
        report(i + 1, 2 * len(ranks))
    milliseconds = rounds.mean(axis=0)
    difference = float(np.median(np.abs(rounds[0] - rounds[1]) / milliseconds))
    if difference > MOST_DIFFERENCE:
        raise TrainingError(
            f"two measurements of an architecture differ by {difference:.0%} in the median, expected at most "
            f"{MOST_DIFFERENCE:.0%}: this machine does something else, measure when it is quiet; nothing was written"
        )
    columns = {
        **table.columns,
        **{name: milliseconds[owner, i].astype(np.float32) for i, name in enumerate(_COLUMNS.values())},
    }
    line = (
        f"{datetime.now(UTC):%Y-%m-%d}: {len(ranks):,} architectures on {_named(retrainer.machine)}, one thread, two rounds "
        f"that differ by {difference:.1%} in the median"
    )
    return Table(replace(table.header, latency=(line,)), columns, table.hardware)


def _named(machine: Machine) -> str:
    return machine.gpu or f"{machine.cpu} (family {machine.family}, model {machine.model}, {machine.instruction_set})"


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
