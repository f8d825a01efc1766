"""Extrapolating learning curves: the final score of an architecture, given the first epochs of a real training of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nasbench_evs.errors import InvalidQuery, SurrogateError
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate.ensemble import Ensemble, as_pool
from nasbench_evs.surrogate.features import Features
from nasbench_evs.surrogate.fit import MIN_RECORDS
from nasbench_evs.surrogate.held_out import fit_uncertainty, held_out
from nasbench_evs.surrogate.targets import Prediction
from nasbench_evs.surrogate.uncertainty import Uncertainty
from nasbench_evs.tables.table import Table

CURVES = ("train_loss", "valid_loss_curve", "valid_curve")  # what is seen of each epoch


class Extrapolator:
    """Predicts the score of a training from architecture and first epochs; made by `fit`, not saved: it takes seconds."""

    def __init__(
        self, space: SearchSpace, features: Features, epochs: int, ensemble: Ensemble, uncertainty: Uncertainty
    ) -> None:
        self.space, self.epochs = space, epochs
        self._features, self._ensemble, self._uncertainty = features, ensemble, uncertainty

    def __repr__(self) -> str:
        return f"<extrapolator of {self.space.name} from {self.epochs} epochs>"

    @classmethod
    def fit(cls, table: Table, epochs: int, *, split: str = "valid", seed: int = 0, folds: int = 5) -> Extrapolator:
        """Fit to the trainings without teachers whose first `epochs` are recorded.

        SurrogateError if they are too few; InvalidQuery if the table has no such epochs before its last.
        """
        if isinstance(epochs, bool) or not isinstance(epochs, int | np.integer) or not 1 <= epochs < table.epochs:
            last = table.epochs - 1
            expected = f"expected 1 to {last}" if last else "the table holds one epoch a training"
            raise InvalidQuery(f"extrapolating from epochs = {epochs!r}: {expected}")
        values = table.scores(split)
        curves = seen(table, epochs)
        rows = np.flatnonzero(~np.isnan(values) & (table["distilled"] != 1) & ~np.isnan(curves).any(axis=1))
        if len(rows) < MIN_RECORDS or np.ptp(values[rows]) == 0:
            raise SurrogateError(
                f"the table of {table.header.dataset} has {len(rows)} trainings with {epochs} recorded epochs and "
                f"{split} scores: expected at least {MIN_RECORDS}, with scores that are not all equal"
            )
        features = Features(table.header.space, table.header.shape)
        columns = np.column_stack([features.many(table["choices"][rows], False), curves[rows]])
        values, ranks = values[rows], table["rank"][rows]
        out = held_out(columns, values, ranks, folds=folds, seed=seed)
        uncertainty = fit_uncertainty(columns, values, out, float("nan"))
        ensemble = Ensemble.fit(columns, values, ranks, seed)
        return cls(table.header.space, features, int(epochs), ensemble, uncertainty)

    def predict(self, choices: np.ndarray, curves: Mapping[str, np.ndarray]) -> Prediction:
        """Predicted scores of valid choice indices (N, C).

        `curves` maps each of CURVES to what the first epochs gave, (N, epochs). What this training will give is one
        number, so `noise_std` is all that the first epochs leave open of it.
        """
        columns = [self._features.many(choices, False)]
        for name in CURVES:
            if name not in curves:
                raise InvalidQuery(f"curves without {name}: expected {', '.join(CURVES)}")
            values = np.asarray(curves[name], np.float32)
            if values.shape != (len(choices), self.epochs):
                raise InvalidQuery(f"{name} has the shape {values.shape}: expected ({len(choices)}, {self.epochs})")
            columns.append(values)
        if not len(choices):
            return Prediction(*(np.empty(0) for _ in Prediction._fields))
        pool = as_pool(np.column_stack(columns))
        mean, member_std = self._ensemble.predict(pool)
        return Prediction(mean, *self._uncertainty.predict(pool, member_std))


def seen(table: Table, epochs: int) -> np.ndarray:
    """The first epochs of CURVES side by side, float32 (N, len(CURVES) * epochs)."""
    return np.column_stack([table[name][:, :epochs] for name in CURVES]).astype(np.float32)
