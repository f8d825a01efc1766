"""A space of a user's own with its network: one call of `register`, and everything works for it."""

from torch import nn

import nasbench_evs as nb
from nasbench_evs import search
from nasbench_evs.datasets import store
from nasbench_evs.datasets.prepare import prepare
from nasbench_evs.datasets.sources.synthetic import SYNTHETIC, make
from nasbench_evs.generators.generate import generate
from nasbench_evs.generators.verify import verify_sample
from nasbench_evs.locations import surrogate_of
from nasbench_evs.models import networks
from nasbench_evs.spaces import Choice, Cost, SearchSpace
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.tables import read
from nasbench_evs.testing.network import VECTORS, NetworkContract
from nasbench_evs.testing.space import SpaceContract
from nasbench_evs.training.recipe import Recipe


class ToySpace(SearchSpace):
    def __init__(self):
        super().__init__([Choice("width", tuple(range(1, 16))), Choice("activation", ("ReLU", "Tanh"))], name="toy")

    def cost_many(self, choices, shape):
        width, n = choices[:, 0].astype(int) + 1, shape.inputs + shape.outputs
        return Cost(width * (n + 1) + shape.outputs, 2 * width * n)


def toy_network(architecture, shape, dropout, embedding_std):
    width, activation = architecture["width"], getattr(nn, architecture["activation"])()
    return nn.Sequential(nn.Linear(shape.inputs, width), activation, nn.Linear(width, shape.outputs))


networks.register(networks.NetworkSpec("toy", ToySpace, toy_network, "vectors"))


class TestToySpace(SpaceContract):
    space = ToySpace()


class TestToyNetwork(NetworkContract):
    shapes = VECTORS

    def space(self, shape):
        return ToySpace()


def test_it_is_queried_generated_fitted_searched_and_verified(tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path))
    prepare(make(400), SYNTHETIC.rules).save(store.folder("synthetic"))
    values = {"dataset": "synthetic", "space": "toy", "protocol": {"epochs": 1}, "plan": {"exhaustive": True}}
    path = generate(Recipe.from_dict(values), tmp_path / "run")
    Surrogate.fit(read(path), folds=2).save(surrogate_of(path))
    bench = nb.load(path)
    assert bench.query(bench.space.parse("width=3,activation=Tanh")).source == "table"
    assert search.run("bananas", bench, budget=12, constraint={"params": 500}).best is not None
    assert all(check.passed for check in verify_sample(read(path), 2))
