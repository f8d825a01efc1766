"""Every searcher keeps the contract."""

import inspect
import sys

import numpy as np
import pytest

import nasbench_evs as nb
from nasbench_evs import search, spaces
from nasbench_evs.errors import InvalidQuery, PredictorError
from nasbench_evs.search import SEARCHERS, Domain, searcher_class
from nasbench_evs.search.bananas import ACQUISITIONS, acquire
from nasbench_evs.testing.searcher import SearcherContract

# What makes the warm-ups short enough for 40 evaluations.
SHORT = {
    "evolution": {"population": 10, "tournament": 3},
    "local": {"initial": 3},
    "bananas": {"initial": 20, "batch": 10, "pool_size": 20},
    "bananas-mlp": {"initial": 25, "batch": 10, "pool_size": 20},
    "bananas-paper": {"initial": 20, "batch": 10, "pool_size": 20},
    "bananas-published": {"initial": 25, "batch": 10, "pool_size": 20},
    "pnasm": {"initial": 20, "n": 8, "k": 3},
    "pnasm-a": {"initial": 20, "n": 8, "k": 3},
}
STEPS = ("asha", "hyperband", "bohb", "tpe-hyperband")
CONSTRAINED = ("tabnas", "tunas-abs", "mnasnet-hard", "mnasnet-soft")


def without(monkeypatch, *libraries):
    """As if these were not installed."""
    for name in libraries:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("surrogate.predictors.networks",):
        monkeypatch.delitem(sys.modules, f"nasbench_evs.{name}", raising=False)


def evaluations(name):
    """What a short search tried."""
    bench = nb.from_function(spaces.SeqNASSpace(), lambda architecture: float(architecture.avec.mean()))
    return search.run(name, bench, budget=30, seed=0, **SHORT.get(name, {})).trials


@pytest.mark.parametrize("name", ["random", "evolution", "local", "reinforce", "bananas", "pnasm", "pnasm-a"])
def test_a_base_install_is_enough(name, monkeypatch):
    without(monkeypatch, "torch", "sklearn", "xgboost", "optuna", "matplotlib")
    assert len(evaluations(name)) == 30


@pytest.mark.parametrize(
    ("name", "parameters", "extra"),
    [
        ("pnasm", {"predictor": "mlp"}, "train"),
        ("bananas-mlp", {}, "train"),
        ("bananas", {"predictor": "gcn"}, "train"),
        ("bananas", {"predictor": "xgboost"}, "predictors"),
    ],
)
def test_a_missing_extra_is_named_before_anything_is_trained(name, parameters, extra, monkeypatch):
    without(monkeypatch, "torch", "sklearn", "xgboost", "optuna")
    cls, defaults = searcher_class(name)
    with pytest.raises(PredictorError, match=rf"pip install 'nasbench-evs\[{extra}\]'"):
        cls(spaces.SeqNASSpace(), **{**defaults, **parameters})


def costs(choices, name):
    """A made-up cost: how many choices are active, and their indices."""
    return np.maximum(choices, 0).sum(axis=1) + (choices >= 0).sum(axis=1)


def contract(name):
    class Contract(SearcherContract):
        steps = name in STEPS

        def make(self, space, seed=0, **parameters):
            cls, defaults = searcher_class(name)
            parameters = {**defaults, **SHORT.get(name, {}), **parameters}
            if self.steps:
                parameters["epochs"] = 5
            if name in CONSTRAINED:
                pool = space.pool if isinstance(space, Domain) else None
                space = Domain(getattr(space, "space", space), pool=pool, limits={"params": 10_000}, costs=costs)
                if pool is None and space.size is not None and space.size < 10:
                    parameters["steps"] = 300
            return cls(space, seed=seed, **parameters)

    if name in CONSTRAINED:
        # Their policies converge: they need not see all of a space, nor of a pool that their samples seldom come near.
        Contract.finds_all = False
    if name.startswith("mnasnet"):

        def test_any_scale_of_scores(self):
            """Rewards that multiply: any scale, but no negative scores."""
            assert len(self.drive(self.make(self.space(), 0), 40, score=lambda a: 1e6 * self.score(a))) == 40
            with pytest.raises(InvalidQuery, match="must not be negative"):
                self.drive(self.make(self.space(), 0), 40, score=lambda a: -self.score(a))

        Contract.test_any_scale_of_scores = test_any_scale_of_scores
    Contract.__name__ = Contract.__qualname__ = "Test" + name.title().replace("-", "")
    Contract.__doc__ = name
    return Contract


