"""American Express default prediction: monthly statements (paper 000's Amex)."""

from pathlib import Path

import numpy as np

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.sources.source import Source

CATEGORICAL = ("B_30", "B_38", "D_63", "D_64", "D_66", "D_68", "D_114", "D_116", "D_117", "D_120", "D_126")
_PREFIXES = ("P_", "D_", "B_", "R_", "S_")


def _read(path: Path) -> Raw:
    path = reading.find(path, "train.parquet")
    frame = reading.read_parquet(path)
    reading.require(list(frame.columns), path, ("customer_ID", "S_2", "target", *CATEGORICAL))
    numerical = [c for c in frame.columns if str(c).startswith(_PREFIXES) and c not in CATEGORICAL and c != "S_2"]
    stamps = reading.times(frame.S_2, path, "ISO8601")
    frame["label"] = reading.labels(frame.target, path, 2)
    labels = frame.groupby("customer_ID").label.first()
    return Raw(
        ids=reading.text(labels.index),
        labels=labels.to_numpy(),
        owner=labels.index.get_indexer(frame.customer_ID),
        time=reading.days(stamps, stamps.groupby(frame.customer_ID).transform("min")),
        categorical={name: reading.text(frame[name]) for name in CATEGORICAL},
        numerical={name: frame[name].to_numpy(np.float64) for name in numerical},
    )


AMEX = Source(
    rules=Rules("amex", ("pays", "defaults"), "amex", max_length=13),
    read=_read,
    what="Up to 13 monthly statements of a credit card; does the customer default within 120 days?",
    get=(
        "prepare train.parquet (customer_ID, S_2, the 188 fields, target) from the Kaggle competition's cleaned files"
    ),
    leakage="target is the label and no input.",
    licence="not stated",
    citation="I. Udovichenko et al.: SeqNAS, IEEE Access 2024 (Amex)",
)
