"""The toy of paper 003 (figure 1): nine networks of two layers with 2, 3 or 4 units, on two inputs, really trained.

The figure prints nine losses that the text does not give; these are those of another task in which, as there, 4-2 is the best
network of at most 25 parameters: whether a point of the plane lies within a square, for which four half-planes must be
found before they are put together. Run it with

    python -m nasbench_evs.generators.toy --out analysis/toy/ffn-2.h5

Needs PyTorch (the `train` extra). Same arguments, same scores on the same machine.
"""

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from nasbench_evs.metrics import metric
from nasbench_evs.models.threads import one_thread
from nasbench_evs.spaces import FFNSpace, VectorShape, shape_to_dict
from nasbench_evs.tables import Header, Table, build, write
from nasbench_evs.training.machine import cpu_name
from nasbench_evs.version import __version__

SIZES = (2, 3, 4)
SHAPE = VectorShape(inputs=2, outputs=1)
POINTS = {"train": 1000, "valid": 1000, "test": 1000}
PROTOCOL: dict[str, Any] = {
    "trainer": "python -m nasbench_evs.generators.toy",
    "data": "points uniform in a square of side 3; class 1: the sum of their coordinates' distances from 0 is below 1",
    "points": POINTS,
    "epochs": 20,
    "steps_per_epoch": 40,
    "batch": "all points",
    "optimiser": "adam",
    "learning_rate": 0.03,
    "restarts": 8,
    "chosen_restart": "the lowest training loss at the end",
    "activation": "relu",
    "shape": shape_to_dict(SHAPE),
}


def points(split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (N, 2) and classes (N,) of a split."""
    rng = np.random.default_rng(list(POINTS).index(split))
    where = rng.uniform(-1.5, 1.5, (POINTS[split], 2))
    return torch.tensor(where, dtype=torch.float32), torch.tensor(np.abs(where).sum(1) < 1, dtype=torch.float32)


def train(sizes: tuple[int, int], seeds: int) -> dict[str, np.ndarray]:
    """Curves (seeds, epochs) of one architecture; all seeds and restarts train side by side."""
    restarts, epochs = PROTOCOL["restarts"], PROTOCOL["epochs"]
    many = seeds * restarts
    widths = (SHAPE.inputs, *sizes, SHAPE.outputs)
    parameters = []
    for i, o in itertools.pairwise(widths):
        # One generator for each seed, so that more seeds do not alter those before them.
        drawn = [
            torch.rand((restarts, i + 1, o), generator=torch.Generator().manual_seed(1000 * s + i * 10 + o))
            for s in range(seeds)
        ]
        layer = (torch.cat(drawn) * 2 - 1) / i**0.5
        parameters.append(layer.requires_grad_())

    def loss(split: str) -> torch.Tensor:
        """Log loss of each of the networks: (many,)."""
        where, classes = points(split)
        x = where.expand(many, *where.shape)
        for depth, layer in enumerate(parameters):
            x = torch.baddbmm(layer[:, -1:], x, layer[:, :-1])
            x = F.relu(x) if depth < len(parameters) - 1 else x
        losses = F.binary_cross_entropy_with_logits(x[..., 0], classes.expand(many, -1), reduction="none")
        return losses.mean(1)

    optimiser = torch.optim.Adam(parameters, lr=PROTOCOL["learning_rate"])
    curves: dict[str, list[torch.Tensor]] = {name: [] for name in ("train", "valid", "test")}
    seconds = []
    with one_thread():
        for _ in range(epochs):
            start = time.perf_counter()
            for _ in range(PROTOCOL["steps_per_epoch"]):
                optimiser.zero_grad()
                loss("train").sum().backward()
                optimiser.step()
            seconds.append((time.perf_counter() - start) / seeds)
            with torch.no_grad():
                for name, curve in curves.items():
                    curve.append(loss(name))
    found = {name: torch.stack(curve, dim=1).view(seeds, restarts, epochs).numpy() for name, curve in curves.items()}
    best = found["train"][:, :, -1].argmin(axis=1)
    kept = {name: curve[np.arange(seeds), best] for name, curve in found.items()}
    return kept | {"train_seconds": np.tile(seconds, (seeds, 1))}


def make_table(seeds: int) -> Table:
    """All nine architectures, each with seeds 0 ... seeds - 1."""
    space = FFNSpace(2, SIZES)
    choices = np.repeat(space.unrank_many(np.arange(space.size, dtype=np.uint64)), seeds, axis=0)
    curves = [train(tuple(SIZES[i] for i in row), seeds) for row in choices[::seeds]]  # type: ignore[arg-type]
    columns = {name: np.concatenate([curve[name] for curve in curves]) for name in curves[0]}
    cost = space.cost_many(choices, SHAPE)
    header = Header(
        space=space, dataset="toy", fingerprint="drawn by the trainer", protocol=PROTOCOL, metric=metric("log_loss")
    )
    versions = {"torch": torch.__version__, "numpy": np.__version__, "nasbench-evs": __version__}
    machine = {"cpu": cpu_name(), "gpu": "", "threads": 1, "versions": json.dumps(versions, sort_keys=True)}
    return build(
        header,
        choices=choices,
        seed=np.tile(np.arange(seeds), space.size),
        sampler="exhaustive",
        distilled=0,
        epochs_run=PROTOCOL["epochs"],
        params=cost.params,
        flops=cost.flops,
        train_loss=columns["train"],
        valid_loss_curve=columns["valid"],
        test_loss_curve=columns["test"],
        valid_curve=columns["valid"],
        test_curve=columns["test"],
        train_seconds=columns["train_seconds"],
        machines=[machine],
        hardware=0,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    write(make_table(arguments.seeds), arguments.out, force=True)
