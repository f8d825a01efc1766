"""The scores a benchmark can optimise: their names, directions, ranges, and how to compute them."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nasbench_evs.arguments import known, one_of
from nasbench_evs.errors import InvalidQuery, shown

DIRECTIONS = ("max", "min")
BLOCKS = 10  # of sequences, of which scores leave out one each
_T95 = 2.262  # Student's t with BLOCKS - 1 degrees of freedom, two-sided 95 %


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

    def to_dict(self) -> dict[str, Any]:
        """What `metric_from_dict` makes the same metric of, as JSON holds it; the range only if it is none of METRICS."""
        found: dict[str, Any] = {"metric": self.name, "direction": self.direction}
        if METRICS.get(self.name) != self:  # + 0.0: one text for both zeros, which are equal
            found[RANGE] = [float(end) + 0.0 if math.isfinite(end) else None for end in (self.low, self.high)]
        return found


RANGE = "metric range"  # [low, high], None for an end that is open

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
    known("metric", name, METRICS)
    return METRICS[name]


def own_metric(name: str, direction: str = "max", low: float = -math.inf, high: float = math.inf) -> Metric:
    """A metric that users compute themselves, under any name, also one of METRICS (in per cent, say).

    InvalidQuery for a name that is no printable text, another direction, or a range that is none.
    """
    if not isinstance(name, str) or not name or not name.isprintable():
        raise InvalidQuery(f"a metric called {shown(name)}: expected printable text, such as 'f1'")
    one_of("direction", direction, DIRECTIONS)
    ends = (low, high)
    if any(isinstance(end, bool) or not isinstance(end, int | float | np.number) for end in ends) or not low < high:
        raise InvalidQuery(
            f"{name} in the range {shown(low)} to {shown(high)}: expected two numbers, the smaller first"
        )
    return Metric(name, direction, float(low), float(high))


def metric_from_dict(values: Mapping[str, Any]) -> Metric:
    """The metric that `Metric.to_dict` describes; InvalidQuery for what describes none."""
    if RANGE not in values:
        known = metric(values["metric"])
        if values.get("direction", known.direction) != known.direction:
            raise InvalidQuery(f"direction {shown(values['direction'])}: {known.name} has {shown(known.direction)}")
        return known
    ends = values[RANGE]
    if not isinstance(ends, list) or len(ends) != 2:
        raise InvalidQuery(f"{RANGE} {shown(ends)}: expected [low, high]")
    low, high = (open_end if end is None else end for end, open_end in zip(ends, (-math.inf, math.inf), strict=True))
    return own_metric(values["metric"], values["direction"], low, high)


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


def block_scores(name: str, labels: np.ndarray, probabilities: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """The score of the sequences without those of block b, for each b < BLOCKS: float64 (BLOCKS,).

    `blocks` (N,) are those of `datasets.split.blocks`. NaN where a class is gone. From two models' scores of the same
    sequences follows the standard error of their difference (see `block_error`).
    """
    if name in ("roc_auc", "macro_roc_auc"):
        classes = range(1, 2) if name == "roc_auc" else range(probabilities.shape[1])
        return np.mean([_block_auc(labels == k, probabilities[:, k], blocks) for k in classes], axis=0)
    expected = probabilities.shape[1] if name != "accuracy" else 1
    scores = np.full(BLOCKS, np.nan)
    for block in range(BLOCKS):
        kept = blocks != block
        if len(np.unique(labels[kept])) >= expected:
            scores[block] = score(name, labels[kept], probabilities[kept])
    return scores


def block_error(differences: np.ndarray) -> np.ndarray:
    """Standard error of a difference from its BLOCKS leave-one-out values, (..., BLOCKS) to (...): a block jackknife.

    An interval takes Student's t with BLOCKS - 1 degrees of freedom.
    """
    differences = np.asarray(differences, np.float64)
    spread = differences - differences.mean(axis=-1, keepdims=True)
    return np.sqrt((BLOCKS - 1) / BLOCKS * (spread**2).sum(axis=-1))


class Lead(NamedTuple):
    """By how much one model is better than another on the same sequences: positive where it is, whatever the metric."""

    difference: float
    low: float  # of the interval that is 95 % over blocks of sequences
    high: float

    @property
    def verdict(self) -> str:
        """ "above" or "below" where the interval leaves out 0."""
        return "above" if self.low > 0 else "below" if self.high < 0 else "not told apart"


def lead(difference: float, without: np.ndarray) -> Lead:
    """The lead whose values without a block each are `without` (BLOCKS,)."""
    half = _T95 * float(block_error(without))
    return Lead(difference, difference - half, difference + half)


def _block_auc(positive: np.ndarray, values: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """AUC without each block: all pairs, less those with a positive or a negative of the block, plus those with both."""

    def wins(of: np.ndarray, others: np.ndarray) -> np.ndarray:
        """How many of the others each value is above; ties count half."""
        ordered = np.sort(others)
        return (np.searchsorted(ordered, of, "left") + np.searchsorted(ordered, of, "right")) / 2

    above, below = values[positive], values[~positive]
    of_above, of_below = blocks[positive], blocks[~positive]
    won = np.bincount(of_above, wins(above, below), BLOCKS)
    lost = np.bincount(of_below, wins(-below, -above), BLOCKS)
    both = np.array([wins(above[of_above == b], below[of_below == b]).sum() for b in range(BLOCKS)])
    left = (len(above) - np.bincount(of_above, minlength=BLOCKS)) * (
        len(below) - np.bincount(of_below, minlength=BLOCKS)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(left > 0, (won.sum() - won - lost + both) / left, np.nan)


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
