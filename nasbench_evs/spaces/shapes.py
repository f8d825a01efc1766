"""What a cost formula must know of a dataset and a protocol: the shape of the inputs and the widths."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import fields as fields_of
from typing import Any, NamedTuple

import numpy as np

from nasbench_evs.arguments import check_int, of_kind, one_of
from nasbench_evs.errors import InvalidSpace, shown


class Cost(NamedTuple):
    """Trainable parameters (weights and biases) and FLOPs of one forward pass of one sample.

    A multiplication with its addition is two FLOPs; only matrix products and convolutions count, as in
    `torch.utils.flop_counter`. Integers for one architecture, int64 arrays of shape (N,) for many.
    """

    params: int | np.ndarray
    flops: int | np.ndarray


NORMS = ("none", "layer")
_MOST, _MOST_ROWS = 10**6, 10**9  # beyond them, costs would not fit the integers they are counted in


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
        one_of("norm", self.norm, NORMS, InvalidSpace)


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
        try:
            fields = [(rows, width) for rows, width in self.categorical]
        except (TypeError, ValueError):
            raise InvalidSpace(
                f"categorical = {shown(self.categorical)}: expected (rows, width) of each field's embedding"
            ) from None
        for rows, width in fields:
            check_int("rows of an embedding", rows, 1, _MOST_ROWS, InvalidSpace)
            check_int("the width of an embedding", width, 1, _MOST, InvalidSpace)
        object.__setattr__(self, "categorical", tuple((int(rows), int(width)) for rows, width in fields))
        _positive(self, "hidden", "outputs", "length")
        check_int("numerical", self.numerical, 0, _MOST, InvalidSpace)
        check_int("channels", self.channels, 1 if self.numerical else 0, _MOST, InvalidSpace)
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
    values = asdict(of_kind("shape", shape, (VectorShape, SequenceShape), "a VectorShape or a SequenceShape"))
    if values.get("norm") == "none":
        del values["norm"]  # as headers were written before there was one
    return values


def shape_from_dict(values: dict[str, Any]) -> Shape:
    """The shape that `shape_to_dict` wrote."""
    of_kind("a shape", values, Mapping, "what shape_to_dict gives", InvalidSpace)
    cls = VectorShape if "inputs" in values else SequenceShape
    try:
        return cls(**values)
    except TypeError:
        needed = ", ".join(each.name for each in fields_of(cls))
        raise InvalidSpace(f"{shown(dict(values))} describes no shape: expected {needed}") from None


def _positive(shape: Shape, *names: str) -> None:
    for name in names:
        object.__setattr__(shape, name, check_int(name, getattr(shape, name), 1, _MOST, InvalidSpace))
