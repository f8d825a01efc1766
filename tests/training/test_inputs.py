"""What a dataset becomes for networks: padded batches, vectors, and parts of its rows."""

import numpy as np
import pytest
import torch

from nasbench_evs.datasets.aggregate import vectors
from nasbench_evs.datasets.split import stable_hash
from nasbench_evs.errors import RecipeError
from nasbench_evs.spaces import FFNSpace
from nasbench_evs.training.inputs import prepare_inputs
from tests.training.conftest import PROTOCOL, SPACE, later


def test_batches_are_the_padded_batches_of_the_dataset(inputs, dataset):
    rows = inputs.rows["test"][:7]
    found, batch = inputs.batch(rows), dataset.batch(rows)
    mask = batch.mask
    assert np.array_equal(found.mask.numpy(), mask)
    assert found.lengths.tolist() == batch.lengths.tolist()
    for events, of_events, profile, of_profile in (
        (found.categorical, batch.categorical, found.profile_categorical, batch.profile_categorical),
        (found.numerical, batch.inputs, found.profile_numerical, batch.profile_inputs),
    ):
        assert np.array_equal(profile.numpy(), of_profile)
        repeated = np.broadcast_to(of_profile[:, None], (*mask.shape, of_profile.shape[1]))
        assert np.array_equal(events.numpy()[mask], np.concatenate([of_events, repeated], axis=-1)[mask])
    assert np.allclose(found.time.numpy()[mask], (batch.time - batch.time[:, :1])[mask], atol=1e-4)
    assert found.profile_numerical.shape[1]  # there is something to repeat


def test_behind_the_end_of_a_sequence_its_last_event_stands_again(inputs):
    found = inputs.batch(inputs.rows["test"][:7])
    last = found.lengths - 1
    for fields in (found.categorical, found.numerical, found.time[..., None]):
        repeated = fields[torch.arange(len(found)), last][:, None].expand_as(fields)
        assert torch.equal(fields[~found.mask], repeated[~found.mask])


def test_a_subset_without_all_classes_is_refused(dataset):
    with pytest.raises(RecipeError, match="take more of them"):
        prepare_inputs(SPACE, dataset, 1, PROTOCOL)
    with pytest.raises(RecipeError, match="expected 1 to 400"):
        prepare_inputs(SPACE, dataset, 401, PROTOCOL)


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
        assert np.array_equal(found.batch(rows).numpy(), features[rows])
    part = dataset.subset(300)
    of_subset = prepare_inputs(space, dataset, 300, PROTOCOL)
    rows = np.sort(np.concatenate(list(of_subset.rows.values())))
    assert np.array_equal(of_subset.batch(rows).numpy(), vectors(part, 20)[0])
    assert np.array_equal(dataset.ids[rows], part.ids)


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
