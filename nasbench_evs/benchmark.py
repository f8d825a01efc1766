"""load(): one query over recorded trainings and over what a surrogate predicts for the rest of the space."""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from nasbench_evs import locations
from nasbench_evs.errors import InvalidQuery, NotRecorded, UnknownBenchmark
from nasbench_evs.metrics import Metric
from nasbench_evs.models import networks
from nasbench_evs.spaces import Architecture, Cost, SearchSpace, lift
from nasbench_evs.spaces.subspaces import SUBSPACES, subspace
from nasbench_evs.tables.format import MISSING
from nasbench_evs.tables.hdf5 import read, read_reference_sha256
from nasbench_evs.tables.header import Header
from nasbench_evs.tables.table import SPLITS, Table

if TYPE_CHECKING:
    import pandas as pd

    from nasbench_evs.surrogate import Surrogate

SOURCES = ("auto", "table", "surrogate", "train")

_KEPT_BYTES = 1 << 28  # of answers and of what records say, which a table keeps for the next query


class Score(NamedTuple):
    """An answer to one query.

    value      the score: of one training, or the mean over trainings of the architecture
    std        how far `value` may be from the mean over all seeds: standard error over the recorded seeds (NaN for
               one), or what the surrogate does not know
    noise_std  how far one training is from that mean: standard deviation between seeds (NaN for one), or as predicted
    metric, direction, split    which score, "max" or "min", "valid" or "test"
    epoch      the epoch whose curve the score was read from; None: the score of each training, see Benchmark
    source     "table", "surrogate" or "train"
    trainings  how many trainings `value` averages; 0 from a surrogate
    seconds    of training up to `epoch`, or of the whole training; mean over trainings; NaN if not recorded. CPU seconds, the
               evaluation of the validation split included, where they are recorded, else wall seconds of training alone
    """

    value: float
    std: float
    noise_std: float
    metric: str
    direction: str
    split: str
    epoch: int | None
    source: str
    trainings: int
    seconds: float


class _Columns(NamedTuple):
    value: np.ndarray
    std: np.ndarray
    noise_std: np.ndarray
    metric: str
    direction: str
    split: str
    epoch: int | None
    source: np.ndarray
    trainings: np.ndarray
    seconds: np.ndarray


class Scores(_Columns):
    """Answers to many queries: as Score, with arrays of shape (N,) for what differs between architectures."""

    __slots__ = ()

    def __len__(self) -> int:  # the number of architectures, not of fields
        return len(self.value)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # a named tuple's own, which `_replace` calls, takes len() for the number of fields


Architectures = Sequence[Architecture] | np.ndarray


class Question(NamedTuple):
    """Which of an architecture's scores is asked for: the arguments of a query, checked."""

    split: str
    epoch: int | None
    seed: int | None
    distilled: bool


def _question(split: str, epoch: int | None, seed: int | None, distilled: bool) -> Question:
    if split not in SPLITS:
        raise InvalidQuery(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
    if epoch is not None and (isinstance(epoch, bool) or not isinstance(epoch, int | np.integer)):
        raise InvalidQuery(f"epoch {epoch!r}: expected an integer of 1 or more")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0):
        raise InvalidQuery(f"seed {seed!r}: expected an integer of 0 or more")
    if not isinstance(distilled, bool | np.bool_):
        raise InvalidQuery(f"distilled {distilled!r}: expected True or False")
    return Question(split, epoch, seed, bool(distilled))


def _seeds(seeds: Any, n: int) -> np.ndarray:
    try:
        found = np.asarray(seeds) if len(seeds) else np.empty(0, np.int64)
    except (TypeError, ValueError):
        found = np.empty((0, 0))
    if found.shape != (n,) or not np.issubdtype(found.dtype, np.integer) or (found < 0).any():
        raise InvalidQuery(
            f"seed {seeds!r}: expected an integer of 0 or more, or {n} of them, one for each architecture"
        )
    return found


