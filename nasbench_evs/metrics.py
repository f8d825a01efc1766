"""The scores a benchmark can optimise: their names, directions and ranges."""

from typing import NamedTuple

from nasbench_evs.errors import InvalidQuery


class Metric(NamedTuple):
    """A score: `direction` is "max" or "min"; every value lies in [`low`, `high`]."""

    name: str
    direction: str
    low: float
    high: float

    @property
    def sign(self) -> int:
        """+1 where larger is better, -1 where smaller is."""
        return 1 if self.direction == "max" else -1


METRICS = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", "max", 0.0, 1.0),
        Metric("macro_roc_auc", "max", 0.0, 1.0),  # one class against the rest, unweighted mean
        Metric("accuracy", "max", 0.0, 1.0),
        # Mean of the normalised weighted Gini (-1 to 1) and the default rate captured at 4 % (0 to 1).
        Metric("amex", "max", -0.5, 1.0),
        Metric("log_loss", "min", 0.0, float("inf")),
    )
}


def metric(name: str) -> Metric:
    """The metric of that name, or InvalidQuery."""
    if name not in METRICS:
        raise InvalidQuery(f"unknown metric {name!r}: expected one of {', '.join(METRICS)}")
    return METRICS[name]
