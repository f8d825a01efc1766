"""Optuna: its samplers as searchers."""

import optuna
import pytest

import nasbench_evs as nb
from nasbench_evs import search, spaces
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.optuna_adapters import OptunaPruning, OptunaSampler, suggest

optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_suggest_reaches_every_architecture_of_a_conditional_space():
    space = spaces.SearchSpace.from_choices({"a": [1, 2], "b": ["x", "y"]}, {"b": {"a": [2]}})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = {suggest(study.ask(), space) for _ in range(60)}
    assert found == {space.unrank(i) for i in range(space.size)}


@pytest.mark.parametrize("sampler", ["RandomSampler", optuna.samplers.TPESampler(seed=3, n_startup_trials=4)])
def test_any_sampler_is_a_searcher(sampler):
    bench = nb.load("credit-default", "ffn-3", source="table")
    result = search.run("tpe", bench, budget=12, seed=0, sampler=sampler)
    assert len({trial.architecture for trial in result.trials}) == 12


@pytest.mark.parametrize("sampler", ["TPESampler", optuna.samplers.NSGAIISampler(population_size=5, seed=0)])
def test_a_study_learns_what_was_trained_in_place_of_its_suggestion(sampler):
    bench = nb.load("credit-default", source="table")
    searcher = OptunaSampler(Domain(bench.space, pool=bench.pool), 0, sampler=sampler)
    for _ in range(25):
        (architecture,) = searcher.ask()
        searcher.tell([architecture], [bench.query(architecture).value])
    trials = [trial for trial in searcher._study.trials if trial.state.name == "COMPLETE"]
    known = dict.fromkeys(suggest(optuna.trial.FixedTrial(trial.params), bench.space) for trial in trials)
    assert list(known) == bench.space.architectures(searcher.told[0])
    if sampler != "TPESampler":  # it knows by a note on each trial which generation that is of
        assert max(value for trial in trials for value in trial.system_attrs.values() if isinstance(value, int)) > 2


def test_pruned_trainings_are_paused_forever():
    bench = nb.load("credit-default", "ffn-3", source="table")
    result = search.run("tpe-hyperband", bench, budget=12, seed=0)
    ends = {}
    for trial in result.trials:
        assert trial.epoch == ends.get(trial.architecture, 0) + 1
        ends[trial.architecture] = trial.epoch
    assert min(ends.values()) < bench.epochs <= max(ends.values())


def test_scores_go_to_the_architecture_that_was_trained():
    bench = nb.load("credit-default", "ffn-3", source="table")
    searcher = OptunaPruning(bench.space, 0, epochs=bench.epochs, sampler=optuna.samplers.TPESampler(seed=0))
    for _ in range(300):
        (step,) = searcher.ask()
        trial = searcher._trials[step.architecture.key]
        assert trial.params == step.architecture.options
        searcher.tell([step], [bench.query(step.architecture, epoch=step.epoch).value])
