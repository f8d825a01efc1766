"""The LSTM controller (paper 004, appendices A and D): a distribution over architectures that REINFORCE improves.

It emits the active choices of a space in their order, each given those before it. Needs PyTorch (the `train` extra).
"""

from __future__ import annotations

import numpy as np

from nasbench_evs.errors import PredictorError
from nasbench_evs.spaces import SearchSpace

try:
    import torch
    from torch import nn

    from nasbench_evs.models.threads import one_thread
except ImportError:
    raise PredictorError("the LSTM controller needs PyTorch: pip install 'nasbench-evs[train]'") from None

_UNITS = 35
_EMBEDDING = 32
_OUTPUT = 32
_WEIGHTS = 0.1  # initial ones are uniform in +- this
_TEMPERATURE = 5.0
_TANH = 2.5


class Controller:
    """Samples architectures, tells their probabilities, and learns from rewards.

    `learning_rate` is Adam's; `entropy` weighs a sample's entropy in its reward; `baseline` is the decay of the moving
    average of rewards that is subtracted from them (Zoph & Le 2017; 0: nothing is subtracted).
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        *,
        learning_rate: float = 1e-3,
        entropy: float = 1e-4,
        baseline: float = 0.9,
    ) -> None:
        self.space, self.entropy, self.decay = space, entropy, baseline
        counts = np.array([len(choice.options) for choice in space.choices])
        self._first = torch.as_tensor(np.cumsum(counts) - counts)  # of each choice's options among all options
        self._network = _Network(int(counts.sum()), seed)
        self._options = [(int(last - count), int(last)) for count, last in zip(counts, np.cumsum(counts), strict=True)]
        # A choice's logits are those of its own options only.
        allowed = torch.zeros(len(counts), int(counts.sum()), dtype=torch.bool)
        for column, (first, count) in enumerate(zip(self._first.tolist(), counts.tolist(), strict=True)):
            allowed[column, first : first + count] = True
        self._allowed = allowed
        self._optimiser = torch.optim.Adam(self._network.parameters(), lr=learning_rate)
        self._average: float | None = None

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """n architectures, choice indices (n, C), with repeats."""
        steps = _Steps(self._network, n)
        choices = np.full((len(self.space.choices), n), -1, np.int8).T
        token = np.zeros(n, np.intp)
        for column, (first, last) in enumerate(self._options):
            rows = np.flatnonzero(self.space.is_active(column, choices))
            if not len(rows):
                continue
            logits = steps.take(token[rows], rows)[:, first:last].astype(np.float64)
            odds = np.exp(logits - logits.max(axis=1, keepdims=True)).cumsum(axis=1)
            drawn = (odds[:, :-1] < rng.random((len(rows), 1)) * odds[:, -1:]).sum(axis=1)
            choices[rows, column] = drawn
            token[rows] = drawn + first + 1
        return np.ascontiguousarray(choices)

    def log_probabilities(self, choices: np.ndarray) -> np.ndarray:
        """The natural logarithm of each architecture's probability, (N,)."""
        with one_thread(), torch.inference_mode():
            logs: np.ndarray = self._log_probabilities(choices)[0].double().numpy()
        return logs

    def update(self, choices: np.ndarray, rewards: np.ndarray) -> None:
        """One REINFORCE step on a batch of architectures (N, C) and their rewards (N,) (paper 004, equation 5)."""
        with one_thread():
            self._step(choices, rewards)

    def _step(self, choices: np.ndarray, rewards: np.ndarray) -> None:
        logs, entropies = self._log_probabilities(choices)
        total = torch.as_tensor(rewards, dtype=torch.float32) + self.entropy * entropies.detach()
        mean = float(total.mean())
        advantage = total - (self._average if self._average is not None else mean) * (self.decay > 0)
        self._average = mean if self._average is None else self.decay * self._average + (1 - self.decay) * mean
        self._optimiser.zero_grad()
        (-(advantage * logs).mean()).backward()
        self._optimiser.step()

    def _log_probabilities(self, choices: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Of each architecture: log probability, and the sum of the entropies of its decisions."""
        index = torch.as_tensor(np.asarray(choices, np.int64))
        # The active choices of each row, moved to its left; what is behind them is masked.
        columns = torch.argsort((index < 0).to(torch.uint8), dim=1, stable=True)
        index = index.gather(1, columns)
        active = index >= 0
        length = int(active.sum(1).max())
        index, columns, active = index[:, :length], columns[:, :length], active[:, :length]
        options = index.clamp(min=0) + self._first[columns]
        before = torch.cat([torch.zeros(len(index), 1, dtype=torch.long), options[:, :-1] + 1], dim=1)
        logits = self._network(before).masked_fill(~self._allowed[columns], -torch.inf)
        logs = torch.log_softmax(logits, dim=2)
        chosen = logs.gather(2, options[..., None])[..., 0]
        entropies = -(logs.exp() * logs.masked_fill(~self._allowed[columns], 0.0)).sum(2)
        return (chosen * active).sum(1), (entropies * active).sum(1)


class _Network(nn.Module):
    """Embedding, two LSTM layers, a linear layer, logits of all options of all choices."""

    def __init__(self, options: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(options + 1, _EMBEDDING)  # 0: nothing was chosen yet
            self.lstm = nn.LSTM(_EMBEDDING, _UNITS, num_layers=2, batch_first=True)
            self.output = nn.Linear(_UNITS, _OUTPUT)
            self.logits = nn.Linear(_OUTPUT, options)
            for weight in self.parameters():
                nn.init.uniform_(weight, -_WEIGHTS, _WEIGHTS)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (N, T) to logits (N, T, options)."""
        return self._squashed(self.lstm(self.embedding(tokens))[0])

    def _squashed(self, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.logits(self.output(hidden))
        return _TANH * torch.tanh(logits / _TEMPERATURE)


class _Steps:
    """The network one decision after another, in NumPy: PyTorch takes most of a millisecond to call so little."""

    def __init__(self, network: _Network, n: int) -> None:
        weights = {name: weight.detach().numpy() for name, weight in network.named_parameters()}
        self._recurrent = [weights[f"lstm.weight_hh_l{layer}"].T for layer in (0, 1)]
        biases = [weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"] for layer in (0, 1)]
        self._tokens = weights["embedding.weight"] @ weights["lstm.weight_ih_l0"].T + biases[0]
        self._input, self._bias = weights["lstm.weight_ih_l1"].T, biases[1]
        self._out = weights["logits.weight"] @ weights["output.weight"] / _TEMPERATURE
        self._shift = (weights["logits.weight"] @ weights["output.bias"] + weights["logits.bias"]) / _TEMPERATURE
        self._hidden, self._cell = (np.zeros((2, n, _UNITS), np.float32) for _ in range(2))

    def take(self, tokens: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """One decision of these rows, each after its token: logits (N, options)."""
        gates = self._tokens[tokens] + self._hidden[0, rows] @ self._recurrent[0]
        below = self._update(0, rows, gates)
        gates = below @ self._input + self._hidden[1, rows] @ self._recurrent[1] + self._bias
        logits: np.ndarray = _TANH * np.tanh(self._update(1, rows, gates) @ self._out.T + self._shift)
        return logits

    def _update(self, layer: int, rows: np.ndarray, gates: np.ndarray) -> np.ndarray:
        """The new hidden state of these rows from the input, forget, cell and output gates (N, 4 units)."""
        # sigmoid(x) = (1 + tanh(x / 2)) / 2, which overflows nowhere.
        entered, kept, opened = (0.5 + 0.5 * np.tanh(0.5 * gates[:, i * _UNITS : (i + 1) * _UNITS]) for i in (0, 1, 3))
        cell = kept * self._cell[layer, rows] + entered * np.tanh(gates[:, 2 * _UNITS : 3 * _UNITS])
        hidden: np.ndarray = opened * np.tanh(cell)
        self._cell[layer, rows], self._hidden[layer, rows] = cell, hidden
        return hidden
