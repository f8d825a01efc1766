"""How far to trust a surrogate: the figures of its card, each from predictions for architectures it did not see.

Ranks (Kendall's tau and the others) are over random folds of architectures; ± is the half-width of a 95 % interval, from
the folds. What noise leaves to reach is the noise ceiling, from architectures that were trained several times.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np

from nasbench_evs.surrogate.curves import seen
from nasbench_evs.surrogate.ensemble import Ensemble
from nasbench_evs.surrogate.features import Features
from nasbench_evs.surrogate.held_out import HeldOut, fit_uncertainty, fold_taus, held_out, split_architectures
from nasbench_evs.surrogate.uncertainty import NORMAL_80, Uncertainty, repeated_variance
from nasbench_evs.tables.noise import RANDOM_SAMPLERS, REPEAT, variances
from nasbench_evs.tables.table import SPLITS, Table

COVERAGES = (0.5, 0.8, 0.95)
TOP = 10
MIN_PAIRS = 10  # architectures trained twice, to say what the ceiling is
MIN_RANDOM = 50  # architectures of a random sample, to draw a curve over table size
MIN_SEARCHER = 20  # records of a searcher, to be worth a line
SIZES = (25, 50, 100, 200, 400, 800, 1600, 3200)  # training architectures of the learning curve over table size
MAX_SEEN = 5  # epochs to extrapolate from, at most
SPARSE = 0.001  # scores are rounded to 0.1 % for the sparse tau


_BOOTSTRAP = 300


class Records:
    """The scored trainings of one split, without teachers, as arrays of shape (N,) that belong together."""

    def __init__(self, table: Table, split: str) -> None:
        header = table.header
        values = table.scores(split)
        rows = np.flatnonzero(~np.isnan(values) & (table["distilled"] != 1))
        self.values = values[rows] * header.metric.sign  # larger is better
        self.ranks = table["rank"][rows]
        self.samplers = table["sampler"][rows]
        self.rows = rows
        self.features = Features(header.space, header.shape).many(table["choices"][rows], False)

    def __len__(self) -> int:
        return len(self.values)

    def random_sample(self) -> Records:
        """Those of architectures that no searcher chose; all, if they are fewer than MIN_RANDOM."""
        rows = np.flatnonzero(np.isin(self.samplers, RANDOM_SAMPLERS))
        if len(np.unique(self.ranks[rows])) < MIN_RANDOM:
            return self
        part = copy(self)
        for name in ("values", "ranks", "samplers", "rows", "features"):
            setattr(part, name, getattr(self, name)[rows])
        return part


def evaluate(
    table: Table,
    *,
    repeats: int = 3,
    folds: int = 5,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """The card's figures of every split that has scores, as plain JSON values; None where nothing can be said.

    Splits are repeated with `repeats` seeds from `seed` on. `progress` is called with what is being done.
    """
    card: dict[str, Any] = {}
    for split in SPLITS:
        records = Records(table, split)
        if len(np.unique(records.ranks)) < 2 * folds or np.ptp(records.values) == 0:
            continue
        progress(f"{split}: folds")
        outs = [
            held_out(records.features, records.values, records.ranks, folds=folds, seed=seed + i)
            for i in range(repeats)
        ]
        figures: dict[str, Any] = {
            "records": len(records),
            "architectures": len(np.unique(records.ranks)),
            "repeats": repeats,
            "folds": folds,
            **rank_figures(records, outs),
            "calibration": calibration(records, outs),
            "ceiling": ceiling(records),
        }
        progress(f"{split}: leaving searchers out")
        figures["searchers"] = leave_searchers_out(records, seed)
        progress(f"{split}: table sizes")
        figures["sizes"] = table_sizes(records, folds, seed)
        progress(f"{split}: learning curves")
        figures["curves"] = extrapolation(table, records, folds, seed)
        card[split] = figures
    return card


def rank_figures(records: Records, outs: list[HeldOut]) -> dict[str, Any]:
    """Means over folds and repeats of what compares predictions of held-out records with their scores."""
    from scipy.stats import kendalltau, spearmanr

    found: dict[str, list[list[float]]] = {}
    for repeat, out in enumerate(outs):
        for i in range(int(out.fold.max()) + 1):
            test = (out.fold == i) & ~np.isnan(out.mean)
            truth, mean = records.values[test], out.mean[test]
            if len(np.unique(truth)) < 2 or len(np.unique(mean)) < 2:
                continue
            random = np.isin(records.samplers[test], RANDOM_SAMPLERS)
            top = np.argsort(-mean, kind="stable")[:TOP]
            for name, value in {
                "kendall_tau": kendalltau(mean, truth).statistic,
                "kendall_tau_drawn": kendalltau(mean[random], truth[random]).statistic if random.any() else np.nan,
                "sparse_tau": kendalltau(np.round(mean / SPARSE), np.round(truth / SPARSE)).statistic,
                "spearman": spearmanr(mean, truth).statistic,
                "r2": 1 - ((truth - mean) ** 2).sum() / ((truth - truth.mean()) ** 2).sum(),
                "mean_absolute_error": np.abs(truth - mean).mean(),
                "top10_regret": truth.max() - truth[top].max(),
            }.items():
                found.setdefault(name, [[] for _ in outs])[repeat].append(float(value))
    return {name: interval(values) for name, values in found.items() if not np.isnan(values[0]).all()}


def interval(values: list[list[float]]) -> dict[str, float | None]:
    """Mean over repeats and folds, and the half-width of its 95 % interval from the folds of each repeat.

    Repeats use the same records again, so they make the mean steadier, but not the interval narrower.
    """
    from scipy.stats import t

    values = [each for each in values if each]
    if not values:
        return {"mean": None, "plus_minus": None}
    widths = [
        t.ppf(0.975, len(each) - 1) * np.nanstd(each, ddof=1) / len(each) ** 0.5 for each in values if len(each) > 1
    ]
    return {
        "mean": float(np.nanmean(np.concatenate(values))),
        "plus_minus": float(np.mean(widths)) if widths else None,
    }


def calibration(records: Records, outs: list[HeldOut]) -> dict[str, Any]:
    """How often held-out scores lie within their intervals, and their mean negative log likelihood.

    The uncertainty of a fold is fitted to the errors of the other folds.
    """
    from scipy.stats import norm

    variance = repeated_variance(records.values, records.ranks)
    errors, noises, totals = [], [], []
    for out in outs:
        known = ~np.isnan(out.mean)
        error = records.values - out.mean
        for i in range(int(out.fold.max()) + 1):
            test, train = known & (out.fold == i), known & (out.fold != i)
            if not test.any() or not error[train].any():
                continue
            fitted = Uncertainty.fit(records.features[train], error[train], out.epistemic_std[train], variance)
            noise, epistemic = fitted.predict(records.features[test], out.epistemic_std[test])
            errors.append(error[test])
            noises.append(noise)
            totals.append(np.hypot(noise, epistemic))
    if not errors:
        return {}
    error = np.concatenate(errors)
    figures: dict[str, Any] = {}
    for name, parts in (("noise", noises), ("noise_and_knowledge", totals)):
        std = np.concatenate(parts)
        inside = {
            f"{share:.0%}": float(np.mean(np.abs(error) < norm.ppf(0.5 + share / 2) * std)) for share in COVERAGES
        }
        figures[name] = {
            "coverage": inside,
            "negative_log_likelihood": float(np.mean(0.5 * (error / std) ** 2 + np.log(std) + 0.5 * np.log(2 * np.pi))),
            "mean_std": float(std.mean()),
        }
    figures["noise_is"] = "an upper bound: no architectures trained several times" if np.isnan(variance) else "measured"
    return figures


def ceiling(records: Records) -> dict[str, Any] | None:
    """What noise leaves to predict, from architectures that were trained at least twice; None below MIN_PAIRS of them.

    `two_trainings` is Kendall's tau between two trainings of the same architectures, averaged over which two;
    `perfect`, the noise ceiling, is that of the true means against single trainings. If both vary normally, up to any
    monotone transform, two trainings correlate at s = sin(tau pi / 2), the means with one of them at sqrt(s), so `perfect`
    is (2 / pi) asin(sqrt(s)). `architecture_share` is the share of a score's variance that is architecture, by analysis of
    variance, which a few failing architectures dominate.

    Only architectures that no searcher chose count. Where too few of those were trained twice, all do, and `chosen` is
    true: good architectures are alike, and one searcher may train otherwise than another, so their tau and variance say
    nothing about the rest of the table, and `perfect` and `architecture_share` are None.
    """
    random = np.isin(records.samplers, RANDOM_SAMPLERS)
    for rows in (np.flatnonzero(random), np.arange(len(records))):
        _, owner, counts = np.unique(records.ranks[rows], return_inverse=True, return_counts=True)
        if (counts > 1).sum() >= MIN_PAIRS:
            break
    else:
        return None
    chosen = bool(len(rows) == len(records) and not random.all())
    values = [records.values[rows[owner == i]] for i in np.flatnonzero(counts > 1)]
    generator = np.random.default_rng(0)
    shares, taus = [], []
    for i in range(_BOOTSTRAP + 1):
        some = [values[j] for j in generator.integers(len(values), size=len(values))] if i else values
        shares.append(_architecture_share(some))
        taus.append(_two_trainings(some, generator, 20 if i == 0 else 2))
    two = np.array(taus)
    ceilings = 2 / np.pi * np.arcsin(np.sqrt(np.sin(np.maximum(two, 0.0) * np.pi / 2)))
    return {
        "architectures": len(values),
        "two_trainings": _bootstrapped(two),
        "perfect": None if chosen else _bootstrapped(ceilings),
        "architecture_share": None if chosen else _bootstrapped(np.array(shares)),
        "chosen": chosen,
    }


def _two_trainings(values: list[np.ndarray], generator: np.random.Generator, draws: int) -> float:
    """Kendall's tau between two trainings of each architecture, mean over random choices of the two."""
    from scipy.stats import kendalltau

    taus = []
    for _ in range(draws):
        pairs = np.array([generator.permutation(each)[:2] for each in values])
        taus.append(kendalltau(*pairs.T).statistic)
    return float(np.mean(taus))


