"""What can be known of GPUs without one: what is set before CUDA starts, and where tensors are made."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nasbench_evs.benchmark import load
from nasbench_evs.cli import cli
from nasbench_evs.errors import InvalidQuery, RecipeError
from nasbench_evs.generators.generate import generate
from nasbench_evs.generators.messages import WorkerConfig
from nasbench_evs.generators.worker import Worker
from nasbench_evs.models import build
from nasbench_evs.models.recurrent import KINDS, RecurrentNetwork
from nasbench_evs.spaces import FFNSpace
from nasbench_evs.training.device import deterministic, usable
from nasbench_evs.training.evaluation import predict
from nasbench_evs.training.inputs import SequenceInputs, VectorInputs, prepare_inputs
from nasbench_evs.training.losses import distillation
from nasbench_evs.training.protocol import trainer_name
from nasbench_evs.training.recipe import Recipe
from nasbench_evs.training.trainer import Trainer
from tests.generators.conftest import SMALL
from tests.generators.test_generate import toml
from tests.training.conftest import PROTOCOL, SPACE, later

VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
META = torch.device("meta")
VECTORS = FFNSpace(2)


class Elsewhere(TorchDispatchMode):
    """The operations that made a tensor on another device than this one."""

    def __init__(self, device):
        super().__init__()
        self.device, self.found, self.operations = device, set(), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        self.operations += 1
        tensors = [each for each in tree_leaves(made) if isinstance(each, torch.Tensor)]
        for each in tensors:
            if each.dim() and each.device != self.device:  # single numbers may be counted anywhere
                self.found.add((str(function), each.dtype))
        return made


@pytest.fixture
def starting(monkeypatch):
    """What cuBLAS would read at the moment at which PyTorch starts CUDA; it never does start."""
    monkeypatch.setenv(VARIABLE, "")  # so that it is restored
    monkeypatch.delenv(VARIABLE)
    seen = []

    def start():
        seen.append(os.environ.get(VARIABLE))
        raise RuntimeError("no GPU in this test")

    monkeypatch.setattr(torch.cuda, "_lazy_init", start)
    return seen


def test_the_workspace_is_fixed_before_cuda_starts(starting):
    with pytest.raises(RecipeError, match="'cuda:0' cannot be used: no GPU in this test"):
        usable("cuda:0")
    assert starting == [":4096:8"]


def test_a_worker_fixes_it_too(starting, dataset, tmp_path):
    config = WorkerConfig(
        trainer_name(), "synthetic", dataset.fingerprint, None, None, PROTOCOL, SPACE, "cuda:1", tmp_path
    )
    with pytest.raises(RecipeError, match="no GPU in this test"):
        Worker(config)
    assert starting == [":4096:8"]
    assert Worker(replace(config, device="cpu")).machine.gpu == ""


def test_another_deterministic_workspace_stays(starting, monkeypatch):
    monkeypatch.setenv(VARIABLE, ":16:8")
    with pytest.raises(RecipeError, match="no GPU in this test"):
        usable("cuda")
    assert starting == [":16:8"]


def test_a_workspace_that_is_not_deterministic_is_refused(starting, monkeypatch):
    monkeypatch.setenv(VARIABLE, ":0:0")
    with pytest.raises(RecipeError, match="is ':0:0': expected :4096:8 or :16:8"):
        usable("cuda")
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(RecipeError, match="is not set and CUDA has started already"):
        usable("cuda")
    assert starting == []


def test_what_nobody_has_tested_is_refused():
    with pytest.raises(RecipeError, match="'mps' cannot be used: nobody has tested training there; expected cpu"):
        usable("mps")


def test_gpus_compute_as_exactly_as_asked_and_are_left_as_they_were():
    def settings():
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.allow_tf32,
            torch.get_float32_matmul_precision(),
            torch.backends.cuda.cudnn_sdp_enabled(),
            torch.backends.cuda.math_sdp_enabled(),
        )

    before = settings()
    with deterministic(torch.device("cuda")):
        within = settings()
    assert within == (True, True, False, "highest", False, True)
    assert settings() == before
    with deterministic(torch.device("cpu")):
        assert settings() == before


@pytest.fixture
def elsewhere(dataset):
    """From a protocol to sequences on a device that only knows shapes."""
    rows = {name: part[::2] for name, part in prepare_inputs(SPACE, dataset, None, PROTOCOL).rows.items()}
    return lambda protocol: SequenceInputs(dataset, rows, protocol, META)


@pytest.mark.parametrize("text", ["k3d.t.a2g/c.1x2.d-mean+max", "kw.n.g/a2gc.0.d-max"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_no_tensor_of_a_training_is_made_elsewhere(elsewhere, text, optimizer):
    """But the positions of a batch's sequences, which NumPy draws and torch takes over."""
    protocol = later(optimiser=optimizer, class_weights="none")
    inputs = elsewhere(protocol)
    network = build(SPACE.parse(text), inputs.shape).to(META)
    teachers = np.zeros((len(inputs.rows["train"]), inputs.shape.outputs), np.float32)
    trainer = Trainer(network, protocol, inputs, loss=distillation(teachers, inputs, 0.2))
    batch = trainer.batches.take()
    with Elsewhere(META) as watched:
        task = trainer.train_step(batch)
        logits = predict(network, protocol, inputs, inputs.rows["valid"])
    assert (task.device, logits.device) == (META, META)
    assert logits.shape == (len(inputs.rows["valid"]), inputs.shape.outputs)
    assert all(parameter.device == META for parameter in network.parameters())
    assert watched.operations > 100
    assert watched.found == {("aten.lift_fresh.default", torch.int64)}


