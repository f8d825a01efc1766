"""Successive halving: rungs, promotions, brackets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_evs import spaces
from nasbench_evs.search.multifidelity import ASHA, BOHB, Hyperband, _Density, rungs

SPACE = spaces.SeqNASSpace()


def drive(searcher, steps, score):
    done = []
    for _ in range(steps):
        (step,) = searcher.ask(1)
        searcher.tell([step], [score(step.architecture)])
        done.append(step)
    return done


def quality(architecture):
    return (architecture.rank * 2654435761 % 2**32) / 2**32


@given(epochs=st.integers(1, 200), eta=st.integers(2, 5))
def test_rungs(epochs, eta):
    found = rungs(epochs, eta)
    assert found == sorted(set(found))
    assert found[0] >= 1
    assert found[-1] == epochs


def test_known_rungs():
    assert rungs(27, 3) == [1, 3, 9, 27]
    assert rungs(6, 3) == [2, 6]
    assert rungs(5, 2) == [1, 2, 5]
    assert rungs(1, 3) == [1]


@pytest.mark.parametrize("cls", [ASHA, Hyperband, BOHB])
def test_epochs_of_an_architecture_only_grow_and_are_rungs(cls):
    steps = drive(cls(SPACE, 0, epochs=9), 120, quality)
    reached = {}
    for step in steps:
        assert step.epoch in (1, 3, 9)
        assert step.epoch > reached.get(step.architecture, 0)
        reached[step.architecture] = step.epoch


@pytest.mark.parametrize("cls", [ASHA, Hyperband])
def test_the_better_ones_go_on(cls):
    steps = drive(cls(SPACE, 0, epochs=9), 200, quality)
    at = {epoch: [quality(s.architecture) for s in steps if s.epoch == epoch] for epoch in (1, 3, 9)}
    assert len(at[1]) > len(at[3]) > len(at[9]) > 0
    promoted = {s.architecture for s in steps if s.epoch > 1}
    first = [s.architecture for s in steps if s.epoch == 1]
    gone, stayed = ([quality(a) for a in first if (a in promoted) is went] for went in (True, False))
    assert np.mean(gone) > np.mean(stayed) + 0.2


def test_hyperband_brackets():
    steps = drive(Hyperband(SPACE, 0, epochs=9), 22, quality)
    # Hyperband, table 1, for R = 9 and eta = 3: 9, 3, 1; then 5, 1; then 3 whole trainings.
    assert [step.epoch for step in steps] == [1] * 9 + [3] * 3 + [9] + [3] * 5 + [9] + [9] * 3
    best = sorted(steps[:9], key=lambda s: -quality(s.architecture))[:3]
    assert {s.architecture for s in best} == {s.architecture for s in steps[9:12]}


def test_failures_are_not_promoted():
    steps = drive(Hyperband(SPACE, 0, epochs=9), 40, lambda a: np.nan if quality(a) > 0.3 else quality(a))
    assert all(quality(step.architecture) <= 0.3 for step in steps if step.epoch == 3 and step in steps[9:12])


def test_bohb_models_what_is_good():
    # Good is whatever has the first option of the last two choices.
    def score(architecture):
        row = architecture.indices
        return float(row[0] == 0) + float(row[1] == 0)

    model = BOHB(SPACE, 0, epochs=1)
    steps = drive(model, 200, score)
    early, late = ([score(s.architecture) for s in part] for part in (steps[:20], steps[-60:]))
    assert np.mean(late) > np.mean(early) + 0.3


def test_the_density_is_one():
    space = spaces.SearchSpace.from_choices({"a": [0, 1, 2], "b": [0, 1]})
    everything = space.unrank_many(np.arange(6, dtype=np.uint64))
    density = _Density(space, everything[[0, 1, 1, 4]])
    assert np.exp(density.log(everything)).max() < 1
    assert density.log(everything[[1]]) > density.log(everything[[5]])
    drawn = density.sample(4000, np.random.default_rng(0))
    assert (drawn[:, 0] == everything[1, 0]).mean() > 0.5
