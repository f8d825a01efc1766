"""What every performance predictor must do."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from nasbench_evs.benchmark import landscapes
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery
from nasbench_evs.spaces import FFNSpace, SearchSpace, SeqNASSpace
from nasbench_evs.surrogate.predictors import PREDICTORS, Prediction, Predictor, predictor
from nasbench_evs.surrogate.predictors.predictor import normal_scores

MINE = SearchSpace.from_choices({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [True, False]}, name="mine")


def made(space, n, seed=0):
    choices = space.sample_many(n, seed=seed)
    avec = space.encode_many(choices).astype(float)
    weights = np.random.default_rng(7).normal(size=avec.shape[1])
    return choices, 0.8 + 0.01 * avec @ weights


@pytest.mark.parametrize("name", PREDICTORS)
@pytest.mark.parametrize(
    "space", [pytest.param(SeqNASSpace(), marks=pytest.mark.slow), FFNSpace(3)], ids=lambda space: space.name
)
def test_it_learns(name, space):
    choices, scores = made(space, 120)
    unseen, truth = made(space, 200, seed=1)
    found = predictor(name, space, seed=3).fit(choices, scores).predict(unseen)
    assert kendalltau(found.mean, truth).statistic > 0.4
    assert np.abs(found.mean - truth).mean() < truth.std() * 1.5
    assert found.epistemic_std.shape == (200,)
    assert (found.epistemic_std >= 0).all()
    assert (found.epistemic_std.max() > 0) == (not name.startswith("single-"))


@pytest.mark.parametrize("name", PREDICTORS)
def test_the_same_seed_predicts_the_same(name, monkeypatch):
    from nasbench_evs.surrogate.predictors.networks import Network

    monkeypatch.setattr(Network, "steps", 10)
    choices, scores = made(MINE, 12)
    first, again, other = (predictor(name, MINE, seed).fit(choices, scores).predict(choices) for seed in (3, 3, 4))
    assert np.array_equal(first.mean, again.mean)
    assert np.array_equal(first.mean, other.mean) == (name == "gp")  # nothing in it is random


@pytest.mark.parametrize("name", PREDICTORS)
def test_contract(name):
    fresh = predictor(name, MINE)
    choices, scores = made(MINE, 8)
    with pytest.raises(InvalidQuery, match="call fit"):
        fresh.predict(choices)
    for wrong in (scores[:3], np.full(8, np.nan), scores[:, None]):
        with pytest.raises(InvalidQuery, match="expected one finite score"):
            fresh.fit(choices, wrong)
    with pytest.raises(InvalidArchitecture):
        fresh.fit(np.full((8, 3), 9, np.int8), scores)
    assert len(fresh.fit(choices, scores).predict(choices[:0]).mean) == 0
    one = fresh.predict(choices[:1])
    assert one.mean[0] == pytest.approx(fresh.predict(choices).mean[0], abs=1e-5)
    alike = fresh.fit(choices, np.full(8, 0.5)).predict(choices)
    assert (alike.mean == 0.5).all()
    assert (alike.epistemic_std == 1).all()


def landscape(name, n, seed):
    """Architectures of a made landscape, and their true values."""
    bench = landscapes.load(name)
    choices = bench.space.sample_many(n, seed=seed)
    return bench.space, choices, bench.query_many(choices).value


@pytest.mark.parametrize("name", ["gp", "leaf-gp", "catboost", "single-catboost", "mlp", "virtual-ensembles"])
def test_a_few_failures_do_not_hide_the_rest(name):
    """5 % of the known architectures failed badly, for no reason. Of standardized scores nothing is learned: tau is -0.1."""
    space, choices, truth = landscape("layers", 400, seed=2)
    known, unseen = choices[:100], choices[100:]
    failed = np.where(np.arange(100) % 20 == 7, -1000.0, truth[:100])
    tau = [
        kendalltau(predictor(name, space, 0).fit(known, scores).predict(unseen).mean, truth[100:]).statistic
        for scores in (truth[:100], failed)
    ]
    assert tau[0] > 0.6
    assert tau[1] > 0.75 * tau[0]


def test_any_increasing_scale_of_scores_is_the_same_to_it():
    choices, scores = made(MINE, 20)
    plain, bent = (predictor("leaf-gp", MINE, 1).fit(choices, each) for each in (scores, np.exp(30 * scores)))
    for one, other in zip(plain.predict_normal(choices), bent.predict_normal(choices), strict=True):
        assert np.array_equal(one, other)
    assert np.corrcoef(np.log(bent.predict(choices).mean), scores)[0, 1] > 0.9


def test_normal_scores_and_back():
    values, normal, owner = normal_scores(np.array([5.0, -9e9, 5.0, 7.0, 6.0]))
    assert values.tolist() == [-9e9, 5.0, 6.0, 7.0]
    assert owner.tolist() == [1, 0, 1, 3, 2]
    assert (np.diff(normal) > 0).all()
    assert normal[0] == pytest.approx(-normal[-1])

    class Echo(Predictor):
        """Predicts what it is told to."""

        def _fit(self, choices, scores):
            self.answer = scores

        def _predict(self, choices):
            return Prediction(self.answer, np.full(len(choices), 1e-3))

    choices, scores = made(MINE, 9)
    echo = Echo(MINE).fit(choices, scores)
    found = echo.predict(choices)
    assert found.mean == pytest.approx(scores)
    assert (found.epistemic_std > 0).all()
    echo.answer = np.linspace(-4, 4, 9)  # beyond what was seen
    assert (np.diff(echo.predict(choices).mean) > 0).all()


@pytest.mark.parametrize("process", ["gp", "leaf-gp"])
def test_a_gaussian_process_knows_how_far_it_is_off(process):
    """Errors on unseen architectures are as large as it says, within a factor of two; on those it saw, smaller."""
    for name in ("nk-1", "layers", "constrained"):
        space, choices, truth = landscape(name, 400, seed=2)
        model = predictor(process, space, 0).fit(choices[:100], truth[:100])
        values, normal, _ = normal_scores(truth[:100])
        mean, std = model.predict_normal(choices[100:])
        error = np.std(np.interp(truth[100:], values, normal) - mean) / std.mean()
        assert 0.5 < error < 2, name
        assert model.predict_normal(choices[:100]).epistemic_std.mean() < 0.8 * std.mean()


def test_one_architecture_with_several_scores():
    """Nothing differs but the scores: the mean."""
    choices = MINE.stack([MINE.unrank(3)] * 3)
    found = predictor("single-catboost", MINE).fit(choices, np.array([0.25, 0.5, 0.75])).predict(choices)
    assert found.mean == pytest.approx(0.5)


def test_unknown_names():
    with pytest.raises(
        InvalidQuery, match="unknown predictor 'forest': expected one of gp, leaf-gp, virtual-ensembles, catboost"
    ):
        predictor("forest", MINE)


@pytest.mark.parametrize("name", ["mlp", "gcn", "nao"])
def test_networks_leave_torch_as_it_was(name):
    import torch

    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    predictor(name, MINE).fit(*made(MINE, 8))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_graph_has_the_layers_that_are_there():
    from nasbench_evs.surrogate.predictors.networks import GCN, _adjacency

    space = SeqNASSpace()
    gcn = GCN(space)

    def nodes(text):
        return gcn._encode(space.stack([space.parse(text)]))[..., -1]

    always = int(nodes("k1.n.0.0.mean").sum())  # stem, time encoding, the two depths, head
    for text, encoders, decoders in (
        ("k1.n.g/g.0.mean", 2, 0),
        ("k1.n.0.1x1.mean", 0, 1),
        ("k1.n.g/g/g/g.1x1/2x2.mean", 4, 2),
    ):
        there = nodes(text)
        assert int(there.sum()) == always + encoders + decoders
        edges = _adjacency(there)[0] > 0
        assert (edges == edges.T).all()
        inner = edges[:-1, :-1]
        assert int(inner.sum()) == 2 * (int(there.sum()) - 1)  # a chain
