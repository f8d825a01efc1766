"""Splits and subsets by stable hashes: the same on any machine, with any library version."""

import hashlib

import numpy as np

from nasbench_evs.metrics import BLOCKS

SPLITS = ("train", "valid", "test")
SHARES = (0.6, 0.2, 0.2)
_SMALL = 5  # groups; a stratum with fewer cannot be shared out


def stable_hash(ids: np.ndarray, salt: str) -> np.ndarray:
    """A uint64 for each id, from BLAKE2b of the salt and the id: shape (N,)."""
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    digests = (hashlib.blake2b(str(i).encode(), digest_size=8, key=key).digest() for i in ids.tolist())
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def split(
    labels: np.ndarray, groups: np.ndarray, seed: int = 0, shares: tuple[float, float, float] = SHARES
) -> np.ndarray:
    """Split in these shares, stratified by label; no group is on two sides. Codes of SPLITS, int8 of shape (N,).

    `groups` are the sequences' ids, or the key of those that belong together. Groups with the same number of sequences of
    each class are a stratum, what is left over of rare ones is one more; within a stratum they are ordered by a seeded
    hash and cut where the shares say (60 and 80 %, unless others are given) of their sequences.
    """
    distinct, group = np.unique(groups, return_inverse=True)
    classes = np.zeros((len(distinct), int(labels.max()) + 1), np.int64)
    np.add.at(classes, (group, labels), 1)
    stratum = np.unique(classes, axis=0, return_inverse=True)[1].ravel()
    stratum = np.where(np.bincount(stratum)[stratum] < _SMALL, 0, stratum + 1)
    order = np.lexsort((stable_hash(distinct, f"split {seed}"), stratum))
    starts = np.flatnonzero(np.diff(stratum[order], prepend=-1))
    groups_of = np.diff(np.append(starts, len(order)))
    sequences = classes.sum(axis=1)[order]
    before = np.cumsum(sequences) - sequences
    total = np.repeat(np.add.reduceat(sequences, starts), groups_of)
    middle = (before - np.repeat(before[starts], groups_of) + sequences / 2) / total
    side = np.empty(len(distinct), np.int8)
    side[order] = np.searchsorted(np.cumsum(shares)[:-1], middle, side="right")
    return side[group]


def blocks(groups: np.ndarray) -> np.ndarray:
    """The block of each sequence, int64 (N,) below BLOCKS: those of one group are in one block."""
    distinct, group = np.unique(groups, return_inverse=True)
    return (stable_hash(distinct, "block") % np.uint64(BLOCKS)).astype(np.int64)[group]


def subset(ids: np.ndarray, n: int) -> np.ndarray:
    """The positions of the n ids with the smallest hashes, in order: a smaller subset is part of a larger one."""
    chosen = np.argsort(stable_hash(ids, "subset"), kind="stable")[:n]
    return np.sort(chosen)
