"""Answers from recorded trainings."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nasbench_evs.arguments import check_bool, of_kind
from nasbench_evs.benchmark.answers import Answers
from nasbench_evs.benchmark.base import Architectures, Benchmark, judging_split
from nasbench_evs.benchmark.judge import Judge
from nasbench_evs.benchmark.score import Question, Score, Scores
from nasbench_evs.errors import NotRecorded
from nasbench_evs.spaces import Architecture, Cost, SearchSpace, lift
from nasbench_evs.surrogate.noise import random_bits
from nasbench_evs.tables.format import MISSING
from nasbench_evs.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd


class _Positions(dict[bytes, int]):
    """Positions in the pool by architecture key; KeyError for those that are not recorded.

    The first are found by their ranks, which takes no reading of all choices; when many are asked for, all are put in.
    """

    def __init__(self, bench: TableBenchmark) -> None:
        super().__init__()
        self._bench, self._by_rank = bench, 256

    def __missing__(self, key: bytes) -> int:
        if not self._by_rank:
            raise KeyError(key)
        self._by_rank -= 1
        if not self._by_rank:
            keys = np.ascontiguousarray(self._bench.pool)
            self.update(zip(keys.view(f"V{keys.shape[1]}")[:, 0].tolist(), range(len(keys)), strict=True))
            return self[key]
        position, recorded = self._bench.locate(np.frombuffer(key, np.int8)[None])
        if not recorded[0]:
            raise KeyError(key)
        self[key] = int(position[0])
        return self[key]


class TableBenchmark(Benchmark):
    """Answers from recorded trainings only.

    A training that failed has no score and is left out of means; so is one that diverged, unless scores are read at the best
    epoch: then it counts with the best that it reached. An architecture none of whose trainings has a score gets NaN.

    `judge` says what recorded architectures are worth where fewer than two seeds are common to all, see `true_values`.
    """

    lookup = True

    def __init__(self, table: Table, judge: Judge | None = None) -> None:
        of_kind("table", table, Table, "a Table, as tables.read gives it")
        self.table, self.judge = table, judge
        self.space = table.header.space
        self.dataset = table.header.dataset
        self.metric = table.header.metric

    def __repr__(self) -> str:
        return f"<benchmark {self.dataset}: {self.space.name}, {len(self.table):,} records, {self.metric.name}>"

    @property
    def epochs(self) -> int:
        return 0 if self.table.header.curves == "best" else self.table.epochs

    def view(self, space: SearchSpace) -> TableBenchmark:
        return TableBenchmark(self.table.view(space), self.judge)

    @cached_property
    def _answers(self) -> Answers:
        return Answers(self.table)

    @property
    def common_seeds(self) -> int:
        """k: every architecture that was trained without teachers has the seeds 0 ... k - 1."""
        return self._answers.common_seeds

    @cached_property
    def _ranks(self) -> np.ndarray:
        return self.table["rank"][self._answers.starts]

    @cached_property
    def _position(self) -> _Positions:
        return _Positions(self)

    @property
    def pool(self) -> np.ndarray:  # type: ignore[override]
        """The recorded architectures, each once, as choice indices of shape (M, C), in order of rank."""
        return self.table["choices"][self._answers.starts]

    @property
    def recorded_choices(self) -> np.ndarray:
        return self.pool

    def _query(self, architecture: Architecture, question: Question) -> Score:
        position = self._find(architecture)
        name, direction = self.metric[:2]
        split, epoch, seed, distilled = question
        if seed is not None:
            rows = self._rows(position)
            for row in range(rows.start, rows.stop):
                if self.table["seed"][row] == seed and (self.table["distilled"][row] == 1) == distilled:
                    if epoch is None:
                        trained, at = self._answers.trainings(split, None), row
                    else:  # there are many epochs: those of all records are not worth reading
                        trained, at = self._answers.read(split, epoch, slice(row, row + 1)), 0
                    value, taken = float(trained.value[at]), float(trained.seconds[at])
                    return Score.of(value, self.metric, question, source="table", seconds=taken)
            raise self._no_such_training(architecture, question)
        value, error, noise_std, trainings, seconds, matching = self._answers.means(question).rows[position].tolist()
        if not matching:
            raise self._no_such_training(architecture, question)
        unknown = math.nan
        return Score(value, error, unknown, noise_std, name, direction, split, epoch, "table", int(trainings), seconds)

    def _query_many(self, choices: np.ndarray, question: Question) -> Scores:
        if question.seed is not None:
            return self._query_each(choices, question, np.full(len(choices), question.seed))
        answers, position = self._answers.means(question), self._positions(choices)
        matching = answers.matching[position] > 0
        if not matching.all():
            raise self._no_such_training(self.space.architectures(choices[~matching][:1])[0], question)
        return Scores(
            answers.value[position],
            answers.standard_error[position],
            np.full(len(choices), np.nan),
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
        trained, first = self._answers.trainings(split, epoch), self._answers.starts[self._positions(choices)]
        found = np.full(len(choices), -1)
        for offset in range(self._answers.most_trainings if len(choices) else 0):
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
            value, unknown, unknown, unknown, *self.metric[:2], split, epoch, np.full(len(choices), "table"),
            (~np.isnan(value)).astype(np.int64), trained.seconds[found],
        )  # fmt: skip

    def seeds_many(self, architectures: Architectures) -> tuple[np.ndarray, np.ndarray]:
        """`seeds` of many architectures: all of them in one array, (M,), and how many each has, (N,)."""
        position = self._positions(self._choices(architectures))
        known = (self.table["seed"] != MISSING) & (self.table["distilled"] != 1)
        counts = np.add.reduceat(known, self._answers.starts, dtype=np.int64)
        first = (np.cumsum(counts) - counts)[position]
        counts = counts[position]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.table["seed"][known][np.repeat(first, counts) + within], counts

    def _observe_many(self, choices: np.ndarray, question: Question) -> Scores:
        drawn = self._drawn_seeds(choices, question.seed or 0)
        seeded = drawn != MISSING
        parts = []
        if seeded.any() or not len(choices):
            parts.append((seeded, self._query_each(choices[seeded], question, drawn[seeded])))
        if not seeded.all():
            parts.append((~seeded, self._query_many(choices[~seeded], question._replace(seed=None))))
        return Scores.join(parts)

    def observed_seed(self, architecture: Architecture, seed: int) -> int | None:
        drawn = int(self._drawn_seeds(self.space.stack([architecture]), seed)[0])
        return None if drawn == MISSING else drawn

    def _drawn_seeds(self, choices: np.ndarray, seed: int) -> np.ndarray:
        """`observed_seed` of every row, (N,); MISSING where no seeds are recorded."""
        position, k = self._positions(choices), self.common_seeds
        # Independent draws for every search: taking turns would show 200 of them only k different pools.
        bits = random_bits("training", self._ranks[position], seed)
        if k:
            drawn = (bits % np.uint64(k)).astype(np.int64)
            return np.where(self._answers.matching[0][position] > 0, drawn, MISSING)
        seeds, counts = self.seeds_many(choices)
        drawn, seeded = np.full(len(choices), MISSING, np.int64), counts > 0
        first, counts = (np.cumsum(counts) - counts)[seeded], counts[seeded]
        drawn[seeded] = seeds[first + (bits[seeded] % counts.astype(np.uint64)).astype(np.int64)]
        return drawn

    def _valued(self, choices: np.ndarray) -> np.ndarray:
        """False where one of the k trainings failed or diverged."""
        return self._answers.sound[self._positions(choices)]

    def _true_values(self, choices: np.ndarray, regime: str, seed: int) -> np.ndarray:
        split = judging_split(regime)
        means = self._query_many(choices, Question(split, None, None, False)).value  # which says what is not recorded
        if regime == "clean":
            values = means
        elif self.common_seeds < 2:
            values = self._held_out(choices, regime)
        else:
            scores = self._answers.common_scores(split)[self._positions(choices)]
            others = np.arange(scores.shape[1]) != self._drawn_seeds(choices, seed)[:, None]
            values = np.where(others, scores, 0.0).sum(axis=1) / others.sum(axis=1)
        return np.where(self._valued(choices), values, np.nan)

    def _recorded_values(self, regime: str) -> tuple[np.ndarray, np.ndarray]:
        trained = self._answers.matching[0] > 0
        choices = self.pool[trained]
        if regime == "clean" or self.common_seeds < 2:
            return choices, self._true_values(choices, regime, 0)
        return choices, self._answers.common_scores(judging_split(regime))[trained].mean(axis=1)

    def _held_out(self, choices: np.ndarray, regime: str) -> np.ndarray:
        """The judge's values of recorded architectures; NotRecorded if there is no judge, or none for that split."""
        if self.judge is None:
            raise self._no_judge(regime)
        return self.judge.out_of_fold(lift(choices, self.space, self.judge.space), judging_split(regime))

    @property
    def _exhaustive(self) -> bool:
        return True

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
        distilled = check_bool("distilled", distilled)
        position, recorded = self.locate(choices)
        return recorded & (self._answers.matching[int(distilled)][position] > 0)

    def holds_one(self, architecture: Architecture, distilled: bool) -> bool:
        """`holds` of one architecture, fast."""
        if distilled is not False and distilled is not True:  # which is asked often
            distilled = check_bool("distilled", distilled)
        try:
            if architecture.space is not self.space and architecture.space != self.space:
                return False
            return bool(self._answers.matching[distilled][self._position[architecture.key]])
        except (KeyError, AttributeError):  # not recorded, or no architecture
            return False

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
        found = self.table[name][self._answers.starts[position]]
        unknown = ~recorded | (found == MISSING)
        if unknown.any():
            first = self.space.architectures(choices[unknown][:1])[0]
            raise NotRecorded(
                f"the cost {name} of {first} on {self.dataset} is not recorded, and its protocol names no widths"
            )
        return found

    def _rows(self, position: int) -> slice:
        end = self._answers.starts[position + 1] if position + 1 < len(self._answers.starts) else len(self.table)
        return slice(int(self._answers.starts[position]), int(end))

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

    def __getstate__(self) -> dict[str, object]:
        # What was computed from the table does not travel with it.
        return {name: self.__dict__[name] for name in ("table", "judge", "space", "dataset", "metric")}