class Benchmark:
    """What all benchmarks share: a space, a dataset, a metric, and one query.

    `query` takes an Architecture of the space; `query_many` a sequence of them or choice indices of shape (N, C).
    Both read the score of a training: after its last step on the whole split, or at its best epoch by validation score, as
    the protocol's `score_at` says. `epoch` (from 1) reads the curve instead, also at the last one; `distilled=True` asks
    for trainings with teachers. Errors: NotRecorded, InvalidQuery, InvalidArchitecture.
    """

    space: SearchSpace
    dataset: str
    metric: Metric
    # Whether answers are looked up or predicted, all of them by `query_many`: then a search may ask for many ahead of its
    # clock. A subclass that says nothing is asked for one after another.
    instant = False

    @property
    def epochs(self) -> int:
        """How many epochs `epoch=` may name; 0 if only the best epoch is known."""
        raise NotImplementedError

    def query(
        self,
        architecture: Architecture,
        *,
        split: str = "valid",
        epoch: int | None = None,
        seed: int | None = None,
        distilled: bool = False,
    ) -> Score:
        """The score of one architecture: mean over seeds, or of the training with this `seed`."""
        return self._query(architecture, _question(split, epoch, seed, distilled))

    def query_many(
        self,
        architectures: Architectures,
        *,
        split: str = "valid",
        epoch: int | None = None,
        seed: int | Sequence[int] | np.ndarray | None = None,
        distilled: bool = False,
    ) -> Scores:
        """The scores of many architectures, in their order; of the training with this `seed`, or each with its own."""
        if isinstance(architectures, Architecture | str):
            raise InvalidQuery(f"query_many takes a sequence of architectures, got one: {architectures}; use query")
        if seed is None or isinstance(seed, int | np.integer):
            question = _question(split, epoch, seed, distilled)
            return self._query_many(self._choices(architectures), question)
        question = _question(split, epoch, None, distilled)
        choices = self._choices(architectures)
        return self._query_each(choices, question, _seeds(seed, len(choices)))

    def _query(self, architecture: Architecture, question: Question) -> Score:
        raise NotImplementedError

    def _query_many(self, choices: np.ndarray, question: Question) -> Scores:
        """Answers for valid choice indices."""
        raise NotImplementedError

    def _query_each(self, choices: np.ndarray, question: Question, seeds: np.ndarray) -> Scores:
        """Answers for valid choice indices, each with its seed (N,)."""
        found, owner = np.unique(seeds, return_inverse=True)
        groups = [np.flatnonzero(owner == i) for i in range(len(found))]
        parts = [
            self._query_many(choices[rows], question._replace(seed=int(seed)))
            for seed, rows in zip(found, groups, strict=True)
        ]
        if not parts:
            return self._query_many(choices, question)
        back = np.argsort(np.concatenate(groups))
        columns: Any = (
            np.concatenate(column)[back] if isinstance(column[0], np.ndarray) else column[0]
            for column in zip(*parts, strict=True)
        )
        return Scores(*columns)

    def view(self, space: SearchSpace) -> Benchmark:
        """The same answers for the architectures of a view of this benchmark's space: `bench.space.restrict({...})`.

        It asks for that space's architectures. InvalidSpace if it is no view of this one, NotRecorded if only recorded
        architectures are answered for and it holds none.
        """
        raise InvalidQuery(f"{self!r} has no views: make it of the space {space.name} in the first place")

    def seeds(self, architecture: Architecture, *, distilled: bool = False) -> tuple[int, ...]:
        """The seeds recorded for an architecture, in order; empty if its records name none."""
        raise NotImplementedError

    def cost(self, architecture: Architecture) -> Cost:
        """Exact parameters and FLOPs of the architecture on this dataset."""
        params, flops = self.cost_many([architecture])
        return Cost(int(np.asarray(params)[0]), int(np.asarray(flops)[0]))

    def cost_many(self, architectures: Architectures) -> Cost:
        """Parameters and FLOPs, int64 arrays of shape (N,)."""
        raise NotImplementedError

    def costs(self, architectures: Architectures, name: str) -> np.ndarray:
        """One of the costs, "params" or "flops", int64 (N,): the other need not be known."""
        if name not in Cost._fields:
            raise InvalidQuery(f"unknown cost {name!r}: expected one of {', '.join(Cost._fields)}")
        return self._costs(self._choices(architectures), name)

    def _costs(self, choices: np.ndarray, name: str) -> np.ndarray:
        return np.asarray(getattr(self.cost_many(choices), name))

    def _choices(self, architectures: Architectures) -> np.ndarray:
        if isinstance(architectures, np.ndarray):
            return self.space.check(architectures)
        return self.space.stack(architectures)


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


