"""A padded batch: what the networks of event sequences read."""

from __future__ import annotations

import torch


class PaddedBatch:
    """B event sequences, padded at the end to one length L, on one device.

    categorical          codes of the categorical fields of every event, integers (B, L, C)
    numerical            its real-valued fields, ready for a network, float32 (B, L, R)
    time                 of every event, since the first of its sequence, in the dataset's unit, float32 (B, L)
    lengths              events of every sequence, 1 to L, int64 (B,)
    profile_categorical  codes of the fields that are one for a whole sequence, integers (B, P); left out, P = 0
    profile_numerical    the real-valued ones, float32 (B, Q); left out, Q = 0

    This is what a network is called with, one of a user's own space too, unless its inputs are of a kind of their own. A
    SequenceShape describes `categorical` and `numerical`: there the profile is repeated at every event, its fields behind
    those of the events. What stands behind the last event of a sequence is arbitrary but valid (codes have an embedding,
    numbers are finite): a network must not let it change a logit, and has `mask` for that.
    """

    def __init__(
        self,
        categorical: torch.Tensor,
        numerical: torch.Tensor,
        time: torch.Tensor,
        lengths: torch.Tensor,
        profile_categorical: torch.Tensor | None = None,
        profile_numerical: torch.Tensor | None = None,
    ) -> None:
        none = (len(lengths), 0)
        self.categorical = categorical
        self.numerical = numerical
        self.time = time
        self.lengths = lengths
        self.profile_categorical = categorical.new_empty(none) if profile_categorical is None else profile_categorical
        self.profile_numerical = numerical.new_empty(none) if profile_numerical is None else profile_numerical

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def device(self) -> torch.device:
        return self.lengths.device

    @property
    def mask(self) -> torch.Tensor:
        """Where there is an event: bool (B, L), computed each time it is asked for."""
        return torch.arange(self.time.shape[1], device=self.device) < self.lengths[:, None]
