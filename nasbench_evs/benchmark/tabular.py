"""Answers from recorded trainings."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench_evs.benchmark.base import Architectures, Benchmark
from nasbench_evs.benchmark.score import Question, Score, Scores
from nasbench_evs.errors import NotRecorded
from nasbench_evs.spaces import Architecture, Cost, SearchSpace
from nasbench_evs.tables.format import MISSING
from nasbench_evs.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd

_KEPT_BYTES = 1 << 28  # of answers and of what records say, which a table keeps for the next query


class _Answers(NamedTuple):
    """What a table says about each distinct architecture, for one (split, epoch, distilled)."""

    value: np.ndarray
    std: np.ndarray
    noise_std: np.ndarray
    trainings: np.ndarray  # with a score; 0 if no training of it matches
    seconds: np.ndarray
    matching: np.ndarray  # trainings that were asked for, scored or not
    rows: np.ndarray  # all of the above side by side, shape (M, 6): one architecture is one stretch of memory


class _Trainings(NamedTuple):
    """What every record says, for one (split, epoch): NaN where it has no score, or no seconds."""

    value: np.ndarray
    seconds: np.ndarray


class _Kept:
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


class TableBenchmark(Benchmark):
    """Answers from recorded trainings only.

    A training that failed has no score and is left out of means; so is one that diverged, unless scores are read at the best
    epoch: then it counts with the best that it reached. An architecture none of whose trainings has a score gets NaN.
    """

    instant = True

    def __init__(self, table: Table) -> None:
        self.table = table
        self.space = table.header.space
        self.dataset = table.header.dataset
        self.metric = table.header.metric

    def __repr__(self) -> str:
        return f"<benchmark {self.dataset}: {self.space.name}, {len(self.table):,} records, {self.metric.name}>"

    @property
    def epochs(self) -> int:
        return 0 if self.table.header.curves == "best" else self.table.epochs

    def view(self, space: SearchSpace) -> TableBenchmark:
        return TableBenchmark(self.table.view(space))

    @cached_property
    def _starts(self) -> np.ndarray:
        """The first record of every distinct architecture (records are sorted by rank)."""
        rank = self.table["rank"]
        return np.flatnonzero(np.concatenate([[True], rank[1:] != rank[:-1]]))

    @cached_property
    def _ranks(self) -> np.ndarray:
        return self.table["rank"][self._starts]

    @cached_property
    def _position(self) -> dict[bytes, int]:
        """Architecture key -> position among the distinct architectures."""
        keys = np.ascontiguousarray(self.table["choices"][self._starts])
        return dict(zip(keys.view(f"V{keys.shape[1]}")[:, 0].tolist(), range(len(keys)), strict=True))

    @property
    def pool(self) -> np.ndarray:
        """The recorded architectures, each once, as choice indices of shape (M, C), in order of rank."""
        return self.table["choices"][self._starts]

    def _query(self, architecture: Architecture, question: Question) -> Score:
        position = self._find(architecture)
        name, direction = self.metric[:2]
        split, epoch, seed, distilled = question
        if seed is not None:
            rows = self._rows(position)
            for row in range(rows.start, rows.stop):
                if self.table["seed"][row] == seed and (self.table["distilled"][row] == 1) == distilled:
                    if epoch is None:
                        trained, at = self._trainings(split, None), row
                    else:  # there are many epochs: those of all records are not worth reading
                        trained, at = self._read(split, epoch, slice(row, row + 1)), 0
                    value, taken = float(trained.value[at]), float(trained.seconds[at])
                    count, unknown = int(not math.isnan(value)), math.nan
                    return Score(value, unknown, unknown, name, direction, split, epoch, "table", count, taken)
            raise self._no_such_training(architecture, question)
        value, std, noise_std, trainings, seconds, matching = self._means(question).rows[position].tolist()
        if not matching:
            raise self._no_such_training(architecture, question)
        return Score(value, std, noise_std, name, direction, split, epoch, "table", int(trainings), seconds)

    def _query_many(self, choices: np.ndarray, question: Question) -> Scores:
        if question.seed is not None:
            return self._query_each(choices, question, np.full(len(choices), question.seed))
        answers, position = self._means(question), self._positions(choices)
        matching = answers.matching[position] > 0
        if not matching.all():
            raise self._no_such_training(self.space.architectures(choices[~matching][:1])[0], question)
        return Scores(
            answers.value[position],
            answers.std[position],
            answers.noise_std[position],
            self.metric.name,
            self.metric.direction,
            question.split,
            question.epoch,
            np.full(len(choices), "table"),
            answers.trainings[position],
            answers.seconds[position],
        )

    def _query_each(self, choices: np.ndarray, question: Question, seeds: np.ndarray) -> Scores:
        split, epoch, _, distilled = question
        trained, first = self._trainings(split, epoch), self._starts[self._positions(choices)]
        found = np.full(len(choices), -1)
        for offset in range(self._most_trainings if len(choices) else 0):
            row = np.minimum(first + offset, len(self.table) - 1)
            same = (self.table["seed"][row] == seeds) & ((self.table["distilled"][row] == 1) == distilled)
            same &= self.table["rank"][row] == self.table["rank"][first]
            found[same] = row[same]
        if (found < 0).any():
            wrong = int(np.flatnonzero(found < 0)[0])
            asked = question._replace(seed=int(seeds[wrong]))
            raise self._no_such_training(self.space.architectures(choices[wrong : wrong + 1])[0], asked)
        value, unknown = trained.value[found], np.full(len(choices), np.nan)
        return Scores(
            value, unknown, unknown, *self.metric[:2], split, epoch, np.full(len(choices), "table"),
            (~np.isnan(value)).astype(np.int64), trained.seconds[found],
        )  # fmt: skip

    def seeds_many(self, architectures: Architectures) -> tuple[np.ndarray, np.ndarray]:
        """`seeds` of many architectures: all of them in one array, (M,), and how many each has, (N,)."""
        position = self._positions(self._choices(architectures))
        known = (self.table["seed"] != MISSING) & (self.table["distilled"] != 1)
        counts = np.add.reduceat(known, self._starts, dtype=np.int64)
        first = (np.cumsum(counts) - counts)[position]
        counts = counts[position]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.table["seed"][known][np.repeat(first, counts) + within], counts

    def seeds(self, architecture: Architecture, *, distilled: bool = False) -> tuple[int, ...]:
        rows = self._rows(self._find(architecture))
        seeds = self.table["seed"][rows][(self.table["distilled"][rows] == 1) == distilled]
        return tuple(seeds[seeds != MISSING].tolist())

    def _positions(self, choices: np.ndarray) -> np.ndarray:
        """Positions in `pool` of valid choice indices, all recorded."""
        position, recorded = self.locate(choices)
        if not recorded.all():
            missing = self.space.architectures(choices[~recorded][:1])[0]
            raise NotRecorded(f"{self._not_recorded(missing)} ({int((~recorded).sum())} of {len(choices)} asked for)")
        return position

    def locate(self, choices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of valid choice indices (N, C): positions in `pool` and whether recorded at all, both of shape (N,)."""
        ranks = self.space.rank_many(choices)
        position = np.minimum(np.searchsorted(self._ranks, ranks), len(self._ranks) - 1)
        return position, self._ranks[position] == ranks

    def holds(self, choices: np.ndarray, distilled: bool) -> np.ndarray:
        """Which of these architectures have a training with (or without) teachers: bool (N,)."""
        position, recorded = self.locate(choices)
        return recorded & (self._matching[int(distilled)][position] > 0)

    def holds_one(self, architecture: Architecture, distilled: bool) -> bool:
        """`holds` of one architecture, fast."""
        position = self._position.get(architecture.key) if isinstance(architecture, Architecture) else None
        return position is not None and bool(self._matching[distilled][position])

    @cached_property
    def _matching(self) -> tuple[np.ndarray, np.ndarray]:
        """Trainings of each architecture without teachers, and with."""
        taught = self.table["distilled"] == 1
        return tuple(np.add.reduceat(kind, self._starts, dtype=np.int64) for kind in (~taught, taught))  # type: ignore[return-value]

    def records(self, architecture: Architecture) -> pd.DataFrame:
        """Every recorded training of the architecture, curves included, as `Table.to_frame` gives it."""
        return self.table.select(np.arange(len(self.table))[self._rows(self._find(architecture))]).to_frame(curves=True)

    def cost_many(self, architectures: Architectures) -> Cost:
        choices = self._choices(architectures)
        shape = self.table.header.shape
        if shape is not None:
            return self.space.cost_many(choices, shape)
        return Cost(*(self._costs(choices, name) for name in Cost._fields))

    def _costs(self, choices: np.ndarray, name: str) -> np.ndarray:
        if self.table.header.shape is not None:
            return super()._costs(choices, name)
        position, recorded = self.locate(choices)
        found = self.table[name][self._starts[position]]
        unknown = ~recorded | (found == MISSING)
        if unknown.any():
            first = self.space.architectures(choices[unknown][:1])[0]
            raise NotRecorded(
                f"the cost {name} of {first} on {self.dataset} is not recorded, and its protocol names no widths"
            )
        return found

    def _rows(self, position: int) -> slice:
        end = self._starts[position + 1] if position + 1 < len(self._starts) else len(self.table)
        return slice(int(self._starts[position]), int(end))

    def _find(self, architecture: Architecture) -> int:
        try:
            if architecture.space is self.space or architecture.space == self.space:
                return self._position[architecture.key]
        except KeyError:
            raise NotRecorded(self._not_recorded(architecture)) from None
        except AttributeError:
            pass
        self.space.stack([architecture])  # says what is wrong with it
        raise NotRecorded(self._not_recorded(architecture))

    def _not_recorded(self, architecture: Architecture) -> str:
        return (
            f"{architecture} is not recorded in the table of {self.dataset}: fit a surrogate "
            f"(nasbench-evs surrogate fit) and use source='auto', or choose among bench.pool"
        )

    def _no_such_training(self, architecture: Architecture, question: Question) -> NotRecorded:
        seed, distilled = question.seed, question.distilled
        seeds = self.seeds(architecture, distilled=distilled)
        kind = "with" if distilled else "without"
        if seed is None:
            return NotRecorded(
                f"{architecture} on {self.dataset} has no training {kind} teachers: use distilled={not distilled}"
            )
        known = f"recorded seeds are {', '.join(map(str, seeds))}" if seeds else "its records have no seeds"
        return NotRecorded(
            f"seed {seed} of {architecture} on {self.dataset} ({kind} teachers) is not recorded: {known}"
        )

    @cached_property
    def _kept(self) -> _Kept:
        """Answers by question, what records say by (split, epoch)."""
        return _Kept(_KEPT_BYTES)

    @cached_property
    def _most_trainings(self) -> int:
        """Of one architecture."""
        return int(np.diff(np.append(self._starts, len(self.table))).max())

    def __getstate__(self) -> dict[str, object]:
        # What was computed from the table does not travel with it.
        return {name: self.__dict__[name] for name in ("table", "space", "dataset", "metric")}

    def _means(self, question: Question) -> _Answers:
        """Answers without a seed, for all architectures, kept for the next query."""
        answers: _Answers | None = self._kept.sets.get(question)
        if answers is None:
            answers = self._answers(question)
            self._kept.keep(question, answers)
        return answers

    def _trainings(self, split: str, epoch: int | None) -> _Trainings:
        """What every record says, kept for the next query."""
        said: _Trainings | None = self._kept.sets.get((split, epoch))
        if said is None:
            said = self._read(split, epoch, slice(0, len(self.table)))
            self._kept.keep((split, epoch), said)
        return said

    def _read(self, split: str, epoch: int | None, rows: slice) -> _Trainings:
        table = self.table
        if epoch is not None:
            if table.header.curves == "best":
                raise NotRecorded(f"the table of {self.dataset} holds the best epoch only: leave epoch out")
            if not 1 <= epoch <= table.epochs:
                raise NotRecorded(f"epoch {epoch} is not recorded: expected 1 to {table.epochs}")
        if split == "test" and not self._has_test_scores:
            raise NotRecorded(f"the table of {self.dataset} has no test scores: use split='valid'")
        if split == "test" and epoch is not None and "test_curve" not in table.columns:
            raise NotRecorded(
                f"the table of {self.dataset} has no test scores of single epochs: leave epoch out, or use split='valid'"
            )
        return _Trainings(table.scores(split, epoch, rows), table.seconds(epoch, rows))

    def _answers(self, question: Question) -> _Answers:
        """What the records say about each architecture."""
        value, seconds = self._trainings(question.split, question.epoch)
        wanted = (self.table["distilled"] == 1) == question.distilled
        scored = wanted & ~np.isnan(value)
        starts = self._starts
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
        return _Answers(*columns, rows=np.stack(columns, axis=1))

    @cached_property
    def _has_test_scores(self) -> bool:
        unknown = np.isnan(self.table.scores("test")).all() and not np.isnan(self.table.scores("valid")).all()
        return not bool(unknown)
