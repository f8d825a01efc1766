"""From raw events to the canonical form: order, derived fields, split, and everything that is fitted on training data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nasbench_evs.arguments import as_list
from nasbench_evs.datasets.dataset import Dataset
from nasbench_evs.datasets.schema import FIRST_CODE, UNKNOWN, Categorical, Numerical, Schema
from nasbench_evs.datasets.split import SHARES, SPLITS, split
from nasbench_evs.errors import DatasetError, shown
from nasbench_evs.metrics import metric

CLIP = (0.001, 0.999)  # quantiles of the training split beyond which real-valued fields are cut off

# Fields every dataset gets beside its own: how long ago an event was carries much of the signal.
GAP = Numerical("gap", log=True)  # time since the previous event, 0 for the first
LEFT = Numerical("left", log=True)  # time from the event to the end of the observation


@dataclass
class Raw:
    """What a loader reads: sequences with a label, and their events in file order.

    `owner[e]` is the position in `ids` of event e's sequence. `cut` is the end of the observation on the dataset's clock: one
    number, one per sequence, or None where there is no common window (then each sequence ends with its last event).
    Categories are text; real-valued fields are NaN where missing. `groups` name sequences that belong together.
    `full_lengths` are the events of each sequence where only its last ones, `max_length` or fewer, are passed (else None);
    then `gap` starts anew, with 0, at the first of these.
    """

    ids: Sequence[str] | np.ndarray
    labels: np.ndarray
    owner: np.ndarray
    time: np.ndarray
    categorical: Mapping[str, np.ndarray] = field(default_factory=dict)
    numerical: Mapping[str, np.ndarray] = field(default_factory=dict)
    profile_categorical: Mapping[str, np.ndarray] = field(default_factory=dict)
    profile_numerical: Mapping[str, np.ndarray] = field(default_factory=dict)
    groups: np.ndarray | None = None
    scenarios: np.ndarray | None = None
    cut: float | np.ndarray | None = None
    full_lengths: np.ndarray | None = None


@dataclass(frozen=True)
class Rules:
    """How a dataset is prepared: everything about it that is not in its files.

    `shares` of the sequences are for training, validation and test; a dataset with recorded tables never changes its own.
    DatasetError if they are no three positive numbers with the sum 1.
    """

    name: str
    classes: tuple[str, ...]
    metric: str
    max_length: int
    time_unit: str = "days"
    numerical: tuple[Numerical, ...] = ()
    profile_numerical: tuple[Numerical, ...] = ()
    rare: int = 1  # categories seen less often than this in training become unknown
    synthetic: bool = False
    shares: tuple[float, float, float] = SHARES

    def __post_init__(self) -> None:
        shares = as_list("shares", self.shares, "three positive numbers with the sum 1", DatasetError)
        right = len(shares) == len(SPLITS) and all(isinstance(each, int | float) and each > 0 for each in shares)
        if not right or abs(sum(shares) - 1) > 1e-9:
            raise DatasetError(
                f"{self.name}: shares {shown(self.shares)} of {', '.join(SPLITS)}: expected three positive numbers with the sum 1"
            )


def prepare(raw: Raw, rules: Rules, *, seed: int = 0, source: str = "") -> Dataset:
    """The dataset in canonical form, split in the shares of its rules with `seed`.

    Vocabularies, clipping, means and deviations come from the training split alone. DatasetError says what is wrong with
    the data: duplicate ids, fewer than two classes, a sequence without events, a time that is no number or beyond the cut.
    """
    ids = np.asarray(raw.ids, dtype=str)
    labels = np.asarray(raw.labels)
    _check(ids, labels, raw, rules)
    by_id = np.argsort(ids, kind="stable")
    place = np.empty(len(ids), np.int64)
    place[by_id] = np.arange(len(ids))
    owner, time = place[raw.owner], np.asarray(raw.time, np.float64)
    order = np.lexsort((time, owner))  # stable: simultaneous events keep file order
    owner, time = owner[order], time[order]
    given = np.bincount(owner, minlength=len(ids))
    full_lengths = given if raw.full_lengths is None else np.asarray(raw.full_lengths)[by_id]
    short = np.flatnonzero((full_lengths < given) | ((full_lengths > given) & (given < rules.max_length)))
    if len(short):
        raise DatasetError(
            f"{rules.name}: sequence {ids[by_id][short[0]]} has {given[short[0]]} events here and {full_lengths[short[0]]} in "
            f"full_lengths: expected all of them, or at least the last {rules.max_length}"
        )
    starts = np.concatenate([[0], np.cumsum(given)])
    cut = (
        time[starts[1:] - 1]
        if raw.cut is None
        else np.broadcast_to(raw.cut, len(ids))[by_id if np.ndim(raw.cut) else ...]
    )
    late = time > cut[owner]
    if late.any():
        first = int(np.flatnonzero(late)[0])
        raise DatasetError(
            f"{rules.name}: sequence {ids[by_id][owner[first]]} has an event at {time[first]:g} {rules.time_unit}, after the end "
            f"of the observation at {cut[owner[first]]:g}: it would leak what is to be predicted"
        )
    gap = np.diff(time, prepend=0.0)
    gap[starts[:-1]] = 0.0
    numbers = {name: np.asarray(values, np.float64)[order] for name, values in raw.numerical.items()}
    numbers |= {GAP.name: gap, LEFT.name: cut[owner] - time}
    texts = {name: np.asarray(values)[order] for name, values in raw.categorical.items()}

    kept = np.arange(len(time)) >= starts[1:][owner] - rules.max_length  # the last events
    owner, time = owner[kept], time[kept]
    lengths = np.bincount(owner, minlength=len(ids))

    labels = labels[by_id].astype(np.int16)
    groups = ids[by_id] if raw.groups is None else np.asarray(raw.groups, dtype=str)[by_id]
    side = split(labels, groups, seed, rules.shares)
    train = side == 0
    few = math.ceil(1 / min(rules.shares))
    for code, part in enumerate(SPLITS):
        lacking = np.setdiff1d(np.arange(len(rules.classes)), labels[side == code])
        if len(lacking):
            raise DatasetError(
                f"{rules.name}: no sequence of class {rules.classes[lacking[0]]!r} is in the {part} split; expected at "
                f"least {few} of each class ({few} groups, where sequences are grouped)"
            )
    train_event = train[owner]

    events = {name: values[kept] for name, values in numbers.items()}
    numerical, real = _fit_numericals(events, (*rules.numerical, GAP, LEFT), train_event)
    events = {name: values[kept] for name, values in texts.items()}
    categorical, codes = _fit_categoricals(events, train_event, rules.rare)
    profiles = {name: np.asarray(values, np.float64)[by_id] for name, values in raw.profile_numerical.items()}
    profile_numerical, profile_real = _fit_numericals(profiles, rules.profile_numerical, train)
    profiles = {name: np.asarray(values)[by_id] for name, values in raw.profile_categorical.items()}
    profile_categorical, profile_codes = _fit_categoricals(profiles, train, rules.rare)

    schema = Schema(
        name=rules.name,
        categorical=categorical,
        numerical=numerical,
        profile_categorical=profile_categorical,
        profile_numerical=profile_numerical,
        classes=rules.classes,
        metric=metric(rules.metric),
        max_length=rules.max_length,
        time_unit=rules.time_unit,
        synthetic=rules.synthetic,
    )
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    scenario_names, scenarios = [""], np.zeros(len(ids), np.int64)
    if raw.scenarios is not None:
        names, scenarios = np.unique(np.asarray(raw.scenarios, dtype=str)[by_id], return_inverse=True)
        scenario_names = names.tolist()
    columns = {
        "ids": ids[by_id],
        "labels": labels,
        "groups": np.unique(groups, return_inverse=True)[1].astype(np.int64),
        "scenarios": scenarios.astype(np.int16),
        "split": side,
        "full_lengths": full_lengths.astype(np.int32),
        "offsets": offsets,
        "time": time,
        "categorical": codes,
        "numerical": real,
        "profile_categorical": profile_codes,
        "profile_numerical": profile_real,
        "inputs": network_inputs(schema.numerical, real, offsets),
        "profile_inputs": network_inputs(schema.profile_numerical, profile_real, np.arange(len(ids) + 1)),
    }
    return Dataset(schema, columns, tuple(scenario_names), source)


def _check(ids: np.ndarray, labels: np.ndarray, raw: Raw, rules: Rules) -> None:
    name = rules.name
    if not len(ids):
        raise DatasetError(f"{name}: there are no sequences")
    distinct, counts = np.unique(ids, return_counts=True)
    if len(distinct) < len(ids):
        raise DatasetError(f"{name}: the id {distinct[counts > 1][0]} occurs twice among the labels")
    present = np.unique(labels)
    if not np.isin(present, np.arange(len(rules.classes))).all():
        strange = present[~np.isin(present, np.arange(len(rules.classes)))][0]
        raise DatasetError(f"{name}: the label {strange} is none of the {len(rules.classes)} classes")
    for reserved in (GAP.name, LEFT.name):
        if reserved in raw.numerical:
            raise DatasetError(f"{name}: every dataset gets a field {shown(reserved)} of its own: rename yours")
    if len(present) < 2:
        only = rules.classes[int(present[0])]
        raise DatasetError(f"{name}: all labels are {shown(only)}; a classification needs at least two classes")
    time = np.asarray(raw.time, np.float64)
    if not np.isfinite(time).all():
        row = int(np.flatnonzero(~np.isfinite(time))[0])
        raise DatasetError(f"{name}: event {row + 1} has no time")
    events = np.bincount(raw.owner, minlength=len(ids))
    if (events == 0).any():
        empty = ids[events == 0]
        raise DatasetError(f"{name}: the id {empty[0]} has a label but no events ({len(empty)} of {len(ids)} ids)")


def _fit_numericals(
    columns: Mapping[str, np.ndarray], fields: Sequence[Numerical], train: np.ndarray
) -> tuple[tuple[Numerical, ...], np.ndarray]:
    """The fields, fitted to the training rows, and their raw values as float32 (rows, fields)."""
    known = {each.name: each for each in fields}
    matrix = _stack(list(columns.values()), len(train), np.float32)
    names = zip(columns, matrix.T, strict=True)
    return tuple(_fit_numerical(known.get(name, Numerical(name)), values[train]) for name, values in names), matrix


def _fit_numerical(field: Numerical, values: np.ndarray) -> Numerical:
    values = values[np.isfinite(values)].astype(np.float64)
    if not len(values):
        return field
    values = _logarithm(values) if field.log else values
    low, high = (float(q) for q in np.quantile(values, CLIP))
    clipped = np.clip(values, low, high)
    return replace(field, low=low, high=high, mean=float(clipped.mean()), std=float(clipped.std()) or 1.0)


def _logarithm(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.log1p(np.abs(values))


def _fit_categoricals(
    columns: Mapping[str, np.ndarray], train: np.ndarray, rare: int
) -> tuple[tuple[Categorical, ...], np.ndarray]:
    """The fields, fitted to the training rows, and their codes as int32 (rows, fields)."""
    fitted = [_fit_categorical(name, values, train, rare) for name, values in columns.items()]
    return tuple(field for field, _ in fitted), _stack([codes for _, codes in fitted], len(train), np.int32)


def _fit_categorical(name: str, values: np.ndarray, train: np.ndarray, rare: int) -> tuple[Categorical, np.ndarray]:
    """Codes by descending frequency in the training rows, ties by name; what is rare or new there is unknown."""
    import pandas as pd

    code, categories = pd.factorize(values, sort=True)
    counts = np.bincount(code[train], minlength=len(categories))
    frequent = np.argsort(-counts, kind="stable")
    frequent = frequent[counts[frequent] >= max(rare, 1)]
    table = np.full(len(categories) + 1, UNKNOWN, np.int32)  # the last entry is for -1, a missing value
    table[frequent] = FIRST_CODE + np.arange(len(frequent))
    return Categorical(name, tuple(str(c) for c in np.asarray(categories)[frequent])), table[code]


def network_inputs(fields: Sequence[Numerical], values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Real-valued fields as a network takes them: filled, clipped, standardised, 0 where missing; then the indicators.

    `values` float32 (E, R) raw; returns float32 (E, R + indicators).
    """
    columns, indicators = [], []
    for column, each in enumerate(fields):
        raw = values[:, column].astype(np.float64)
        missing = np.isnan(raw)
        if each.indicator:
            indicators.append(~missing)
        if each.forward_fill and missing.any():
            raw = _forward_fill(raw, missing, offsets)
            missing = np.isnan(raw)
        transformed = np.clip(_logarithm(raw) if each.log else raw, each.low, each.high)
        columns.append(np.where(missing, 0.0, (transformed - each.mean) / each.std))
    return _stack([*columns, *indicators], len(values), np.float32)


def _forward_fill(values: np.ndarray, missing: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    latest = np.where(missing, -1, np.arange(len(values)))
    latest = np.maximum.accumulate(latest)
    first = np.repeat(offsets[:-1], np.diff(offsets))
    filled = values[np.maximum(latest, 0)]
    filled[latest < first] = np.nan  # measured in an earlier sequence only
    return filled


def _stack(columns: Sequence[np.ndarray], rows: int, dtype: type) -> np.ndarray:
    return np.stack(columns, axis=1).astype(dtype) if columns else np.empty((rows, 0), dtype)
