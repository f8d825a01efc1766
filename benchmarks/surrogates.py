"""Variants of the surrogate by the card's own figures: what won is in `nasbench_evs/surrogate`, what lost is only here.

    python benchmarks/surrogates.py datasets/*/seqnas.h5

Validation scores without teachers, 5 folds over architectures, the same for every variant. Coverage is of held-out
scores by 80 % intervals before any calibration, so it says which uncertainty comes out right by itself.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau, norm, rankdata

from nasbench_evs.surrogate.ensemble import Ensemble, fit_catboost
from nasbench_evs.surrogate.evaluate import Records
from nasbench_evs.surrogate.held_out import split_architectures
from nasbench_evs.surrogate.uncertainty import NORMAL_80, Uncertainty, repeated_variance
from nasbench_evs.tables import read

FOLDS = 5
PLAIN = {"iterations": 500, "depth": 6, "learning_rate": 0.05, "random_seed": 0}


class Fold:
    """What a variant may see: training rows of this table, and all rows of the others."""

    def __init__(self, records, train, bits, others):
        self.x, self.y, self.groups = records.features[train], records.values[train], records.ranks[train]
        self.test, self.bits, self.others = records.features[~train], bits, others
        self.mean, self.scale = self.y.mean(), self.y.std()


def ours(fold):
    """Ensemble of shallow trees on AVec, counts and costs; standard deviation between its members."""
    return Ensemble.fit(fold.x, fold.y, fold.groups, 0).predict(fold.test)


def avec_only(fold):
    """Ours on the AVec alone."""
    estimate = Ensemble.fit(fold.x[:, : fold.bits], fold.y, fold.groups, 0)
    return estimate.predict(np.asfortranarray(fold.test[:, : fold.bits]))


def ranks(fold):
    """Ours on normal scores of the ranks: failed architectures weigh no more than others. No scores, so no intervals."""
    targets = norm.ppf((rankdata(fold.y) - 0.5) / len(fold.y))
    return Ensemble.fit(fold.x, targets, fold.groups, 0).predict(fold.test).mean, None


def plain(fold):
    """One CatBoost on the AVec: 500 trees of depth 6, rate .05."""
    model = fit_catboost(fold.x[:, : fold.bits], (fold.y - fold.mean) / fold.scale, PLAIN)
    return model.predict(fold.test[:, : fold.bits]) * fold.scale + fold.mean, None


def virtual(fold):
    """RMSEWithUncertainty with posterior sampling on the AVec: its variance and virtual ensembles (as before)."""
    from catboost import CatBoostRegressor

    model = CatBoostRegressor(
        iterations=200, depth=6, learning_rate=0.05, loss_function="RMSEWithUncertainty", posterior_sampling=True,
        random_seed=0, thread_count=1, verbose=False, allow_writing_files=False,
    )  # fmt: skip
    model.fit(fold.x[:, : fold.bits], (fold.y - fold.mean) / fold.scale)
    parts = model.virtual_ensembles_predict(
        fold.test[:, : fold.bits], prediction_type="TotalUncertainty", virtual_ensembles_count=10
    )
    mean, epistemic, noise = np.asarray(parts).T
    return mean * fold.scale + fold.mean, np.sqrt(np.maximum(noise + epistemic, 0)) * fold.scale


def pooled(fold):
    """Ours fitted to all tables of the same space at once, each standardised, with the table as features."""
    tables = [(fold.x, (fold.y - fold.mean) / fold.scale, fold.groups), *fold.others]
    x = np.concatenate([_of_table(x, i, len(tables)) for i, (x, _, _) in enumerate(tables)])
    y = np.concatenate([y for _, y, _ in tables])
    groups = np.concatenate([groups.astype(object) * 100 + i for i, (_, _, groups) in enumerate(tables)])
    groups = np.unique(groups, return_inverse=True)[1]
    mean, epistemic = Ensemble.fit(x, y, groups, 0).predict(_of_table(fold.test, 0, len(tables)))
    return mean * fold.scale + fold.mean, epistemic * fold.scale


def _of_table(x, index, count):
    return np.asfortranarray(np.column_stack([x, np.tile(np.arange(count) == index, (len(x), 1))]).astype(np.float32))


VARIANTS = {
    "ours": ours, "AVec alone": avec_only, "ranks": ranks, "pooled": pooled, "one plain CatBoost": plain,
    "virtual ensembles": virtual,
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    options = parser.parse_args()
    tables = {f"{path.parent.name}/{path.stem}": read(path) for path in options.tables}
    records = {name: Records(table, "valid") for name, table in tables.items()}
    print("| table | " + " | ".join(VARIANTS) + " |\n| --- |" + " --- |" * len(VARIANTS))
    for name, mine in records.items():
        space = tables[name].header.space
        others = [
            (each.features, (each.values - each.values.mean()) / each.values.std(), each.ranks)
            for other, each in records.items()
            if other != name and tables[other].header.space == space
        ]
        fold = split_architectures(mine.ranks, FOLDS, 0)
        cells = []
        for variant in VARIANTS.values():
            taus, mean, std = [], np.empty(len(mine)), np.full(len(mine), np.nan)
            for i in range(FOLDS):
                test = fold == i
                mean[test], epistemic = variant(Fold(mine, ~test, space.avec_bits, others))
                std[test] = np.nan if epistemic is None else epistemic
                taus.append(kendalltau(mean[test], mine.values[test]).statistic)
            cells.append(f"{np.mean(taus):.3f}")
            if not np.isnan(std).any():
                cells[-1] += f" ({np.mean(np.abs(mine.values - mean) < NORMAL_80 * std):.0%}"
                if variant is ours:
                    errors, noise = mine.values - mean, repeated_variance(mine.values, mine.ranks)
                    inside = []
                    for i in range(FOLDS):
                        test = fold == i
                        fitted = Uncertainty.fit(mine.features[~test], errors[~test], std[~test], noise)
                        total = np.hypot(*fitted.predict(mine.features[test], std[test]))
                        inside.append(np.abs(errors[test]) < NORMAL_80 * total)
                    cells[-1] += f", calibrated {np.mean(np.concatenate(inside)):.0%}"
                cells[-1] += ")"
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
