"""Arguments for calls.py: right ones by the parameter's name, almost right ones, and what nobody should give."""

from __future__ import annotations

import decimal
import fractions
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import nasbench_evs as nb
from nasbench_evs.metrics import metric
from nasbench_evs.spaces import SequenceShape, VectorShape
from nasbench_evs.tables import Header

SPLITS, REGIMES = ("valid", "test"), ("clean", "noisy", "transfer")
SHAPES = (VectorShape(10, 2), VectorShape(3, 1, "layer"), SequenceShape(((9, 8), (4, 4)), 2, 4, 8, 2, 50))
OPTIONS = {"op": ["conv", "attention"], "heads": [1, 2, 4], "width": [8, 16]}
CONDITIONS = {"heads": {"op": ["attention"]}}


def endless() -> list[Any]:
    """A list that holds itself."""
    found: list[Any] = []
    found.append(found)
    return found


def hostile(rng: random.Random) -> Any:
    """Something of a kind that few functions want."""
    makers: list[Callable[[], Any]] = [
        lambda: None,
        lambda: True,
        lambda: False,
        lambda: 0,
        lambda: -1,
        lambda: 2**63,
        lambda: 2**70,
        lambda: -(2**70),
        lambda: 10**5000,
        lambda: 0.5,
        lambda: 1e308,
        lambda: math.nan,
        lambda: math.inf,
        lambda: -math.inf,
        lambda: 1j,
        lambda: "",
        lambda: "nowhere",
        lambda: "valid ",
        lambda: "a\nb\tc",
        lambda: "\ud800",
        lambda: "\x00",
        lambda: "x" * 50_000,
        lambda: "Ä" * 300,
        lambda: b"",
        lambda: b"digits",
        lambda: bytearray(b"\xff"),
        lambda: memoryview(b"ab"),
        lambda: [],
        lambda: (),
        lambda: {},
        lambda: set(),
        lambda: [None],
        lambda: [[]],
        lambda: [1, [2, 3]],
        lambda: [[1], [2, 3]],
        lambda: [math.nan],
        lambda: [2**70],
        lambda: ["a", 1],
        lambda: [True, False],
        lambda: endless(),
        lambda: {"a": endless()},
        lambda: {None: None},
        lambda: {"": ""},
        lambda: {1: [2]},
        lambda: {"params": math.nan},
        lambda: {"op": ["conv"]},
        lambda: {"\ud800": "\ud800"},
        lambda: object(),
        lambda: object,
        lambda: int,
        lambda: len,
        lambda: lambda x: x,
        lambda: (i for i in range(3)),
        lambda: iter(()),
        lambda: range(3),
        lambda: slice(None),
        lambda: Ellipsis,
        lambda: NotImplemented,
        lambda: np.float64("nan"),
        lambda: np.int64(-3),
        lambda: np.uint64(2**64 - 1),
        lambda: np.bool_(True),
        lambda: np.str_("valid"),
        lambda: np.array(3),
        lambda: np.array("valid"),
        lambda: np.array([]),
        lambda: np.array(["valid", "test"]),
        lambda: np.zeros((2, 0)),
        lambda: np.zeros((0, 3), np.int8),
        lambda: np.full((2, 3), 99),
        lambda: np.full((2, 3), -128, np.int8),
        lambda: np.full((2, 19), 3),
        lambda: np.full((2, 3), 2**63, np.uint64),
        lambda: np.ones((2, 3), bool),
        lambda: np.ones((2, 3)),
        lambda: np.full((2, 3), math.nan),
        lambda: np.array([[None, {}]], object),
        lambda: np.zeros((1, 2, 3), int),
        lambda: np.ma.masked_all(3),
        lambda: np.datetime64("2024-01-01"),
        lambda: np.array([1 + 2j]),
        lambda: np.random.default_rng(0),
        lambda: pd.Series([1, 2]),
        lambda: pd.Series(["a", None]),
        lambda: pd.DataFrame({"a": [1.5, None]}),
        lambda: pd.DataFrame(),
        lambda: pd.NA,
        lambda: pd.NaT,
        lambda: pd.Index(["valid"]),
        lambda: decimal.Decimal("NaN"),
        lambda: fractions.Fraction(1, 3),
        lambda: Path("nowhere"),
        lambda: Path("nowhere.h5"),
        lambda: Path("/dev/null"),
        lambda: Exception("x"),
        lambda: math,
        lambda: type("Odd", (), {})(),
        lambda: type("Loud", (), {"__repr__": lambda self: "many\nlines\n" * 300})(),
    ]
    return rng.choice(makers)()


