"""The seqnas network (paper 000, section 3.1): stem, time encoding, encoder, decoder, head.

Padding never leaks: what lies behind a sequence's last event changes no logit (attention and pooling are masked, batch norm
sees valid events only, convolutions read zeros there, the GRU is causal).
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from nasbench_evs.models.batch import PaddedBatch
from nasbench_evs.models.gru import GRU
from nasbench_evs.models.layers import (
    Dropout,
    NormedConvolution,
    additive_mask,
    attention,
    concat,
    conv1d,
    full_precision,
)
from nasbench_evs.spaces import Architecture, SequenceShape
from nasbench_evs.spaces.seqnas import chunks, wide_kernel

EMBEDDING_STD = 0.1  # torch's default of 1 is, where sequences are few, noise that short trainings do not get rid of
SPATIAL_DROPOUT = 0.2  # the head's, of whole time steps


class SeqNASNetwork(nn.Module):
    """Logits (B, outputs) of a padded batch of event sequences."""

    def __init__(
        self,
        architecture: Architecture,
        shape: SequenceShape,
        dropout: float,
        embedding_std: float = EMBEDDING_STD,
    ) -> None:
        super().__init__()
        options = architecture.options
        kernel = options.get("stem.kernel", 1)  # without real-valued fields there is nothing to convolve
        kernel = wide_kernel(shape.length) if kernel == "wide" else int(kernel)
        self.stem = Stem(shape, kernel, dropout if options.get("stem.dropout") else 0.0, embedding_std)
        self.time_encoding = TimeEncoding(shape.width) if options["time_encoding"] else None
        depth, decoder_depth = int(options["encoder.depth"]), int(options["decoder.depth"])
        self.encoder = nn.ModuleList(
            EncoderLayer(str(options[f"encoder.{i}.ops"]), int(options.get(f"encoder.{i}.heads", 0)), shape, dropout)
            for i in range(depth)
        )
        self.query = nn.Parameter(torch.randn(shape.outputs, shape.width)) if decoder_depth else None
        self.decoder = nn.ModuleList(
            DecoderLayer(
                int(options[f"decoder.{i}.self_heads"]), int(options[f"decoder.{i}.cross_heads"]), shape, dropout
            )
            for i in range(decoder_depth)
        )
        rate = SPATIAL_DROPOUT if options["head.dropout"] else 0.0
        self.head = Head(shape.width, shape.outputs, rate, str(options["head.pool"]))
        self._initialize(depth, decoder_depth)

    def _initialize(self, depth: int, decoder_depth: int) -> None:
        """Xavier with gains that depend on the depth, for value, output and feed-forward projections (paper 000's [41])."""
        encoder_gain = decoder_gain = 1.0
        if depth and decoder_depth:
            encoder_gain = math.sqrt(math.log(3 * decoder_depth) * math.log(2 * depth) / 3)
            decoder_gain = math.sqrt(math.log(3 * decoder_depth))
        elif depth:
            encoder_gain = math.sqrt(math.log(2 * depth))
        elif decoder_depth:
            decoder_gain = math.sqrt(math.log(2 * decoder_depth))
        for block, gain in ((self.encoder, encoder_gain), (self.decoder, decoder_gain)):
            for module in block.modules():
                if isinstance(module, Attention):
                    nn.init.xavier_normal_(module.query.weight)
                    nn.init.xavier_normal_(module.key.weight)
                    nn.init.xavier_normal_(module.value.weight, gain)
                    nn.init.xavier_normal_(module.out.weight, gain)
                elif isinstance(module, FeedForward):
                    nn.init.xavier_normal_(module.up.weight, gain)
                    nn.init.xavier_normal_(module.down.weight, gain)

    def forward(self, batch: PaddedBatch) -> torch.Tensor:
        mask = batch.mask
        x = self.stem(batch, mask)
        if self.time_encoding is not None:
            x = x + self.time_encoding(batch.time, mask)
        for layer in self.encoder:
            x = layer(x, mask)
        if self.query is not None:
            queries = self.query.expand(len(x), -1, -1)
            for layer in self.decoder:
                queries = layer(queries, x, mask)
            x, mask = queries, torch.ones(queries.shape[:2], dtype=torch.bool, device=x.device)
        return self.head(x, mask)


class Stem(nn.Module):
    """Embeddings of the categorical fields, a convolution per real-valued field, side by side: (B, L, width).

    `kernel` is the convolutions', in events; `dropout` is of what they give.
    """

    def __init__(self, shape: SequenceShape, kernel: int, dropout: float, embedding_std: float = EMBEDDING_STD) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(rows, width) for rows, width in shape.categorical)
        for embedding in self.embeddings.parameters():
            nn.init.normal_(embedding, std=embedding_std)
        self.numerical: NormedConvolution | None = None
        if shape.numerical:
            self.numerical = NormedConvolution(shape.numerical, shape.channels, kernel)
        self.dropout = Dropout(dropout)

    def forward(self, batch: PaddedBatch, mask: torch.Tensor) -> torch.Tensor:
        parts = [embedding(batch.categorical[..., i]) for i, embedding in enumerate(self.embeddings)]
        if self.numerical is not None:
            with full_precision(batch.device):  # moments want full precision, and it is cheap
                parts.append(self.dropout(self.numerical(batch.numerical, mask)))
        return concat(parts)


