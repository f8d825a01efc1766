"""Reliability: can one training tell the good architectures apart? The gate that a protocol passes before it is recorded.

Agreement over all architectures is carried by the failed ones; what a search decides lies among the good ones. So: by one
seed's validation score choose the best quarter, and ask there how much of the variance of the two other seeds they share.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nasbench_evs.errors import InvalidQuery
from nasbench_evs.tables.table import Table

SEEDS = 3
QUARTER = 0.25
KS = (1, 2, 3, 4)  # trainings whose mean is asked about
RESAMPLES = 2000
_CLIP = 3 * 1.4826  # of the median absolute deviation: three standard deviations, if scores are normal
_QUANTILES = (0.025, 0.1, 0.9, 0.975)


class Reliability(NamedTuple):
    """How much of the variance of a mean of k trainings is architecture, among `chosen` of so many architectures.

    signal, noise   standard deviations: between architectures, and between trainings of one
    r               for each k of KS, signal² / (signal² + noise² / k)
    quantiles       of r over resamples of the architectures, for each k: those at 2.5, 10, 90 and 97.5 %
    """

    architectures: int
    chosen: int
    signal: float
    noise: float
    r: dict[int, float]
    quantiles: dict[int, tuple[float, float, float, float]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "architectures": self.architectures,
            "chosen": self.chosen,
            "signal": self.signal,
            "noise": self.noise,
            **{f"R_{k}": value for k, value in self.r.items()},
            "quantiles": {f"R_{k}": list(values) for k, values in self.quantiles.items()},
        }


def seed_rows(table: Table, among: np.ndarray | None = None) -> np.ndarray:
    """Rows (A, SEEDS) of the architectures with seeds 0, 1, 2 and no teachers, by rank; of the rows `among` (bool (N,))."""
    plain = (table["distilled"] != 1) & (table["seed"] >= 0) & (table["seed"] < SEEDS)
    rows = np.flatnonzero(plain if among is None else plain & among)
    _, owner, counts = np.unique(table["rank"][rows], return_inverse=True, return_counts=True)
    return rows[counts[owner] == SEEDS].reshape(-1, SEEDS)


def reliability(
    valid: np.ndarray,
    test: np.ndarray | None = None,
    *,
    sign: int = 1,
    share: float = QUARTER,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Reliability:
    """The reliability of scores (A, SEEDS) of A architectures, one column a seed; NaN where a training failed.

    By each seed's validation score (`sign` -1: smaller is better) the best `share` is chosen; among them the scores of the two
    other seeds, clipped to their median ± 3 robust standard deviations, give signal² (their covariance, never below 0) and
    noise² (half the variance of their difference), averaged over the three. With `test`, the two are one seed's
    validation and the other's test score: how well a search's own score tells what it is worth elsewhere. Intervals
    are from resampled architectures, the choice repeated in each. InvalidQuery for other shapes.
    """
    valid = np.asarray(valid, np.float64) * sign
    other = valid if test is None else np.asarray(test, np.float64) * sign
    if valid.ndim != 2 or valid.shape[1] != SEEDS or other.shape != valid.shape:
        raise InvalidQuery(f"scores of shape {valid.shape} and {other.shape}: expected (architectures, {SEEDS}) twice")
    n = len(valid)
    chosen = max(1, round(share * n))
    if chosen < 3:
        raise InvalidQuery(
            f"{n} architectures: expected at least {int(np.ceil(2.5 / share))}, three of them in the best part"
        )
    signal, noise = _parts(valid[None], other[None], chosen)
    rows = np.random.default_rng(seed).integers(0, n, (resamples, n))
    resampled = _parts(valid[rows], other[rows], chosen)
    spread = {k: np.quantile(_ratio(*resampled, k), _QUANTILES) for k in KS}
    return Reliability(
        n,
        chosen,
        float(signal[0] ** 0.5),
        float(noise[0] ** 0.5),
        {k: float(_ratio(signal, noise, k)[0]) for k in KS},
        {k: tuple(map(float, values)) for k, values in spread.items()},  # type: ignore[misc]
    )


class Agreement(NamedTuple):
    """How two trainings of the same architectures agree: what candidate protocols are compared by.

    r_all, r_half            R_2 over all, and in the better half by the mean of both
    signal, noise            standard deviations there: between architectures, between trainings
    tau_half                 Kendall's, in the better half by one training: of its score with the other's test score
    mean, best               of the means of two validation scores
    """

    architectures: int
    r_all: float
    r_half: float
    signal: float
    noise: float
    tau_half: float
    mean: float
    best: float


def agreement(valid: np.ndarray, test: np.ndarray, *, sign: int = 1) -> Agreement:
    """Of scores (A, 2), one column a seed; NaN where a training failed (as bad as a score can be).

    `sign` -1: smaller is better. InvalidQuery for other shapes, or fewer than 8 architectures.
    """
    from scipy.stats import kendalltau

    valid, test = (np.asarray(scores, np.float64) * sign for scores in (valid, test))
    if valid.ndim != 2 or valid.shape[1] != 2 or test.shape != valid.shape or len(valid) < 8:
        raise InvalidQuery(
            f"scores of shape {valid.shape} and {test.shape}: expected (architectures, 2) twice, 8 or more"
        )
    half = len(valid) // 2
    filled = np.nan_to_num(valid, nan=-np.inf)
    top = np.argsort(-filled.mean(axis=1), kind="stable")[:half]
    parts = [_shared(*np.moveaxis(_clipped(scores[None]), -1, 0)) for scores in (valid, valid[top])]
    taus = []
    for by in (0, 1):
        rows = np.argsort(-filled[:, by], kind="stable")[:half]
        taus.append(kendalltau(filled[rows, by], np.nan_to_num(test[rows, 1 - by], nan=-np.inf)).statistic)
    means = sign * np.nanmean(valid, axis=1)
    return Agreement(
        architectures=len(valid),
        r_all=float(_ratio(*parts[0], 2)[0]),
        r_half=float(_ratio(*parts[1], 2)[0]),
        signal=float(max(0.0, parts[1][0][0]) ** 0.5),
        noise=float(parts[1][1][0] ** 0.5),
        tau_half=float(np.mean(taus)),
        mean=float(np.nanmean(means)),
        best=float(sign * np.nanmax(sign * means)),
    )


def _shared(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """signal² and noise² of two trainings' scores (B, A): covariance, and half the variance of the difference; both (B,)."""
    deviations = (x - x.mean(axis=-1, keepdims=True)) * (y - y.mean(axis=-1, keepdims=True))
    return deviations.sum(axis=-1) / (x.shape[-1] - 1), (x - y).var(axis=-1, ddof=1) / 2


