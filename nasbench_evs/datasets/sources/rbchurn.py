"""Rosbank churn: card transactions (paper 000's RBchurn)."""

from pathlib import Path

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.schema import Numerical
from nasbench_evs.datasets.sources.source import Source

_CATEGORICAL = ("MCC", "channel_type", "currency", "trx_category")


def _read(path: Path) -> Raw:
    path = reading.find(path, "train.csv")
    frame = reading.read_csv(path, ["cl_id", "TRDATETIME", *_CATEGORICAL, "amount", "target_flag"])
    stamps = reading.times(frame.TRDATETIME, path, "%d%b%y:%H:%M:%S")
    frame["day"] = reading.days(stamps, stamps.groupby(frame.cl_id).transform("min"))
    frame["label"] = reading.labels(frame.target_flag, path, 2)
    labels = frame.groupby("cl_id").label.first()
    return Raw(
        ids=reading.text(labels.index),
        labels=labels.to_numpy(),
        owner=labels.index.get_indexer(frame.cl_id),
        time=frame.day.to_numpy(),
        categorical={
            **{name.lower(): reading.text(frame[name]) for name in _CATEGORICAL},
            "hour": reading.text(stamps.dt.hour),
            "weekday": reading.text(stamps.dt.day_of_week),
        },
        numerical={"amount": reading.numbers(frame.amount, path)},
    )


RBCHURN = Source(
    rules=Rules("rbchurn", ("stays", "leaves"), "roc_auc", max_length=200, numerical=(Numerical("amount", log=True),)),
    read=_read,
    what="Three months of a client's card transactions; does the client leave the bank?",
    get="download train.csv of the Rosbank churn competition (boosters.pro)",
    leakage="target_flag is the label; target_sum is never read.",
    licence="not stated",
    citation="I. Udovichenko et al.: SeqNAS, IEEE Access 2024 (RBchurn)",
)
