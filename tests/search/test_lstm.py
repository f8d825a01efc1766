"""The network's gradient, one decision after another against all at once, and Adam."""

import numpy as np
import pytest

from nasbench_evs.search.adam import Adam
from nasbench_evs.search.lstm import LSTMNetwork

TOKENS = np.array([[0, 2, 4, 1], [0, 5, 3, 3]])


def test_the_gradient_is_that_of_finite_differences():
    network, rng = LSTMNetwork(5, 0), np.random.default_rng(1)
    network.weights *= 8  # out of the linear range
    slope = rng.normal(size=(2, 4, 5))
    gradient = network.backward(network.forward(TOKENS)[1], slope)
    places = np.concatenate([rng.integers(len(network.weights), size=300), np.arange(len(network.weights))[-200:]])
    for place in places:
        kept, values = network.weights[place], []
        for step in (1e-6, -1e-6):
            network.weights[place] = kept + step
            values.append((network.forward(TOKENS)[0] * slope).sum())
        network.weights[place] = kept
        assert gradient[place] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_steps_give_what_the_whole_sequence_gives():
    network = LSTMNetwork(5, 0)
    network.weights *= 8
    logits = network.forward(TOKENS)[0]
    steps = network.steps(2)
    for t in range(4):
        assert np.allclose(steps.take(TOKENS[:, t], np.arange(2), slice(1, 4)), logits[:, t, 1:4])


def test_adam_moves_by_its_rate_and_forgets():
    weights = np.zeros(2)
    adam = Adam(weights, 0.1)
    adam.descend(np.array([1e-3, -5.0]))
    assert weights == pytest.approx([-0.1, 0.1], rel=1e-4)
    adam.restart()
    adam.descend(np.array([1.0, 1.0]))
    assert weights == pytest.approx([-0.2, 0.0], abs=1e-4)


def test_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    network = LSTMNetwork(5, 3)
    w = {name: torch.tensor(part) for name, part in network._parts.items()}
    lstm = torch.nn.LSTM(32, 35, num_layers=2, batch_first=True).double()
    with torch.no_grad():
        for layer in (0, 1):
            getattr(lstm, f"weight_ih_l{layer}").copy_(w[f"input{layer}"].T)
            getattr(lstm, f"weight_hh_l{layer}").copy_(w[f"recurrent{layer}"].T)
            getattr(lstm, f"bias_ih_l{layer}").copy_(w[f"bias{layer}"])
            getattr(lstm, f"bias_hh_l{layer}").zero_()
        hidden = lstm(w["embedding"][torch.tensor(TOKENS)])[0]
        logits = 2.5 * torch.tanh(((hidden @ w["output"] + w["output_bias"]) @ w["logits"] + w["logits_bias"]) / 5)
    assert np.allclose(network.forward(TOKENS)[0], logits.numpy())
