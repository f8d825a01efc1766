import numpy as np
import pytest
import torch

from nasbench_evs.training.losses import class_weights, distillation
from tests.training.conftest import PROTOCOL


def test_class_weights_make_classes_count_the_same(inputs):
    weights = class_weights(inputs, PROTOCOL)
    labels = inputs.labels.numpy()[inputs.rows["train"]]
    totals = [weights[label].item() * (labels == label).sum() for label in (0, 1)]
    assert totals[0] == pytest.approx(totals[1])
    assert sum(totals) == pytest.approx(len(labels))


def test_distillation_knows_which_sequence_a_teacher_spoke_of(inputs):
    """Logits in the order of rows["train"], positions in the dataset."""
    rows = inputs.rows["train"]
    logits = np.random.default_rng(0).normal(size=(len(rows), 2)).astype(np.float32)
    loss = distillation(logits, inputs, 0.25)
    student, task = torch.zeros(5, 2), torch.tensor(2.0)
    found = loss(student, torch.from_numpy(rows[3:8]), task)
    assert float(found) == pytest.approx(0.75 * 2.0 + 0.25 * (logits[3:8] ** 2).mean(), rel=1e-5)
