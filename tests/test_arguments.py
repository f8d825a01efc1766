"""A clear line for a wrong argument, and the calls that once crashed, answered or raised errors of Python's own."""

import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nasbench_evs as nb
from nasbench_evs import arguments, search, spaces
from nasbench_evs.errors import (
    DatasetError,
    InvalidArchitecture,
    InvalidQuery,
    InvalidSpace,
    MergeConflict,
    NasbenchError,
)
from nasbench_evs.errors import TableFormatError as BadTable

ENDLESS: list = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: arguments.check_int("k", True, 1), "k = True: expected an integer of 1 or more"),
        (lambda: arguments.check_int("k", 1.0, 1), "k = 1.0: expected"),
        (lambda: arguments.check_int("k", 2**70, 1, 5), r"k = \d+: expected an integer from 1 to 5"),
        (lambda: arguments.check_int("k", 10**5000, 1), "k = <int instance>: expected"),
        (lambda: arguments.check_float("x", math.nan), "x = nan: expected a finite number"),
        (lambda: arguments.check_float("x", 1j), "x = 1j: expected a finite number"),
        (lambda: arguments.check_float("x", 10**400), "x = 10+: expected|x = 10+[.]+0+: expected"),
        (lambda: arguments.check_float("x", -1, 0), "x = -1: expected a finite number of at least 0"),
        (lambda: arguments.one_of("split", np.array(["valid"]), ["valid"]), "expected one of valid"),
        (lambda: arguments.one_of("split", "vallid", ["valid"]), "did you mean 'valid'"),
        (lambda: arguments.check_bool("noise", 1), "noise = 1: expected True or False"),
        (lambda: arguments.as_path("path", 3), "path = 3: expected a path"),
        (lambda: arguments.as_path("path", "a\0b"), "expected a path"),
        (lambda: arguments.as_path("path", "\ud800x\ud8ff"), "expected a path"),
        (lambda: arguments.as_path("path", ""), "expected a path"),
        (lambda: arguments.as_path("path", b"name"), "expected a path"),
        (lambda: arguments.as_list("texts", "abc", "a list of texts"), "texts: expected a list of texts, got 'abc'"),
        (lambda: arguments.as_list("texts", np.array(3), "a list of texts"), "expected a list of texts"),
        (lambda: arguments.as_integers("rows", [0.5], 0, 3), "rows = .*: expected integers from 0 to 3"),
        (lambda: arguments.as_integers("rows", [4], 0, 3), "expected integers from 0 to 3"),
        (lambda: arguments.as_integers("rows", ENDLESS, 0, 3), "expected integers from 0 to 3"),
        (lambda: arguments.of_kind("space", 3, str, "a name"), "space = 3: expected a name"),
    ],
)
def test_what_is_no_argument(check, message):
    with pytest.raises(InvalidQuery, match=message):
        check()


def test_what_is_an_argument():
    assert arguments.check_int("k", np.int64(3), 1) == 3
    assert arguments.check_float("x", np.float32(0.5)) == 0.5
    assert arguments.check_bool("noise", np.True_) is True
    assert arguments.as_path("path", Path("a")) == arguments.as_path("path", "a")
    assert arguments.as_list("texts", iter("ab"), "a list") == ["a", "b"]
    assert arguments.as_integers("rows", [], 0, 3).shape == (0,)
    assert arguments.as_integers("rows", [[1, 2]], 0, 3).tolist() == [[1, 2]]


BENCH = nb.load("digits", source="table")
SPACE = BENCH.space
SEQNAS = spaces.SeqNASSpace()
ARCH = BENCH.space.architectures(BENCH.pool[:1])[0]
SHAPE = spaces.VectorShape(3, 2)