class Subject:
    """A space, and perhaps a benchmark of it, for which arguments are made."""

    def __init__(self, space: Any, bench: Any = None, table: Any = None) -> None:
        self.space, self.bench, self.table = space, bench, table

    def choices(self, rng: random.Random, n: int) -> np.ndarray:
        """Choice indices (n, C) of what can be answered for."""
        pool = None if self.bench is None else self.bench.pool
        if pool is None:
            return self.space.sample_many(n, rng.randrange(10**6))
        return pool[[rng.randrange(len(pool)) for _ in range(n)]]

    def architectures(self, rng: random.Random, n: int) -> list[Any]:
        return self.space.architectures(self.choices(rng, n))


def almost(value: Any, rng: random.Random) -> Any:
    """Nearly the same: one entry, letter or kind is wrong."""
    if isinstance(value, np.ndarray) and value.size:
        kinds: list[Callable[[np.ndarray], Any]] = [
            lambda a: a.astype(float),
            lambda a: a.astype(str),
            lambda a: a.astype(object),
            lambda a: a.astype(bool),
            lambda a: a[..., :-1],
            lambda a: a[0],
            lambda a: a[None],
            lambda a: a.tolist(),
            lambda a: pd.DataFrame(a.reshape(len(a), -1)),
            lambda a: np.where(
                np.arange(a.size).reshape(a.shape) == rng.randrange(a.size), rng.choice([99, -2, -1, 1]), a
            ),
            lambda a: np.where(np.arange(a.size).reshape(a.shape) == rng.randrange(a.size), 2**40, a.astype(np.int64)),
            lambda a: [*a.tolist(), [1]],
            lambda a: a.T,
            lambda a: np.ma.masked_array(a, True),
            lambda a: iter(a),
        ]
        return rng.choice(kinds)(value)
    if isinstance(value, str):
        at = rng.randrange(len(value) + 1)
        return rng.choice(
            [
                value[:at] + rng.choice("x- \n.9\ud800é") + value[at:],
                value.upper(),
                value[:at],
                value + " ",
                value.encode(),
            ]
        )
    if isinstance(value, bool):
        return rng.choice([int(value), str(value), np.bool_(value), None])
    if isinstance(value, int):
        return rng.choice(
            [float(value), str(value), -value - 1, np.float32(value), np.array(value), [value], value + 100]
        )
    if isinstance(value, list | tuple) and value:
        changed = list(value)
        changed[rng.randrange(len(changed))] = rng.choice(
            [None, changed[0], [changed[0]], str(changed[0]), hostile(rng)]
        )
        return rng.choice(
            [changed, value[0], iter(value), tuple(value), [*value, *value], {each_key(each): each for each in value}]
        )
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        return rng.choice(
            [
                {**value, key: hostile(rng)},
                {**value, "no such": 1},
                {k: v for k, v in value.items() if k != key},
                list(value.items()),
            ]
        )
    return hostile(rng)


