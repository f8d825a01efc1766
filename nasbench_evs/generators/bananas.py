"""BANANAS as paper 000 runs it (algorithm 1): a CatBoost predictor with uncertainty, and Thompson sampling."""

from __future__ import annotations

import numpy as np

from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate.predictors.virtual_ensembles import virtual_ensembles

_PATIENCE = 1000


def propose(
    space: SearchSpace,
    choices: np.ndarray,
    scores: np.ndarray,
    batch: int,
    candidates: int,
    seed: int,
    exclude: np.ndarray | None = None,
) -> np.ndarray:
    """The next architectures to train, choice indices (batch, C), none of them among `choices` or `exclude`.

    `choices` (N, C) have the `scores` (N,), larger is better; NaN counts as the worst. `candidates` random
    architectures are scored; each of the batch maximises one draw from the predictor's distribution.
    """
    rng = np.random.default_rng(seed)
    pool = fresh(space, max(candidates, batch), rng, choices if exclude is None else np.concatenate([choices, exclude]))
    mean, std = virtual_ensembles(space, choices, scores, pool, seed)
    chosen: list[int] = []
    for _ in range(min(batch, len(pool))):
        draw = rng.normal(mean, std)
        draw[chosen] = -np.inf
        chosen.append(int(draw.argmax()))
    return pool[chosen]


def fresh(
    space: SearchSpace, n: int, rng: np.random.Generator, known: np.ndarray, at_a_time: int | None = None
) -> np.ndarray:
    """Up to n different random architectures that are not among the known ones: choice indices (n, C).

    Drawn `at_a_time`, so that with the same number of those a larger n begins with what a smaller n gives.
    """
    seen = {row.tobytes() for row in np.asarray(known, np.int8)}
    found: list[np.ndarray] = []
    vain = 0  # draws in a row that gave nothing new: small spaces run out of architectures
    while len(found) < n and len(seen) < space.size and vain < _PATIENCE:
        before = len(found)
        for row in np.asarray(space.sample_many(at_a_time or n, seed=int(rng.integers(2**62))), np.int8):
            if row.tobytes() not in seen:
                seen.add(row.tobytes())
                found.append(row)
        vain = 0 if len(found) > before else vain + 1
    return np.array(found[:n], np.int8).reshape(-1, len(space.choices))
