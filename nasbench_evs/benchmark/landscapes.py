"""Made landscapes: benchmarks whose true values a formula gives, to develop searchers on and to test them.

Real tables are what searchers are compared on, so nothing may be tuned on them; these are for that. Every architecture has
one exact value, the optimum is known, and a score with a seed adds noise that depends on (architecture, seed) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nasbench_evs.arguments import check_float, of_kind
from nasbench_evs.benchmark.base import Architectures, Benchmark
from nasbench_evs.benchmark.score import Best, Question, Score, Scores
from nasbench_evs.errors import InvalidQuery, NotRecorded, UnknownBenchmark, did_you_mean, shown
from nasbench_evs.metrics import own_metric
from nasbench_evs.spaces import Architecture, Cost, SearchSpace
from nasbench_evs.surrogate.ensemble import blocks
from nasbench_evs.surrogate.noise import standard_normal

PREFIX = "landscape:"  # of what `nb.load` calls them
_BLOCK = 1 << 16  # architectures that are enumerated together

Formula = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Landscape:
    """What a landscape is made of. The functions take choice indices (N, C), -1 where a choice is not active.

    `values` and `noise` give the true values and the standard deviations of the noise, (N,); `costs` parameters and FLOPs,
    int64 (N,) each. `limit` is the constraint that the landscape is made for.
    """

    about: str
    space: SearchSpace
    values: Formula
    noise: Formula | None = None
    costs: Callable[[np.ndarray], Cost] | None = None
    limit: Mapping[str, float] | None = None


class LandscapeBenchmark(Benchmark):
    """Answers by a formula: the true value without a seed, the value of a noisy training with one; larger is better.

    Validation and test split have the same true value, and noise of their own: a search is judged by the true value in every
    regime, and the optimum is exact. There are no epochs and no seconds.
    """

    lookup = True

    def __init__(self, name: str) -> None:
        self.landscape = landscape = _make(name)
        self.name, self.dataset = name, f"{PREFIX}{name}"
        self.space, self.limit = landscape.space, landscape.limit
        self.metric = own_metric("score", "max")

    def __repr__(self) -> str:
        return f"<landscape {self.name}: {self.space.size:,} architectures, {self.landscape.about}>"

    def __reduce__(self) -> tuple[object, ...]:
        return LandscapeBenchmark, (self.name,)

    def best_within(self, limit: Mapping[str, float] | None) -> Best:
        """The best of the architectures that keep a constraint, such as `{"params": 40_000}`; InvalidQuery if none does."""
        choices, values = self._everything
        limit = (
            {} if limit is None else of_kind("limit", limit, Mapping, "the largest allowed costs, {'params': 40_000}")
        )
        for name, most in limit.items():
            check_float(f"limit {name}", most)
            values = np.where(self.costs(choices, name) <= most, values, -np.inf)
        at = int(values.argmax())
        if values[at] == -np.inf:
            raise InvalidQuery(f"no architecture of {self.dataset} keeps {shown(limit)}: allow more")
        return Best(self.space.unrank(at), float(values[at]))

    @cached_property
    def _everything(self) -> tuple[np.ndarray, np.ndarray]:
        """All architectures in order of rank, choice indices, and their true values."""
        choices = self.space.unrank_many(np.arange(self.space.size, dtype=np.uint64))
        return choices, np.concatenate([self.landscape.values(choices[part]) for part in blocks(len(choices), _BLOCK)])

    @property
    def recorded_choices(self) -> np.ndarray:
        """All of the space: the value of every architecture is known."""
        return self._everything[0]

    def _true_values(self, choices: np.ndarray, regime: str, seed: int) -> np.ndarray:
        return self.landscape.values(choices)

    def _recorded_values(self, regime: str) -> tuple[np.ndarray, np.ndarray]:
        return self._everything

    @property
    def _exhaustive(self) -> bool:
        return True

    def _query(self, architecture: Architecture, question: Question) -> Score:
        scores = self._query_many(self.space.stack([architecture]), question)
        fields = {name: f.item() if isinstance(f, np.ndarray) else f for name, f in scores._asdict().items()}
        return Score(**fields)

    def _query_many(self, choices: np.ndarray, question: Question) -> Scores:
        if question.epoch is not None:
            raise NotRecorded(f"{self.dataset} has no epoch {question.epoch}: a formula has no curves")
        if question.distilled:
            raise NotRecorded(f"{self.dataset} is a formula: it has no teachers")
        n = len(choices)
        value = self.landscape.values(choices)
        noise = self.landscape.noise(choices) if self.landscape.noise else np.zeros(n)
        if question.seed is not None:
            stream = f"{self.dataset}/{question.split}"
            value = value + noise * standard_normal(stream, self.space.rank_many(choices), question.seed)
        return Scores(
            value, np.full(n, np.nan), np.zeros(n), noise, *self.metric[:2], question.split, None,
            np.full(n, "function"), np.zeros(n, np.int64), np.full(n, np.nan),
        )  # fmt: skip

    def _observe_many(self, choices: np.ndarray, question: Question) -> Scores:
        return self._query_many(choices, question)

    def observed_seed(self, architecture: Architecture, seed: int) -> int:
        return seed

    def seeds(self, architecture: Architecture, *, distilled: bool = False) -> tuple[int, ...]:
        raise NotRecorded("a formula records no seeds: every seed can be asked for, with query(arch, seed=...)")

    def cost_many(self, architectures: Architectures) -> Cost:
        if self.landscape.costs is None:
            raise NotRecorded(f"the architectures of {self.dataset} have no costs")
        return self.landscape.costs(self._choices(architectures))


def load(name: str) -> LandscapeBenchmark:
    """The landscape of that name, one of LANDSCAPES; UnknownBenchmark for another.

    >>> from nasbench_evs.benchmark import landscapes
    >>> bench = landscapes.load("nk-1")
    >>> bench.space.size, round(bench.optimum().value, 3)
    (262144, 0.833)
    """
    return LandscapeBenchmark(name)


def _make(name: str) -> Landscape:
    if name not in LANDSCAPES:
        raise UnknownBenchmark(
            f"no landscape {shown(name)}: expected one of {', '.join(LANDSCAPES)}{did_you_mean(name, LANDSCAPES)}"
        )
    return LANDSCAPES[name]()


# The landscapes


def _plain(name: str, choices: int, options: int) -> SearchSpace:
    return SearchSpace.from_choices({f"c{i}": list(range(options)) for i in range(choices)}, name=name)


def _nk_values(space: SearchSpace, k: int, seed: int) -> Formula:
    """Kauffman's NK model: the mean over choices of random numbers, each decided by a choice and the k after it."""
    n, options = len(space.choices), len(space.choices[0].options)
    table = np.random.default_rng(seed).random((n, options ** (k + 1)))
    weights = options ** np.arange(k + 1)

    def values(choices: np.ndarray) -> np.ndarray:
        around = choices[:, (np.arange(n)[:, None] + np.arange(k + 1)) % n].astype(np.int64)
        return table[np.arange(n), around @ weights].mean(axis=1)

    return values


