"""Anybody's data: a long table of events, a table of labels, and a schema.toml that names the columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.dataset import Dataset
from nasbench_evs.datasets.prepare import Raw, Rules, prepare
from nasbench_evs.datasets.schema import Numerical
from nasbench_evs.datasets.sources import SOURCES
from nasbench_evs.datasets.store import folder
from nasbench_evs.errors import DatasetError, NasbenchError, OutputError, did_you_mean
from nasbench_evs.metrics import metric
from nasbench_evs.reader import Source

if TYPE_CHECKING:
    import pandas as pd

_TEXT, _LIST, _INTEGER = "a text", "a list of column names", "a positive integer of at most 1,000,000"
KEYS = {
    "id": _TEXT,
    "time": _TEXT,
    "label": _TEXT,
    "categorical": _LIST,
    "numerical": _LIST,
    "profile": _LIST,
    "group": _TEXT,
    "metric": _TEXT,
    "max_length": _INTEGER,
}
REQUIRED = ("id", "time", "label")
_DEFAULT_LENGTH = 128


@dataclass(frozen=True)
class Columns:
    """What a schema.toml says. `profile` and `group` columns may stand in either file."""

    id: str
    time: str
    label: str
    categorical: tuple[str, ...] = ()
    numerical: tuple[str, ...] = ()
    profile: tuple[str, ...] = ()
    group: str = ""
    metric: str = ""
    max_length: int = _DEFAULT_LENGTH

    @classmethod
    def read(cls, path: Path) -> Columns:
        """The columns of a schema.toml; DatasetError names what is unknown, missing or of another type."""
        return cls.of(Source(path, DatasetError, "a schema in TOML").toml(), path)

    @classmethod
    def of(cls, values: Mapping[str, Any], path: Path = Path("the schema")) -> Columns:
        """The columns that these keys and values name; `path` is what messages call them."""
        for key, value in values.items():
            if key not in KEYS:
                near = did_you_mean(key, KEYS)
                raise DatasetError(f"{path} has the unknown key {key!r}: expected some of {', '.join(KEYS)}{near}")
            kind = KEYS[key]
            fits = {
                _TEXT: isinstance(value, str) and bool(value),
                _LIST: isinstance(value, list | tuple) and all(isinstance(v, str) for v in value),
                _INTEGER: isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1_000_000,
            }[kind]
            if not fits:
                raise DatasetError(f"{path}: {key} = {value!r}, expected {kind}")
        for key in REQUIRED:
            if key not in values:
                raise DatasetError(f"{path} lacks the key {key!r}: id, time and label are required")
        if "metric" in values:
            try:
                metric(values["metric"])
            except NasbenchError as error:
                raise DatasetError(f"{path}: {error}") from None
        roles: dict[str, str] = {}
        for key in ("id", "time", "label", "group", "categorical", "numerical", "profile"):
            for column in [values[key]] if isinstance(values.get(key), str) else values.get(key, []):
                if column in roles:
                    raise DatasetError(
                        f"{path}: the column {column!r} is both {roles[column]} and {key}: expected one use"
                    )
                roles[column] = key
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list | tuple) else v for key, v in values.items()}
        return cls(**fields)


def add(
    name: str,
    events: Path | str | pd.DataFrame,
    labels: Path | str | pd.DataFrame,
    schema: Path | str | Mapping[str, Any],
    *,
    force: bool = False,
) -> Dataset:
    """Prepare a dataset of one's own and keep it under `name`, as `nasbench-evs data add` does; see `read`.

    DatasetError for what is odd, and for the name of a built-in dataset; OutputError if the name is taken and not `force`.
    """
    if name in SOURCES:
        raise DatasetError(f"{name!r} is the name of a built-in dataset: choose another for your own data")
    place = folder(name)
    if place.exists() and not force:
        raise OutputError(f"{name} is prepared already, in {place}: prepare it again with --force (force=True)")
    raw, rules = read(name, events, labels, schema)
    files = ["a DataFrame" if _is_frame(each) else Path(each).name for each in (events, labels)]
    dataset = prepare(raw, rules, source=f"{files[0]} with labels of {files[1]}")
    dataset.save(place, force=force)
    return dataset


def read(
    name: str,
    events: Path | str | pd.DataFrame,
    labels: Path | str | pd.DataFrame,
    schema: Path | str | Mapping[str, Any],
) -> tuple[Raw, Rules]:
    """The raw data and the rules of a user's own dataset.

    `events` and `labels` are CSV or Parquet files or frames, which stay as they are; `schema` is a schema.toml or a dict with its
    keys. Time is a number of days, or a time stamp; it is counted from each sequence's first event. Profile columns are
    real-valued if all their values are numbers. DatasetError names file, row and column of whatever is odd.
    """
    columns = Columns.of(schema) if isinstance(schema, Mapping) else Columns.read(Path(schema))
    events, events_path = _read(events, "events")
    labels, labels_path = _read(labels, "labels")
    reading.require(list(labels.columns), labels_path, [columns.id, columns.label])
    profile = [*columns.profile, *([columns.group] if columns.group else [])]
    in_labels = [name for name in profile if name in labels.columns]
    in_events = [name for name in profile if name not in labels.columns]
    reading.require(
        list(events.columns),
        events_path,
        [columns.id, columns.time, *columns.categorical, *columns.numerical, *in_events],
    )
    if events.empty or labels.empty:
        raise DatasetError(f"{events_path if events.empty else labels_path} has no rows")

    for frame, path in ((events, events_path), (labels, labels_path)):
        _no_gaps(frame, columns.id, path)
    _no_gaps(labels, columns.label, labels_path)
    if columns.group:
        home = (labels, labels_path) if columns.group in in_labels else (events, events_path)
        _no_gaps(home[0], columns.group, home[1])
    repeated = labels[columns.id].duplicated()
    if repeated.any():
        raise reading.odd(labels[columns.id], repeated, labels_path, "occurs in an earlier row too")
    ids = labels.set_index(columns.id).index
    owner = ids.get_indexer(events[columns.id])
    if (owner < 0).any():
        raise reading.odd(events[columns.id], owner < 0, events_path, f"has no label in {labels_path}")
    eventless = np.bincount(owner, minlength=len(ids)) == 0
    if eventless.any():
        raise reading.odd(labels[columns.id], eventless, labels_path, f"has no events in {events_path}")

    classes = sorted(labels[columns.label].unique(), key=_natural)
    if len(classes) < 2:
        raise DatasetError(
            f"{labels_path}, column {columns.label}: all labels are {classes[0]!r}, expected two classes or more"
        )
    for column in (*columns.categorical, *columns.numerical):
        _varies(events, column, events_path)
    values: dict[str, pd.Series] = {name: labels[name] for name in in_labels}
    for column in in_events:
        values[column] = _per_sequence(events, column, owner, events_path)
    for column in columns.profile:
        _varies(values[column].to_frame(column), column, labels_path if column in in_labels else events_path)
    numbers = {column: _numbers_or_none(values[column]) for column in columns.profile}
    days = _days(events[columns.time], events_path)
    start = np.full(len(ids), np.inf)
    np.minimum.at(start, owner, days)
    raw = Raw(
        ids=reading.text(ids),
        labels=labels[columns.label].map(classes.index).to_numpy(np.int64),
        owner=owner,
        time=days - start[owner],
        categorical={c: reading.text(events[c]) for c in columns.categorical},
        numerical={c: reading.numbers(events[c], events_path, missing=True) for c in columns.numerical},
        profile_categorical={c: reading.text(values[c]) for c in columns.profile if numbers[c] is None},
        profile_numerical={c: n for c, n in numbers.items() if n is not None},
        groups=reading.text(values[columns.group]) if columns.group else None,
    )
    rules = Rules(
        name,
        tuple(classes),
        columns.metric or ("roc_auc" if len(classes) == 2 else "macro_roc_auc"),
        max_length=columns.max_length,
        numerical=tuple(Numerical(c, indicator=bool(np.isnan(v).any())) for c, v in raw.numerical.items()),
    )
    return raw, rules


def _is_frame(table: Any) -> bool:
    return hasattr(table, "columns")  # pandas takes long to import, only to ask


def _read(table: Any, what: str) -> tuple[pd.DataFrame, Path]:
    """The table, and what messages call it."""
    if _is_frame(table):
        frame = table.reset_index(drop=True)
        return frame.set_axis([str(column) for column in frame.columns], axis=1), Path(f"the DataFrame of {what}")
    path = Path(table)
    if not path.is_file():
        raise DatasetError(f"there is no file {path}")
    return (reading.read_parquet(path) if path.suffix == ".parquet" else reading.read_csv(path, None)), path


def _no_gaps(frame: pd.DataFrame, column: str, path: Path) -> None:
    """Turn the column into text; an empty cell, or "nan", is an error."""
    frame[column] = reading.text(frame[column])
    empty = frame[column].str.strip().str.lower().isin(["", "nan"])
    if empty.any():
        raise reading.odd(frame[column], empty, path, "is empty")


def _varies(frame: pd.DataFrame, column: str, path: Path) -> None:
    if frame[column].nunique(dropna=False) == 1:
        raise DatasetError(
            f"{path}, column {column}: every value is {str(frame[column].iloc[0])[:60]!r}; drop it from the schema"
        )


def _per_sequence(events: pd.DataFrame, column: str, owner: np.ndarray, path: Path) -> pd.Series:
    import pandas as pd

    values = reading.text(events[column])
    first = pd.Series(values).groupby(owner).first()
    other = values != first.to_numpy(object)[owner]
    if other.any():
        raise reading.odd(
            events[column], other, path, "differs from the sequence's first event; a profile field has one value"
        )
    return first


def _numbers_or_none(values: pd.Series) -> np.ndarray | None:
    try:
        return reading.numbers(values, Path(), missing=True)
    except DatasetError:
        return None


def _days(values: pd.Series, path: Path) -> np.ndarray:
    import pandas as pd

    numeric = pd.to_numeric(pd.Series(reading.text(values)), errors="coerce").notna()
    if numeric.mean() > 0.5:  # numbers of days; the few that are none are mistakes
        return reading.numbers(values, path)
    stamps = reading.times(values, path, "ISO8601")
    return reading.days(stamps, stamps.min())


def _natural(text: str) -> tuple[int, float, str]:
    """Numbers by value, then texts."""
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text