class SurrogateBenchmark(Benchmark):
    """Answers from a surrogate only: predictions for every architecture of the space.

    `query(arch)` is the predicted mean; `query(arch, seed=s)` adds a draw from the predicted noise, the same for the
    same seed on any machine and in any batch. `space` may be a view of the surrogate's.
    """

    instant = True

    def __init__(self, surrogate: Surrogate, space: SearchSpace | None = None) -> None:
        self.surrogate = surrogate
        self.space = surrogate.space if space is None else space
        self.dataset = surrogate.dataset
        self.metric = surrogate.metric

    def __repr__(self) -> str:
        return f"<surrogate benchmark {self.dataset}: {self.space.name}, {self.metric.name}>"

    @property
    def epochs(self) -> int:
        return self.surrogate.epochs

    def view(self, space: SearchSpace) -> SurrogateBenchmark:
        _check_view(space, self.space)
        return SurrogateBenchmark(self.surrogate, space)

    def _query(self, architecture: Architecture, question: Question) -> Score:
        scores = self._query_many(self.space.stack([architecture]), question)
        fields = {name: f.item() if isinstance(f, np.ndarray) else f for name, f in scores._asdict().items()}
        return Score(**fields)

    def _query_many(self, choices: np.ndarray, question: Question) -> Scores:
        split, epoch, seed, distilled = question
        choices = lift(choices, self.space, self.surrogate.space)
        prediction, seconds = self.surrogate.predict_all(choices, split, epoch=epoch, distilled=distilled)
        value = prediction.mean
        if seed is not None:
            value = value + prediction.noise_std * self.surrogate.noise(choices, split, seed, distilled=distilled)
        n = len(choices)
        return Scores(
            value,
            prediction.epistemic_std,
            prediction.noise_std,
            self.metric.name,
            self.metric.direction,
            split,
            epoch,
            np.full(n, "surrogate"),
            np.zeros(n, np.int64),
            seconds,
        )

    def _query_each(self, choices: np.ndarray, question: Question, seeds: np.ndarray) -> Scores:
        means = self._query_many(choices, question)
        choices = lift(choices, self.space, self.surrogate.space)
        noise = np.empty(len(choices))
        for seed in np.unique(seeds):
            rows = np.flatnonzero(seeds == seed)
            noise[rows] = self.surrogate.noise(choices[rows], question.split, int(seed), distilled=question.distilled)
        return Scores(**{**means._asdict(), "value": means.value + means.noise_std * noise})

    def seeds(self, architecture: Architecture, *, distilled: bool = False) -> tuple[int, ...]:
        raise NotRecorded("a surrogate records no seeds: every seed can be asked for, with query(arch, seed=...)")

    def cost_many(self, architectures: Architectures) -> Cost:
        shape = self.surrogate.shape
        if shape is None:
            raise NotRecorded(f"costs on {self.dataset} are unknown: its protocol names no widths")
        return self.space.cost_many(self._choices(architectures), shape)


