import math

import numpy as np
import pytest
import torch

from nasbench_evs.datasets import Dataset
from nasbench_evs.datasets.aggregate import vectors
from nasbench_evs.errors import RecipeError
from nasbench_evs.metrics import score
from nasbench_evs.models import build
from nasbench_evs.spaces import FFNSpace, SeqNASSpace
from nasbench_evs.training.inputs import prepare_inputs
from nasbench_evs.training.latency import latency
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.train import CURVES, train
from tests.training.conftest import PROTOCOL, SPACE, later


def curves(result):
    return {name: values for name, values in result.curves.items() if not name.endswith("seconds")}


def test_a_training_comes_out_again_whatever_the_state_of_torch(inputs):
    architecture = SPACE.parse("k3d.t.a2g/c.1x2.d-mean+max")
    first = train(architecture, 0, PROTOCOL, inputs)
    torch.manual_seed(5)
    torch.rand(7)
    state = torch.random.get_rng_state()
    second = train(architecture, 0, PROTOCOL, inputs)
    assert curves(first) == curves(second)
    assert torch.equal(state, torch.random.get_rng_state())
    assert curves(train(architecture, 1, PROTOCOL, inputs)) != curves(first)
    assert list(first.curves) == list(CURVES)
    assert all(len(values) == 2 for values in first.curves.values())


def test_order_of_events_can_be_learned(dataset):
    """Counts tell the classes of the synthetic dataset apart no better than chance; a GRU must do better."""
    protocol = Protocol(epochs=12, batch_size=32, learning_rate=0.01, embedding=8, channels=1, hidden=8, dropout=0.0)
    result = train(SPACE.parse("k1.n.g.0.mean"), 0, protocol, prepare_inputs(SPACE, dataset, None, protocol))
    assert max(result.curves["valid_score"]) > 0.8
    assert result.curves["train_loss"][-1] < result.curves["train_loss"][0]


def test_exploding_losses_are_a_result(inputs):
    wild = Protocol(
        epochs=3, batch_size=16, learning_rate=1000.0, embedding=4, channels=1, hidden=8, clip=0.0, optimiser="sgd"
    )
    result = train(SPACE.parse("k1.n.g/g.0.mean"), 0, wild, inputs)
    assert result.status == "diverged"
    assert "loss" in result.reason
    lengths = {len(values) for values in result.curves.values()}
    assert len(lengths) == 1
    assert math.isnan(result.curves["valid_score"][-1])
    assert np.array_equal(np.isnan(result.curves["valid_score"]), np.isnan(result.curves["test_score"]))


def test_logits_are_those_of_the_best_epoch_in_the_order_of_the_rows(inputs):
    result = train(SPACE.parse("k1.n.g.0.mean"), 0, PROTOCOL, inputs, keep_logits=True)
    rows = inputs.rows["train"]
    assert result.logits.shape == (len(rows), 2)
    assert curves(result) == curves(train(SPACE.parse("k1.n.g.0.mean"), 0, PROTOCOL, inputs))
    one_epoch = Protocol(**{**PROTOCOL.to_dict(), "schedule": "constant", "epochs": 1})
    last = train(SPACE.parse("k1.n.g.0.mean"), 0, one_epoch, inputs, keep_logits=True)
    labels = inputs.labels.numpy()[rows]
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(last.logits), torch.from_numpy(labels))
    assert float(loss) < 1.0


def test_teachers_pull_the_logits(inputs):
    rows = inputs.rows["train"]
    wanted = np.tile(np.array([[2.0, -1.0]], np.float32), (len(rows), 1))
    once = {"teacher_weight": 1.0, "epochs": 1, "batch_size": 2, "schedule": "constant", "learning_rate": 0.05}
    pulled = Protocol(**{**PROTOCOL.to_dict(), **once, "dropout": 0.0})
    result = train(SPACE.parse("k1.n.0.0.mean"), 0, pulled, inputs, teacher_logits=wanted, keep_logits=True)
    assert np.abs(result.logits - wanted).mean() < 0.5
    without = Protocol(**{**PROTOCOL.to_dict(), "teacher_weight": 0.0})
    taught = train(SPACE.parse("k1.n.0.0.mean"), 0, without, inputs, teacher_logits=wanted)
    assert curves(taught) == curves(train(SPACE.parse("k1.n.0.0.mean"), 0, PROTOCOL, inputs))


