"""The stepped trainer: `train` is a loop over it, and it goes on from its state as if nothing had happened.

As a program it goes on with trainings that were saved: python -m tests.training.test_trainer FOLDER
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_evs.datasets.prepare import prepare
from nasbench_evs.datasets.sources.synthetic import SYNTHETIC, make
from nasbench_evs.errors import TrainingError
from nasbench_evs.models import build
from nasbench_evs.spaces import FFNSpace, SeqNASSpace
from nasbench_evs.training.arithmetic import reproducible
from nasbench_evs.training.inputs import prepare_inputs
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.train import train
from nasbench_evs.training.trainer import Trainer, _schedule

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
PROTOCOL = {"epochs": 2, "batch_size": 32, "embedding": 3, "channels": 1, "hidden": 4}
# Dropout everywhere, also of whole time steps; epochs that begin within a permutation; every optimizer and schedule.
TRAININGS = [
    (SeqNASSpace(), "k3d.t.a2g/c.1x2.d-mean+max", {}),
    (SeqNASSpace(), "k1.n.g.0.max", {"epochs": 3, "epoch_size": 100, "optimiser": "sgd", "schedule": "constant"}),
    (FFNSpace(2), "16-8", {"epoch_size": 70, "optimiser": "adam", "schedule": "cosine", "precision": "bfloat16"}),
]


class Started:
    """A training of TRAININGS and what there is of its curves, to be driven by hand."""

    def __init__(self, n, dataset, loss=None):
        space, text, changes = TRAININGS[n]
        self.protocol = Protocol(**PROTOCOL | changes)
        self.architecture = space.parse(text)
        self.inputs = prepare_inputs(space, dataset, None, self.protocol)
        network = build(self.architecture, self.inputs.shape, dropout=self.protocol.dropout)
        self.trainer = Trainer(network, self.protocol, self.inputs, loss=loss)
        self.curves = {"train_loss": [], "valid_loss": [], "valid_score": []}

    def go_on(self, until=None):
        """To the end, or to that step."""
        trainer = self.trainer
        while trainer.step != until and not (trainer.batches.ended and trainer.batches.epoch == self.protocol.epochs):
            trainer.train_step(trainer.batches.take())
            if trainer.batches.ended:
                valid = trainer.evaluate(self.inputs.rows["valid"])
                self.curves["train_loss"].append(trainer.train_loss)
                self.curves["valid_loss"].append(valid.loss)
                self.curves["valid_score"].append(valid.score())

    def save(self, path):
        torch.save({"curves": self.curves, "trainer": self.trainer.state_dict()}, path)

    def load(self, path):
        state = torch.load(path, weights_only=True)
        self.curves = state["curves"]
        self.trainer.load_state_dict(state["trainer"])


def as_train(n):
    """Random numbers as `train` has them."""
    space, text, _ = TRAININGS[n]
    return reproducible(f"{space.name} {text} seed 0", CPU)


@pytest.fixture(scope="module")
def expected(dataset):
    """Curves by `train`, and how many steps there are."""
    found = []
    for n in range(len(TRAININGS)):
        with as_train(n):
            whole = Started(n, dataset)
            whole.go_on()
        result = train(whole.architecture, 0, whole.protocol, whole.inputs)
        assert whole.curves == {name: result.curves[name] for name in whole.curves}
        found.append((whole.curves, whole.trainer.step))
    return found


def go_on_from(path, n, dataset):
    """The curves in the end, where nothing is as it was when the state was saved."""
    with reproducible("another name", CPU):
        torch.rand(3)
        restored = Started(n, dataset)
        restored.load(path)
        restored.go_on()
        return restored.curves


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_a_training_goes_on_from_any_step(expected, dataset, tmp_path_factory, data):
    n = data.draw(st.integers(0, len(TRAININGS) - 1))
    curves, steps = expected[n]
    at = data.draw(st.integers(0, steps))
    path = tmp_path_factory.mktemp("states") / "state.pt"
    with as_train(n):
        stopped = Started(n, dataset)
        stopped.go_on(until=at)
        stopped.save(path)
    assert go_on_from(path, n, dataset) == curves


def test_a_training_goes_on_in_another_process(expected, dataset, tmp_path):
    rng = np.random.default_rng()
    at = [int(rng.integers(1, steps)) for _, steps in expected]
    for n, step in enumerate(at):
        with as_train(n):
            stopped = Started(n, dataset)
            stopped.go_on(until=step)
            stopped.save(tmp_path / f"{n}.pt")
    command = [sys.executable, "-m", "tests.training.test_trainer", str(tmp_path)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert json.loads(answer) == [curves for curves, _ in expected], f"saved at steps {at}"


def test_the_loss_that_is_given_is_minimized_and_the_task_s_is_told(dataset):
    """Nothing but a price of nothing: no weight moves, and the curve is still the task's."""
    started = Started(2, dataset, loss=lambda logits, index, task: 0.0 * logits.sum())
    started.trainer.optimizer.param_groups[0]["weight_decay"] = 0.0
    before = [parameter.clone() for parameter in started.trainer.network.parameters()]
    rows = started.trainer.batches.take()
    task = started.trainer.train_step(rows)
    assert all(map(torch.equal, before, started.trainer.network.parameters()))
    assert started.trainer.train_loss == pytest.approx(float(task))
    assert float(task) > 0.1


def test_a_step_on_a_path_trains_what_the_path_touches(dataset):
    """And gradients of several paths add up until the update."""
    started = Started(2, dataset)
    trainer, rows = started.trainer, started.inputs.rows["train"][:16]
    first, last = trainer.network.layers[0], trainer.network.layers[-1]
    before = first.weight.clone()

    def path(batch):
        return last(batch[:, :8])

    trainer.backward(rows, path)
    assert first.weight.grad is None
    once = last.weight.grad.clone()
    trainer.backward(rows, path)
    assert torch.allclose(last.weight.grad, 2 * once)
    trainer.update()
    assert trainer.step == 1
    assert last.weight.grad is None
    assert torch.equal(first.weight, before)
    assert trainer.evaluate(rows, path).loss != trainer.evaluate(rows).loss


def test_states_of_another_training_are_refused(dataset):
    state = Started(0, dataset).trainer.state_dict()
    with pytest.raises(TrainingError, match="epoch_size = None, this one has 100"):
        Started(1, dataset).trainer.load_state_dict(state)
    started = Started(0, dataset)
    other = build(SeqNASSpace().parse("k1.n.c.0.max"), started.inputs.shape)
    with pytest.raises(TrainingError, match="of another network"):
        Trainer(other, started.protocol, started.inputs).load_state_dict(state)
    fewer = prepare_inputs(SeqNASSpace(), dataset, None, started.protocol, train=100)
    with pytest.raises(TrainingError, match="training sequences = 240, this one has 100"):
        Trainer(started.trainer.network, started.protocol, fewer).load_state_dict(state)


@pytest.mark.parametrize(("warm_up", "peak"), [(0.1, 10), (0.3, 30)])
def test_the_rate_rises_in_the_warm_up_and_ends_at_zero(warm_up, peak):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = _schedule(optimizer, Protocol(epochs=1, warm_up=warm_up), 100)
    rates = []
    for _ in range(101):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)
    assert int(np.argmax(rates)) == peak


if __name__ == "__main__":
    made = prepare(make(400), SYNTHETIC.rules)
    print(json.dumps([go_on_from(Path(sys.argv[1]) / f"{n}.pt", n, made) for n in range(len(TRAININGS))]))