class AutoBenchmark(Benchmark):
    """Recorded architectures from the table, all others from the surrogate; every answer says which."""

    instant = True

    def __init__(self, table: TableBenchmark, surrogate: SurrogateBenchmark) -> None:
        self.recorded = table
        self.predicted = surrogate
        self.table = table.table
        self.surrogate = surrogate.surrogate
        self.space = table.space
        self.dataset = table.dataset
        self.metric = table.metric

    def __repr__(self) -> str:
        return repr(self.recorded)[:-1] + ", and a surrogate for the rest>"

    @property
    def epochs(self) -> int:
        return self.recorded.epochs

    def view(self, space: SearchSpace) -> AutoBenchmark | SurrogateBenchmark:
        predicted = self.predicted.view(space)
        try:
            return AutoBenchmark(self.recorded.view(space), predicted)
        except NotRecorded:  # nothing of it is recorded: the surrogate answers for all of it
            return predicted

    def _query(self, architecture: Architecture, question: Question) -> Score:
        if self.recorded.holds_one(architecture, question.distilled):
            return self.recorded._query(architecture, question)
        return self.predicted._query(architecture, question)

    def _query_many(self, choices: np.ndarray, question: Question) -> Scores:
        recorded = self.recorded.holds(choices, question.distilled)
        if recorded.all() or not recorded.any():
            source: Benchmark = self.recorded if recorded.any() else self.predicted
            return source._query_many(choices, question)
        left = self.recorded._query_many(choices[recorded], question)
        right = self.predicted._query_many(choices[~recorded], question)
        fields = left._asdict()
        for name, b in right._asdict().items():
            if isinstance(b, np.ndarray):
                merged = np.empty(len(choices), np.result_type(fields[name], b))
                merged[recorded], merged[~recorded] = fields[name], b
                fields[name] = merged
        return Scores(**fields)

    def seeds(self, architecture: Architecture, *, distilled: bool = False) -> tuple[int, ...]:
        self.space.stack([architecture])  # says what is wrong with it
        if not self.recorded.holds_one(architecture, distilled):
            raise NotRecorded(f"{architecture} was not trained so on {self.dataset}: a surrogate answers for it")
        return self.recorded.seeds(architecture, distilled=distilled)

    def cost_many(self, architectures: Architectures) -> Cost:
        return self.recorded.cost_many(architectures)

    def _costs(self, choices: np.ndarray, name: str) -> np.ndarray:
        return self.recorded._costs(choices, name)


