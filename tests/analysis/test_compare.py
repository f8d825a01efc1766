"""compare(): the engine and the statistics of experiments, in one call."""

import numpy as np
import pandas as pd
import pytest

import nasbench_evs as nb
from nasbench_evs import search, spaces
from nasbench_evs.analysis.comparison import control_tests
from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.regrets import Regrets
from nasbench_evs.errors import InvalidQuery

SPACE = spaces.SearchSpace.from_choices({"a": list(range(6)), "b": list(range(6))})


def made(scale=1.0):
    rows = SPACE.unrank_many(np.arange(SPACE.size, dtype=np.uint64)).astype(int)
    frame = pd.DataFrame(rows, columns=["a", "b"]).assign(score=-scale * ((rows - 2) ** 2).sum(axis=1))
    return nb.from_frame(SPACE, frame, score="score")


class ByRank(search.Searcher):
    """Architectures by their ranks."""

    def __init__(self, space, seed=0, *, start=0):
        super().__init__(space, seed)
        self.at = start

    def _propose(self, n):
        self.at += n
        return self.space.unrank_many(np.arange(self.at - n, self.at, dtype=np.uint64))


def test_one_row_for_each_benchmark_searcher_seed_and_mark():
    found = nb.compare(["random", ByRank], {"made": made(), "nk": "landscape:nk-1"}, seeds=3, budget=8, marks=[4])
    frame = found.frame
    assert len(frame) == 2 * 2 * 3 * 2
    assert set(frame.searcher) == {"random", "ByRank"}
    assert sorted(set(frame.evaluations)) == [4, 8]
    for row in frame[frame.benchmark == "made"].itertuples():
        result = search.run(
            {"ByRank": ByRank}.get(row.searcher, "random"), made(), budget=8, seed=row.seed, regime="clean"
        )
        best = result.trials[result.incumbents[row.evaluations - 1]]
        assert (str(best.architecture), best.value) == (row.architecture, row.seen)
        assert row.true_value == result.true_values[row.evaluations - 1]
        assert row.regret == result.regret[row.evaluations - 1]


def test_it_is_the_experiment_of_a_file(tmp_path, in_this_process):
    (tmp_path / "x.toml").write_text(
        'seeds = 4\nbudget = 15\nregime = "noisy"\nsearchers = ["random", "evolution"]\n[[benchmark]]\nname = "landscape:noisy"\n'
        '[[benchmark]]\nname = "landscape:nk-1"\nregime = "noisy"\n'
    )
    experiment = read_experiment(tmp_path / "x.toml")
    regrets = Regrets(experiment, list(run_experiment(experiment, tmp_path / "x").values()), "noisy")
    found = nb.compare(
        ["random", "evolution"], ["landscape:noisy", "landscape:nk-1"], seeds=4, budget=15, regime="noisy"
    )
    assert np.array_equal(found.outcome.regrets.suite(), regrets.suite())
    (test,) = control_tests(regrets.suite(), ["random", "evolution"], "random")
    row = found.summary().loc["evolution"]
    assert (row.less_random, row.p_random) == (test.difference, test.p_holm)
    shares = found.frame.groupby("searcher").normalized_regret.mean()
    assert found.summary().normalized_regret.to_dict() == pytest.approx(shares.to_dict())


def test_what_is_printed():
    found = nb.compare(["random", ("evolution", {"population": 4})], made(), seeds=6, budget=6)
    text = str(found)
    assert text.startswith("2 searchers on 1 benchmarks, clean regime, 6 seeds, 6 evaluations")
    assert "evolution population=4" in text
    assert "Smallest difference" in text
    assert list(found.wins.columns) == list(found.summary().index)
    assert (found.wins + found.wins.T == 1).all(axis=None)
    assert found.regrets().shape == (1, 2)


def test_labels_and_settings():
    found = nb.compare({"first": ByRank, "later": (ByRank, {"start": 20})}, made(), seeds=2, budget=3)
    ends = found.frame.groupby("searcher").architecture.unique()
    assert {name: list(each) for name, each in ends.items()} == {"first": ["a=0,b=2"], "later": ["a=3,b=2"]}
    assert "less_random" not in found.summary()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"searchers": []}, "no searchers: expected at least one"),
        ({"searchers": ["evolutoin"]}, "unknown searcher 'evolutoin'.*did you mean 'evolution'"),
        ({"searchers": [ByRank(SPACE)]}, "an object that is made already cannot be compared"),
        ({"searchers": ["random", "random"]}, "two searchers .* are called 'random': give them a label each"),
        ({"searchers": [("evolution", {"populaton": 3})]}, "no parameter 'populaton'.*did you mean 'population'"),
        ({"benchmarks": ["digts"]}, "no benchmark 'digts'.*did you mean 'digits'"),
        ({"benchmarks": [3]}, "benchmark 3: expected a name of nasbench-evs list, or what"),
        ({"regime": "nosy"}, "regime 'nosy'.*did you mean 'noisy'"),
        ({"regime": "transfer"}, "custom, noisy regime: .*use regime 'clean'"),
        ({"regime": "transfer", "benchmarks": "landscape:nk-1"}, "transfer regime: a made landscape has no test scores"),
        ({"seeds": 0}, "seeds = 0: expected an integer of 1 or more"),
        ({"budget": 5, "marks": [9]}, "marks = 9: expected an integer from 1 to 5"),
        ({"constraint": 3}, "constraint = 3: expected a dict"),
        ({"searchers": [ByRank], "benchmarks": [nb.from_function(SPACE, lambda a: 1.0)], "processes": 2}, "leave processes out"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(arguments, message):
    with pytest.raises(nb.NasbenchError, match=message) as caught:
        nb.compare(**{"searchers": ["random"], "benchmarks": [made()], "seeds": 2, "budget": 3, **arguments})
    assert "\n" not in str(caught.value)


def test_a_searcher_that_breaks_is_named():
    class Broken(ByRank):
        def _learn(self, choices, scores):
            raise KeyError("lost")

    with pytest.raises(InvalidQuery, match="Broken raised KeyError: 'lost' in tell"):
        nb.compare([Broken], made(), seeds=1, budget=3)
