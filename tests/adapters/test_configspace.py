"""ConfigSpace: every architecture is a configuration and back, under the same conditions, drawn as often."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nasbench_evs as nb
from nasbench_evs import spaces
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery
from nasbench_evs.spaces.subspaces import subspace

ConfigSpace = pytest.importorskip("ConfigSpace", reason="needs the extra configspace")

from nasbench_evs.adapters.configspace import from_configuration, to_configspace, to_configuration  # noqa: E402

SEQNAS = nb.load("credit-default", source="table").space
SPACES = {
    "seqnas": SEQNAS,
    "seqnas-s": subspace("seqnas-s", SEQNAS),
    "ffn-3": spaces.FFNSpace(3),
    "own": spaces.SearchSpace.from_choices(
        {"a": [1, 2, 3], "b": ["x", "y"], "c": [False, True], "d": [0.5, 1.5]}, {"b": {"a": [2, 3]}, "c": {"b": ["y"]}}
    ),
}
MADE = {name: to_configspace(space, seed=0) for name, space in SPACES.items()}
UNIFORM = {name: to_configspace(space, seed=0, sampling="uniform") for name, space in SPACES.items()}


@pytest.mark.parametrize("name", SPACES)
@settings(max_examples=40)
@given(data=st.data())
def test_an_architecture_is_a_configuration_and_back(name, data):
    space, made = SPACES[name], MADE[name]
    architecture = space.unrank(data.draw(st.integers(0, space.size - 1)))
    configuration = to_configuration(made, architecture)
    configuration.check_valid_configuration()
    assert from_configuration(space, configuration) == architecture
    everything = {choice.name: choice.options[0] for choice in space.choices} | architecture.options
    assert from_configuration(space, everything) == architecture  # inactive values are accepted


@pytest.mark.parametrize("name", SPACES)
def test_what_it_samples_and_its_neighbours_are_architectures(name):
    from ConfigSpace.util import get_one_exchange_neighbourhood

    space = SPACES[name]
    made = to_configspace(space, seed=1)
    for configuration in made.sample_configuration(20):
        assert dict(configuration) == from_configuration(space, configuration).options
    architecture = space.sample(seed=0)
    around = list(get_one_exchange_neighbourhood(to_configuration(made, architecture), seed=0))
    assert around
    for configuration in around:
        assert from_configuration(space, configuration) != architecture


def shares(space, drawn):
    ranks = space.rank_many(space.stack(drawn)).astype(int)
    return np.bincount(ranks, minlength=space.size) / len(ranks)


@pytest.mark.parametrize("sampling", ["hierarchical", "uniform"])
def test_it_samples_as_the_space_does(sampling):
    space = SPACES["own"]
    made = to_configspace(space, seed=0, sampling=sampling)
    theirs = shares(space, [from_configuration(space, each) for each in made.sample_configuration(4000)])
    ours = shares(space, space.architectures(space.sample_many(4000, 0, sampling)))
    assert np.abs(theirs - ours).max() < 0.03
    if sampling == "uniform":
        assert np.abs(theirs - 1 / space.size).max() < 0.02
    else:
        assert ours.max() > 2 / space.size  # otherwise both were one


@pytest.mark.parametrize("name", SPACES)
@settings(max_examples=20)
@given(data=st.data())
def test_uniform_sampling_gives_every_architecture_the_same_probability(name, data):
    space, made = SPACES[name], UNIFORM[name]
    architecture = space.unrank(data.draw(st.integers(0, space.size - 1)))
    parts = [(made[choice], option) for choice, option in architecture.options.items()]
    probability = np.prod([part.probabilities[part.choices.index(option)] for part, option in parts])
    assert probability * space.size == pytest.approx(1)


def test_weights_of_a_space_are_those_of_its_configurations():
    depth = next(choice for choice in SEQNAS.choices if choice.weights)
    expected = np.array(depth.weights) / sum(depth.weights)
    assert np.allclose(MADE["seqnas"][depth.name].probabilities, expected)


def test_mistakes_are_one_line():
    with pytest.raises(InvalidQuery, match="unknown sampling 'fair': expected one of hierarchical, uniform"):
        to_configspace(SPACES["own"], sampling="fair")
    with pytest.raises(InvalidArchitecture, match="'z' is no choice of"):
        from_configuration(SPACES["own"], {"z": 1})