class TrainingBenchmark(Benchmark):
    """Answers by training the architecture now, as the records of a table were trained; nothing is looked up there.

    `query(arch)` trains with seed 0, `query(arch, seed=s)` with that seed. Each training is kept for later queries.
    """

    live = True  # every seed can be asked for, whatever `seeds` lists

    def __init__(self, header: Header, device: str = "cpu", space: SearchSpace | None = None) -> None:
        """`space` may be a view of the header's."""
        try:
            from nasbench_evs.training.retrain import Retrainer
        except ModuleNotFoundError as error:
            raise UnknownBenchmark(
                f"source='train' needs {error.name}, which is not installed: pip install 'nasbench-evs[train]'"
            ) from None

        self.header = header
        self.space = header.space if space is None else space
        self.dataset = header.dataset
        self.metric = header.metric
        self._device = device
        self._retrainer = Retrainer(header, device)
        self._trained: dict[tuple[bytes, int], TableBenchmark] = {}

    def __reduce__(self) -> tuple[object, ...]:
        # The data does not travel with it: it is mapped again where it arrives.
        return TrainingBenchmark, (self.header, self._device, self.space)

    def __repr__(self) -> str:
        return f"<training benchmark {self.dataset}: {self.space.name}, {self.metric.name}>"

    @property
    def epochs(self) -> int:
        return self._retrainer.protocol.epochs

    def view(self, space: SearchSpace) -> TrainingBenchmark:
        _check_view(space, self.space)
        other = object.__new__(TrainingBenchmark)  # which need not prepare the data again
        other.__dict__.update(self.__dict__, space=space, _trained={})
        return other

    def _query(self, architecture: Architecture, question: Question) -> Score:
        split, epoch, seed, distilled = question
        if distilled:
            raise NotRecorded("live training has no teachers: use distilled=False")
        if epoch is not None and not 1 <= epoch <= self._retrainer.protocol.epochs:
            raise NotRecorded(f"epoch {epoch}: an architecture is trained for {self._retrainer.protocol.epochs} epochs")
        if seed is not None and seed >= 2**63:
            raise InvalidQuery(f"seed {seed}: expected at most {2**63 - 1}")
        self.space.stack([architecture])  # says what is wrong with it
        return (
            self._training(architecture, seed or 0)
            .query(architecture, split=split, epoch=epoch)
            ._replace(source="train")
        )

    def _query_many(self, choices: np.ndarray, question: Question) -> Scores:
        answers = [self._query(architecture, question) for architecture in self.space.architectures(choices)]
        columns = {
            name: np.array([getattr(answer, name) for answer in answers], kind)
            for name, kind in (
                ("value", float), ("std", float), ("noise_std", float), ("source", "U5"), ("trainings", np.int64),
                ("seconds", float),
            )
        }  # fmt: skip
        name, direction = self.metric[:2]
        return Scores(metric=name, direction=direction, split=question.split, epoch=question.epoch, **columns)

    def _training(self, architecture: Architecture, seed: int) -> TableBenchmark:
        key = (architecture.key, seed)
        if key not in self._trained:
            whole = self.header.space
            choices = lift(self.space.stack([architecture]), self.space, whole)
            table = self._retrainer.train(whole.architectures(choices)[0], seed)
            self._trained[key] = TableBenchmark(table.view(self.space))
        return self._trained[key]

    def seeds(self, architecture: Architecture, *, distilled: bool = False) -> tuple[int, ...]:
        """The seeds trained so far."""
        self.space.stack([architecture])  # says what is wrong with it
        return tuple(sorted(seed for key, seed in self._trained if key == architecture.key and not distilled))

    def records(self, architecture: Architecture) -> pd.DataFrame:
        """Every training of the architecture so far, curves included, as `Table.to_frame` gives it."""
        import pandas as pd

        self.space.stack([architecture])
        frames = [bench.records(architecture) for (key, _), bench in self._trained.items() if key == architecture.key]
        if not frames:
            raise NotRecorded(f"{architecture} was not trained yet: query it first")
        return pd.concat(frames, ignore_index=True)

    def cost_many(self, architectures: Architectures) -> Cost:
        return self.space.cost_many(self._choices(architectures), self._retrainer.inputs.shape)


def _check_view(space: SearchSpace, whole: SearchSpace) -> None:
    """InvalidSpace unless `space` is `whole`, a view of it, or a view of one."""
    lift(np.empty((0, len(space.choices)), np.int8), space, whole)


def load(name: str | Path, space: str | None = None, *, source: str = "auto", device: str = "cpu") -> Benchmark:
    """Open a benchmark: a shipped one by the name of its dataset, or a table file by its path.

    `space` is the label of a space where a dataset has several ("seqnas" is the default; see `benchmarks()`), or its name if
    that is unambiguous ("ffn" for "ffn-3"), or a part of a space, "seqnas-s": a view with its own ranks and neighbours over
    what there is of the whole. `source`: "table" answers only for what was trained, "surrogate" predicts every
    architecture, "auto" takes the table where it can and the surrogate elsewhere
    (the table alone if none is fitted, the surrogate alone if nothing of a part is recorded). Works offline; needs no PyTorch.
    "train" trains what is asked for, on `device`, by the table's protocol: it needs PyTorch (the `train` extra) and the
    prepared dataset.
    """
    if source not in SOURCES:
        raise InvalidQuery(f"unknown source {source!r}: expected one of {', '.join(SOURCES)}")
    path = find_table(name, space)
    bench = _open(path, source, device)
    return bench.view(subspace(space, bench.space)) if space in SUBSPACES else bench


