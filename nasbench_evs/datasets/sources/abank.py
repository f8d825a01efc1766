"""Alfa-Bank credit scoring: card transactions before a loan application (paper 000's ABank)."""

from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.schema import Numerical
from nasbench_evs.datasets.sources.source import Source
from nasbench_evs.errors import DatasetError

_CATEGORICAL = (
    "currency", "operation_kind", "card_type", "operation_type", "operation_type_group", "ecommerce_flag", "payment_system",
    "income_flag", "mcc", "country", "city", "mcc_category", "day_of_week", "hour", "weekofyear",
)  # fmt: skip


def _read(folder: Path) -> Raw:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder: expected Parquet parts of transactions and train_target.csv")
    target_path = reading.find(folder, "train_target.csv", "target.csv")
    target = reading.read_csv(target_path, ["app_id", "product", "flag"])
    parts = sorted(folder.rglob("*.parquet"))
    if not parts:
        raise DatasetError(f"{folder} holds no Parquet parts of transactions (*.parquet)")
    columns = ["app_id", "transaction_number", "amnt", *_CATEGORICAL, "days_before", "hour_diff"]
    frame = pd.concat([reading.read_parquet(part, columns) for part in parts], ignore_index=True)
    applications = pd.Index(target.app_id)
    owner = applications.get_indexer(frame.app_id.astype(int).astype(str))
    frame, owner = frame[owner >= 0], owner[owner >= 0]
    order = np.lexsort((frame.transaction_number.to_numpy(), owner))
    frame, owner = frame.iloc[order], owner[order]
    return Raw(
        ids=reading.text(applications),
        labels=reading.labels(target.flag, target_path, 2),
        owner=owner,
        # Days until the application; the hour orders what happened on one day.
        time=-frame.days_before.to_numpy(np.float64) + frame.hour.to_numpy(np.float64) / 24,
        categorical={name: reading.text(frame[name]) for name in _CATEGORICAL},
        numerical={
            "amount": frame.amnt.to_numpy(np.float64),
            "hour_diff": frame.hour_diff.to_numpy(np.float64),
        },
        profile_categorical={"product": reading.text(target["product"])},
        cut=1.0,
    )


ABANK = Source(
    rules=Rules(
        "abank", ("pays", "defaults"), "roc_auc", max_length=256, numerical=(Numerical("hour_diff", log=True),)
    ),
    read=_read,
    what="Card transactions of the year before a loan application; does the client default?",
    get=(
        "download the transactions (Parquet) and train_target.csv of the Alfa-Bank credit scoring competition (ods.ai)"
    ),
    leakage="Transactions before the application only.",
    licence="not stated",
    citation="I. Udovichenko et al.: SeqNAS, IEEE Access 2024 (ABank)",
)
