"""VTB data fusion: card transactions and education (paper 000's VBank)."""

from pathlib import Path

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.schema import Numerical
from nasbench_evs.datasets.sources.source import Source


def _read(folder: Path) -> Raw:
    path = reading.find(folder, "transactions.csv")
    target_path = reading.find(folder, "train_target.csv", "target.csv")
    target = reading.read_csv(target_path, ["user_id", "higher_education"])
    frame = reading.read_csv(path, ["user_id", "mcc_code", "currency_rk", "transaction_amt", "transaction_dttm"])
    labels = target.set_index("user_id").higher_education
    frame = frame[frame.user_id.isin(labels.index)]
    stamps = reading.times(frame.transaction_dttm, path, "%Y-%m-%d %H:%M:%S")
    return Raw(
        ids=reading.text(labels.index),
        labels=reading.labels(labels, target_path, 2),
        owner=labels.index.get_indexer(frame.user_id),
        time=reading.days(stamps, stamps.groupby(frame.user_id).transform("min")),
        categorical={
            "mcc_code": reading.text(frame.mcc_code),
            "currency_rk": reading.text(frame.currency_rk),
            "hour": reading.text(stamps.dt.hour),
            "weekday": reading.text(stamps.dt.day_of_week),
        },
        numerical={"amount": reading.numbers(frame.transaction_amt, path)},
    )


VBANK = Source(
    rules=Rules(
        "vbank",
        ("no higher education", "higher education"),
        "roc_auc",
        max_length=512,
        numerical=(Numerical("amount", log=True),),
    ),
    read=_read,
    what="A client's card transactions; does the client have higher education?",
    get="download transactions.csv and the target (user_id, higher_education) of the VTB Data Fusion contest",
    leakage="Education is the label and no input.",
    licence="not stated",
    citation="I. Udovichenko et al.: SeqNAS, IEEE Access 2024 (VBank)",
)
