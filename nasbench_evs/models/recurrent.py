"""The recurrent baselines: a plain GRU or LSTM over embedded events, and a linear layer on its last state."""

import torch
from torch import nn

from nasbench_evs.models.dropout import Dropout
from nasbench_evs.models.seqnas import Stem
from nasbench_evs.spaces import SeqNASSpace, SequenceShape

KINDS = {"gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentNetwork(nn.Module):
    """Logits (B, outputs) of a padded batch of event sequences; `shape.hidden` is the width of the state."""

    def __init__(self, kind: str, shape: SequenceShape, dropout: float) -> None:
        super().__init__()
        stem = SeqNASSpace(numerical=shape.numerical > 0).unrank(0)  # kernel 1, or no real-valued fields at all
        self.stem = Stem(stem, shape, 0.0)
        self.dropout = Dropout(dropout)
        self.recurrent = KINDS[kind](shape.width, shape.hidden, batch_first=True)
        self.linear = nn.Linear(shape.hidden, shape.outputs)

    def forward(
        self, categorical: torch.Tensor, numerical: torch.Tensor, time: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """As `SeqNASNetwork.forward`; the state after the last event is what counts."""
        mask = torch.arange(time.shape[1], device=time.device) < lengths[:, None]
        states = self.recurrent(self.dropout(self.stem(categorical, numerical, mask)))[0]
        last = states[torch.arange(len(states), device=states.device), lengths - 1]
        return self.linear(self.dropout(last))
