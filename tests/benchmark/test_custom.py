"""Bring your own: frames and functions become benchmarks, and every searcher runs on them."""

import numpy as np
import pandas as pd
import pytest

import nasbench_evs as nb
from nasbench_evs import search, spaces, tables
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery, InvalidSpace, NotRecorded
from nasbench_evs.metrics import Metric

SPACE = spaces.SearchSpace.from_choices(
    {"op": ["conv", "attention"], "heads": [1, 2, 4], "norm": [False, True]}, {"heads": {"op": ["attention"]}}
)


def frame():
    return pd.DataFrame(
        {
            "op": ["conv", "attention", "attention", "attention"],
            "heads": [None, 2, 2, 4],
            "norm": [True, False, False, True],
            "accuracy": [0.5, 0.75, 0.25, np.nan],
            "held_out": [0.5, 0.5, 0.25, np.nan],
            "took": [1.0, 2.0, 4.0, 0.5],
            "params": [10, 20, 20, 40],
            "flops": [1, 2, 2, 4],
        }
    )


def test_a_frame_answers_queries(tmp_path):
    bench = nb.from_frame(SPACE, frame(), score="accuracy", test="held_out", seconds="took")
    twice = SPACE.parse("op=attention,heads=2,norm=False")
    answer = bench.query(twice)
    assert (answer.value, answer.trainings, answer.seconds, answer.metric) == (0.5, 2, 3.0, "accuracy")
    assert bench.seeds(twice) == (0, 1)
    assert bench.query(twice, seed=1, split="test").value == 0.25
    assert bench.cost(twice).params == 20
    assert np.isnan(bench.query(SPACE.parse("op=attention,heads=4,norm=True")).value)  # it failed
    with pytest.raises(NotRecorded, match="is not recorded"):
        bench.query(SPACE.parse("op=conv,norm=False"))
    # What pandas writes and reads back means the same.
    frame().to_csv(tmp_path / "scores.csv", index=False)
    read = nb.from_frame(SPACE, pd.read_csv(tmp_path / "scores.csv"), score="accuracy")
    assert read.query(twice).value == 0.5


@pytest.mark.parametrize(("known", "other"), [("params", "flops"), ("flops", "params")])
def test_a_constraint_needs_the_cost_that_it_names(known, other):
    bench = nb.from_frame(SPACE, frame().drop(columns=other), score="accuracy")
    limit = 10 if known == "params" else 1
    result = search.run("random", bench, budget=5, seed=0, constraint={known: limit})
    assert [str(trial.architecture) for trial in result.trials] == ["op=conv,norm=True"]
    assert bench.costs(bench.pool, known).tolist() == frame().groupby(["op", "norm"], sort=False)[known].max().tolist()
    with pytest.raises(NotRecorded, match=f"the cost {other} of op=.* on custom is not recorded"):
        search.run("random", bench, budget=5, seed=0, constraint={other: 3})
    with pytest.raises(NotRecorded, match=f"the cost {other} of"):
        bench.cost(SPACE.parse("op=conv,norm=True"))
    with pytest.raises(InvalidQuery, match="unknown cost 'latency': expected one of params, flops"):
        bench.costs(bench.pool, "latency")


def test_named_seeds_and_directions():
    made = frame().assign(seed=[7, 3, 9, 1], accuracy=[0.5, 0.75, 0.25, 0.9])
    bench = nb.from_frame(SPACE, made, score="accuracy", direction="min")
    assert bench.seeds(SPACE.parse("op=attention,heads=2,norm=False")) == (3, 9)
    result = search.run("random", bench, budget=5, seed=0)
    assert result.best.value == min(trial.value for trial in result.trials) > 0


