"""The contracts of trainings, on a GPU: pytest --device cuda tests/training/test_gpu.py."""

import copy

import numpy as np
import pytest

from nasbench_evs.generators.generate import generate
from nasbench_evs.generators.verify import verify_sample
from nasbench_evs.models import build
from nasbench_evs.spaces import FFNSpace
from nasbench_evs.tables import read
from nasbench_evs.training.arithmetic import reproducible
from nasbench_evs.training.inputs import prepare_inputs
from nasbench_evs.training.train import CURVES, train
from nasbench_evs.training.trainer import Trainer
from tests.training.conftest import SPACE, later

CURVE_NAMES = [name for name in CURVES if not name.endswith("seconds")]
EVERYTHING = "k3d.t.a2gc/g.1x2.d-mean+max"
# Nothing drops out here: a GPU draws other random numbers.
PLAIN = ["k3.t.a2gc/g.1x2.mean+max", "kw.n.c/a4g.0.mean", "k1.n.g.0.max"]


def curves(text, protocol, dataset, device, space=SPACE):
    result = train(space.parse(text), 0, protocol, prepare_inputs(space, dataset, 300, protocol, device))
    assert result.status == "ok", result.reason
    return {name: result.curves[name] for name in CURVE_NAMES}


@pytest.mark.parametrize("text", PLAIN)
def test_losses_are_the_cpus(gpu, dataset, text):
    protocol = later(dropout=0.0, epochs=1)
    here, there = (curves(text, protocol, dataset, device) for device in ("cpu", gpu))
    for name in ("train_loss", "valid_loss", "test_loss"):
        assert there[name] == pytest.approx(here[name], rel=1e-3)


def test_vectors_too(gpu, dataset):
    protocol = later(dropout=0.0, epochs=1)
    here, there = (curves("32-144", protocol, dataset, device, FFNSpace(2)) for device in ("cpu", gpu))
    assert there["train_loss"] == pytest.approx(here["train_loss"], rel=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_runs_are_equal(gpu, dataset, precision):
    protocol = later(precision=precision)
    assert curves(EVERYTHING, protocol, dataset, gpu) == curves(EVERYTHING, protocol, dataset, gpu)


def test_half_precision_learns_the_same(gpu, dataset):
    full, half = (
        curves(PLAIN[0], later(dropout=0.0, epochs=1, precision=precision), dataset, gpu)
        for precision in ("float32", "bfloat16")
    )
    assert half["train_loss"] == pytest.approx(full["train_loss"], rel=0.05)
    assert half["train_loss"] != full["train_loss"]


def test_a_restored_training_goes_on_to_the_bit(gpu, dataset):
    protocol = later()
    inputs = prepare_inputs(SPACE, dataset, 300, protocol, gpu)

    def trainer():
        return Trainer(build(SPACE.parse(EVERYTHING), inputs.shape).to(inputs.device), protocol, inputs)

    def losses(made, steps):
        return [float(made.train_step(made.batches.take())) for _ in range(steps)]

    with reproducible("one", inputs.device):
        first = trainer()
        losses(first, 2)
        state = copy.deepcopy(first.state_dict())
        expected = losses(first, 3)
    with reproducible("another", inputs.device):
        again = trainer()
        again.load_state_dict(state)
        assert losses(again, 3) == expected


def test_workers_that_share_a_gpu_record_what_one_does_and_it_comes_out_again(gpu, recipe, tmp_path):
    tables = [read(generate(recipe, tmp_path / str(n), workers=n, device=gpu)) for n in (1, 2)]
    for name in ("valid_curve", "train_loss"):
        assert np.array_equal(tables[0][name], tables[1][name], equal_nan=True)
    assert all(check.difference == 0 for check in verify_sample(tables[0], 3, device=gpu))
