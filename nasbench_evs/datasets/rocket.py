"""MiniRocket as a baseline: random convolutions of event sequences that were put on a regular grid (Dempster et al. 2021).

Paper 000 says that its networks do not outperform ROCKET on univariate series (section 5, appendix B); this is the line that
says so of event sequences. The transform is that of aeon (the `rocket` extra), the classifier the one that its authors use: a
ridge on its features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nasbench_evs.datasets.boosting import over_seeds, split_rows
from nasbench_evs.datasets.dataset import Dataset
from nasbench_evs.datasets.split import blocks
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.metrics import block_scores, score

CELLS = 128  # of a grid at most, twice as many as events: where two share a cell, their order is lost
_FEWEST_CELLS = 9  # that MiniRocket's kernels need
_CHANNELS = 4  # of each categorical field
_CODES = 8  # of each categorical field of the profile that are told apart
_ALPHAS = np.logspace(-3, 3, 10)  # of the ridge, chosen by leave-one-out on the training sequences
_CHUNK = 4096  # sequences whose features are held at once, where they are only scored


def minirocket(
    dataset: Dataset,
    *,
    train: int | None = None,
    seeds: int = 3,
    kernels: int = 10_000,
    report: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Scores of a ridge on MiniRocket's features of `grid` and on the profile, with `seeds` draws of its random parts.

    `train` takes that many training sequences, as `boosting` does. Features are about as many as `kernels`, and all those of
    the training sequences are in memory at once: 40 kB for each sequence with the 10,000 of the paper. Nothing is tuned but
    the ridge, and the validation split decides nothing. Returns means and standard deviations over the seeds of the scores of
    both splits, and the means of those without a block each. InvalidQuery without aeon.
    """
    try:
        from aeon.transformations.collection.convolution_based import MiniRocket
        from sklearn.linear_model import RidgeClassifierCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise InvalidQuery(f"minirocket needs {error.name}: pip install 'nasbench-evs[rocket]'") from None

    if seeds < 2:
        raise InvalidQuery(f"{seeds} seeds: expected at least 2")
    parts = split_rows(dataset, train)
    metric, block = dataset.schema.metric.name, blocks(dataset.groups)
    labels = dataset.labels.astype(np.int64)
    profile = _profile(dataset, parts["train"])

    def features(transform: Any, rows: np.ndarray, seed: int) -> np.ndarray:
        return np.hstack([np.asarray(transform.transform(grid(dataset, rows, seed)), np.float32), profile[rows]])

    scores, without = [], []
    for seed in range(seeds):
        transform = MiniRocket(n_kernels=kernels, random_state=seed).fit(grid(dataset, parts["train"], seed))
        model = make_pipeline(StandardScaler(with_mean=False), RidgeClassifierCV(alphas=_ALPHAS))
        model.fit(features(transform, parts["train"], seed), labels[parts["train"]])
        found = {}
        for split in ("valid", "test"):
            rows = parts[split]
            chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
            decisions = np.concatenate([model.decision_function(features(transform, chunk, seed)) for chunk in chunks])
            found[split] = _probabilities(decisions)
        scores.append([score(metric, labels[parts[split]], found[split]) for split in found])
        without.append(
            [block_scores(metric, labels[parts[split]], found[split], block[parts[split]]) for split in found]
        )
        report(seed + 1, seeds)
    return over_seeds("minirocket", dataset, train, scores, without) | {"kernels": kernels}


def grid(dataset: Dataset, rows: np.ndarray, seed: int = 0) -> np.ndarray:
    """These sequences in cells of equal time between their first event and their last: float32 (N, channels, cells).

    Channels: log(1 + events in the cell); and means over the cell's events, where there are none those of the last cell that
    has some: of each real-valued field, as networks read it, and of four random numbers for each code of a categorical field.
    (A channel for each code tells less: MiniRocket adds channels up before it looks at them, so that of two codes which come
    one after the other nothing says which was first.) How long a sequence lasted is only in what its fields say of time.
    Events that are all at one time are in the last cell.
    """
    cells = max(_FEWEST_CELLS, min(CELLS, 2 * dataset.schema.max_length))
    lengths = dataset.lengths[rows]
    owner = np.repeat(np.arange(len(rows)), lengths)
    starts = np.cumsum(lengths) - lengths
    events = np.arange(lengths.sum()) + np.repeat(dataset.offsets[rows] - starts, lengths)
    time = dataset.time[events].astype(np.float64)
    first, last = time[starts], time[starts + lengths - 1]
    span = (last - first)[owner]
    share = np.divide(time - first[owner], span, out=np.ones(len(time)), where=span > 0)
    cell = np.minimum((share * cells).astype(np.int64), cells - 1)
    at = owner * cells + cell

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(at, values, minlength=len(rows) * cells).reshape(len(rows), cells)

    count = summed(np.ones(len(at)))
    there = np.maximum(count, 1)
    # The last cell so far with events; where all are in the last cell, zeros come before.
    known = np.maximum.accumulate(np.where(count > 0, np.arange(cells), 0), axis=1)
    generator = np.random.default_rng(seed)
    values = [*dataset.inputs[events].T]
    for field, codes in zip(dataset.schema.categorical, dataset.categorical[events].T, strict=True):
        values += [*generator.normal(size=(_CHANNELS, field.cardinality))[:, codes]]
    means = [np.take_along_axis(summed(each) / there, known, axis=1) for each in values]
    return np.stack([np.log1p(count), *means], axis=1).astype(np.float32)


def _profile(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """The fields that are one for a whole sequence: real-valued ones, and which of the frequent codes it has."""
    columns = [dataset.profile_inputs.astype(np.float32)]
    for i, field in enumerate(dataset.schema.profile_categorical):
        codes = dataset.profile_categorical[:, i]
        order = np.argsort(-np.bincount(codes[rows], minlength=field.cardinality), kind="stable")[:_CODES]
        columns.append((codes[:, None] == order).astype(np.float32))
    return np.hstack(columns)


def _probabilities(decisions: np.ndarray) -> np.ndarray:
    """What metrics read, (N, classes): the softmax of a ridge's decisions, in their order but not calibrated."""
    decisions = np.stack([-decisions, decisions], axis=1) if decisions.ndim == 1 else decisions
    powers = np.exp(decisions - decisions.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