def _architecture_share(values: list[np.ndarray]) -> float:
    """The share of a score's variance that is architecture, 0 to 1."""
    within, between = variances(np.concatenate(values), np.repeat(np.arange(len(values)), [len(v) for v in values]))
    return between / (between + within) if between + within > 0 else 0.0


def _bootstrapped(values: np.ndarray) -> dict[str, float]:
    """The first value, and the 95 % interval that the others (of resampled architectures) give."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return {"value": float(values[0]), "low": float(low), "high": float(high)}


def leave_searchers_out(records: Records, seed: int) -> dict[str, Any]:
    """For each searcher: fitted without its records and without the architectures it found, tested on them."""
    from scipy.stats import kendalltau

    found = {}
    for sampler in np.setdiff1d(records.samplers, [*RANDOM_SAMPLERS, REPEAT]):
        test = records.samplers == sampler
        train = ~test & ~np.isin(records.ranks, records.ranks[test])
        if test.sum() < MIN_SEARCHER or train.sum() < MIN_SEARCHER or np.ptp(records.values[train]) == 0:
            continue
        features, values, ranks = records.features[train], records.values[train], records.ranks[train]
        out = held_out(features, values, ranks, folds=5, seed=seed)
        estimate = Ensemble.fit(features, values, ranks, seed).predict(records.features[test])
        fitted = fit_uncertainty(features, values, out, repeated_variance(values, ranks))
        total = np.hypot(*fitted.predict(records.features[test], estimate.epistemic_std))
        error = records.values[test] - estimate.mean
        found[sampler.decode()] = {
            "records": int(test.sum()),
            "trained_on": int(train.sum()),
            "kendall_tau": float(kendalltau(estimate.mean, records.values[test]).statistic),
            "mean_absolute_error": float(np.abs(error).mean()),
            "mean_error": float(error.mean()),
            "coverage_80": float(np.mean(np.abs(error) < NORMAL_80 * total)),
        }
    return found


def table_sizes(records: Records, folds: int, seed: int) -> list[dict[str, Any]]:
    """Kendall's tau on held-out records against the number of architectures fitted to.

    Of architectures that no searcher chose; of all, where those are too few.
    """
    from scipy.stats import kendalltau

    records = records.random_sample()
    fold = split_architectures(records.ranks, folds, seed)
    architectures = np.unique(records.ranks)
    most = int(len(architectures) * (1 - 1 / folds))
    curve = []
    for size in [*(s for s in SIZES if s < most), most]:
        taus = []
        for i in range(folds):
            train, test = fold != i, fold == i
            sample = np.random.default_rng([seed, i]).permutation(np.unique(records.ranks[train]))[:size]
            train &= np.isin(records.ranks, sample)
            if np.ptp(records.values[train]) == 0:
                continue
            ensemble = Ensemble.fit(records.features[train], records.values[train], records.ranks[train], seed)
            predicted = ensemble.predict(records.features[test]).mean
            if len(np.unique(predicted)) > 1:
                taus.append(float(kendalltau(predicted, records.values[test]).statistic))
        curve.append({"architectures": size, "kendall_tau": interval([taus])})
    return curve


def extrapolation(table: Table, records: Records, folds: int, seed: int) -> list[dict[str, Any]]:
    """Kendall's tau on held-out records, knowing their first epochs: of the last score seen, and of the extrapolator."""
    found = []
    for epochs in range(1, min(table.epochs, MAX_SEEN + 1)):
        curves = seen(table, epochs)[records.rows]
        known = ~np.isnan(curves).any(axis=1)
        if known.sum() < 2 * MIN_SEARCHER:
            continue
        values, ranks = records.values[known], records.ranks[known]
        columns = np.column_stack([records.features[known], curves[known]])
        out = held_out(columns, values, ranks, folds=folds, seed=seed)
        last = curves[known][:, -1] * table.header.metric.sign
        taus = {"last_score": fold_taus(out.fold, last, values), "extrapolated": fold_taus(out.fold, out.mean, values)}
        found.append({"epochs": epochs, **{name: interval([each]) for name, each in taus.items()}})
    return found
