"""The leaderboard has the numbers of the experiment's report."""

import shutil

import pytest

from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.explorer.leaderboard import leaderboard
from nasbench_evs.analysis.outcome import Outcome
from nasbench_evs.analysis.regrets import all_regrets
from nasbench_evs.analysis.runs import read_runs
from nasbench_evs.errors import InvalidQuery, OutputError


def test_every_regime_as_the_report_has_it(results):
    experiment = read_experiment(results.with_suffix(".toml"))
    outcomes = [Outcome(each) for each in all_regrets(experiment, list(read_runs(experiment, results).values()))]
    found = leaderboard(results)["regimes"]
    assert [each["regime"] for each in found] == ["clean", "noisy", "transfer"]
    for regime, outcome in zip(found, outcomes, strict=True):
        order = outcome.order
        assert regime["searchers"] == [outcome.searchers[i] for i in order]
        assert regime["final"]["value"] == sorted(regime["final"]["value"])
        for name, interval in (("final", outcome.final), ("area", outcome.areas)):
            for part in ("value", "low", "high"):
                assert regime[name][part] == pytest.approx(getattr(interval, part)[order], abs=1e-4)
        for i, row in enumerate(order):
            for j, column in enumerate(order):
                assert regime["wins"]["value"][i][j] == pytest.approx(outcome.wins.value[row, column], abs=1e-3)
        assert regime["detectable"] is None  # three seeds find nothing
        assert len(regime["curves"]) == len(order)
        assert regime["curves"][0][-1] == pytest.approx(regime["final"]["value"][0], abs=1e-3)
        assert [each["name"] for each in regime["benchmarks"]] == outcome.regrets.benchmarks


def test_what_is_missing_is_said(results, tmp_path):
    with pytest.raises(InvalidQuery, match=r"nowhere: no such folder"):
        leaderboard(tmp_path / "nowhere")
    alone = tmp_path / "alone"
    shutil.copytree(results, alone)
    with pytest.raises(InvalidQuery, match=r"expected the experiment file .*alone.toml beside the folder"):
        leaderboard(alone)
    shutil.copy(results.with_suffix(".toml"), tmp_path / "empty.toml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OutputError, match=r"holds neither results.csv.xz nor"):
        leaderboard(tmp_path / "empty")
