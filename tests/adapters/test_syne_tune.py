"""Syne Tune: our benchmarks as blackboxes, and in its simulator."""

import numpy as np
import pytest

import nasbench_evs as nb
from nasbench_evs.errors import InvalidArchitecture

pytest.importorskip("syne_tune", reason="needs Syne Tune, whose XGBoost does not fit beside xgboost-cpu: see .ci/run")
adapters = pytest.importorskip("adapters", reason="benchmarks/ is not on the path")

from nasbench_evs.adapters.syne_tune import FIDELITY, SCORE, SECONDS, TEST, BenchmarkBlackbox  # noqa: E402


def everything(space, architecture):
    return {choice.name: choice.options[0] for choice in space.choices} | architecture.options


@pytest.mark.parametrize(
    ("name", "source", "space"),
    [("credit-default", "table", "ffn-3"), ("bpic2012", "surrogate", None), ("bpic2012", "table", None)],
)
def test_it_answers_as_the_benchmark_does(name, source, space):
    bench = nb.load(name, space, source=source)
    blackbox = BenchmarkBlackbox(bench)
    known = bench.pool[3:4] if bench.pool is not None else bench.space.sample_many(1, 0)
    architecture = bench.space.architectures(known)[0]
    configuration = everything(bench.space, architecture)
    all_epochs = blackbox(configuration, seed=2)
    assert all_epochs.shape == (bench.epochs, 2)
    assert (np.diff(all_epochs[:, 1]) >= 0).all()
    for epoch in blackbox.fidelity_values:
        seen = bench.observe(architecture, seed=2, epoch=int(epoch))
        one = blackbox(configuration, fidelity={FIDELITY: epoch}, seed=2)
        assert one[SCORE] == all_epochs[epoch - 1, 0] == seen.value
        assert one[SECONDS] == pytest.approx(all_epochs[epoch - 1, 1])


def test_whole_trainings_alone_have_one_fidelity_and_a_second_each():
    bench = nb.load("abank", source="surrogate")
    blackbox = BenchmarkBlackbox(bench)
    architecture = bench.space.sample(seed=0)
    assert blackbox.fidelity_values.tolist() == [1]
    found = blackbox(everything(bench.space, architecture), seed=0)
    assert found.tolist() == [[bench.observe(architecture).value, 1.0]]
    assert blackbox.metric_mode == "max"


def test_test_scores_only_if_asked():
    bench = nb.load("credit-default", "ffn-3", source="table")
    architecture = bench.space.sample(seed=1)
    assert TEST not in BenchmarkBlackbox(bench)(architecture.options, fidelity=2)
    found = BenchmarkBlackbox(bench, test=True)(architecture.options, seed=0)
    assert np.isnan(found[:-1, 2]).all()
    assert found[-1, 2] == bench.query(architecture, split="test", seed=0).value


def test_a_wrong_value_is_said_in_one_line():
    blackbox = BenchmarkBlackbox(nb.load("digits"))
    with pytest.raises(InvalidArchitecture, match=r"layer.0 = 7 is no option"):
        blackbox({"layer.0": 7, "layer.1": 8, "layer.2": 8}, fidelity=1)


def test_its_simulator_runs_on_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    bench = nb.load("credit-default", "ffn-3", source="table")
    found = adapters.syne_tune_random(bench, 8, seed=0)
    assert len(set(found)) == 8
    assert all(each in bench.space.architectures(bench.pool) for each in found[:1])
    assert found == adapters.syne_tune_random(bench, 8, seed=0)
    assert found != adapters.syne_tune_random(bench, 8, seed=1)
    assert not list(tmp_path.iterdir())  # by itself Syne Tune writes into the home folder


def test_its_schedulers_stop_trainings_at_epochs(monkeypatch, tmp_path):
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
    from syne_tune.blackbox_repository import UserBlackboxBackend
    from syne_tune.optimizer.baselines import ASHA

    monkeypatch.setenv("SYNETUNE_FOLDER", str(tmp_path))
    blackbox = BenchmarkBlackbox(nb.load("bpic2012", source="surrogate"))
    last = int(blackbox.fidelity_values[-1])
    scheduler = ASHA(
        blackbox.configuration_space, metric=SCORE, time_attr=FIDELITY, max_t=last, do_minimize=False, random_seed=0
    )
    tuner = Tuner(
        trial_backend=UserBlackboxBackend(blackbox, elapsed_time_attr=SECONDS, seed=0),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_finished=20),
        n_workers=4,
        sleep_time=0,
        callbacks=[SimulatorCallback()],
        save_tuner=False,
        print_update_interval=1e9,
    )
    tuner.run()
    reached = tuner.tuning_status.get_dataframe()[FIDELITY].dropna()
    assert reached.min() < last == reached.max()


@pytest.mark.slow
@pytest.mark.parametrize("label", adapters.PAIRS)
def test_samplers_are_worth_what_ours_of_the_same_kind_are(label):
    """60 seeds, so within half a standard deviation; `benchmarks/adapters.py` takes 300 for .3."""
    bench = nb.load("credit-default", "ffn-3", source="table")
    run, name = adapters.PAIRS[label]
    theirs = np.array([*adapters.best_values(run, bench, 15, 60, label)])
    ours = np.array([*adapters.best_values(adapters.ours(name), bench, 15, 60, name)])
    assert abs(adapters.equivalence(theirs, ours).difference) < 0.5