def _ratio(signal: np.ndarray, noise: np.ndarray, k: int) -> np.ndarray:
    return np.where(signal > 0, signal / np.where(signal > 0, signal + noise / k, 1.0), 0.0)


def _parts(valid: np.ndarray, other: np.ndarray, chosen: int) -> tuple[np.ndarray, np.ndarray]:
    """signal² and noise² of scores (B, A, SEEDS), both (B,)."""
    signals, noises = [], []
    for by in range(SEEDS):
        rows = np.argsort(-np.nan_to_num(valid[..., by], nan=-np.inf), axis=-1, kind="stable")[..., :chosen, None]
        best_valid = _clipped(np.take_along_axis(valid, rows, axis=1))
        best_other = _clipped(np.take_along_axis(other, rows, axis=1)) if other is not valid else best_valid
        first, second = (seed for seed in range(SEEDS) if seed != by)
        for a, b in ((first, second), (second, first)):
            signal, noise = _shared(best_valid[..., a], best_other[..., b])
            signals.append(signal)
            noises.append(noise)
    return np.maximum(np.mean(signals, axis=0), 0.0), np.mean(noises, axis=0)


def _clipped(scores: np.ndarray) -> np.ndarray:
    """Scores (B, A, SEEDS), clipped for each seed; what failed is as bad as a score can then be."""
    known = np.where(np.isnan(scores).all(axis=1, keepdims=True), 0.0, scores)
    middle = np.nanmedian(known, axis=1, keepdims=True)
    width = _CLIP * np.nanmedian(np.abs(known - middle), axis=1, keepdims=True)
    return np.clip(np.where(np.isnan(known), -np.inf, known), middle - width, middle + width)