def _open(path: Path, source: str, device: str) -> Benchmark:
    if source == "train":
        return TrainingBenchmark(read(path).header, device)
    fitted = locations.surrogate_of(path)
    table = None if source == "surrogate" else TableBenchmark(read(path))
    if table is not None and (source == "table" or not fitted.is_dir()):
        return table
    if not fitted.is_dir():
        raise UnknownBenchmark(
            f"no surrogate is fitted for {path}: run nasbench-evs surrogate fit {path}, or use source='table'"
        )
    from nasbench_evs.surrogate import Surrogate

    predicted = SurrogateBenchmark(Surrogate.load(fitted))
    written = read_reference_sha256(path) if table is None else table.table.reference_sha256
    predicted.surrogate.check_belongs_to(written, path)
    return predicted if table is None else AutoBenchmark(table, predicted)


def find_table(name: str | Path, space: str | None = None) -> Path:
    """The file that `load` opens for this name or path, and this space: of a part of a space, the file of the whole."""
    if not isinstance(name, str | Path):
        raise UnknownBenchmark(f"{name!r} is a {type(name).__name__}: expected a name of nasbench-evs list, or a path")
    path = Path(name)
    if path.suffix in (".h5", ".hdf5") or len(path.parts) > 1:
        if space is not None and space not in SUBSPACES:
            raise InvalidQuery(
                f"space {space!r} goes with the name of a dataset: the table at {path} is of one space, of which a part can be "
                f"named ({', '.join(SUBSPACES)})"
            )
        if not os.path.isfile(path):
            raise UnknownBenchmark(
                f"no table at {path}: expected the path of a table (*.h5) or a name of nasbench-evs list"
            )
        return path
    shipped = locations.shipped_tables()
    spaces = [s for dataset, s in shipped if dataset == str(name)]
    if not spaces:
        names = sorted({dataset for dataset, _ in shipped})
        raise UnknownBenchmark(
            f"no benchmark {str(name)!r}: expected one of {', '.join(names)}, or the path of a table (*.h5)"
        )
    if space is None:
        if len(spaces) > 1 and networks.DEFAULT not in spaces:
            raise UnknownBenchmark(f"{name} has several spaces: name one of {', '.join(spaces)} (space=..., --space)")
        space = networks.DEFAULT if networks.DEFAULT in spaces else spaces[0]
    found = networks.of_label(SUBSPACES[space].space if space in SUBSPACES else space, spaces)
    if len(found) > 1:
        raise UnknownBenchmark(f"{name} has several spaces {space!r}: name one of {', '.join(found)}")
    if not found:
        raise UnknownBenchmark(f"{name} has no table of the space {space!r}: expected one of {', '.join(spaces)}")
    return shipped[str(name), found[0]]


def benchmarks() -> pd.DataFrame:
    """What can be loaded by name, one row each: dataset, space, records, architectures, best score, sources, ..."""
    import pandas as pd

    return pd.DataFrame(list_benchmarks())


def list_benchmarks() -> list[dict[str, object]]:
    """The rows of `benchmarks()` as plain dicts."""
    rows: list[dict[str, object]] = []
    for (dataset, space), path in locations.shipped_tables().items():
        bench = TableBenchmark(read(path))
        table = bench.table
        best = bench.metric.sign * np.nanmax(bench.metric.sign * table.scores("valid"))
        rows.append(
            {
                "dataset": dataset,
                "space": space,
                "size": bench.space.size,
                "records": len(table),
                "architectures": len(bench.pool),
                "epochs": 0 if table.header.curves == "best" else table.epochs,
                "metric": bench.metric.name,
                "best_valid": round(float(best), 4),
                "surrogate": locations.surrogate_of(path).is_dir(),
            }
        )
    return rows