def _without(dataset, what):
    """The dataset without its real-valued or without its categorical fields."""
    from dataclasses import replace

    from nasbench_evs.datasets.dataset import COLUMNS

    columns = {name: getattr(dataset, name) for name in COLUMNS}
    if what == "numerical":
        schema = replace(dataset.schema, numerical=(), profile_numerical=())
        for name in ("numerical", "profile_numerical", "inputs", "profile_inputs"):
            columns[name] = columns[name][:, :0]
    else:
        schema = replace(dataset.schema, categorical=(), profile_categorical=())
        for name in ("categorical", "profile_categorical"):
            columns[name] = columns[name][:, :0]
    return Dataset(schema, columns)


@pytest.mark.parametrize("what", ["numerical", "categorical"])
def test_datasets_without_one_kind_of_field_train(dataset, what):
    space = SeqNASSpace(numerical=what != "numerical")
    part = _without(dataset, what)
    found = prepare_inputs(space, part, 200, PROTOCOL)
    for seed in range(6):
        assert train(space.sample(seed), 0, PROTOCOL, found).status == "ok"
    with pytest.raises(RecipeError, match="expected the space seqnas with numerical"):
        prepare_inputs(SeqNASSpace(numerical=what == "numerical"), part, 200, PROTOCOL)


def test_sequences_of_one_event_and_batches_of_one_sequence_train(dataset):
    from nasbench_evs.datasets.dataset import COLUMNS

    first = dataset.offsets[:-1]
    columns = {
        name: getattr(dataset, name)[first] if shape.startswith("E") else getattr(dataset, name)
        for name, (_, shape) in COLUMNS.items()
    }
    columns["offsets"] = np.arange(len(dataset) + 1)
    short = Dataset(dataset.schema, columns)
    protocol = Protocol(**{**PROTOCOL.to_dict(), "batch_size": 1, "epochs": 1})
    found = prepare_inputs(SPACE, short, 60, protocol)
    for seed in range(8):
        assert train(SPACE.sample(seed), 0, protocol, found).status == "ok"


def test_ffn_trains_on_vectors(dataset):
    space = FFNSpace(2)
    found = prepare_inputs(space, dataset, 300, PROTOCOL)
    features, names = vectors(dataset.subset(300), 20)
    assert found.shape.inputs == len(names) == features.shape[1]
    assert not np.isnan(features).any()
    assert np.abs(features).max() <= 4
    assert train(space.parse("16-8"), 0, PROTOCOL, found).status == "ok"
    assert len(latency(space.parse("16-8"), PROTOCOL, found)) == 2


def test_half_precision_scores_nearly_the_same(inputs):
    half = Protocol(**{**PROTOCOL.to_dict(), "precision": "bfloat16"})
    for text in ("k3d.t.a2g/c.1x2.d-mean+max", "kw.n.g.0.max"):
        exact, rounded = (train(SPACE.parse(text), 0, protocol, inputs) for protocol in (PROTOCOL, half))
        assert curves(rounded) != curves(exact)
        assert np.allclose(rounded.curves["valid_loss"], exact.curves["valid_loss"], atol=0.02)


def test_an_epoch_as_large_as_the_training_split_is_what_an_epoch_was(dataset, inputs):
    """Slices of an endless stream of permutations: of the whole, they draw exactly what was drawn before."""
    architecture = SPACE.parse("k3d.t.a2g/c.1x2.d-mean+max")
    whole = later(epoch_size=len(inputs.rows["train"]))
    assert curves(train(architecture, 0, whole, prepare_inputs(SPACE, dataset, 300, whole))) == curves(
        train(architecture, 0, PROTOCOL, inputs)
    )


def test_steps_follow_from_the_size_of_an_epoch(dataset):
    """Twice as many epochs of half the size take as many steps, so the schedule ends where it did."""
    one, two = later(epochs=1, epoch_size=128), later(epochs=2, epoch_size=64)
    for protocol in (one, two):
        found = prepare_inputs(SPACE, dataset, None, protocol)
        assert len(train(SPACE.parse("k1.n.0.0.mean"), 0, protocol, found).curves["train_loss"]) == protocol.epochs


