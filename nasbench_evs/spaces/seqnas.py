"""The seqnas space (paper 000, section 3.1): stem, time encoding, encoder, decoder and head for event sequences.

Canonical strings have five fields separated by dots, for example `k5d.t.a4/g/a1c/gc.2x8.d-max`:

    architecture = [stem "."] time "." encoder "." decoder "." head
    stem    = "k" ("1" | "3" | "5" | "w") ["d"]       kernel (w: wide), d: dropout; only with real-valued fields
    time    = "t" | "n"                               time encoding on, off
    encoder = "0" | layer {"/" layer}                 1, 2 or 4 layers
    layer   = ["a" heads] ["g"] ["c"]                 attention, GRU, convolution; at least one
    decoder = "0" | heads "x" heads {"/" ...}         1 or 2 layers: self-attention x cross-attention heads
    head    = ["d-"] ("mean" | "max" | "mean+max")    d-: dropout
    heads   = "1" | "2" | "4" | "8"
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from nasbench_evs.errors import InvalidArchitecture, InvalidSpace, shown
from nasbench_evs.spaces.architecture import Architecture
from nasbench_evs.spaces.choices import Choice, Option, thermometer
from nasbench_evs.spaces.drawing import Block, Part
from nasbench_evs.spaces.shapes import Cost, SequenceShape, Shape
from nasbench_evs.spaces.space import SearchSpace
from nasbench_evs.spaces.strings import Reader

KERNELS = (1, 3, 5, "wide")
ENCODER_DEPTHS = (0, 1, 2, 4)
DECODER_DEPTHS = (0, 1, 2)
HEADS = (1, 2, 4, 8)
OPS = ("attention", "gru", "conv", "attention+gru", "attention+conv", "gru+conv", "attention+gru+conv")
POOLS = ("mean", "max", "mean+max")

_WITH_ATTENTION = tuple(ops for ops in OPS if "attention" in ops)
_LETTERS = ("a", "g", "c", "ag", "ac", "gc", "agc")  # OPS as the string writes them
_KERNEL_LETTERS = ("1", "3", "5", "w")
_HEAD_BITS = thermometer(HEADS, 8)
# Bits 70-85: two layers present (thermometer), then seven op bits for each layer, of which the first is set.
_DECODER_BITS = tuple(
    present + tuple(int(op == 0 and layer < depth) for layer in range(2) for op in range(7))
    for depth, present in zip(DECODER_DEPTHS, thermometer(DECODER_DEPTHS, 2), strict=True)
)


def wide_kernel(length: int) -> int:
    """The kernel that "wide" stands for, in events, on sequences of at most `length` events."""
    return min(1 + 2 * (length // 4), 11)


class SeqNASSpace(SearchSpace):
    """3,425,438,016 architectures (AVec of 122 bits); 428,179,752 (117 bits) if no field is real-valued."""

    def __init__(self, numerical: bool = True) -> None:
        if not isinstance(numerical, bool | np.bool_):
            raise InvalidSpace(f"numerical = {shown(numerical)}: expected True or False")
        self.numerical = bool(numerical)
        off_on = (False, True)
        stem = [Choice("stem.kernel", KERNELS), Choice("stem.dropout", off_on)] if self.numerical else []
        # Present or absent with equal probability, then the depth (how the authors sample).
        depth = Choice("encoder.depth", ENCODER_DEPTHS, weights=(3, 1, 1, 1), bits=thermometer(ENCODER_DEPTHS, 4))
        decoder = Choice("decoder.depth", DECODER_DEPTHS, weights=(2, 1, 1), bits=_DECODER_BITS)
        layers = {i: tuple(d for d in ENCODER_DEPTHS if i < d) for i in range(4)}
        decoder_layers = {i: tuple(d for d in DECODER_DEPTHS if i < d) for i in range(2)}
        choices = [
            *stem,
            Choice("time_encoding", off_on),
            depth,
            *(Choice(f"encoder.{i}.ops", OPS, "encoder.depth", when) for i, when in layers.items()),
            *(
                Choice(f"encoder.{i}.heads", HEADS, f"encoder.{i}.ops", _WITH_ATTENTION, bits=_HEAD_BITS)
                for i in layers
            ),
            decoder,
            *(
                Choice(f"decoder.{i}.{kind}_heads", HEADS, "decoder.depth", when, bits=_HEAD_BITS)
                for kind in ("self", "cross")
                for i, when in decoder_layers.items()
            ),
            Choice("head.dropout", off_on),
            Choice("head.pool", POOLS),
        ]
        super().__init__(choices, name="seqnas", parameters={"numerical": self.numerical})

    def format(self, architecture: Architecture) -> str:
        indices = list(self._own(architecture).indices)
        fields = []
        if self.numerical:
            kernel, dropout, *indices = indices
            fields.append("k" + _KERNEL_LETTERS[kernel] + "d" * dropout)
        time, _, *rest = indices
        layers = [
            _LETTERS[ops].replace("a", f"a{HEADS[heads]}")
            for ops, heads in zip(rest[:4], rest[4:8], strict=True)
            if ops >= 0
        ]
        self_heads, cross_heads = rest[9:11], rest[11:13]
        queries = [
            f"{HEADS[own]}x{HEADS[cross]}" for own, cross in zip(self_heads, cross_heads, strict=True) if own >= 0
        ]
        fields += ["t" if time else "n", "/".join(layers) or "0", "/".join(queries) or "0"]
        return ".".join(fields) + "." + "d-" * rest[13] + POOLS[rest[14]]

    def parse(self, text: str) -> Architecture:
        reader = Reader(text, "a seqnas architecture" if self.numerical else "a seqnas architecture without stem")
        indices: list[int] = []
        if self.numerical:
            reader.expect("k", "'k' (the stem's kernel)")
            indices += [reader.one_of(_KERNEL_LETTERS), int(reader.take("d"))]
            reader.expect(".")
        indices.append(1 - reader.one_of(("t", "n"), "t or n (time encoding on or off)"))
        reader.expect(".")
        layers = _block(reader, _layer, (1, 2, 4), "encoder")
        indices.append(ENCODER_DEPTHS.index(len(layers)))
        indices += [ops for ops, _ in layers] + [-1] * (4 - len(layers))
        indices += [heads for _, heads in layers] + [-1] * (4 - len(layers))
        reader.expect(".")
        queries = _block(reader, _query, (1, 2), "decoder")
        indices.append(len(queries))
        for part in range(2):
            indices += [query[part] for query in queries] + [-1] * (2 - len(queries))
        reader.expect(".")
        indices.append(int(reader.take("d-")))
        indices.append(reader.one_of(POOLS))
        reader.finish()
        return self._from_indices(indices)

    def parts(self, architecture: Architecture) -> list[Part]:
        options = self._own(architecture).options
        fields = "categorical and real-valued fields" if self.numerical else "categorical fields"
        parts = [Part("inputs", (Block(f"events: {fields}"),))]
        if self.numerical:
            size = options["stem.kernel"]
            kernel = Block("convolution, wide kernel" if size == "wide" else f"convolution, kernel {size}", "orange")
            parts.append(Part("stem", (kernel, _dropout(options["stem.dropout"]))))
        on = bool(options["time_encoding"])
        parts.append(Part("time encoding", (Block("added" if on else "none", absent=not on),)))
        parts += _parts("encoder", [_operations(options, i) for i in range(int(options["encoder.depth"]))], True)
        parts += _parts("decoder", [_attentions(options, i) for i in range(int(options["decoder.depth"]))], False)
        parts.append(Part("pooling", (Block(str(options["head.pool"]).replace("+", " and "), "purple"),)))
        parts.append(Part("head", (_dropout(options["head.dropout"]), Block("linear"))))
        return parts

    def cost_many(self, choices: np.ndarray, shape: Shape) -> Cost:
        """Parameters and FLOPs of the network, on one sequence of `shape.length` events.

        FLOPs are those of the layers as the paper has them; `models/seqnas.py` computes some with fewer, and the stem's
        convolution with more, on zeros.
        """
        if not isinstance(shape, SequenceShape):
            raise InvalidArchitecture(f"seqnas reads event sequences: expected a SequenceShape, got {shown(shape)}")
        if (shape.numerical > 0) != self.numerical:
            raise InvalidArchitecture(
                f"the shape has {shape.numerical} real-valued fields: expected {'some' if self.numerical else 'none'} "
                f"for this variant of seqnas (numerical={self.numerical})"
            )
        choices = self.check(choices)
        d, queries, length = shape.width, shape.outputs, shape.length
        params = np.full(
            len(choices), sum(rows * width for rows, width in shape.categorical) + _linear(d, shape.outputs)
        )
        flops = np.full(len(choices), 2 * d * shape.outputs)
        start = 0
        if self.numerical:
            channels = shape.numerical * shape.channels
            kernels = np.array([*KERNELS[:3], wide_kernel(length)])[choices[:, 0]]
            params += 2 * shape.numerical + channels * (kernels + 1)
            flops += 2 * length * channels * kernels
            start = 2
        depth = choices[:, start + 10]
        params += np.where(depth > 0, queries * d, 0)
        encoder, decoder = _encoder_layer_costs(shape), _decoder_layer_costs(shape)
        for costs, first, layers in ((encoder, start + 2, 4), (decoder, start + 11, 2)):
            # Of ops and heads, or own and cross heads, of all layers at once.
            found = costs[:, choices[:, first : first + layers].T, choices[:, first + layers : first + 2 * layers].T]
            params += found[0].sum(axis=0)
            flops += found[1].sum(axis=0)
        return Cost(params, flops)


def _block(
    reader: Reader, layer: Callable[[Reader], tuple[int, int]], depths: tuple[int, ...], where: str
) -> list[tuple[int, int]]:
    start = reader.position
    if reader.take("0"):
        return []
    layers = reader.repeat(lambda: layer(reader), "/")
    if len(layers) not in depths:
        reader.position = start
        raise reader.fail(f"{', '.join(map(str, (0, *depths[:-1])))} or {depths[-1]} {where} layers", str(len(layers)))
    return layers


def _layer(reader: Reader) -> tuple[int, int]:
    heads = -1
    letters = ""
    if reader.take("a"):
        letters, heads = "a", _heads(reader)
    letters += "g" * reader.take("g")
    letters += "c" * reader.take("c")
    if not letters:
        raise reader.fail("a layer (a with 1, 2, 4 or 8 heads, g, c, or several in this order)")
    return _LETTERS.index(letters), heads


def _query(reader: Reader) -> tuple[int, int]:
    own = _heads(reader)
    reader.expect("x", "'x' and the heads of the cross-attention")
    return own, _heads(reader)


def _heads(reader: Reader) -> int:
    return reader.one_of([str(heads) for heads in HEADS], "1, 2, 4 or 8 heads")


def _parts(name: str, layers: list[tuple[Block, ...]], parallel: bool) -> list[Part]:
    if not layers:
        return [Part(name, (Block("no layers", absent=True),))]
    return [Part(f"{name} layer {i} of {len(layers)}", layer, parallel) for i, layer in enumerate(layers, 1)]


def _operations(options: Mapping[str, Option], layer: int) -> tuple[Block, ...]:
    blocks = {"gru": Block("GRU", "green"), "conv": Block("convolution", "orange")}
    if f"encoder.{layer}.heads" in options:
        blocks["attention"] = Block(_heads_in_words(options[f"encoder.{layer}.heads"], "attention"), "blue")
    return tuple(blocks[kind] for kind in str(options[f"encoder.{layer}.ops"]).split("+"))


def _attentions(options: Mapping[str, Option], layer: int) -> tuple[Block, ...]:
    return tuple(
        Block(_heads_in_words(options[f"decoder.{layer}.{kind}_heads"], f"{kind}-attention"), "blue")
        for kind in ("self", "cross")
    )


def _heads_in_words(heads: Option, what: str) -> str:
    return f"{what} with {heads} head{'' if heads == 1 else 's'}"


def _dropout(on: Option) -> Block:
    return Block("dropout" if on else "no dropout", absent=not on)


def chunks(width: int, n: int) -> list[int]:
    """The widths of n nearly equal parts, the wider ones first: how an encoder layer splits the features."""
    return [width // n + (i < width % n) for i in range(n)]


def _linear(inputs: Any, outputs: Any) -> Any:
    return inputs * outputs + outputs


def _attention(width: int, inner: Any, queries: int, keys: int) -> tuple[Any, Any]:
    """Multi-head attention of total head width `inner`, layer norm over the heads, projection back to `width`."""
    params = 3 * _linear(width, inner) + 2 * inner + _linear(inner, width)
    flops = 2 * inner * (2 * queries * width + 2 * keys * width + 2 * queries * keys)
    return params, flops


def _feed_forward(width: int, hidden: int, length: int) -> tuple[int, int]:
    """Layer norm, linear, Mish, layer norm, linear."""
    params = 2 * width + _linear(width, hidden) + 2 * hidden + _linear(hidden, width)
    return params, 2 * length * 2 * width * hidden


@lru_cache(maxsize=64)  # a query of one architecture would spend most of its time here
def _encoder_layer_costs(shape: SequenceShape) -> np.ndarray:
    """(params, flops) of every encoder layer, shape (2, 8, 5): ops, heads; the last of each: absent, no attention."""
    d, length = shape.width, shape.length
    table = np.zeros((2, len(OPS) + 1, len(HEADS) + 1), np.int64)
    params, flops = _feed_forward(d, shape.hidden, length)
    common = np.array([params + 2 * 2 * d, flops])  # with the layer's own two layer norms
    for o, ops in enumerate(OPS):
        kinds = ops.split("+")
        for kind, width in zip(kinds, chunks(d, len(kinds)), strict=True):
            if kind == "attention":
                for h, heads in enumerate(HEADS):
                    table[:, o, h] += _attention(width, heads * shape.hidden, length, length)
            elif kind == "gru":
                weights = 3 * 2 * width * width
                table[:, o] += np.array([[weights + 6 * width], [2 * length * weights]])
            else:
                weights = 3 * width * width
                table[:, o] += np.array([[weights + width], [2 * length * weights]])
        table[:, o] += common[:, None]
    return table


@lru_cache(maxsize=64)
def _decoder_layer_costs(shape: SequenceShape) -> np.ndarray:
    """(params, flops) of every decoder layer, shape (2, 5, 5): own heads, cross heads; the last of each: absent."""
    d, queries = shape.width, shape.outputs
    table = np.zeros((2, len(HEADS) + 1, len(HEADS) + 1), np.int64)
    params, flops = _feed_forward(d, shape.hidden, queries)
    for o, own in enumerate(HEADS):
        for c, cross in enumerate(HEADS):
            table[:, o, c] = params + 4 * 2 * d, flops  # with the layer's own four layer norms
            table[:, o, c] += _attention(d, own * shape.hidden, queries, queries)
            table[:, o, c] += _attention(d, cross * shape.hidden, queries, shape.length)
    return table
