import math

import numpy as np
import pytest
import torch

from nasbench_evs.datasets import Dataset
from nasbench_evs.datasets.aggregate import vectors
from nasbench_evs.datasets.split import stable_hash
from nasbench_evs.errors import RecipeError
from nasbench_evs.metrics import score
from nasbench_evs.models import build
from nasbench_evs.spaces import FFNSpace, SeqNASSpace
from nasbench_evs.training.inputs import prepare_inputs
from nasbench_evs.training.latency import latency
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.train import CURVES, _batches, _gpu_arithmetic, _slices, predict, train

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
    from nasbench_evs.training.train import _class_weights

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
    with pytest.raises(RecipeError, match="take more of them"):
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


def later(**changes):
    return Protocol(**{**PROTOCOL.to_dict(), **changes})


def test_an_epoch_as_large_as_the_training_split_is_what_an_epoch_was(dataset, inputs):
    """Slices of an endless stream of permutations: of the whole, they draw exactly what was drawn before."""
    architecture = SPACE.parse("k3d.t.a2g/c.1x2.d-mean+max")
    whole = later(epoch_size=len(inputs.rows["train"]))
    assert curves(train(architecture, 0, whole, prepare_inputs(SPACE, dataset, 300, whole))) == curves(
        train(architecture, 0, PROTOCOL, inputs)
    )


@pytest.mark.parametrize(("n", "size"), [(10, 4), (10, 10), (7, 3), (5, 1), (6, 4)])
def test_slices_are_of_fresh_permutations_end_to_end(n, size):
    rows = np.arange(50, 50 + n)
    slices = _slices(rows, size, np.random.default_rng(0))
    stream = np.concatenate([next(slices) for _ in range(20)])
    passes = [stream[i : i + n] for i in range(0, len(stream) - n + 1, n)]
    assert all(sorted(each) == rows.tolist() for each in passes)
    assert len({tuple(each) for each in passes}) > 1
    again = _slices(rows, size, np.random.default_rng(0))
    assert np.array_equal(stream, np.concatenate([next(again) for _ in range(20)]))


def test_steps_follow_from_the_size_of_an_epoch(dataset):
    """Twice as many epochs of half the size take as many steps, so the schedule ends where it did."""
    one, two = later(epochs=1, epoch_size=128), later(epochs=2, epoch_size=64)
    for protocol in (one, two):
        found = prepare_inputs(SPACE, dataset, None, protocol)
        assert len(train(SPACE.parse("k1.n.0.0.mean"), 0, protocol, found).curves["train_loss"]) == protocol.epochs


def test_train_bounds_the_training_part_only(dataset):
    found = prepare_inputs(SPACE, dataset, None, PROTOCOL, train=100)
    whole = prepare_inputs(SPACE, dataset, None, PROTOCOL)
    for split in ("valid", "test"):
        assert np.array_equal(found.rows[split], whole.rows[split])
    chosen = found.rows["train"]
    hashes = stable_hash(dataset.ids, "subset")
    left = np.setdiff1d(whole.rows["train"], chosen)
    assert len(chosen) == 100
    assert set(chosen) < set(whole.rows["train"].tolist())
    assert hashes[chosen].max() < hashes[left].min()


@pytest.mark.parametrize("train_size", [100, None])
def test_vectors_of_a_part_are_those_of_the_same_sequences_in_the_whole(dataset, train_size):
    """And of a subset those of the subset's own sequences, at their places."""
    space = FFNSpace(2)
    features, _ = vectors(dataset, 20)
    found = prepare_inputs(space, dataset, None, PROTOCOL, train=train_size)
    for rows in found.rows.values():
        assert np.array_equal(found.arguments(rows)[0].numpy(), features[rows])
    part = dataset.subset(300)
    of_subset = prepare_inputs(space, dataset, 300, PROTOCOL)
    rows = np.sort(np.concatenate(list(of_subset.rows.values())))
    assert np.array_equal(of_subset.arguments(rows)[0].numpy(), vectors(part, 20)[0])
    assert np.array_equal(dataset.ids[rows], part.ids)


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


@pytest.mark.parametrize(
    ("changes", "train_size", "message"),
    [
        ({}, 401, "train = 401: synthetic has 240 training sequences; expected 1 to 240"),
        ({}, 1, "the train split of 1 sequences holds 1 of 2 classes"),
        ({"epoch_size": 151}, 150, "epoch_size = 151 above the 150 training sequences of synthetic"),
        ({"curve_rows": 81}, None, "curve_rows = 81 above the 80 sequences of the valid split of synthetic"),
    ],
)
def test_a_part_that_is_not_there_is_refused(dataset, changes, train_size, message):
    with pytest.raises(RecipeError, match=message):
        prepare_inputs(SPACE, dataset, None, later(**changes), train=train_size)


def test_starts_and_warm_up_are_the_protocol_s(inputs):
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
    assert _peak(0.1) < _peak(0.3)


def _peak(warm_up):
    """The step of the highest learning rate, of a hundred."""
    from nasbench_evs.training.train import _schedule

    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = _schedule(optimiser, later(warm_up=warm_up), 100)
    rates = []
    for _ in range(101):
        rates.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)
    return int(np.argmax(rates))


def test_layer_norm_of_ffn_counts_its_parameters(dataset):
    space, protocol = FFNSpace(2), later(norm="layer")
    found = prepare_inputs(space, dataset, None, protocol)
    network = build(space.parse("16-8"), found.shape)
    assert [type(layer).__name__ for layer in network.layers][:4] == ["Linear", "LayerNorm", "ReLU", "Dropout"]
    plain = space.cost(space.parse("16-8"), prepare_inputs(space, dataset, None, PROTOCOL).shape)
    cost = space.cost(space.parse("16-8"), found.shape)
    assert cost.params == plain.params + 2 * (16 + 8) == sum(each.numel() for each in network.parameters())
    assert train(space.parse("16-8"), 0, protocol, found).status == "ok"
