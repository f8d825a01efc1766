"""Running an experiment: resumed where it stopped or from what was committed, the same in other processes, judged rightly."""

import math
import os
import signal

import numpy as np
import pytest

from nasbench_evs.analysis import experiment as module
from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment, search_once
from nasbench_evs.analysis.report import write_report
from nasbench_evs.analysis.runs import JOURNAL, Task
from nasbench_evs.errors import TrainingError
from nasbench_evs.search import run
from tests.analysis.conftest import FILE, RUNS


def without_time(runs):
    return {key: each._replace(own_seconds=0) for key, each in runs.items()}


def same(some, others):
    return repr(without_time(some)) == repr(without_time(others))  # NaN is NaN


def test_a_stopped_experiment_goes_on(file, tmp_path, in_this_process, monkeypatch):
    experiment = read_experiment(file)
    whole = run_experiment(experiment, tmp_path / "whole")
    done, real = [], module.search_once

    def until_stopped(*arguments):
        if len(done) == 11:
            raise KeyboardInterrupt
        done.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(module, "search_once", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, tmp_path / "parts")
    monkeypatch.setattr(module, "search_once", lambda *arguments: done.append(arguments) or real(*arguments))
    resumed = run_experiment(experiment, tmp_path / "parts")
    assert len(done) <= RUNS + 11
    assert same(resumed, whole)
    seen = []
    run_experiment(experiment, tmp_path / "parts", progress=lambda a, b: seen.append((a, b)))
    assert seen == [(RUNS, RUNS)]  # nothing is run twice


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_among_its_searches_is_one_line(monkeypatch):
    monkeypatch.setattr(module, "search_once", die)
    with pytest.raises(TrainingError, match="a process died among its searches"):
        module.run_in_processes({("settings", "noisy", 0): None}, 1, lambda key, run: None)


def test_a_clone_goes_on_from_the_results(file, tmp_path, in_this_process):
    folder = tmp_path / "clone"
    file.write_text(FILE.replace("seeds = 3", "seeds = 2"))
    first = run_experiment(read_experiment(file), folder)
    write_report(read_experiment(file), first.values(), folder, "command")
    (folder / JOURNAL).unlink()
    file.write_text(FILE)
    seen = []
    more = run_experiment(read_experiment(file), folder, progress=lambda a, b: seen.append((a, b)))
    assert seen[0] == (RUNS * 2 // 3, RUNS)
    assert seen[-1] == (RUNS, RUNS)
    assert repr({key: more[key] for key in first}) == repr(first)
    # Other settings are other runs, and so are those of another version.
    for change in (
        ("population = 4", "population = 5"),
        ("seeds = 3", "seeds = 3\nversion = 2"),
        ("budget = 8", "budget = 7"),
    ):
        file.write_text(FILE.replace(*change))
        with pytest.raises(InterruptedError):
            run_experiment(read_experiment(file), folder, progress=stop_with_fewer(RUNS))
    file.write_text(FILE.replace("marks = [4, 10]", "marks = [5]"))  # which is read off the same searches
    run_experiment(read_experiment(file), folder, progress=lambda a, b: seen.append((a, b)))
    assert seen[-1] == (RUNS, RUNS)


def stop_with_fewer(total):
    def progress(done, wanted):
        assert wanted == total
        if done < total:
            raise InterruptedError

    return progress


def test_what_is_kept_is_the_incumbent_and_its_true_values(file):
    experiment = read_experiment(file)
    for config in experiment.benchmarks:
        bench = config.load()
        for regime in config.regimes:
            kept = search_once(Task(config, experiment.searchers[1], regime, 2), "settings")
            result = run("evolution", bench, budget=config.budget, seed=2, regime=regime, constraint=config.limits)
            best = result.incumbents
            for point in kept.curve:
                last = max(i for i, trial in enumerate(result.trials) if trial.spent <= point.evaluations)
                trial = result.trials[best[last]]
                assert point.rank == trial.architecture.rank
                assert point.seen == pytest.approx(trial.value, rel=1e-6)
                for judge in ("clean", "noisy", "transfer"):
                    value = getattr(point, judge)
                    if judge != "clean" and regime == "clean":
                        assert math.isnan(value)
                    elif not (judge == "transfer" and config.name == "age"):
                        expected = bench.true_values([trial.architecture], judge, 2)[0]
                        assert value == pytest.approx(expected, rel=1e-6)
            places = {each.evaluations for each in kept.curve}
            assert places >= set(config.marks)
            changes = 1 + np.flatnonzero(np.diff(best))
            assert places >= {result.trials[i].spent for i in changes}


@pytest.mark.slow
def test_processes_give_the_same(file, tmp_path, in_this_process, monkeypatch):
    experiment = read_experiment(file)
    here = run_experiment(experiment, tmp_path / "here")
    monkeypatch.undo()
    assert same(here, run_experiment(experiment, tmp_path / "there", processes=2))
