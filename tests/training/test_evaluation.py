import numpy as np
import pytest
import torch

from nasbench_evs.metrics import score
from nasbench_evs.models import build
from nasbench_evs.training.evaluation import EXPLODED, Evaluation, evaluate, predict
from tests.training.conftest import PROTOCOL, SPACE


@pytest.fixture
def network(inputs):
    torch.manual_seed(0)
    return build(SPACE.parse("k1.n.g.0.mean"), inputs.shape)


def test_predictions_are_in_the_order_of_the_rows_and_drop_nothing_out(inputs, network):
    rows = np.random.default_rng(0).permutation(inputs.rows["train"])  # more than a batch of them
    logits = predict(network.train(), PROTOCOL, inputs, rows)
    one_by_one = torch.cat([predict(network, PROTOCOL, inputs, rows[i : i + 1]) for i in range(len(rows))])
    assert torch.allclose(logits, one_by_one, atol=1e-5)


def test_loss_and_score_are_those_of_the_predictions(inputs, network):
    rows = inputs.rows["valid"]
    weights = torch.tensor([0.5, 2.0])
    found = evaluate(network, PROTOCOL, inputs, rows, weights)
    logits, labels = predict(network, PROTOCOL, inputs, rows), inputs.labels[torch.from_numpy(rows)]
    assert found.loss == float(torch.nn.functional.cross_entropy(logits, labels, weights))
    assert np.array_equal(found.labels, labels.numpy())
    assert found.score() == score("roc_auc", labels.numpy(), logits.double().softmax(-1).numpy())
    assert len(found.block_scores(inputs.blocks[rows])) == 10
    assert not found.exploded


def test_what_is_called_in_the_network_s_place_answers(inputs, network):
    rows = inputs.rows["valid"]
    found = predict(network, PROTOCOL, inputs, rows, forward=lambda batch: -network(batch))
    assert torch.equal(found, -predict(network, PROTOCOL, inputs, rows))


@pytest.mark.parametrize(("loss", "exploded"), [(1.0, False), (2 * EXPLODED, True), (float("nan"), True)])
def test_losses_explode_or_do_not(loss, exploded):
    assert Evaluation(loss, np.zeros(2, int), np.zeros((2, 2)), "roc_auc").exploded == exploded
