import math

import numpy as np
import pytest
import torch

from nasbench_evs.datasets import Dataset
from nasbench_evs.datasets.aggregate import vectors
from nasbench_evs.errors import RecipeError
from nasbench_evs.generators.inputs import prepare_inputs
from nasbench_evs.generators.latency import latency
from nasbench_evs.generators.protocol import Protocol
from nasbench_evs.generators.trainer import CURVES, _batches, _gpu_arithmetic, predict, train
from nasbench_evs.metrics import score
from nasbench_evs.models import build
from nasbench_evs.spaces import FFNSpace, SeqNASSpace

SPACE = SeqNASSpace()
PROTOCOL = Protocol(epochs=2, batch_size=64, embedding=4, channels=1, hidden=8)


@pytest.fixture(scope="module")
def inputs(dataset):
    return prepare_inputs(SPACE, dataset, 300, PROTOCOL)


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


def test_scores_are_those_of_the_metric(inputs):
    torch.manual_seed(0)
    network = build(SPACE.parse("k1.n.g.0.mean"), inputs.shape, dropout=0.0)
    rows = inputs.rows["valid"]
    logits = predict(network, PROTOCOL, inputs, rows)
    one_by_one = torch.cat([predict(network, PROTOCOL, inputs, rows[i : i + 1]) for i in range(len(rows))])
    assert torch.allclose(logits, one_by_one, atol=1e-5)
    probabilities = logits.softmax(-1).double().numpy()
    assert 0 <= score("roc_auc", inputs.labels.numpy()[rows], probabilities) <= 1


def test_batches_are_the_padded_batches_of_the_dataset(inputs, dataset):
    rows = inputs.rows["test"][:7]
    categorical, numerical, time, lengths = inputs.arguments(rows)
    batch = dataset.batch(rows)
    mask = batch.mask
    assert lengths.tolist() == batch.lengths.tolist()
    assert np.array_equal(categorical.numpy()[mask][:, : batch.categorical.shape[2]], batch.categorical[mask])
    assert np.array_equal(numerical.numpy()[mask][:, : batch.inputs.shape[2]], batch.inputs[mask])
    profile = np.broadcast_to(batch.profile_inputs[:, None], (*mask.shape, batch.profile_inputs.shape[1]))
    assert np.array_equal(numerical.numpy()[mask][:, batch.inputs.shape[2] :], profile[mask])
    assert np.allclose(time.numpy()[mask], (batch.time - batch.time[:, :1])[mask], atol=1e-4)


@pytest.mark.parametrize(("n", "batches", "pool"), [(100, 7, 3), (5, 5, 1), (64, 1, 8), (97, 13, 100)])
def test_an_epoch_sees_every_sequence_once_in_batches_of_nearly_one_size(n, batches, pool):
    rows = np.arange(1000, 1000 + n)
    lengths = np.random.default_rng(0).integers(1, 50, 2000)
    cut = list(_batches(rows, lengths, batches, pool, np.random.default_rng(1)))
    assert sorted(np.concatenate(cut)) == rows.tolist()
    sizes = [len(batch) for batch in cut]
    assert max(sizes) - min(sizes) <= max(2, n // batches // 3)


def test_class_weights_make_classes_count_the_same(inputs):
    from nasbench_evs.generators.trainer import _class_weights

    weights = _class_weights(inputs, PROTOCOL)
    labels = inputs.labels.numpy()[inputs.rows["train"]]
    totals = [weights[label].item() * (labels == label).sum() for label in (0, 1)]
    assert totals[0] == pytest.approx(totals[1])
    assert sum(totals) == pytest.approx(len(labels))


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


def test_a_subset_without_all_classes_is_refused(dataset):
    with pytest.raises(RecipeError, match="take a larger subset"):
        prepare_inputs(SPACE, dataset, 1, PROTOCOL)
    with pytest.raises(RecipeError, match="expected 1 to 400"):
        prepare_inputs(SPACE, dataset, 401, PROTOCOL)


def test_half_precision_scores_nearly_the_same(inputs):
    half = Protocol(**{**PROTOCOL.to_dict(), "precision": "bfloat16"})
    for text in ("k3d.t.a2g/c.1x2.d-mean+max", "kw.n.g.0.max"):
        exact, rounded = (train(SPACE.parse(text), 0, protocol, inputs) for protocol in (PROTOCOL, half))
        assert curves(rounded) != curves(exact)
        assert np.allclose(rounded.curves["valid_loss"], exact.curves["valid_loss"], atol=0.02)


def test_gpus_compute_as_exactly_as_asked_and_are_left_as_they_were():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    with _gpu_arithmetic(torch.device("cuda")):
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == (False, True)
        assert torch.backends.cudnn.enabled
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == before


def test_latency_grows_with_the_batch(inputs):
    one, many = latency(SPACE.parse("k1.n.g/g.0.mean"), PROTOCOL, inputs)
    assert 0 < one < many
