"""The recurrent baselines of paper 000, appendix A: one GRU or LSTM layer between the stem and the head."""

import torch
from torch import nn

from nasbench_evs.models.batch import PaddedBatch
from nasbench_evs.models.layers import Dropout, recurrent_states
from nasbench_evs.models.seqnas import EMBEDDING_STD, Head, Stem
from nasbench_evs.spaces import SequenceShape

KINDS = {"gru": nn.GRU, "lstm": nn.LSTM}
# The fixed stem and head of all baselines, as the appendix has them: no dropout in the stem, and in the head Mish, dropout of
# whole time steps, and the maximum over time.
KERNEL = 3
HEAD_DROPOUT = 0.3
POOL = "max"


class RecurrentNetwork(nn.Module):
    """Logits (B, outputs) of a padded batch of event sequences; `shape.hidden` is the width of the state.

    The appendix does not say where the dropout is whose rate is searched: here, on the states that the head reads.
    """

    def __init__(self, kind: str, shape: SequenceShape, dropout: float, embedding_std: float = EMBEDDING_STD) -> None:
        super().__init__()
        self.stem = Stem(shape, KERNEL, 0.0, embedding_std)
        self.recurrent = KINDS[kind](shape.width, shape.hidden, batch_first=True)
        self.dropout = Dropout(dropout)
        self.head = Head(shape.hidden, shape.outputs, HEAD_DROPOUT, POOL)

    def forward(self, batch: PaddedBatch) -> torch.Tensor:
        mask = batch.mask
        return self.head(self.dropout(recurrent_states(self.recurrent, self.stem(batch, mask))), mask)