def each_key(value: Any) -> Any:
    """What can be a key in place of a value that cannot."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


OTHER = Subject(nb.spaces.SearchSpace.from_choices(OPTIONS, CONDITIONS, name="other"))


def right(name: str, subject: Subject, rng: random.Random) -> Any:
    """An argument that a parameter of this name takes; KeyError for a name that is not known."""
    space = subject.space
    n = rng.choice([0, 1, 1, 2, 5])
    shape = SHAPES[2] if space.whole.name == "seqnas" else SHAPES[rng.randrange(2)]
    makers: dict[str, Callable[[], Any]] = {
        "architecture": lambda: subject.architectures(rng, 1)[0],
        "architectures": lambda: rng.choice([subject.architectures, subject.choices])(rng, n),
        "asked": lambda: subject.architectures(rng, n),
        "choices": lambda: subject.choices(rng, n),
        "row": lambda: subject.choices(rng, 1)[0],
        "text": lambda: str(space.sample(rng.randrange(99))),
        "texts": lambda: [str(each) for each in subject.architectures(rng, n)],
        "rank": lambda: rng.randrange(space.size),
        "ranks": lambda: [rng.randrange(space.size) for _ in range(n)],
        "options": lambda: dict(space.sample(rng.randrange(99)).options) if rng.random() < 0.5 else OPTIONS,
        "conditions": lambda: CONDITIONS,
        "column": lambda: rng.randrange(len(space.choices)),
        "name": lambda: rng.choice(
            [space.choices[0].name, "digits", "nk-1", "random", "params", "valid_score", "roc_auc", "mine"]
        ),
        "index": lambda: 0,
        "option": lambda: space.choices[0].options[0],
        "seed": lambda: rng.choice([0, 1, 2, 7, None]),
        "seeds": lambda: 2,
        "folds": lambda: 2,
        "n": lambda: n,
        "k": lambda: n + 1,
        "low": lambda: 0.0,
        "high": lambda: 1.0,
        "direction": lambda: rng.choice(["max", "min"]),
        "method": lambda: rng.choice(["hierarchical", "uniform"]),
        "sampling": lambda: rng.choice(["hierarchical", "uniform"]),
        "split": lambda: rng.choice(SPLITS),
        "epoch": lambda: rng.choice([None, None, 1, 2]),
        "epochs": lambda: 4,
        "distilled": lambda: rng.random() < 0.2,
        "noise": lambda: rng.random() < 0.5,
        "regime": lambda: rng.choice(REGIMES),
        "shape": lambda: shape,
        "out": lambda: np.empty((n, space.avec_bits + 1), np.uint8),
        "space": lambda: rng.choice([space, space, space, "seqnas-s", None]),
        "parent": lambda: space,
        "whole": lambda: space.whole,
        "spec": lambda: space.spec,
        "parameters": lambda: space.parameters if rng.random() < 0.5 else {},
        "values": lambda: rng.choice(
            [{"inputs": 3, "outputs": 2}, {"metric": "roc_auc"}, dict(space.sample(0).options)]
        ),
        "bench": lambda: subject.bench or nb.load("landscape:nk-1"),
        "benchmarks": lambda: ["landscape:nk-1"],
        "searcher": lambda: rng.choice(["random", "evolution", "local"]),
        "searchers": lambda: ["random", "local"],
        "budget": lambda: rng.choice([3, 8]),
        "seconds": lambda: None,
        "workers": lambda: rng.choice([1, 3]),
        "processes": lambda: 1,
        "marks": lambda: (2,),
        "constraint": lambda: None,
        "limit": lambda: None,
        "limits": lambda: None,
        "pool": lambda: None,
        "costs": lambda: None,
        "source": lambda: rng.choice(["auto", "table", "surrogate"]),
        "device": lambda: None,
        "scores": lambda: [rng.random() for _ in range(n)],
        "table": lambda: subject.table,
        "tables": lambda: [subject.table] * max(1, n),
        "names": lambda: None,
        "rows": lambda: slice(0, 3),
        "curves": lambda: rng.random() < 0.5,
        "header": lambda: Header(space, "made", "made", {"epochs": 1}, metric("roc_auc")),
        "frame": lambda: pd.DataFrame(
            [{**each.options, "score": rng.random()} for each in subject.architectures(rng, n + 1)]
        ),
        "score": lambda: "score",
        "test": lambda: None,
        "function": lambda: lambda architecture: 0.5,
        "path": lambda: f"out-{rng.randrange(10**9)}.h5",
        "folder": lambda: f"out-{rng.randrange(10**9)}",
        "force": lambda: True,
        "rng": lambda: np.random.default_rng(rng.randrange(99)),
        "verified": lambda: "a machine",
        "configuration": lambda: dict(space.sample(0).options),
        "labels": lambda: np.array([0, 1, 1, 0]),
        "probabilities": lambda: np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.5, 0.5]]),
        "predictions": lambda: np.array([0.1, 0.8, 0.6, 0.5]),
        "differences": lambda: np.linspace(0, 1, 10),
        "blocks": lambda: np.arange(4),
        "key": lambda: subject.architectures(rng, 1)[0].key,
    }
    return makers[name]()
