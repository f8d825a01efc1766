"""UCI Online Retail: invoice lines of a British wholesaler of gifts."""

from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.schema import Numerical
from nasbench_evs.datasets.sources.source import Source

_COLUMNS = ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
_START = pd.Timestamp("2010-12-01")
_CUT, _UNTIL = 210.0, 300.0  # days


def _read(path: Path) -> Raw:
    path = reading.find(path, "online_retail.csv")
    frame = reading.read_csv(path, _COLUMNS)
    stamps = reading.times(frame.InvoiceDate, path, "%Y-%m-%d %H:%M:%S")
    frame["day"] = reading.days(stamps, _START)
    frame["hour"], frame["weekday"] = stamps.dt.hour, stamps.dt.day_of_week
    frame["quantity"] = reading.numbers(frame.Quantity, path)
    frame["price"] = reading.numbers(frame.UnitPrice, path)
    frame = frame[frame.CustomerID != ""]
    cancelled = frame.InvoiceNo.str.startswith("C")
    bought = frame[~cancelled & (frame.day >= _CUT) & (frame.day < _UNTIL)].CustomerID
    before = frame.day < _CUT
    events, cancelled = frame[before], cancelled[before]
    customers = pd.Index(np.unique(reading.text(events.CustomerID)))
    country = events.drop_duplicates("CustomerID").set_index("CustomerID").Country.loc[customers]
    return Raw(
        ids=reading.text(customers),
        labels=customers.isin(bought).astype(np.int64),
        owner=customers.get_indexer(events.CustomerID),
        time=events.day.to_numpy(np.float64),
        categorical={
            "family": reading.text(events.StockCode.str.slice(0, 3)),
            "cancelled": np.where(cancelled, "yes", "no"),
            "hour": reading.text(events.hour),
            "weekday": reading.text(events.weekday),
        },
        numerical={
            "quantity": events.quantity.to_numpy(),
            "price": events.price.to_numpy(),
            "value": (events.quantity * events.price).to_numpy(),
        },
        profile_categorical={"country": reading.text(country)},
        cut=_CUT,
    )


ONLINE_RETAIL = Source(
    rules=Rules(
        "online-retail",
        ("stays away", "buys again"),
        "roc_auc",
        max_length=128,
        numerical=tuple(Numerical(name, log=True) for name in ("quantity", "price", "value")),
        rare=3,
    ),
    read=_read,
    what="Invoice lines of a customer in the first 210 days; does the customer buy in the 90 days after?",
    get="download Online Retail from the UCI repository, as online_retail.csv with UCI's column names",
    leakage="Events end with day 210; the label looks at non-cancelled purchases of days 210 to 300 only.",
    licence="CC0 (package DESCRIPTION)",
    citation=(
        "D. Chen, S. L. Sain, K. Guo: Data mining for the online retail industry, Journal of Database "
        "Marketing and Customer Strategy Management 19, 2012"
    ),
)