@pytest.mark.parametrize("kind", KINDS)
def test_nor_of_a_baseline(elsewhere, kind):
    inputs = elsewhere(PROTOCOL)
    network = RecurrentNetwork(kind, inputs.shape, 0.3).to(META)
    batch = inputs.batch(inputs.rows["train"][:9])
    with Elsewhere(META) as watched:
        network(batch).sum().backward()
    assert watched.found == set()


def test_the_watch_sees_what_is_made_elsewhere():
    with Elsewhere(META) as watched:
        torch.zeros(3, device=META) + 1
        torch.arange(3)
    assert watched.found == {("aten.arange.default", torch.int64)}


def test_only_the_sequences_of_a_training_are_on_the_device(elsewhere, dataset):
    inputs = elsewhere(PROTOCOL)
    kept = np.sort(np.concatenate(list(inputs.rows.values())))
    events = int(dataset.lengths[kept].sum())
    assert 0 < events < len(dataset.time)
    for columns in (inputs._time, inputs._categorical, inputs._inputs):
        assert len(columns) == events
    assert len(inputs._profile_inputs) == len(kept)
    with pytest.raises(InvalidQuery, match="in no split of this training"):
        inputs.batch(np.setdiff1d(np.arange(len(dataset)), kept)[:1])


@pytest.mark.parametrize("space", [SPACE, VECTORS])
def test_they_are_the_same_there(dataset, space, monkeypatch):
    """A copy of some sequences gives the batches that the whole dataset gives."""
    whole = prepare_inputs(space, dataset, None, PROTOCOL)
    rows = {name: part[::2] for name, part in whole.rows.items()}

    class Other:  # a device that is not a CPU by its name, where tensors are made nevertheless
        type, index = "other", None

    kind = VectorInputs if space is VECTORS else SequenceInputs
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *_: tensor)
    monkeypatch.setattr(torch, "arange", lambda *sizes, device=None, arange=torch.arange: arange(*sizes))
    part = kind(dataset, rows, PROTOCOL, Other())
    chosen = np.concatenate([part.rows["test"][:5], part.rows["train"][:4][::-1]])
    found, expected = part.batch(chosen), whole.batch(chosen)
    if space is VECTORS:
        assert torch.equal(found, expected)
        return
    for name in ("categorical", "numerical", "time", "lengths", "profile_categorical", "profile_numerical"):
        assert torch.equal(getattr(found, name), getattr(expected, name))


@pytest.fixture(scope="module")
def table(home, tmp_path_factory):
    """A table of two trainings on the synthetic dataset."""
    folder = tmp_path_factory.mktemp("run")
    return str(generate(Recipe.from_dict({**SMALL, "plan": {"random": 2}}), folder))


@pytest.mark.parametrize(
    "command",
    [
        ["query", "TABLE", "--rank", "7", "--source", "train"],
        ["search", "random", "TABLE", "--budget", "1", "--source", "train"],
        ["table", "verify", "TABLE", "--sample", "1"],
        ["generate", "RECIPE", "--out", "OUT"],
    ],
)
def test_commands_that_train_name_a_device_that_is_not_there(table, tmp_path, command):
    (tmp_path / "recipe.toml").write_text(toml({**SMALL, "plan": {"random": 2}}))
    places = {"TABLE": table, "RECIPE": str(tmp_path / "recipe.toml"), "OUT": str(tmp_path / "out")}
    command = [places.get(each, each) for each in command]
    with pytest.raises(RecipeError, match="device 'mps' cannot be used: nobody has tested training there"):
        cli.main([*command, "--device", "mps"], standalone_mode=False)
    assert not (tmp_path / "out").exists()


def test_a_device_where_nothing_is_trained_is_refused(table, capsys):
    query = "device 'cpu' with source 'auto': nothing is trained there"
    search = "--device says how to train: it goes with --source train"
    for command, message in (
        (["query", table, "--random", "1"], query),
        (["search", "random", table, "--budget", "1"], search),
    ):
        with pytest.raises(InvalidQuery, match=message):
            cli.main([*command, "--device", "cpu"], standalone_mode=False)
    cli.main(["query", table, "--rank", "7", "--source", "train", "--device", "cpu"], standalone_mode=False)
    assert "train" in capsys.readouterr().out


def test_a_live_benchmark_fixes_the_workspace_before_cuda_starts(starting, table):
    with pytest.raises(RecipeError, match="no GPU in this test"):
        load(table, source="train", device="cuda:0")
    assert starting == [":4096:8"]
