"""The recurrent baselines: a plain GRU or LSTM over embedded events, and a linear layer on its last or its mean state."""

import torch
from torch import nn

from nasbench_evs.models.batch import PaddedBatch
from nasbench_evs.models.layers import Dropout
from nasbench_evs.models.seqnas import EMBEDDING_STD, Stem
from nasbench_evs.spaces import SequenceShape

KINDS = {"gru": nn.GRU, "lstm": nn.LSTM}
POOLS = ("last", "mean")  # which state is classified: the one after the last event, or the mean over events


class RecurrentNetwork(nn.Module):
    """Logits (B, outputs) of a padded batch of event sequences; `shape.hidden` is the width of the state."""

    def __init__(
        self, kind: str, shape: SequenceShape, dropout: float, pool: str, embedding_std: float = EMBEDDING_STD
    ) -> None:
        super().__init__()
        self.pool = pool
        self.stem = Stem(shape, 1, 0.0, embedding_std)
        self.dropout = Dropout(dropout)
        self.recurrent = KINDS[kind](shape.width, shape.hidden, batch_first=True)
        self.linear = nn.Linear(shape.hidden, shape.outputs)

    def forward(self, batch: PaddedBatch) -> torch.Tensor:
        mask, lengths = batch.mask, batch.lengths
        states = self.recurrent(self.dropout(self.stem(batch, mask)))[0]
        if self.pool == "last":
            pooled = states[torch.arange(len(states), device=states.device), lengths - 1]
        else:
            pooled = states.masked_fill(~mask[..., None], 0.0).sum(dim=1) / lengths[:, None]
        return self.linear(self.dropout(pooled))
