"""An event sequence as one vector: fixed aggregates per field (paper 003's inputs; the baseline's features)."""

import numpy as np

from nasbench_evs.datasets.dataset import Dataset
from nasbench_evs.errors import DatasetError

_CLIP = 4.0
_STATISTICS = ("last", "mean", "min", "max", "std", "measured")


def aggregates(dataset: Dataset, top: int = 40) -> tuple[np.ndarray, list[str]]:
    """Features of every sequence, float32 (S, F) with NaN where nothing was measured, and their names.

    Of the sequence: events before and after the cut to max_length, distinct times, time from first to last event. Of
    a real-valued field (gap and time left included): last, mean, min, max, standard deviation, number of measurements.
    Of a categorical field: its last code, the number of distinct codes, and the share of each of its `top` most
    frequent categories (codes are ordered by frequency in the training split). Then the profile: numbers as they are,
    categories as codes.
    """
    columns: list[np.ndarray] = []
    names: list[str] = []

    def add(name: str, values: np.ndarray) -> None:
        names.append(name)
        columns.append(np.asarray(values, np.float32))

    starts, lengths = dataset.offsets[:-1], dataset.lengths
    ends = dataset.offsets[1:] - 1
    owner = np.repeat(np.arange(len(dataset)), lengths)
    add("events", dataset.full_lengths)
    add("events kept", lengths)
    new_time = np.diff(dataset.time, prepend=np.nan) != 0
    new_time[starts] = True
    add("distinct times", np.add.reduceat(new_time, starts, dtype=np.int64))
    add("span", dataset.time[ends] - dataset.time[starts])
    for i, field in enumerate(dataset.schema.numerical):
        values = np.asarray(dataset.numerical[:, i], np.float64)
        for statistic, column in zip(_STATISTICS, _statistics(values, starts, owner), strict=True):
            add(f"{field.name} {statistic}", column)
    for i, category in enumerate(dataset.schema.categorical):
        codes = np.asarray(dataset.categorical[:, i])
        add(f"{category.name} last", codes[ends])
        pairs = np.unique(owner * np.int64(category.cardinality) + codes)
        add(f"{category.name} distinct", np.bincount(pairs // category.cardinality, minlength=len(dataset)))
        shown = min(top + 1, category.cardinality - 1)
        counted = codes <= shown
        counts = np.bincount(owner[counted] * (shown + 1) + codes[counted], minlength=len(dataset) * (shown + 1))
        shares = counts.reshape(len(dataset), shown + 1) / lengths[:, None]
        for code in range(1, shown + 1):
            label = "unknown" if code == 1 else category.vocabulary[code - 2]
            add(f"{category.name} = {label}", shares[:, code])
    for i, field in enumerate(dataset.schema.profile_numerical):
        add(field.name, dataset.profile_numerical[:, i])
    for i, category in enumerate(dataset.schema.profile_categorical):
        add(category.name, dataset.profile_categorical[:, i])
    return np.stack(columns, axis=1), names


def vectors(dataset: Dataset, top: int = 20) -> tuple[np.ndarray, list[str]]:
    """`aggregates` as a network takes them: float32 (S, F) without NaN, and the features' names.

    Numbers: signed logarithm, standardised and clipped to 4 standard deviations on the training split, 0 where nothing was
    measured; those that are constant there are left out. Codes (the last one of a field, a profile's category) become
    one indicator for each of the `top` most frequent categories.
    """
    raw, names = aggregates(dataset, top)
    schema = dataset.schema
    coded = {f"{field.name} last": field for field in schema.categorical}
    coded |= {field.name: field for field in schema.profile_categorical}
    train = dataset.rows("train")
    columns: list[np.ndarray] = []
    kept: list[str] = []
    for name, values in zip(names, raw.T.astype(np.float64), strict=True):
        if name in coded:
            field = coded[name]
            for code in range(1, min(top + 1, field.cardinality - 1) + 1):
                kept.append(f"{name} = {'unknown' if code == 1 else field.vocabulary[code - 2]}")
                columns.append(values == code)
            continue
        values = np.sign(values) * np.log1p(np.abs(values))
        known = values[train][~np.isnan(values[train])]
        if not len(known) or known.std() == 0:
            continue
        kept.append(name)
        columns.append(np.nan_to_num(np.clip((values - known.mean()) / known.std(), -_CLIP, _CLIP), nan=0.0))
    if not columns:
        raise DatasetError(
            f"{schema.name}: every aggregate is the same for all training sequences: nothing to learn from"
        )
    return np.stack(columns, axis=1).astype(np.float32), kept


def _statistics(values: np.ndarray, starts: np.ndarray, owner: np.ndarray) -> list[np.ndarray]:
    missing = np.isnan(values)
    known = np.where(missing, 0.0, values)
    count = np.add.reduceat(~missing, starts, dtype=np.int64)
    nothing = count == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.add.reduceat(known, starts) / count
        deviation = np.where(missing, 0.0, values - mean[owner])
        std = np.sqrt(np.add.reduceat(deviation**2, starts) / count)
    low = np.minimum.reduceat(np.where(missing, np.inf, values), starts)
    high = np.maximum.reduceat(np.where(missing, -np.inf, values), starts)
    latest = np.maximum.reduceat(np.where(missing, -1, np.arange(len(values))), starts)
    last = values[np.maximum(latest, 0)]
    return [*(np.where(nothing, np.nan, column) for column in (last, mean, low, high, std)), count]
