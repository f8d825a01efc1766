"""BPI Challenge 2012: loan applications at a Dutch bank, an XES event log."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.schema import Numerical
from nasbench_evs.datasets.sources.source import Source
from nasbench_evs.errors import DatasetError

_HOURS = 6.0
_DECISIONS = ("A_APPROVED", "A_CANCELLED", "A_DECLINED")


def _read(path: Path) -> Raw:
    path = reading.find(path, "BPI_Challenge_2012.xes")
    events = pd.DataFrame(
        _events(path), columns=["application", "requested", "activity", "transition", "resource", "stamp"]
    )
    stamps = pd.to_datetime(events.stamp, format="ISO8601", utc=True, errors="coerce")
    if stamps.isna().any():
        row = int(np.flatnonzero(stamps.isna())[0])
        raise DatasetError(f"{path}, event {row + 1:,}: {events.stamp[row]!r} is no time")
    start = stamps.groupby(events.application).transform("min")
    events["hour"] = (stamps - start).dt.total_seconds() / 3600
    # Calendar fields on the bank's own clock, as the stamps have it.
    local = pd.to_datetime(events.stamp.str.slice(0, 19), format="%Y-%m-%dT%H:%M:%S")
    events["clock"], events["weekday"] = local.dt.hour, local.dt.day_of_week
    decisions = events[events.activity.isin(_DECISIONS)].drop_duplicates("application").set_index("application")
    open_at_cut = decisions[decisions.hour > _HOURS]
    events = events[(events.hour <= _HOURS) & events.application.isin(open_at_cut.index)]
    first = events.drop_duplicates("application").set_index("application").loc[open_at_cut.index]
    return Raw(
        ids=reading.text(open_at_cut.index),
        labels=open_at_cut.activity.map(_DECISIONS.index).to_numpy(np.int64),
        owner=open_at_cut.index.get_indexer(events.application),
        time=events.hour.to_numpy(np.float64),
        categorical={
            name: reading.text(events[name]) for name in ("activity", "transition", "resource", "clock", "weekday")
        },
        profile_numerical={"requested": reading.numbers(first.requested, path)},
        cut=_HOURS,
    )


def _events(path: Path) -> list[tuple[str, ...]]:
    rows = []
    try:
        with reading.open_binary(path) as stream:
            for _, element in ElementTree.iterparse(stream):
                if element.tag.rpartition("}")[2] != "trace":
                    continue
                trace = {child.get("key"): child.get("value") for child in element}
                for child in element:
                    if child.tag.rpartition("}")[2] == "event":
                        event = {field.get("key"): field.get("value") for field in child}
                        row = (
                            trace["concept:name"],
                            trace["AMOUNT_REQ"],
                            event["concept:name"],
                            event["lifecycle:transition"],
                            event.get("org:resource", "none"),
                            event["time:timestamp"],
                        )
                        rows.append(tuple(str(value) for value in row))
                element.clear()
    except ElementTree.ParseError as error:
        raise DatasetError(f"{path} is no XES file, or truncated: {error}") from None
    except KeyError as error:
        raise DatasetError(f"{path}: event {len(rows) + 1:,} or its trace has no {error}") from None
    if not rows:
        raise DatasetError(f"{path} holds no traces with events")
    return rows


BPIC2012 = Source(
    rules=Rules(
        "bpic2012",
        ("approved", "cancelled", "declined"),
        "macro_roc_auc",
        max_length=32,
        time_unit="hours",
        profile_numerical=(Numerical("requested", log=True),),
    ),
    read=_read,
    what="The first six hours of a loan application; is it later approved, cancelled or declined?",
    get=(
        "download BPI_Challenge_2012.xes.gz from 4TU.ResearchData, doi "
        "10.4121/uuid:3926db30-f712-4394-aebc-75976070e91f"
    ),
    leakage="Applications decided within the six hours are left out; events after them are not read.",
    licence="4TU terms of use, with citation",
    citation=(
        "B. van Dongen: BPI Challenge 2012, 4TU.ResearchData, doi 10.4121/uuid:3926db30-f712-4394-aebc-75976070e91f"
    ),
)
