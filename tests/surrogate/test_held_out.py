"""Held-out predictions and the uncertainties scaled by their errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_evs.surrogate.ensemble import MEMBERS, TREES, Ensemble, fit_catboost, loss_of
from nasbench_evs.surrogate.held_out import held_out, split_architectures
from nasbench_evs.surrogate.uncertainty import MIN_REPEATED, Uncertainty, repeated_variance


@pytest.fixture(scope="module")
def made():
    """Features, truth and noisy values; the first feature makes values five times as noisy."""
    generator = np.random.default_rng(0)
    features = np.asfortranarray(generator.integers(0, 2, (600, 12)).astype(np.float32))
    truth = features[:, 1:5].sum(axis=1)
    noise = np.where(features[:, 0] == 1, 0.5, 0.1)
    return features, truth, truth + generator.normal(size=600) * noise, noise


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(2, 8), st.integers(0, 5))
def test_an_architecture_is_in_one_fold(groups, folds, seed):
    groups = np.array(groups)
    fold = split_architectures(groups, folds, seed)
    for group in np.unique(groups):
        assert len(np.unique(fold[groups == group])) == 1
    sizes = np.bincount([fold[groups == group][0] for group in np.unique(groups)])
    assert len(sizes) == min(folds, len(np.unique(groups)))
    assert np.ptp(sizes) <= 1


def test_what_is_held_out_is_not_seen(made):
    """A value that only one architecture has cannot be predicted for it."""
    features, _, values, _ = made
    groups = np.repeat(np.arange(300), 2)
    values = values.copy()
    values[:2] += 20
    out = held_out(features, values, groups, folds=5, seed=0)
    assert (np.abs(out.mean[:2] - values[:2]) > 15).all()
    assert np.corrcoef(out.mean[2:], values[2:])[0, 1] > 0.5


def test_the_members_of_an_ensemble(made):
    features, truth, values, _ = made
    ensemble = Ensemble.fit(features, values, np.arange(600), 0)
    assert ensemble.model.tree_count_ == MEMBERS * TREES
    mean, epistemic_std = ensemble.predict(features)
    assert np.corrcoef(mean, truth)[0, 1] > 0.98
    whole = np.asarray(ensemble.model.predict(features)) / MEMBERS * ensemble.scale + ensemble.mean
    assert np.allclose(mean, whole)
    assert (epistemic_std > 0).all()
    one = ensemble.predict(features[3].tolist())
    assert (one.mean[0], one.epistemic_std[0]) == (mean[3], epistemic_std[3])
    assert np.array_equal(Ensemble.fit(features, values, np.arange(600), 0).predict(features).mean, mean)


@pytest.mark.parametrize("loss", ["RMSE", "RMSEWithUncertainty", "MAE"])
def test_models_know_their_loss(made, loss):
    features, _, values, _ = made
    assert loss_of(fit_catboost(features, values, {"iterations": 2}, loss)) == loss


def test_noise_and_epistemic_uncertainty(made):
    features, _, values, noise = made
    out = held_out(features, values, np.arange(600), folds=5, seed=0)
    errors = values - out.mean
    fitted = Uncertainty.fit(features, errors, out.epistemic_std, float(np.mean(noise**2)))
    found, epistemic = fitted.predict(features, out.epistemic_std)
    noisy = features[:, 0] == 1
    assert np.median(found[noisy]) > 2.5 * np.median(found[~noisy])
    assert np.sqrt(np.mean(found**2)) == pytest.approx(np.sqrt(np.mean(noise**2)), rel=0.25)
    assert np.mean(np.abs(errors) < 1.2816 * np.hypot(found, epistemic)) == pytest.approx(0.8, abs=0.01)
    unknown = Uncertainty.fit(features, errors, out.epistemic_std, float("nan"))
    assert np.mean(unknown.predict(features, out.epistemic_std)[0]) >= np.mean(found)


def test_variance_between_trainings_of_one_architecture():
    generator = np.random.default_rng(1)
    groups = np.repeat(np.arange(400), 3)
    values = generator.normal(size=400)[groups] * 10 + generator.normal(size=1200) * 0.5
    assert repeated_variance(values, groups) == pytest.approx(0.25, rel=0.15)
    few = groups < MIN_REPEATED - 1
    assert np.isnan(repeated_variance(values[few], groups[few]))
