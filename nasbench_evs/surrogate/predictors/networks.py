"""Predictors that are neural networks (PyTorch, the `train` extra); what they do not know is how far members differ."""

from __future__ import annotations

import re
from abc import abstractmethod
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import numpy as np

from nasbench_evs.errors import PredictorError
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.surrogate.predictors.predictor import Prediction, Predictor

try:
    import torch
    from torch import nn
    from torch.nn import functional as F

    from nasbench_evs.models.threads import one_thread
except ImportError:
    raise PredictorError("this predictor needs PyTorch: pip install 'nasbench-evs[train]'") from None

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMBERS = 5  # of an ensemble of MLPs, which train as one
_FEW = 3  # of the ensembles whose members train one after another
_BATCH = 64


class Network(Predictor):
    """What the networks share: members with seeds of their own, AdamW, a one-cycle schedule."""

    members = _FEW
    steps = 150  # of the optimiser, however many architectures there are
    learning_rate = 3e-3

    def _fit(self, choices: np.ndarray, scores: np.ndarray) -> None:
        inputs, targets = self._encode(choices), torch.as_tensor(scores, dtype=torch.float32)
        self._networks = []
        with one_thread(), torch.random.fork_rng([]):
            for member in range(self.members):
                torch.manual_seed(self.seed * self.members + member)
                network = self._build(inputs)
                self._train(network, inputs, targets)
                self._networks.append(network.eval())

    def _train(self, network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        network.train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=self.learning_rate, weight_decay=0.01, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.learning_rate, self.steps, cycle_momentum=False)
        for rows in islice(_batches(len(inputs)), self.steps):
            optimiser.zero_grad()
            self._loss(network, inputs[rows], targets[rows]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()

    def _predict(self, choices: np.ndarray) -> Prediction:
        inputs = self._encode(choices)
        with one_thread(), torch.inference_mode():
            parts = [
                torch.stack([self._score(network, part) for network in self._networks]).flatten(0, -2)
                for part in inputs.split(1 << 14)
            ]
        members = torch.cat(parts, dim=-1).double().numpy()
        return Prediction(members.mean(axis=0), members.std(axis=0, ddof=1))

    @abstractmethod
    def _encode(self, choices: np.ndarray) -> torch.Tensor:
        """What the network reads of N architectures: N rows."""

    @abstractmethod
    def _build(self, inputs: torch.Tensor) -> nn.Module:
        """A fresh network that reads such rows."""

    def _score(self, network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Scores (N,), or (K, N) of K members in one network."""
        scores: torch.Tensor = network(inputs)
        return scores

    def _loss(self, network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        scores = self._score(network, inputs)
        return F.mse_loss(scores, targets.expand_as(scores))


def _batches(n: int) -> Iterator[torch.Tensor]:
    while True:
        yield from torch.randperm(n).split(_BATCH)


class MLP(Network):
    """An ensemble of feed-forward networks on the AVec, small and soon trained: more steps do not order better."""

    members = 1  # a network holds all of them
    steps = 60
    learning_rate = 2e-2
    width, layers = 64, 2

    def _encode(self, choices: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(self.space.encode_many(choices), dtype=torch.float32)

    def _build(self, inputs: torch.Tensor) -> nn.Module:
        return _ParallelMLP(inputs.shape[1], self.width, self.layers)


class DeepMLP(MLP):
    """The ensemble of BANANAS as published (White et al. 2021): ten layers of 20, absolute error; trained as the others here."""

    steps = 200
    learning_rate = 1e-2
    width, layers = 20, 10

    def _loss(self, network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        scores = self._score(network, inputs)
        return F.l1_loss(scores, targets.expand_as(scores))


class _ParallelMLP(nn.Module):
    def __init__(self, inputs: int, width: int, layers: int) -> None:
        super().__init__()
        sizes = [inputs, *[width] * layers, 1]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(_MEMBERS, i, o) * (2 / i) ** 0.5) for i, o in pairwise(sizes)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(_MEMBERS, 1, o)) for o in sizes[1:])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs) to (members, N)."""
        x = x.expand(_MEMBERS, *x.shape)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < len(self.weights) - 1:
                x = F.relu(x)
        return x[..., 0]


class GCN(Network):
    """A graph convolutional network (Wen et al. 2020): blocks of the architecture in their order, and one node for all.

    A block is the choices that share a name up to its first number ("encoder.0.ops" and "encoder.0.heads"); absent
    layers are absent nodes.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        super().__init__(space, seed)
        names = [_block(choice.name) for choice in space.choices]
        self._blocks = [[i for i, name in enumerate(names) if name == block] for block in dict.fromkeys(names)]
        self._tables = [np.array([*choice.bits, (0,) * len(choice.bits[0])], np.float32) for choice in space.choices]
        self._widths = [sum(self._tables[c].shape[1] for c in columns) for columns in self._blocks]

    def _encode(self, choices: np.ndarray) -> torch.Tensor:
        """Node features (N, nodes, kinds + widest block + 1), the last column says whether the node is there."""
        nodes = len(self._blocks)
        width = max(self._widths)
        found = np.zeros((len(choices), nodes, nodes + width + 1), np.float32)
        for node, columns in enumerate(self._blocks):
            bits = np.concatenate([self._tables[c][choices[:, c]] for c in columns], axis=1)
            found[:, node, node] = 1
            found[:, node, nodes : nodes + bits.shape[1]] = bits
            found[:, node, -1] = (choices[:, columns] >= 0).any(axis=1)
        return torch.as_tensor(found)

    def _build(self, inputs: torch.Tensor) -> nn.Module:
        return _GraphNetwork(inputs.shape[2] - 1)


class _GraphNetwork(nn.Module):
    def __init__(self, inputs: int, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.whole = nn.Parameter(torch.zeros(inputs))
        sizes = [inputs, *[width] * layers]
        self.own = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
        self.others = nn.ModuleList(nn.Linear(i, o, bias=False) for i, o in pairwise(sizes))
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        there, x = x[..., -1], x[..., :-1]
        n, _, width = x.shape
        x = torch.cat([x * there[..., None], self.whole.expand(n, 1, width)], dim=1)
        mean = _adjacency(there)
        for own, others in zip(self.own, self.others, strict=True):
            x = F.relu(own(x) + others(mean @ x))
        nodes_mean = (x[:, :-1] * there[..., None]).sum(1) / there.sum(1, keepdim=True)
        scores: torch.Tensor = self.head(torch.cat([nodes_mean, x[:, -1]], dim=-1))[:, 0]
        return scores


def _adjacency(there: torch.Tensor) -> torch.Tensor:
    """Row-normalised edges (N, nodes + 1, nodes + 1) between nodes that follow each other, and all with the last."""
    n, nodes = there.shape
    # A node's place among those that are there: it follows the one whose place is one less.
    place = there.cumsum(1) * there
    follows = (place[:, :, None] - place[:, None, :]).abs() == 1
    inner = follows & (there[:, :, None] * there[:, None, :] > 0)
    edges = torch.zeros(n, nodes + 1, nodes + 1)
    edges[:, :nodes, :nodes] = inner.float()
    edges[:, :nodes, nodes] = there
    edges[:, nodes, :nodes] = there
    return edges / edges.sum(-1, keepdim=True).clamp(min=1)


def _block(name: str) -> str:
    found = re.match(r"[^\d]*\d+", name)
    return found.group(0) if found else name


class _Tokens(Network):
    """Networks that read the sequence of choices: each choice and its option is one token, inactive ones another."""

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        super().__init__(space, seed)
        counts = np.array([len(choice.options) + 1 for choice in space.choices])
        self._offsets = np.cumsum(counts) - counts
        self._vocabulary = int(counts.sum())

    def _encode(self, choices: np.ndarray) -> torch.Tensor:
        """Tokens, int64 (N, C)."""
        return torch.as_tensor(choices.astype(np.int64) + 1 + self._offsets)


class Transformer(_Tokens):
    """A Transformer encoder over the choices."""

    def _build(self, inputs: torch.Tensor) -> nn.Module:
        return _TokenTransformer(self._vocabulary, inputs.shape[1])


class _TokenTransformer(nn.Module):
    def __init__(self, vocabulary: int, length: int, width: int = 48) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)  # a token says which choice it answers: no positions needed
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.1, batch_first=True, norm_first=True, activation="gelu"
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.encoder(self.tokens(tokens)).mean(dim=1))[:, 0]
        return scores


class NAO(_Tokens):
    """LSTM encoder, predictor and decoder (Luo et al. 2018): the embedding must tell the score and the architecture."""

    reconstruction = 0.2  # weight of the decoder's loss

    def _build(self, inputs: torch.Tensor) -> nn.Module:
        return _EncoderPredictorDecoder(self._vocabulary)

    def _score(self, network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = network.score(network.encode(inputs))  # type: ignore[operator]
        return scores

    def _loss(self, network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        scores, logits = network(inputs)
        mistakes = F.cross_entropy(logits.flatten(0, 1), inputs.flatten())
        return (1 - self.reconstruction) * F.mse_loss(scores, targets) + self.reconstruction * mistakes


class _EncoderPredictorDecoder(nn.Module):
    def __init__(self, vocabulary: int, width: int = 48) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.encoder = nn.LSTM(width, width, batch_first=True)
        self.predictor = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.decoder = nn.LSTM(width, width, batch_first=True)
        self.out = nn.Linear(width, vocabulary)

    def encode(self, tokens: torch.Tensor) -> torch.Tensor:
        """The embedding of an architecture, (N, width): unit length, mean over the sequence."""
        return F.normalize(self.encoder(self.tokens(tokens))[0].mean(dim=1), dim=-1)

    def score(self, embedding: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.predictor(embedding)[:, 0]
        return scores

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (N,), and logits (N, C, vocabulary) of the tokens, each from the embedding and those before it."""
        embedding = self.encode(tokens)
        before = F.pad(self.tokens(tokens[:, :-1]), (0, 0, 1, 0))
        state = embedding[None]
        decoded = self.decoder(before, (state, torch.zeros_like(state)))[0]
        return self.score(embedding), self.out(decoded)


class SemiNAS(NAO):
    """NAO that also learns from architectures nobody trained, with the scores it predicts for them (Luo et al. 2020)."""

    unlabelled = 500

    def _train(self, network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        super()._train(network, inputs, targets)
        drawn = self._encode(self.space.sample_many(self.unlabelled, seed=self.seed))
        network.eval()
        with torch.no_grad():
            guessed = self._score(network, drawn)
        # As many labelled as unlabelled rows, so that what is known weighs as much as what is guessed.
        times = max(1, round(self.unlabelled / len(inputs)))
        together = torch.cat([inputs.repeat(times, 1), drawn])
        scores = torch.cat([targets.repeat(times), guessed])
        super()._train(network, together, scores)
