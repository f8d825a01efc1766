"""Architectures per hour: our trainer against the authors' way of training, on one core.

    python benchmarks/training.py tafeng-churn physionet2012

The authors' way: the same networks (from PyTorch's own layers), widths and batch size, every batch of random sequences,
padded to the dataset's maximal length, in training and in evaluation. Both train the same random architectures on the
same subset, taking turns, so that what else the machine does hits both alike; the ratio is of total seconds.
`--profile` shows where the time of each goes.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from plain_seqnas import SeqNASNetwork
from torch.nn import functional as F

from nasbench_evs.datasets.store import open_dataset
from nasbench_evs.metrics import score
from nasbench_evs.models.batch import PaddedBatch
from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.training.inputs import prepare_inputs
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.train import train

WIDTHS = {"physionet2012": {"channels": 2}}


class Plain(torch.nn.Module):
    """The plain network, which counts codes as 64-bit integers."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, batch):
        return self.network(PaddedBatch(batch.categorical.long(), batch.numerical, batch.time, batch.lengths))


def plain_training(architecture, seed, protocol, inputs):
    """Seconds and the best validation score of training as the authors do."""
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    network = Plain(SeqNASNetwork(architecture, inputs.shape, protocol.dropout))
    rows = inputs.rows["train"]
    batches = max(1, round(len(rows) / protocol.batch_size))
    optimizer = torch.optim.AdamW(network.parameters(), lr=protocol.learning_rate, weight_decay=protocol.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, protocol.learning_rate, total_steps=batches * protocol.epochs, cycle_momentum=False
    )
    labels = inputs.labels
    counts = torch.bincount(labels[torch.from_numpy(rows)])
    weights = (counts.sum() / (len(counts) * counts)).float()
    best = 0.0
    start = time.perf_counter()
    for _ in range(protocol.epochs):
        network.train()
        for batch in np.array_split(generator.permutation(rows), batches):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(padded(inputs, batch)), labels[torch.from_numpy(batch)], weights)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), protocol.clip)
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.inference_mode():
            for split in ("valid", "test"):
                members = inputs.rows[split]
                parts = np.array_split(members, max(1, round(len(members) / protocol.batch_size)))
                logits = torch.cat([network(padded(inputs, part)) for part in parts])
                value = score(inputs.schema.metric.name, labels.numpy()[members], logits.double().softmax(-1).numpy())
                if split == "valid":
                    best = max(best, value)
    return time.perf_counter() - start, best


def padded(inputs, rows):
    """A batch padded to the dataset's maximal length."""
    batch = inputs.batch(rows)
    more = inputs.shape.length - batch.time.shape[1]
    categorical, numerical = (F.pad(fields, (0, 0, 0, more)) for fields in (batch.categorical, batch.numerical))
    return PaddedBatch(categorical, numerical, F.pad(batch.time, (0, more)), batch.lengths)


def our_training(architecture, seed, protocol, inputs):
    start = time.perf_counter()
    result = train(architecture, seed, protocol, inputs)
    return time.perf_counter() - start, max(result.curves["valid_score"])


def profile(name, training, *arguments):
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as recorded:
        training(*arguments)
    rows = sorted(recorded.key_averages(), key=lambda row: -row.self_cpu_time_total)
    total = sum(row.self_cpu_time_total for row in rows)
    print(f"\n| {name}: operation | share of {total / 1e6:.1f} s | calls |\n| --- | --- | --- |")
    for row in rows[:10]:
        print(f"| `{row.key[:60]}` | {row.self_cpu_time_total / total:.1%} | {row.count} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--architectures", type=int, default=10)
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = SeqNASSpace()
    for name in options.datasets:
        protocol = Protocol(epochs=options.epochs, batch_size=128, hidden=32, **WIDTHS.get(name, {}))
        inputs = prepare_inputs(space, open_dataset(name), options.sequences, protocol)
        for training in (plain_training, our_training):  # what is paid once a process: page faults, compiled kernels
            training(space.sample(1000), 0, protocol, inputs)
        seconds, best = [], []
        for seed in range(options.architectures):
            architecture = space.sample(seed)
            trained = [
                plain_training(architecture, 0, protocol, inputs),
                our_training(architecture, 0, protocol, inputs),
            ]
            seconds.append([each[0] for each in trained])
            best.append([each[1] for each in trained])
            print(f"{name} {architecture}: " + ", ".join(f"{s:.2f} s ({v:.4f})" for s, v in trained), flush=True)
        theirs, ours = np.sum(seconds, axis=0)
        ratios = [row[0] / row[1] for row in seconds]
        difference = np.subtract(*np.array(best).T[::-1])
        print(
            f"{name}: {theirs / ours:.2f} times as many architectures an hour (each architecture: {min(ratios):.2f} to "
            f"{max(ratios):.2f}, median {statistics.median(ratios):.2f}); best validation score {difference.mean():+.4f} ± "
            f"{difference.std(ddof=1) / len(difference) ** 0.5:.4f}"
        )
        if options.profile:
            architecture = space.parse("k3d.t.a4c/g.0.d-mean+max")
            profile(f"{name}, authors' way", plain_training, architecture, 0, protocol, inputs)
            profile(f"{name}, ours", our_training, architecture, 0, protocol, inputs)


if __name__ == "__main__":
    main()
