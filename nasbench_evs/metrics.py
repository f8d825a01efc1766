"""The scores a benchmark can optimise: their names, directions, ranges, and how to compute them."""

from typing import NamedTuple

import numpy as np

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


def score(name: str, labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The metric of predicted class probabilities, shape (N, K), against integer labels of shape (N,).

    roc_auc and amex look at the probability of class 1. InvalidQuery if the labels hold fewer classes than it takes.
    """
    from sklearn import metrics

    kind = metric(name)
    classes = np.unique(labels)
    if len(classes) < 2 and name != "accuracy":
        raise InvalidQuery(f"{name} needs labels of at least two classes, got class {classes[0]} only")
    if kind.name == "accuracy":
        return float(metrics.accuracy_score(labels, probabilities.argmax(axis=1)))
    if kind.name == "log_loss":
        return float(metrics.log_loss(labels, probabilities, labels=np.arange(probabilities.shape[1])))
    if kind.name == "roc_auc":
        return float(metrics.roc_auc_score(labels, probabilities[:, 1]))
    if kind.name == "macro_roc_auc":
        return float(np.mean([metrics.roc_auc_score(labels == k, probabilities[:, k]) for k in classes]))
    return amex(labels, probabilities[:, 1])


def amex(labels: np.ndarray, predictions: np.ndarray) -> float:
    """The metric of the American Express default competition: the mean of G and D.

    Negatives weigh 20 (they were sampled at 5 %). G is the weighted Gini coefficient over that of a perfect ranking; D is
    the share of positives among the predictions that make up the highest 4 % of the total weight.
    """
    labels = np.asarray(labels)
    weights = np.where(labels == 1, 1.0, 20.0)

    def gini(by: np.ndarray) -> float:
        order = np.argsort(-by, kind="stable")
        positives, weight = labels[order], weights[order]
        lorentz = np.cumsum(positives * weight) / np.sum(positives * weight)
        return float(np.sum((lorentz - np.cumsum(weight) / np.sum(weight)) * weight))

    order = np.argsort(-np.asarray(predictions), kind="stable")
    top = np.cumsum(weights[order]) <= int(0.04 * np.sum(weights))
    captured = float(np.sum(labels[order][top]) / np.sum(labels))
    return 0.5 * (gini(np.asarray(predictions)) / gini(labels.astype(float)) + captured)
