"""Sberbank age groups: card transactions (paper 000's AGE)."""

from pathlib import Path

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.schema import Numerical
from nasbench_evs.datasets.sources.source import Source


def _read(folder: Path) -> Raw:
    target_path = reading.find(folder, "train_target.csv")
    path = reading.find(folder, "transactions_train.csv")
    target = reading.read_csv(target_path, ["client_id", "bins"])
    frame = reading.read_csv(path, ["client_id", "trans_date", "small_group", "amount_rur"])
    labels = target.set_index("client_id").bins
    frame = frame[frame.client_id.isin(labels.index)]
    day = reading.numbers(frame.trans_date, path)
    return Raw(
        ids=reading.text(labels.index),
        labels=reading.labels(labels, target_path, 4),
        owner=labels.index.get_indexer(frame.client_id),
        time=day,
        categorical={"small_group": reading.text(frame.small_group)},
        numerical={"amount": reading.numbers(frame.amount_rur, path)},
        cut=float(day.max()),
    )


AGE = Source(
    rules=Rules("age", ("0", "1", "2", "3"), "accuracy", max_length=1000, numerical=(Numerical("amount", log=True),)),
    read=_read,
    what=(
        "Two years of a client's card transactions; which of four age groups, equally large by design, is the "
        "client in?"
    ),
    get="download transactions_train.csv and train_target.csv of the Sberbank age competition (ods.ai)",
    leakage="The age group is the label and no input.",
    licence="not stated",
    citation="I. Udovichenko et al.: SeqNAS, IEEE Access 2024 (AGE)",
)