class TimeEncoding(nn.Module):
    """sin and cos of the event time, min-max normalized to [0, 1] within the sequence (paper 000, section 3.1.3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rate: torch.Tensor
        self.phase: torch.Tensor
        features = torch.arange(width)
        rate = torch.exp(-math.log(10_000.0) * (features - features % 2) / width)
        self.register_buffer("rate", rate, persistent=False)
        self.register_buffer("phase", math.pi / 2 * (features % 2), persistent=False)  # cos x = sin(x + pi / 2)

    def forward(self, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        low = time.masked_fill(~mask, math.inf).amin(dim=1, keepdim=True)
        high = time.masked_fill(~mask, -math.inf).amax(dim=1, keepdim=True)
        unit = torch.where(mask, (time - low) / (high - low).clamp(min=torch.finfo(time.dtype).tiny), 0.0)
        return torch.addcmul(self.phase, unit[..., None], self.rate).sin_()


class EncoderLayer(nn.Module):
    """The features, split into as many parts as there are operations, each through its own; then a feed-forward layer."""

    def __init__(self, ops: str, heads: int, shape: SequenceShape, dropout: float) -> None:
        super().__init__()
        kinds = ops.split("+")
        settings = {"attention": (heads, shape.hidden)}
        self.widths = chunks(shape.width, len(kinds))
        self.norm = nn.LayerNorm(shape.width)
        self.ops = nn.ModuleList(
            OPERATIONS[kind](width, *settings.get(kind, ())) for kind, width in zip(kinds, self.widths, strict=True)
        )
        self.dropout = Dropout(dropout)
        self.feed_norm = nn.LayerNorm(shape.width)
        self.feed_forward = FeedForward(shape.width, shape.hidden, dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        parts = self.norm(x).split(self.widths, dim=-1)
        x = x + self.dropout(concat([op(part, mask) for op, part in zip(self.ops, parts, strict=True)]))
        return x + self.feed_forward(self.feed_norm(x))


class Attention(nn.Module):
    """Multi-head attention in which every head has the full width `hidden`, normalized and projected back."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, heads * hidden)
        self.key = nn.Linear(width, heads * hidden)
        self.value = nn.Linear(width, heads * hidden)
        self.norm = nn.LayerNorm(heads * hidden)
        self.out = nn.Linear(heads * hidden, width)


class SelfAttention(Attention):
    """Attention of the elements of a sequence to each other."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """`x` (B, L, width), attended to where `mask` (B, L) is true."""
        query, key, value = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        mixed = attention(query, key, value, None if mask is None else mask[:, None, None, :])
        return self.out(self.norm(mixed.transpose(1, 2).flatten(-2)))


class Convolution(nn.Module):
    """A convolution of kernel 3 along time that reads zeros outside the sequence."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return conv1d(x * mask.to(x.dtype)[..., None], self.convolution.weight, self.convolution.bias)