for _name in SEARCHERS:
    _made = contract(_name)
    globals()[_made.__name__] = _made
del _made, _name


def test_every_searcher_keeps_a_constraint_or_says_that_it_asks_beyond_it():
    space = spaces.SeqNASSpace()
    for name in SEARCHERS:
        if name in CONSTRAINED[1:]:
            continue  # these price the constraint
        domain = Domain(space, limits={"params": 30}, costs=costs)
        cls, parameters = searcher_class(name)
        parameters = {**parameters, **SHORT.get(name, {})} | ({"epochs": 5} if name in STEPS else {})
        searcher = cls(domain, seed=0, **parameters)
        for i in range(30):
            for asked in searcher.ask(1):
                architecture = asked.architecture if name in STEPS else asked
                assert domain.feasible(np.frombuffer(architecture.key, np.int8)[None]).all(), name
                searcher.tell([asked], [i / 30])


def test_acquisitions():
    mean, std = np.array([0.0, 1.0, 0.9]), np.array([0.1, 0.1, 2.0])
    rng = np.random.default_rng(0)
    values = {name: acquire(name, mean, std, 1.0, 1.0, rng) for name in ACQUISITIONS}
    assert values["greedy"].argmax() == 1
    assert values["ucb"].argmax() == 2
    assert values["ei"].argmax() == 2
    assert values["ei"][0] < 1e-10  # ten standard deviations below
    drawn = np.array([acquire("thompson", mean, std, 1.0, 1.0, rng) for _ in range(4000)])
    assert np.allclose(drawn.mean(axis=0), mean, atol=0.15)
    assert np.allclose(drawn.std(axis=0), std, rtol=0.1)


@pytest.mark.parametrize("name", [name for name in SEARCHERS if not name.startswith("tpe")])
def test_counts_that_nothing_can_count(name):
    cls, defaults = searcher_class(name)
    needed = {"epochs": 9} if "epochs" in inspect.signature(cls).parameters else {}
    domain = Domain(spaces.SeqNASSpace(), limits={"params": 1e9}, costs=lambda choices, name: np.ones(len(choices)))
    counts = [key for key, each in inspect.signature(cls).parameters.items() if type(each.default) is int]
    assert "seed" in counts
    for key in counts:
        with pytest.raises(InvalidQuery, match=f"{key} = {2**70}: expected an integer from"):
            cls(domain, **{**defaults, **needed, key: 2**70})


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("evolution", {"population": 0}, "population = 0"),
        ("bananas", {"acquisition": "best"}, "acquisition = 'best'.*thompson"),
        ("bananas", {"predictor": "oracle"}, "predictor = 'oracle'"),
        ("pnasm", {"k": 21}, "k = 21: expected an integer from 0 to 20"),
        ("pnasm", {"adaptive": 1}, "adaptive = 1"),
        ("local", {"greedy": "yes"}, "greedy"),
        ("bohb", {"top": 2, "epochs": 5}, "top = 2"),
        ("asha", {"eta": 1, "epochs": 5}, "eta = 1"),
        ("tunas-abs", {}, "constraint"),
        ("pnasm", {"mix": "old"}, "mix = 'old': expected one of new, all"),
        ("tpe", {"sampler": "NoSampler"}, "sampler = 'NoSampler'"),
    ],
)
def test_wrong_hyper_parameters(name, parameters, message):
    cls, _ = searcher_class(name)
    with pytest.raises(InvalidQuery, match=message):
        cls(spaces.SeqNASSpace(), 0, **parameters)
