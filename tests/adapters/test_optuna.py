"""Optuna: studies on our benchmarks, and a problem of OptunaHub's form."""

import optuna
import pytest

import nasbench_evs as nb
from nasbench_evs.adapters.optuna import Problem, objective
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.parametrize("prune", [False, True])
def test_a_study_on_a_benchmark(prune):
    bench = nb.load("credit-default", "ffn-3", source="table")
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    study.optimize(objective(bench, prune=prune), n_trials=15)
    states = {trial.state.name for trial in study.trials}
    assert states == ({"COMPLETE", "PRUNED"} if prune else {"COMPLETE"})
    best = bench.space.from_options(study.best_params)
    assert any(study.best_value == bench.query(best, seed=s).value for s in bench.seeds(best))


def test_pruning_needs_epochs():
    with pytest.raises(InvalidQuery, match="no scores by epoch"):
        objective(nb.load("age", source="table"), prune=True)


def test_a_problem_has_every_choice_and_evaluates_the_active_ones():
    bench = nb.load("bpic2012", source="surrogate")
    problem = Problem(bench)
    assert list(problem.search_space) == [choice.name for choice in bench.space.choices]
    params = {name: kind.choices[0] for name, kind in problem.search_space.items()}
    architecture = bench.space.unrank(0)
    assert problem.evaluate(params | architecture.options) == bench.observe(architecture).value
    with pytest.raises(InvalidArchitecture, match="is no choice of"):
        problem.evaluate(params | {"colour": 1})


def test_a_problem_in_a_study_suggests_what_is_active():
    bench = nb.load("physionet2012", source="table")
    problem = Problem(bench, seed=1)
    study = optuna.create_study(directions=problem.directions, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(problem, n_trials=5)
    for trial in study.trials:
        assert bench.space.from_options(trial.params).options == trial.params
        assert trial.value in bench.query_many(bench.pool, seed=0).value  # nearest of what is recorded
    assert [each.name for each in problem.directions] == ["MAXIMIZE"]


def test_where_optunahub_is_installed_it_is_one_of_its_problems():
    benchmarks = pytest.importorskip("optunahub.benchmarks", reason="needs optunahub")
    assert isinstance(Problem(nb.load("digits")), benchmarks.BaseProblem)