# Found by benchmarks/calls.py, or by hand: the call, the kind of error, and what it says.
CORPUS = [
    ("ranks of indices out of range", lambda: SPACE.rank_many(np.full((2, 3), 99)), InvalidArchitecture, "index 99"),
    ("ranks of inactive choices", lambda: SEQNAS.rank_many(np.full((1, 19), 0)), InvalidArchitecture, "-1 elsewhere"),
    ("ranks of eight bits too many", lambda: SPACE.rank_many(np.full((1, 3), 256)), InvalidArchitecture, "index 256"),
    ("AVecs of NaN", lambda: SPACE.encode_many(np.full((1, 3), math.nan)), InvalidArchitecture, "float64"),
    ("AVecs of a ragged list", lambda: SPACE.encode_many([[1], [1, 2]]), InvalidArchitecture, "integer array"),
    ("an AVec of a row of another space", lambda: SPACE.encode_row(np.zeros(2, np.int8)), InvalidArchitecture, "shape"),
    (
        "an AVec of masked indices",
        lambda: SPACE.encode_row(np.ma.masked_all(3, np.int64)),
        InvalidArchitecture,
        "index|shape",
    ),
    (
        "AVecs into what is too narrow",
        lambda: SPACE.encode_into(BENCH.pool[:2], np.zeros((2, 3))),
        InvalidQuery,
        "out = ",
    ),
    ("completing what is no option", lambda: SPACE.complete(np.full((1, 3), 99)), InvalidArchitecture, "index 99"),
    ("completing more than eight bits", lambda: SPACE.complete(np.full((1, 3), 2**40)), InvalidArchitecture, "index"),
    (
        "active under what is no option",
        lambda: SEQNAS.is_active(4, np.full((1, 19), 99)),
        InvalidArchitecture,
        "index 99",
    ),
    ("active in a column that is none", lambda: SEQNAS.is_active(99, BENCH.pool), InvalidQuery, "from 0 to 18"),
    ("costs of inactive choices", lambda: SPACE.cost_many(np.full((1, 3), -1), SHAPE), InvalidArchitecture, "index -1"),
    (
        "costs of a shape that is none",
        lambda: SPACE.cost_many(BENCH.pool[:1], None),
        InvalidArchitecture,
        "VectorShape",
    ),
    ("a seed that ended the process", lambda: SPACE.sample(ENDLESS), InvalidQuery, "expected an integer of 0 or more"),
    ("a seed of truth", lambda: SPACE.sample(True), InvalidQuery, "expected an integer of 0 or more"),
    (
        "a rank of too many digits",
        lambda: SPACE.unrank(10**5000),
        InvalidArchitecture,
        "rank <int instance> is out of range",
    ),
    ("ranks of nothing", lambda: SPACE.unrank_many(None), InvalidArchitecture, "ranks: expected integers"),
    (
        "texts of one text",
        lambda: SPACE.parse_many("8-8-8"),
        InvalidArchitecture,
        "expected a list of canonical strings",
    ),
    ("the text of an array", lambda: SPACE.format(BENCH.pool), InvalidArchitecture, "is a ndarray: expected an Arch"),
    (
        "the text of another space",
        lambda: SEQNAS.format(ARCH),
        InvalidArchitecture,
        "is of the space <search space ffn",
    ),
    ("a stack of a scalar", lambda: SPACE.stack(np.array(3)), InvalidArchitecture, "expected a list of Architectures"),
    ("options of a list", lambda: SPACE.from_options([1]), InvalidArchitecture, "expected {choice: option}"),
    (
        "an option that is an array",
        lambda: SPACE.from_options({"layer.0": np.ones(2)}),
        InvalidArchitecture,
        "no option",
    ),
    (
        "conditions of NotImplemented",
        lambda: SPACE.from_choices({"a": [1]}, NotImplemented),
        InvalidSpace,
        "conditions",
    ),
    ("parameters of a list", lambda: type(SPACE).from_parameters("ffn", [1]), InvalidSpace, "parameters = "),
    ("a view of no space", lambda: spaces.RestrictedSpace(None, {}), InvalidSpace, "is no search space"),
    ("lifted from nothing", lambda: spaces.lift(BENCH.pool, None, SPACE), InvalidSpace, "is no search space"),
    (
        "weights that are not numbers",
        lambda: spaces.Choice("a", (1, 2), weights=(math.nan, 1)),
        InvalidSpace,
        "weights",
    ),
    ("choices of a generator", lambda: spaces.Choice("a", iter(())), InvalidSpace, "0 options"),
    ("a shape of a set", lambda: spaces.VectorShape(set(), 1), InvalidSpace, "inputs = set"),
    ("an endless shape", lambda: spaces.VectorShape(2**62, 2), InvalidSpace, "from 1 to"),
    ("fields without widths", lambda: spaces.SequenceShape([[1]], 1, 1, 1, 1, 1), InvalidSpace, "categorical = "),
    ("numerical of an array", lambda: spaces.SeqNASSpace(np.ones(2)), InvalidSpace, "numerical = "),
    (
        "a split of several",
        lambda: BENCH.query(ARCH, split=np.array(["valid", "test"])),
        InvalidQuery,
        "unknown split ",
    ),
    (
        "a regime of an array",
        lambda: BENCH.true_values([ARCH], np.array(["clean", "noisy"])),
        InvalidQuery,
        "unknown regime ",
    ),
    ("seeds of a frame", lambda: BENCH.query_many([ARCH], seed=pd.DataFrame()), InvalidQuery, "seed "),
    ("noise of a frame", lambda: BENCH.observe(ARCH, noise=pd.DataFrame()), InvalidQuery, "noise = "),
    (
        "costs of several names",
        lambda: BENCH.costs([ARCH], np.array(["params", "flops"])),
        InvalidQuery,
        "unknown cost ",
    ),
    ("a view of a text", lambda: BENCH.view("seqnas"), InvalidSpace, "is no search space"),
    ("an index of an index", lambda: BENCH.holds_one(ARCH, None), InvalidQuery, "distilled = None"),
    ("a limit of a text", lambda: nb.load("landscape:nk-1").best_within("x"), InvalidQuery, "limit = 'x'"),
    ("a source of a Series", lambda: nb.load("digits", source=pd.Series(["a", "b"])), InvalidQuery, "unknown source "),
    ("a space of bytes", lambda: nb.load("digits", b""), NasbenchError, "space = b''"),
    ("a column that is none", lambda: BENCH.table["nowhere"], InvalidQuery, "column = 'nowhere': expected one of"),
    ("a column of a dict", lambda: BENCH.table[{}], InvalidQuery, "column = {}"),
    ("an epoch of half", lambda: BENCH.table.scores("valid", 0.5), InvalidQuery, "epoch 0.5"),
    ("epochs of others", lambda: BENCH.table.at_epoch("valid_curve", [1, 2]), InvalidQuery, "one for each record"),
    ("a curve that is none", lambda: BENCH.table.at_epoch("seed", 1), InvalidQuery, "is no curve"),
    ("rows outside", lambda: BENCH.table.select([10**6]), InvalidQuery, "rows = "),
    ("rows of a text", lambda: BENCH.table.seconds(None, "x"), InvalidQuery, "expected a slice"),
    ("a training of an array", lambda: BENCH.table.training(np.array([1.5])), InvalidQuery, "row = "),
    ("a line of a dict", lambda: BENCH.table.stating({}), InvalidQuery, "verified = {}"),
    ("nothing merged", lambda: nb.tables.merge(True), MergeConflict, "tables: expected a list"),
    ("names for others", lambda: nb.tables.merge([BENCH.table], ["a", "b"]), MergeConflict, "1 tables with 2 names"),
    ("nothing verified", lambda: nb.tables.verify(None), BadTable, "table = None"),
    ("a table of no header", lambda: nb.tables.build(np.ones(2), choices=BENCH.pool), BadTable, "header = "),
    ("a domain of a text", lambda: search.Domain("ffn"), InvalidSpace, "is no search space"),
    (
        "a domain on nothing",
        lambda: search.Domain.on(Ellipsis),
        InvalidQuery,
        "Ellipsis is no benchmark: expected what nb.load",
    ),
    ("a domain's seed", lambda: search.Domain(SPACE).sample("x"), InvalidQuery, "seed 'x'"),
    ("nearest to what is none", lambda: search.Domain(SPACE).nearest([1], 0), InvalidArchitecture, r"row = \[1\]"),
    ("a searcher of a list", lambda: search.searcher_class([]), InvalidQuery, r"unknown searcher \[\]"),
    (
        "parameters of an array",
        lambda: search.run_with("random", BENCH, budget=1, parameters=np.ones(2)),
        InvalidQuery,
        "param",
    ),
    (
        "scores too large",
        lambda: search.searcher_class("random")[0](SPACE).tell([ARCH], [10**400]),
        InvalidQuery,
        "scores",
    ),
    ("recommended by half", lambda: search.searcher_class("random")[0](SPACE).recommend(0.5), InvalidQuery, "n = 0.5"),
    ("a dataset of bytes", lambda: nb.datasets.open_dataset(b"digits"), DatasetError, "is no name for a dataset"),
    (
        "marks of a number",
        lambda: nb.compare(["random"], ["landscape:nk-1"], marks=2),
        InvalidQuery,
        "marks: expected a list",
    ),
    (
        "an epoch of many digits",
        lambda: BENCH.query(ARCH, epoch=10**5000),
        NasbenchError,
        "epoch <int instance> is not",
    ),
    ("the name of a book", lambda: nb.load("x" * 50_000), NasbenchError, "no benchmark 'x*[.][.][.]x*'"),
    (
        "fields of nothing",
        lambda: nb.datasets.Schema("a", None, (), (), (), (), None, 1),
        DatasetError,
        "categorical: ",
    ),
    ("shares of a number", lambda: nb.datasets.Rules("a", (), "x", 1, shares=0.5), DatasetError, "shares"),
]


@pytest.mark.parametrize(("call", "error", "message"), [each[1:] for each in CORPUS], ids=[each[0] for each in CORPUS])
def test_calls_that_once_went_wrong(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert "at 0x" not in str(caught.value)


@pytest.mark.parametrize("seed", [Decimal(1), Fraction(1, 2), "1", [1, 2], -1, math.nan, np.array([1]), object()])
def test_seeds_are_integers_or_generators(seed):
    with pytest.raises(NasbenchError, match="expected an integer of 0 or more, or a numpy Generator"):
        SPACE.sample_many(2, seed)
