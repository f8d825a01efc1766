"""Running an experiment: resumed where it stopped, the same in other processes."""

import pytest

from nasbench_evs.analysis import experiment as module
from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment


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
    assert len(done) <= 36 + 11
    assert [each._replace(own_seconds=0) for each in resumed] == [each._replace(own_seconds=0) for each in whole]
    seen = []
    run_experiment(experiment, tmp_path / "parts", progress=lambda a, b: seen.append((a, b)))
    assert seen == [(36, 36)]  # nothing is run twice


@pytest.mark.slow
def test_processes_give_the_same(file, tmp_path, in_this_process, monkeypatch):
    experiment = read_experiment(file)
    here = run_experiment(experiment, tmp_path / "here")
    monkeypatch.undo()
    there = run_experiment(experiment, tmp_path / "there", processes=2)
    assert [each._replace(own_seconds=0) for each in here] == [each._replace(own_seconds=0) for each in there]