@pytest.mark.parametrize("name", ["f1", "Fläche unter der Kurve", "accuracy", "log_loss"])
@pytest.mark.parametrize("direction", ["max", "min"])
def test_a_metric_of_ones_own_is_written_and_read(tmp_path, name, direction):
    """Also one called as the library calls one of its own, which has another direction or range."""
    made = frame().rename(columns={"accuracy": name}).assign(**{name: [95.0, -3.0, 7.0, np.nan]})
    bench = nb.from_frame(SPACE, made, score=name, direction=direction)
    tables.write(bench.table, tmp_path / "own.h5")
    back = tables.read(tmp_path / "own.h5")
    tables.verify(back)
    assert back.header.metric == bench.metric == Metric(name, direction, -np.inf, np.inf)
    assert back.content_sha256 == bench.table.content_sha256
    again = nb.load(tmp_path / "own.h5")
    best = search.run("random", again, budget=5, seed=0).best
    assert best.value == 95.0 if direction == "max" else best.value < 95.0
    assert again.query(SPACE.parse("op=conv,norm=True")).direction == direction


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"score": "f1"}, "no column 'f1': its columns are op, heads"),
        (
            {"op": ["pool", "conv", "conv", "conv"]},
            {},
            "row 0: op = 'pool' is no option: expected one of conv, attention",
        ),
        ({"heads": [1, 2, 2, 4]}, {}, "heads has index 0: expected 0 to 2 where op = attention, -1 elsewhere"),
        ({"accuracy": ["a", "b", "c", "d"]}, {}, "column 'accuracy' holds .*: expected numbers"),
        ({"accuracy": [np.inf, 0, 0, 0]}, {}, "row 0: accuracy is infinite"),
        ({"params": [1.5, 2, 2, 4]}, {}, "row 0: params = 1.5: expected an integer"),
        ({"two\nlines": 0.5}, {"score": "two\nlines"}, "a metric called 'two.*nlines': expected printable text"),
        ({}, {"direction": "up"}, "direction = 'up': expected one of max, min"),
    ],
)
def test_wrong_frames(change, arguments, message):
    with pytest.raises((InvalidQuery, InvalidArchitecture), match=message):
        nb.from_frame(SPACE, frame().assign(**change), **{"score": "accuracy", **arguments})


def test_an_empty_frame():
    with pytest.raises(InvalidQuery, match="no rows"):
        nb.from_frame(SPACE, frame()[:0], score="accuracy")


def test_a_function_is_called_once_for_each_architecture():
    calls = []

    def train(architecture):
        calls.append(architecture)
        return architecture.options.get("heads", 0) + architecture["norm"]

    bench = nb.from_function(SPACE, train)
    result = search.run("evolution", bench, budget=50, seed=0)
    assert len(calls) == SPACE.size == len(result.trials)
    assert result.best.value == 5
    assert str(result.best.architecture) == "op=attention,heads=4,norm=True"
    assert bench.query(result.best.architecture).source == "function"
    assert len(calls) == SPACE.size


def test_a_function_with_seeds():
    bench = nb.from_function(SPACE, lambda architecture, seed=0: float(seed), direction="min")
    architecture = SPACE.unrank(0)
    assert bench.query(architecture, seed=4).value == 4
    assert search.run("random", bench, budget=3, seed=6).best.value == 6
    with pytest.raises(NotRecorded, match="takes no seed"):
        nb.from_function(SPACE, lambda architecture: 1.0).query(architecture, seed=1)


def test_wrong_functions():
    with pytest.raises(InvalidQuery, match="gave 'good' for .*: expected one number"):
        nb.from_function(SPACE, lambda architecture: "good").query(SPACE.unrank(0))
    with pytest.raises(InvalidQuery, match="cannot be called"):
        nb.from_function(SPACE, 3)
    with pytest.raises(InvalidSpace, match="no search space"):
        nb.from_function({"a": [1]}, len)
    bench = nb.from_function(SPACE, lambda architecture: 1.0)
    for question in ({"split": "test"}, {"epoch": 1}, {"distilled": True}):
        with pytest.raises(NotRecorded, match="validation scores only"):
            bench.query(SPACE.unrank(0), **question)
    with pytest.raises(NotRecorded, match="costs .* unknown"):
        search.run("random", bench, budget=2, constraint={"params": 3})


def ten_thousand():
    """A table of 10,000 architectures: a smooth score with interactions, and noise between seeds."""
    space = spaces.SearchSpace.from_choices({f"c{i}": list(range(10)) for i in range(4)})
    choices = space.unrank_many(np.arange(space.size, dtype=np.uint64)).astype(float)
    rng = np.random.default_rng(0)
    peak = np.array([2, 7, 5, 3])
    score = (
        -((choices - peak) ** 2).sum(axis=1)
        - 0.5 * np.abs(choices[:, 0] - choices[:, 1])
        + rng.normal(0, 1, len(choices))
    )
    made = pd.DataFrame(choices.astype(int), columns=[c.name for c in space.choices]).assign(score=score)
    return nb.from_frame(space, made, score="score")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evolution", "local", "bananas", "pnasm"])
def test_searchers_beat_random_search_where_the_optimum_is_known(name):
    from scipy.stats import t

    bench = ten_thousand()
    best = np.nanmax(bench.query_many(bench.pool).value)
    found = {
        each: np.array([best - search.run(each, bench, budget=150, seed=seed).best.value for seed in range(seeds)])
        for each, seeds in ((name, 12), ("random", 40))
    }
    margin = t.ppf(0.975, 11) * found[name].std(ddof=1) / 12**0.5
    assert found[name].mean() + margin < found["random"].mean()
