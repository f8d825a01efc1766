"""UCI default of credit card clients: six monthly statements each."""

from pathlib import Path

import numpy as np

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.schema import Numerical
from nasbench_evs.datasets.sources.source import Source

_LABEL = "default.payment.next.month"
_PROFILE = ("SEX", "EDUCATION", "MARRIAGE")
_MONTHS = range(6, 0, -1)  # columns run from newest (1) to oldest (6)


def _read(path: Path) -> Raw:
    path = reading.find(path, "UCI_Credit_Card.csv")
    payments = ["PAY_1", *(f"PAY_{i}" for i in range(2, 7))]
    columns = [
        "ID", "LIMIT_BAL", *_PROFILE, "AGE", *payments, _LABEL,
        *(f"{kind}_AMT{i}" for kind in ("BILL", "PAY") for i in range(1, 7)),
    ]  # fmt: skip
    frame = reading.read_csv(path, columns)
    limit = reading.numbers(frame.LIMIT_BAL, path)

    def months(kind: str) -> np.ndarray:
        return np.stack([reading.numbers(frame[f"{kind}_AMT{i}"], path) for i in _MONTHS], axis=1)

    bill, paid = months("BILL"), months("PAY")
    with np.errstate(divide="ignore", invalid="ignore"):
        use = np.where(limit[:, None] > 0, bill / limit[:, None], 0.0)
    status = np.stack([reading.text(frame[f"PAY_{i}"]) for i in _MONTHS], axis=1)
    return Raw(
        ids=reading.text(frame.ID),
        labels=reading.labels(frame[_LABEL], path, 2),
        owner=np.repeat(np.arange(len(frame)), 6),
        time=np.tile(np.arange(6) * 30.0, len(frame)),
        categorical={"status": status.ravel()},
        numerical={"bill": bill.ravel(), "paid": paid.ravel(), "use": use.ravel()},
        profile_categorical={name.lower(): reading.text(frame[name]) for name in _PROFILE},
        profile_numerical={"limit": limit, "age": reading.numbers(frame.AGE, path)},
        cut=180.0,
    )


CREDIT_DEFAULT = Source(
    rules=Rules(
        "credit-default",
        ("pays", "defaults"),
        "roc_auc",
        max_length=6,
        numerical=(Numerical("bill", log=True), Numerical("paid", log=True), Numerical("use")),
        profile_numerical=(Numerical("limit", log=True), Numerical("age")),
    ),
    read=_read,
    what="Six monthly credit card statements, oldest first; does the client default next month?",
    get="download 'default of credit card clients' from the UCI repository, as UCI_Credit_Card.csv",
    leakage="The six statements end before the month that is predicted.",
    licence="CC BY 4.0 at UCI (to be confirmed at the source)",
    citation=(
        "I-C. Yeh, C.-H. Lien: The comparisons of data mining techniques for the predictive accuracy of "
        "probability of default of credit card clients, Expert Systems with Applications 36, 2009"
    ),
)
