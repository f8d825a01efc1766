"""Odd searchers, odd benchmarks, odd arguments: one clear line, nothing silent."""

import numpy as np
import pandas as pd
import pytest

import nasbench_evs as nb
from nasbench_evs import search, spaces
from nasbench_evs.errors import InvalidQuery, InvalidSpace

SPACE = spaces.SearchSpace.from_choices({"a": list(range(6)), "b": list(range(6)), "c": list(range(6))})


def smooth(direction="max", **columns):
    choices = SPACE.unrank_many(np.arange(SPACE.size, dtype=np.uint64)).astype(int)
    score = -((choices - np.array([4, 1, 3])) ** 2).sum(axis=1)
    frame = pd.DataFrame(choices, columns=["a", "b", "c"]).assign(score=score if direction == "max" else -score)
    return nb.from_frame(
        SPACE,
        frame.assign(**columns),
        score="score",
        direction=direction,
        seconds="took" if "took" in columns else None,
    )


class Odd:
    def __init__(self, space, seed=0, *, answer=None):
        self.space, self.answer = space, answer

    def ask(self, n):
        return self.answer(self.space)

    def tell(self, architectures, scores):
        pass


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda s: s.architectures(s.sample_many(10, 0)), "with 10 items"),
        (lambda s: s.sample_many(1, 0), r"with array.*; space.architectures\(choices\) makes them"),
        (lambda s: list(s.sample_many(1, 0)), r"; space.architectures\(choices\) makes them"),
        (lambda s: ["a=1,b=1,c=1"], r"; space.parse\(text\) makes one of a string"),
        (lambda s: "a", r"with 'a': expected a list of at most 1 architectures; space.parse"),
        (lambda s: s.sample(0), r"; one alone is a list too: \[architecture\]"),
        (lambda s: search.Step(s.sample(0), 1), r"; one alone is a list too"),
        (lambda s: (s.sample(i) for i in range(1)), r"; list\(...\) makes one of a generator"),
        (lambda s: 7, "with 7: expected a list"),
    ],
)
def test_what_ask_must_not_answer(answer, message):
    with pytest.raises(InvalidQuery, match=rf"answered ask\(1\) .*{message}") as caught:
        search.run(Odd, smooth(), budget=5, answer=answer)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("answer", [lambda s: None, lambda s: []])
def test_a_search_that_never_asks_for_anything(answer):
    with pytest.raises(InvalidQuery, match=r"answered its first ask\(1\) with nothing: expected a list of arch"):
        search.run(Odd, smooth(), budget=5, answer=answer)


def test_architectures_of_another_space():
    other = spaces.SearchSpace.from_choices({"a": [1, 2]})
    with pytest.raises(nb.NasbenchError, match="a=1 is of the space .*: expected"):
        search.run(Odd, smooth(), budget=5, answer=lambda s: [other.parse("a=1")])


@pytest.mark.parametrize("method", ["__init__", "ask", "tell", "recommend"])
def test_what_a_searcher_raises_is_said_with_its_line(method):
    def broken(self, *args, **kwargs):
        return [][3]

    cls = type("Broken", (Odd,), {method: broken})
    where = "its constructor" if method == "__init__" else method
    with pytest.raises(
        InvalidQuery, match=rf"^Broken raised IndexError: .* in {where} \(test_mistakes.py, line \d+\)$"
    ):
        search.run(cls, smooth(), budget=1, answer=lambda s: [s.sample(0)])
    with pytest.raises(InvalidQuery, match="Learner raised IndexError: .* in tell"):
        search.run(type("Learner", (search.searcher_class("random")[0],), {"_learn": broken}), smooth(), budget=2)


def test_what_a_library_raises_is_said_with_the_line_that_called_it():
    def broken(self, n):
        return np.linalg.inv(np.zeros((2, 2)))

    with pytest.raises(InvalidQuery, match=r"raised LinAlgError: .* in ask \(test_mistakes.py, line \d+\)$"):
        search.run(type("Broken", (Odd,), {"ask": broken}), smooth(), budget=1, answer=lambda s: [])


@pytest.mark.parametrize("answer", [None, ["x"], 3])
def test_what_is_recommended_must_be_architectures(answer):
    cls = type("Odd2", (Odd,), {"recommend": lambda self, n: answer})
    with pytest.raises(InvalidQuery, match="Odd2 recommends .*: expected a list of up to 3 architectures"):
        search.run(cls, smooth(), budget=1, answer=lambda s: [s.sample(0)])


def test_an_architecture_that_is_not_recorded():
    recorded = nb.load("age", source="table")
    outside = next(
        a for a in map(recorded.space.sample, range(99)) if not recorded.locate(recorded.space.stack([a]))[1][0]
    )
    with pytest.raises(nb.NasbenchError, match="is not recorded"):
        search.run(Odd, recorded, budget=3, answer=lambda s: [outside])


class NoSeed:
    def __init__(self, space):
        pass

    ask = tell = Odd.ask


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"searcher": NoSeed}, "NoSeed cannot be made"),
        ({"searcher": dict}, "dict is no searcher: expected a class with ask and tell; it lacks ask, tell"),
        ({"searcher": "evolutoin"}, "unknown searcher 'evolutoin': .*; did you mean 'evolution'"),
        ({"searcher": search.Searcher}, "Searcher is no searcher"),
        ({"bench": "digits"}, "'digits' is no benchmark: expected what nb.load"),
    ],
)
def test_wrong_searchers_and_benchmarks(arguments, message):
    with pytest.raises(InvalidQuery, match=message):
        search.run(**{"searcher": "random", "bench": smooth(), "budget": 5, **arguments})


