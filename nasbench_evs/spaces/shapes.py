"""What a cost formula must know of a dataset and a protocol: the shape of the inputs and the widths."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from nasbench_evs.errors import InvalidSpace


class Cost(NamedTuple):
    """Trainable parameters (weights and biases) and FLOPs of one forward pass of one sample.

    A multiplication with its addition is two FLOPs; only matrix products and convolutions count, as in
    `torch.utils.flop_counter`. Integers for one architecture, int64 arrays of shape (N,) for many.
    """

    params: int | np.ndarray
    flops: int | np.ndarray


NORMS = ("none", "layer")


@dataclass(frozen=True)
class VectorShape:
    """A fixed-length vector of `inputs` numbers, and `outputs` numbers to predict.

    `norm` "layer": networks have a layer norm before each ReLU (paper 003, appendix B.2).
    """

    inputs: int
    outputs: int
    norm: str = "none"

    def __post_init__(self) -> None:
        _positive(self, "inputs", "outputs")
        if self.norm not in NORMS:
            raise InvalidSpace(f"norm = {self.norm!r}: expected one of {', '.join(map(repr, NORMS))}")


@dataclass(frozen=True)
class SequenceShape:
    """Event sequences and the widths of the network that reads them.

    `categorical` holds (rows, width) of each categorical field's embedding; `numerical` real-valued fields get
    `channels` convolution channels each; `hidden` is the width of an attention head and of the feed-forward layer;
    sequences have at most `length` events; the classifier has `outputs` logits.
    """

    categorical: tuple[tuple[int, int], ...]
    numerical: int
    channels: int
    hidden: int
    outputs: int
    length: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "categorical", tuple((int(rows), int(width)) for rows, width in self.categorical))
        _positive(self, "hidden", "outputs", "length")
        if self.numerical < 0 or (self.numerical and self.channels < 1):
            raise InvalidSpace(f"{self.numerical} real-valued fields with {self.channels} channels each: expected >= 1")
        if self.width < 3:
            raise InvalidSpace(
                f"the embedded event has width {self.width}: expected at least 3, one for each operation of a layer"
            )

    @property
    def width(self) -> int:
        """The width of an embedded event: all embeddings and convolution channels."""
        return sum(width for _, width in self.categorical) + self.numerical * self.channels


Shape = VectorShape | SequenceShape


def shape_to_dict(shape: Shape) -> dict[str, Any]:
    """A plain dict that `shape_from_dict` reads back (for a protocol's JSON)."""
    values = asdict(shape)
    if values.get("norm") == "none":
        del values["norm"]  # as headers were written before there was one
    return values


def shape_from_dict(values: dict[str, Any]) -> Shape:
    """The shape that `shape_to_dict` wrote."""
    cls = VectorShape if "inputs" in values else SequenceShape
    try:
        return cls(**values)
    except TypeError:
        raise InvalidSpace(f"{values} does not describe the shape of a vector or of a sequence") from None


def _positive(shape: Shape, *names: str) -> None:
    for name in names:
        if getattr(shape, name) < 1:
            raise InvalidSpace(f"{name} = {getattr(shape, name)}: expected a positive number")
