"""What the records of a table say about each architecture: read once for each question, and kept for the next."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from nasbench_evs.benchmark.score import Question
from nasbench_evs.errors import NotRecorded, shown
from nasbench_evs.tables.table import Table

KEPT_BYTES = 1 << 28  # of answers and of what records say, kept for the next query


class Means(NamedTuple):
    """What a table says about each distinct architecture, for one (split, epoch, distilled)."""

    value: np.ndarray
    standard_error: np.ndarray
    noise_std: np.ndarray
    trainings: np.ndarray  # with a score; 0 if no training of it matches
    seconds: np.ndarray
    matching: np.ndarray  # trainings that were asked for, scored or not
    rows: np.ndarray  # all of the above side by side, shape (M, 6): one architecture is one stretch of memory


class Trainings(NamedTuple):
    """What every record says, for one (split, epoch): NaN where it has no score, or no seconds."""

    value: np.ndarray
    seconds: np.ndarray


class Kept:
    """Tuples of arrays by key, of at most so many bytes together; the oldest go first, the newest stays in any case."""

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0
        self.sets: dict[Hashable, Any] = {}

    def keep(self, key: Hashable, arrays: Any) -> None:
        """Keep a set of arrays under a key that has none."""
        self.sets[key] = arrays
        self.bytes += self._bytes(arrays)
        while self.bytes > self.most and len(self.sets) > 1:
            self.bytes -= self._bytes(self.sets.pop(next(iter(self.sets))))

    @staticmethod
    def _bytes(arrays: Iterable[np.ndarray]) -> int:
        return sum(array.nbytes for array in arrays)


class Answers:
    """Means over trainings, scores of single trainings, and which seeds all architectures have, of one table.

    Architectures are in the order of their ranks, each once, M of them.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.kept = Kept(KEPT_BYTES)  # means by question, what records say by (split, epoch)

    @cached_property
    def starts(self) -> np.ndarray:
        """The first record of every distinct architecture (records are sorted by rank)."""
        rank = self.table["rank"]
        return np.flatnonzero(np.concatenate([[True], rank[1:] != rank[:-1]]))

    @cached_property
    def matching(self) -> tuple[np.ndarray, np.ndarray]:
        """Trainings of each architecture without teachers, and with."""
        taught = self.table["distilled"] == 1
        return tuple(np.add.reduceat(kind, self.starts, dtype=np.int64) for kind in (~taught, taught))  # type: ignore[return-value]

    @cached_property
    def common_seeds(self) -> int:
        """k: every architecture that was trained without teachers has the seeds 0 ... k - 1."""
        trained, plain = self.matching[0] > 0, self.table["distilled"] != 1
        k = 0
        while trained.any():
            has = np.logical_or.reduceat(plain & (self.table["seed"] == k), self.starts)
            if not has[trained].all():
                break
            k += 1
        return k

    def common_scores(self, split: str) -> np.ndarray:
        """Scores of the seeds 0 ... k - 1, (M, k) in the order of the pool; NaN rows where one of them failed or diverged."""
        scores = np.full((len(self.starts), self.common_seeds), np.nan)
        seed = self.table["seed"]
        rows = np.flatnonzero((self.table["distilled"] != 1) & (seed >= 0) & (seed < self.common_seeds))
        rows = rows[self.table["status"][rows] == b"ok"]
        position = np.searchsorted(self.starts, rows, "right") - 1
        scores[position, seed[rows]] = self.trainings(split, None).value[rows]
        scores[np.isnan(scores).any(axis=1)] = np.nan
        return scores

    @cached_property
    def sound(self) -> np.ndarray:
        """Which architectures have no training that failed or diverged among the seeds 0 ... k - 1, bool (M,)."""
        return ~np.isnan(self.common_scores("valid")).any(axis=1)

    @cached_property
    def most_trainings(self) -> int:
        """Of one architecture."""
        return int(np.diff(np.append(self.starts, len(self.table))).max())

    def means(self, question: Question) -> Means:
        """Answers without a seed, for all architectures, kept for the next query."""
        answers: Means | None = self.kept.sets.get(question)
        if answers is None:
            answers = self._compute(question)
            self.kept.keep(question, answers)
        return answers

    def trainings(self, split: str, epoch: int | None) -> Trainings:
        """What every record says, kept for the next query."""
        said: Trainings | None = self.kept.sets.get((split, epoch))
        if said is None:
            said = self.read(split, epoch, slice(0, len(self.table)))
            self.kept.keep((split, epoch), said)
        return said

    def read(self, split: str, epoch: int | None, rows: slice) -> Trainings:
        """What these records say; NotRecorded for a split or an epoch that the table does not hold."""
        table = self.table
        if epoch is not None:
            if table.header.curves == "best":
                raise NotRecorded(f"the table of {table.header.dataset} holds the best epoch only: leave epoch out")
            if not 1 <= epoch <= table.epochs:
                raise NotRecorded(f"epoch {shown(epoch)} is not recorded: expected 1 to {table.epochs}")
        if split == "test" and not self._has_test_scores:
            raise NotRecorded(f"the table of {table.header.dataset} has no test scores: use split='valid'")
        if split == "test" and epoch is not None and "test_curve" not in table.columns:
            raise NotRecorded(
                f"the table of {table.header.dataset} has no test scores of single epochs: leave epoch out, or use split='valid'"
            )
        return Trainings(table.scores(split, epoch, rows), table.seconds(epoch, rows))

    def _compute(self, question: Question) -> Means:
        """What the records say about each architecture."""
        value, seconds = self.trainings(question.split, question.epoch)
        wanted = (self.table["distilled"] == 1) == question.distilled
        scored = wanted & ~np.isnan(value)
        starts = self.starts
        owner = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(value))))
        matching = np.add.reduceat(wanted, starts, dtype=np.int64)
        trainings = np.add.reduceat(scored, starts, dtype=np.int64)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.add.reduceat(np.where(scored, value, 0.0), starts) / trainings
            deviation = np.where(scored, value - mean[owner], 0.0) ** 2
            noise_std = np.sqrt(np.add.reduceat(deviation, starts) / (trainings - 1))
            noise_std[trainings < 2] = np.nan
            timed = wanted & ~np.isnan(seconds)  # a training that failed took its time too
            mean_seconds = np.add.reduceat(np.where(timed, seconds, 0.0), starts) / np.add.reduceat(
                timed, starts, dtype=np.int64
            )
            columns = (mean, noise_std / np.sqrt(trainings), noise_std, trainings, mean_seconds, matching)
        return Means(*columns, rows=np.stack(columns, axis=1))

    @cached_property
    def _has_test_scores(self) -> bool:
        unknown = np.isnan(self.table.scores("test")).all() and not np.isnan(self.table.scores("valid")).all()
        return not bool(unknown)