@pytest.mark.parametrize("name", ["space", "seed"])
def test_what_is_no_hyper_parameter(name):
    with pytest.raises(InvalidQuery, match=f"{name} is no hyper-parameter"):
        search.run_with("random", smooth(), budget=5, parameters={name: 3})


def test_epochs_are_those_of_the_benchmark():
    bench = nb.load("credit-default", "ffn-3", source="table")
    with pytest.raises(InvalidQuery, match="epochs = 1000: a whole training of this benchmark has 6"):
        search.run("asha", bench, budget=5, epochs=1000)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_local_search_climbs_with_any_number_of_workers(workers):
    bench = smooth()
    found = {
        name: np.mean([search.run(name, bench, budget=60, seed=s, workers=workers).best.value for s in range(10)])
        for name in ("local", "random")
    }
    assert found["local"] > found["random"] + 0.3


def test_proposals_are_never_more_than_asked_for():
    class Generous(search.Searcher):
        def _propose(self, n):
            return self.new(lambda m: self.domain.sample_many(10, self.rng), n)

    class Mean(search.Searcher):
        def _propose(self, n):
            return self.new(lambda m: self.domain.sample_many(0, self.rng), n)

    for space in (SPACE, spaces.SeqNASSpace()):
        assert len(Generous(space).ask(2)) == 2
        assert len(Mean(space).ask(2)) == 2


def test_failed_trainings_take_their_time():
    rows = np.arange(SPACE.size)
    failed = smooth(score=np.where(rows % 10 == 0, np.nan, rows), took=np.where(rows % 10 == 0, 7.0, 2.0))
    result = search.run("random", failed, seconds=200)
    assert result.timed
    assert {round(t.finished - t.started) for t in result.trials} == {2, 7}
    assert all(np.isnan(t.value) == (round(t.finished - t.started) == 7) for t in result.trials)
    unknown = search.run("random", smooth(took=np.where(rows % 10 == 0, np.nan, 2.0)), budget=50)
    assert unknown.timed
    assert {round(t.finished - t.started) for t in unknown.trials} == {2}


def test_seconds_that_are_none():
    with pytest.raises(InvalidQuery, match="negative seconds"):
        smooth(took=-1.0)
    with pytest.raises(InvalidQuery, match="take no time"):
        search.run("random", smooth(took=0.0), seconds=10, replacement=True)


def test_rewards_that_multiply_refuse_negative_scores():
    bench = smooth("min", params=np.arange(SPACE.size) + 1, flops=1)
    for name in ("mnasnet-hard", "mnasnet-soft"):
        with pytest.raises(InvalidQuery, match="must not be negative"):
            search.run(name, bench, budget=20, constraint={"params": 50})


def test_tight_and_impossible_constraints():
    bench = smooth(params=np.arange(SPACE.size) + 1, flops=1)
    tight = search.run("tabnas", bench, budget=30, constraint={"params": 6})
    assert len(tight.trials) >= 4  # of 216, 6 are feasible
    with pytest.raises(InvalidQuery, match="no architecture with params <= 0"):
        search.run("tabnas", bench, budget=30, constraint={"params": 0})
    with pytest.raises(InvalidQuery, match="prices one cost"):
        search.run("tunas-abs", bench, budget=30, constraint={"params": 50, "flops": 3})


class Live(nb.Benchmark):
    """A benchmark that trains with any seed, and lists those it has trained."""

    space, metric, dataset = SPACE, smooth().metric, "made"

    def __init__(self):
        self.trained = []

    def observed_seed(self, architecture, seed):
        return seed

    def _query(self, architecture, question):
        self.trained.append(question.seed)
        return smooth_answer

    def seeds(self, architecture):
        return tuple(self.trained)


SEEDED = spaces.SearchSpace.from_choices({"seed": [1, 2]})
smooth_answer = smooth().query(SPACE.unrank(0))


def test_live_training_uses_the_seed_of_the_search():
    bench = Live()
    search.run("random", bench, budget=3, seed=7)
    assert set(bench.trained) == {7}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nb.from_frame("seqnas", pd.DataFrame(), score="x"), "is no search space: make one with"),
        (lambda: nb.from_frame(SPACE, {"a": [1]}, score="x"), "are a dict: expected a DataFrame"),
        (lambda: nb.from_frame(SEEDED, pd.DataFrame({"seed": [1], "x": [1]}), score="x"), "a choice is called 'seed'"),
        (lambda: nb.from_frame(SPACE, pd.DataFrame({"a": [[1]], "b": [1], "c": [1], "x": [1]}), score="x"), "is no option"),
    ],
)  # fmt: skip
def test_wrong_frames(make, message):
    with pytest.raises((InvalidQuery, InvalidSpace), match=message):
        make()


def test_a_function_that_gives_infinity_has_failed():
    result = search.run("random", nb.from_function(SPACE, lambda a: np.inf if a["a"] else 1.0), budget=50)
    assert result.best.value == 1.0
    assert nb.from_function(SPACE, max) is not None
