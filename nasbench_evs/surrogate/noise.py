"""Chance on demand: a random number for every (stream, architecture, seed), always the same."""

import hashlib

import numpy as np


def standard_normal(stream: str, ranks: np.ndarray, seed: int) -> np.ndarray:
    """Independent standard normal numbers, float64 of shape (N,), one for each rank.

    `random_bits` through the inverse of the normal distribution.
    """
    from scipy.special import ndtri

    bits = random_bits(stream, ranks, seed)
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # in (0, 1), never 0 or 1
    return ndtri(uniform)


def random_bits(stream: str, ranks: np.ndarray, seed: int) -> np.ndarray:
    """Independent uniform integers, uint64 of shape (N,), one for each rank.

    Each depends on (`stream`, rank, `seed`) alone, not on its neighbours in the batch, the process or the machine:
    a counter-based generator (splitmix64, Steele et al. 2014).
    """
    key = int.from_bytes(hashlib.sha256(f"{stream}/{seed}".encode()).digest()[:8], "little")
    with np.errstate(over="ignore"):
        return _splitmix(_splitmix(ranks.astype(np.uint64)) ^ np.uint64(key))


def _splitmix(state: np.ndarray) -> np.ndarray:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
