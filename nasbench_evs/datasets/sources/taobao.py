"""Taobao: a user's behaviour in a mobile shop (paper 000's TaoBao)."""

from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.sources.source import Source
from nasbench_evs.errors import DatasetError

_WINDOW = 7.0  # days observed, and days after them that decide the label
_PAYS = "4"
_RARE = 500  # events of the training split; a category with fewer is unknown


def _read(path: Path) -> Raw:
    path = reading.find(path, "tianchi_mobile_recommend_train_user.csv")
    frame = reading.read_csv(path, ["user_id", "behavior_type", "item_category", "time"])
    stamps = reading.times(frame.time, path, "%Y-%m-%d %H")
    day = reading.days(stamps, stamps.min().normalize())
    frame["day"], frame["hour"], frame["weekday"] = day, stamps.dt.hour, stamps.dt.day_of_week
    if day.max() < _WINDOW:
        raise DatasetError(f"{path} ends after {day.max():.1f} days: expected {2 * _WINDOW:g}")
    later = frame[(frame.day >= _WINDOW) & (frame.day < 2 * _WINDOW) & (frame.behavior_type == _PAYS)]
    events = frame[frame.day < _WINDOW]
    users = pd.Index(np.unique(reading.text(events.user_id)))
    return Raw(
        ids=reading.text(users),
        labels=users.isin(later.user_id).astype(np.int64),
        owner=users.get_indexer(events.user_id),
        time=events.day.to_numpy(np.float64),
        categorical={
            "behavior": reading.text(events.behavior_type),
            "category": reading.text(events.item_category),
            "hour": reading.text(events.hour),
            "weekday": reading.text(events.weekday),
        },
        cut=_WINDOW,
    )


TAOBAO = Source(
    rules=Rules("taobao", ("does not pay", "pays"), "roc_auc", max_length=512, rare=_RARE),
    read=_read,
    what="Seven days of a user's clicks, favourites, carts and payments; does the user pay in the seven days after?",
    get="download tianchi_mobile_recommend_train_user.csv from Tianchi (Alibaba mobile recommendation)",
    leakage=(
        "Events end with day 7; days 7 to 14 decide the label only. Items are not read, rare categories are merged."
    ),
    licence="not stated",
    citation="I. Udovichenko et al.: SeqNAS, IEEE Access 2024 (TaoBao)",
)