def _nk(k: int) -> Landscape:
    space = _plain(f"nk-{k}", 9, 4)
    return Landscape(f"NK model, each choice interacts with {k} others", space, _nk_values(space, k, seed=k))


def _plateau() -> Landscape:
    space = _plain("plateau", 9, 4)
    smooth = _nk_values(space, 1, seed=101)
    return Landscape(
        "an NK model with K = 1 rounded to steps of 0.05: most neighbors are equally good",
        space,
        lambda choices: np.floor(smooth(choices) / 0.05) * 0.05,
    )


def _deceptive() -> Landscape:
    """Six traps (Deb and Goldberg 1993) of three choices: up to two right ones are worse than none, three are best."""
    space = _plain("deceptive", 18, 2)
    rng = np.random.default_rng(102)
    right, places = rng.integers(2, size=18), rng.permutation(18).reshape(6, 3)
    gain = np.array([0.8, 0.4, 0.0, 1.0])
    return Landscape(
        "traps of three choices: every single step towards the optimum is a loss but the last",
        space,
        lambda choices: gain[(choices == right)[:, places].sum(axis=2)].mean(axis=1),
    )


def _outliers() -> Landscape:
    """Architectures that fail badly: one pair of options always, others for no reason that their choices tell."""
    space = _plain("outliers", 8, 5)
    smooth = _nk_values(space, 1, seed=103)

    def values(choices: np.ndarray) -> np.ndarray:
        luck = standard_normal("landscape:outliers/luck", space.rank_many(choices), 0)
        depth = np.abs(standard_normal("landscape:outliers/depth", space.rank_many(choices), 0))
        failed = (luck > 1.7) | ((choices[:, 0] == 4) & (choices[:, 1] <= 1))
        return smooth(choices) - failed * np.expm1(1.5 * depth)

    return Landscape("an NK model with K = 1 of which an eighth fails, with heavy tails", space, values)