# The operations of an encoder layer, each from the width of its part of the features, attention from its heads too; they
# are called with a part (B, L, width) and the mask.
OPERATIONS: dict[str, type[nn.Module]] = {"attention": SelfAttention, "gru": GRU, "conv": Convolution}


class DecoderLayer(nn.Module):
    """Self-attention over the queries, cross-attention to the encoded sequence, feed-forward; norm before each."""

    def __init__(self, self_heads: int, cross_heads: int, shape: SequenceShape, dropout: float) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(shape.width)
        self.self_attention = SelfAttention(shape.width, self_heads, shape.hidden)
        self.query_norm = nn.LayerNorm(shape.width)
        self.memory_norm = nn.LayerNorm(shape.width)
        self.cross_attention = CrossAttention(shape.width, cross_heads, shape.hidden)
        self.dropout = Dropout(dropout)
        self.feed_norm = nn.LayerNorm(shape.width)
        self.feed_forward = FeedForward(shape.width, shape.hidden, dropout)

    def forward(self, x: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        normed = self.self_norm(x)
        x = x + self.dropout(self.self_attention(normed))
        x = x + self.dropout(self.cross_attention(self.query_norm(x), self.memory_norm(memory), mask))
        return x + self.feed_forward(self.feed_norm(x))


class CrossAttention(Attention):
    """Attention of a few queries to a long memory.

    Neither keys nor values of the memory m are made: q (K m) = (q K) m, and the weighted mean of the values is the value
    of the weighted mean. That is the same function, with a product for every query instead of every event. The keys' bias
    adds the same to all scores of a query, which softmax takes away again.
    """

    def forward(self, x: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`x` (B, Q, width) attends to `memory` (B, L, width) where `mask` (B, L) is true."""
        heads, (batch, queries, width) = self.heads, x.shape
        query = self.query(x).view(batch * queries, heads, -1).transpose(0, 1)  # (heads, B Q, hidden)
        hidden = query.shape[-1]
        lifted = torch.bmm(query * hidden**-0.5, self.key.weight.view(heads, hidden, width))  # (heads, B Q, width)
        lifted = lifted.view(heads, batch, queries, width).transpose(0, 1).flatten(1, 2)
        scores = torch.baddbmm(additive_mask(mask, x.dtype)[:, None], lifted, memory.transpose(1, 2))
        weights = scores.softmax(dim=-1)  # (B, heads Q, L)
        mixed = torch.bmm(weights, memory).view(batch, heads, queries, width).transpose(0, 1).flatten(1, 2)
        mixed = torch.bmm(mixed, self.value.weight.view(heads, hidden, width).transpose(1, 2))  # (heads, B Q, hidden)
        mixed = mixed.transpose(0, 1).reshape(batch, queries, -1) + self.value.bias
        return self.out(self.norm(mixed))


class FeedForward(nn.Module):
    """Feed-forward with sub-layer norm: norm, linear, dropout, Mish, norm, linear, dropout."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.inner_norm = nn.LayerNorm(hidden)
        self.down = nn.Linear(hidden, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = F.mish(self.dropout(self.up(self.norm(x))))
        return self.dropout(self.down(self.inner_norm(hidden)))


class Head(nn.Module):
    """Mish, dropout of whole time steps at that rate, pooling over time, a linear layer: (B, L, width) to (B, outputs)."""

    def __init__(self, width: int, outputs: int, rate: float, pool: str) -> None:
        super().__init__()
        self.rate = rate
        self.pool = pool
        self.linear = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        x = F.mish(x)
        share = mask.to(x.dtype) / mask.sum(dim=1, keepdim=True)  # (B, L): what the mean takes of each event
        kept = None
        if self.rate and self.training:
            kept = (torch.rand(x.shape[:2], device=x.device) >= self.rate).to(x.dtype) / (1 - self.rate)
            share = share * kept
        pooled = []
        if "mean" in self.pool:
            pooled.append(torch.bmm(share[:, None], x)[:, 0])
        if "max" in self.pool:
            seen = x if kept is None else x * kept[..., None]
            pooled.append((seen + additive_mask(mask, x.dtype)[..., None]).max(dim=1).values)
        return self.linear(pooled[0] if len(pooled) == 1 else torch.stack(pooled).mean(dim=0))
