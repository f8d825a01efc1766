"""The ffn space (paper 003, TabNAS): feed-forward ReLU networks on a fixed-length vector, written `32-144-24`."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from nasbench_evs.arguments import as_list, is_int
from nasbench_evs.errors import InvalidArchitecture, InvalidSpace, shown
from nasbench_evs.spaces.architecture import Architecture
from nasbench_evs.spaces.choices import Choice, thermometer
from nasbench_evs.spaces.drawing import Block, Part
from nasbench_evs.spaces.shapes import Cost, Shape, VectorShape
from nasbench_evs.spaces.space import SearchSpace
from nasbench_evs.spaces.strings import Reader

# Paper 003, appendix B.2; with nine layers the paper uses the first twelve.
SIZES = (8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 384, 512)

MAX_LAYERS, MAX_SIZES = 64, 127  # beyond them, ranks and indices would not fit their integers
MAX_SIZE = 1_000_000  # beyond it, the number of weights would not fit the integers they are counted in


class FFNSpace(SearchSpace):
    """Hidden layers `layer.0` ... `layer.L-1`, each with one of the sizes."""

    def __init__(self, layers: int = 3, sizes: Sequence[int] | None = None) -> None:
        if not is_int(layers) or not 1 <= layers <= MAX_LAYERS:
            raise InvalidSpace(
                f"ffn with {shown(layers)} layers: expected an integer, at least one, at most {MAX_LAYERS}"
            )
        layers = int(layers)
        usual = SIZES if layers < 9 else SIZES[:12]
        given = usual if sizes is None else as_list("ffn sizes", sizes, "positive integers", InvalidSpace)
        if not 1 <= len(given) <= MAX_SIZES or not all(is_int(size) for size in given):
            raise InvalidSpace(f"ffn sizes {shown(given)}: expected positive integers, at most {MAX_SIZES} of them")
        sizes = tuple(int(size) for size in given)
        if sizes[0] < 1 or sizes[-1] > MAX_SIZE:
            raise InvalidSpace(f"ffn sizes {shown(sizes)}: expected positive integers of at most {MAX_SIZE:,}")
        if any(a >= b for a, b in pairwise(sizes)):
            raise InvalidSpace(f"ffn sizes {shown(sizes)}: expected them in increasing order")
        self.sizes = sizes
        # Sizes are ordered, so their bits are a thermometer: one threshold separates small layers from large ones.
        bits = thermometer(tuple(range(1, len(sizes) + 1)), len(sizes))
        choices = [Choice(f"layer.{i}", sizes, bits=bits) for i in range(layers)]
        super().__init__(choices, name="ffn", parameters={"layers": layers, "sizes": list(sizes)})

    @property
    def label(self) -> str:
        return f"ffn-{len(self.choices)}"

    def format(self, architecture: Architecture) -> str:
        return "-".join(str(self.sizes[index]) for index in self._own(architecture).indices)

    def parse(self, text: str) -> Architecture:
        layers = len(self.choices)
        reader = Reader(text, f"an ffn architecture with {layers} layers")
        indices = []
        for layer in range(layers):
            if layer:
                reader.expect("-", "'-'" if reader.position < len(text) else f"'-' and the size of layer {layer + 1}")
            indices.append(self._size(reader))
        reader.finish()
        return self._from_indices(indices)

    def _size(self, reader: Reader) -> int:
        start = reader.position
        while reader.position < len(reader.text) and reader.text[reader.position] in "0123456789":
            reader.position += 1
        digits = reader.text[start : reader.position]
        sizes = [str(size) for size in self.sizes]
        if digits not in sizes:
            reader.position = start
            raise reader.fail(f"a layer size ({', '.join(sizes)})")
        return sizes.index(digits)

    def parts(self, architecture: Architecture) -> list[Part]:
        sizes = [int(size) for size in self._own(architecture).options.values()]
        layers = [
            Part(f"layer {i}", (Block(f"{size} units", "blue", share=size / self.sizes[-1]),))
            for i, size in enumerate(sizes, 1)
        ]
        return [Part("inputs", (Block("vector"),)), *layers, Part("head", (Block("linear"),))]

    def cost_many(self, choices: np.ndarray, shape: Shape) -> Cost:
        if not isinstance(shape, VectorShape):
            raise InvalidArchitecture(f"ffn reads vectors: expected a VectorShape, got {shown(shape)}")
        sizes = np.array(self.sizes, np.int64)[self.check(choices)]
        ends = np.ones((len(sizes), 1), np.int64)
        widths = np.concatenate([ends * shape.inputs, sizes, ends * shape.outputs], axis=1)
        weights = (widths[:, :-1] * widths[:, 1:]).sum(axis=1)
        params = weights + widths[:, 1:].sum(axis=1)
        if shape.norm == "layer":
            params = params + 2 * sizes.sum(axis=1)
        return Cost(params=params, flops=2 * weights)