def _layers_space(name: str) -> SearchSpace:
    """A stem, one to four layers of three operations with options of their own, a head: most choices are conditional."""
    options: dict[str, list[Any]] = {"stem": [1, 3, 5, 7, 9], "depth": [1, 2, 3, 4]}
    conditions: dict[str, dict[str, list[Any]]] = {}
    for layer in range(1, 5):
        options[f"layer.{layer}.op"] = ["conv", "gru", "attention"]
        options[f"layer.{layer}.kernel"] = [3, 5, 7]
        options[f"layer.{layer}.heads"] = [1, 2, 4]
        if layer > 1:
            conditions[f"layer.{layer}.op"] = {"depth": list(range(layer, 5))}
        conditions[f"layer.{layer}.kernel"] = {f"layer.{layer}.op": ["conv"]}
        conditions[f"layer.{layer}.heads"] = {f"layer.{layer}.op": ["attention"]}
    options |= {"head": ["mean", "max", "last", "mean+max"], "dropout": [0.0, 0.1, 0.2, 0.4]}
    return SearchSpace.from_choices(options, conditions, name=name)


def _layers_values(space: SearchSpace, seed: int) -> Formula:
    """Smooth: each active choice adds its share, and so do neighboring operations, stem and first operation, depth."""
    rng = np.random.default_rng(seed)
    # The last column is for inactive choices.
    shares = [np.append(0.06 * rng.random(len(choice.options)), 0.0) for choice in space.choices]
    columns = {choice.name: i for i, choice in enumerate(space.choices)}
    for layer in range(2, 5):  # an operation is worth the same in every layer, the less the deeper
        for part in ("op", "kernel", "heads"):
            shares[columns[f"layer.{layer}.{part}"]] = shares[columns[f"layer.1.{part}"]] / layer
    follows = np.pad(0.08 * (rng.random((3, 3)) - 0.5), (0, 1))
    stem = 0.08 * rng.random((5, 3))

    def values(choices: np.ndarray) -> np.ndarray:
        total = 0.6 + sum(share[choices[:, column]] for column, share in enumerate(shares))
        total += stem[choices[:, 0], choices[:, columns["layer.1.op"]]]
        for layer in range(1, 4):
            pair = [choices[:, columns[f"layer.{each}.op"]] for each in (layer, layer + 1)]
            total += follows[pair[0], pair[1]]
        return np.asarray(total - 0.012 * choices[:, columns["depth"]])

    return values


def _layers() -> Landscape:
    space = _layers_space("layers")
    return Landscape("conditional choices, smooth", space, _layers_values(space, seed=104))


def _noisy() -> Landscape:
    space = _layers_space("noisy")
    return Landscape(
        "conditional choices, smooth; noise as large as the differences, and larger with more dropout",
        space,
        _layers_values(space, seed=105),
        noise=lambda choices: 0.02 + 0.015 * choices[:, -1],
    )


def _constrained() -> Landscape:
    """Widths of five layers: more parameters are better, with less and less gain; the optimum lies at the limit."""
    widths = np.array([8, 16, 24, 32, 48, 64, 96, 128])
    options: dict[str, list[Any]] = {f"layer.{i}": widths.tolist() for i in range(1, 6)}
    options |= {"activation": ["relu", "gelu", "tanh"], "norm": ["none", "layer"]}
    space = SearchSpace.from_choices(options, name="constrained")
    rng = np.random.default_rng(106)
    worth, offset = 0.03 + 0.07 * rng.random(5), rng.integers(0, 3, size=5)
    kinds = 0.05 * rng.random((3, 2))
    logs = np.log2(widths)
    # Looked up, not computed: a value must not depend on the batch that it is computed in.
    shares = np.tanh((logs[:, None] - 2 + offset) / 4) * worth

    def values(choices: np.ndarray) -> np.ndarray:
        layers = choices[:, :5]
        # A layer much wider than the one before it is worth less.
        steps = np.maximum(np.diff(logs[layers], axis=1), 0).sum(axis=1)
        return 0.5 + shares[layers, np.arange(5)].sum(axis=1) + kinds[choices[:, 5], choices[:, 6]] - 0.01 * steps

    def costs(choices: np.ndarray) -> Cost:
        sizes = np.pad(widths[choices[:, :5]], ((0, 0), (1, 1)), constant_values=((0, 0), (32, 2))).astype(np.int64)
        flops = (sizes[:, :-1] * sizes[:, 1:]).sum(axis=1)
        norm = 2 * sizes[:, 1:-1].sum(axis=1) * (choices[:, 6] == 1)
        return Cost(flops + sizes[:, 1:].sum(axis=1) + norm, 2 * flops)

    return Landscape("widths under a limit on parameters", space, values, costs=costs, limit={"params": 6_000})


# name: what makes it
LANDSCAPES: dict[str, Callable[[], Landscape]] = {
    "nk-1": lambda: _nk(1),
    "nk-3": lambda: _nk(3),
    "nk-6": lambda: _nk(6),
    "layers": _layers,
    "plateau": _plateau,
    "deceptive": _deceptive,
    "outliers": _outliers,
    "noisy": _noisy,
    "constrained": _constrained,
}