def test_curves_on_part_of_the_rows_and_the_score_at_the_end(dataset):
    protocol = later(curve_rows=40, score_at="end")
    found = prepare_inputs(SPACE, dataset, None, protocol, train=150)
    assert len(found.curve_rows["valid"]) == 40
    assert "test" not in found.curve_rows
    architecture = SPACE.parse("k3.t.g.0.max")
    result = train(architecture, 0, protocol, found, keep_logits=True)
    assert set(result.curves) == {name for name in CURVES if not name.startswith("test")}
    assert all(len(values) == protocol.epochs for values in result.curves.values())
    whole = train(architecture, 0, later(score_at="end"), prepare_inputs(SPACE, dataset, None, PROTOCOL, train=150))
    assert result.curves["train_loss"] == whole.curves["train_loss"]  # what is evaluated when changes no training
    for name in ("valid_score", "test_score", "valid_loss", "test_loss", "valid_blocks", "test_blocks"):
        assert result.final[name] == whole.final[name]
    for split in ("valid", "test"):
        assert result.final[f"{split}_score"] == pytest.approx(whole.curves[f"{split}_score"][-1])
        assert len(result.final[f"{split}_blocks"]) == 10
        assert np.mean(result.final[f"{split}_blocks"]) == pytest.approx(result.final[f"{split}_score"], abs=0.02)
    assert 0 < result.final["valid_cpu_seconds"] < result.final["cpu_seconds"]
    assert result.logits.shape == (150, 2)


def test_test_curves_are_asked_for(dataset):
    protocol = later(curve_rows=40, test_curves=True)
    found = prepare_inputs(SPACE, dataset, None, protocol)
    assert {split: len(rows) for split, rows in found.curve_rows.items()} == {"valid": 40, "test": 40}
    assert set(train(SPACE.parse("k1.n.0.0.mean"), 0, protocol, found).curves) == set(CURVES)


def test_logits_of_a_teacher_are_by_the_weights_that_are_scored(dataset):
    """At the end: the last ones, also where an earlier epoch scored better on validation."""
    protocol = later(epochs=3, learning_rate=0.05, score_at="end")
    found = prepare_inputs(SPACE, dataset, None, protocol, train=200)
    architecture = SPACE.parse("k1.n.g.0.max")
    labels = found.labels.numpy()[found.rows["train"]]
    by_epoch = later(epochs=3, learning_rate=0.05)
    seed = next(
        seed for seed in range(20) if np.argmax(train(architecture, seed, by_epoch, found).curves["valid_score"]) != 2
    )
    result = train(architecture, seed, protocol, found, keep_logits=True)
    best = train(architecture, seed, by_epoch, found, keep_logits=True)
    assert not np.array_equal(result.logits, best.logits)
    assert score("roc_auc", labels, result.logits) != score("roc_auc", labels, best.logits)


def test_a_training_that_exploded_has_no_score_at_the_end(dataset):
    wild = later(
        epochs=3, batch_size=16, learning_rate=1000.0, clip=0.0, optimiser="sgd", score_at="end", weight_decay=0.0
    )
    result = train(SPACE.parse("k1.n.g/g.0.mean"), 0, wild, prepare_inputs(SPACE, dataset, None, wild))
    assert result.status == "diverged"
    assert math.isnan(result.final["valid_score"])
    assert np.isnan(result.final["test_blocks"]).all()
    assert result.final["eval_seconds"] >= 0


def test_the_start_of_embeddings_is_the_protocol_s(inputs):
    architecture = SPACE.parse("k1.n.g.0.mean")
    stds = []
    for std in (0.1, 1.0):
        torch.manual_seed(0)
        network = build(architecture, inputs.shape, embedding_std=std)
        stds.append([float(each.weight.detach().std()) for each in network.stem.embeddings])
    assert np.array(stds[1]) == pytest.approx(10 * np.array(stds[0]))
    assert (
        train(architecture, 0, later(embedding_std=1.0), inputs).curves["train_loss"]
        != train(architecture, 0, PROTOCOL, inputs).curves["train_loss"]
    )


def test_layer_norm_of_ffn_counts_its_parameters(dataset):
    space, protocol = FFNSpace(2), later(norm="layer")
    found = prepare_inputs(space, dataset, None, protocol)
    network = build(space.parse("16-8"), found.shape)
    assert [type(layer).__name__ for layer in network.layers][:4] == ["Linear", "LayerNorm", "ReLU", "Dropout"]
    plain = space.cost(space.parse("16-8"), prepare_inputs(space, dataset, None, PROTOCOL).shape)
    cost = space.cost(space.parse("16-8"), found.shape)
    assert cost.params == plain.params + 2 * (16 + 8) == sum(each.numel() for each in network.parameters())
    assert train(space.parse("16-8"), 0, protocol, found).status == "ok"
