"""The table of spaces with networks: everything that the rest of the library knows of a space, in one entry each.

Recipes, inputs, networks, surrogates, experiments and the command line read it. Your own space and its network, in a module of
yours (`mine.py`):

    class ToySpace(SearchSpace):  # choices, and cost_many: the formula of parameters and FLOPs
        def __init__(self):
            super().__init__([Choice("width", (4, 8))], name="toy")

        def cost_many(self, choices, shape): ...

    networks.register(NetworkSpec("toy", ToySpace, inputs="vectors", network=ToyNetwork))

From then on a recipe may say `space = "toy"`, and its tables are read, verified, fitted and searched as all others. Worker
processes, Ray's too, import the module in which the class of the space is (a Ray worker cannot import a script: use a module).
For processes that do not import it by themselves, such as the command line, install it as a package with the entry point
[project.entry-points."nasbench_evs.spaces"] toy = "mine". `nasbench_evs.testing` has the contracts of both, to inherit.

Importing this module imports no torch: networks are imported when the first one is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nasbench_evs.errors import InvalidArchitecture, InvalidSpace, shown
from nasbench_evs.spaces import (
    Architecture,
    FFNSpace,
    SearchSpace,
    SeqNASSpace,
    SequenceShape,
    VectorShape,
    families,
    lift,
)
from nasbench_evs.spaces.shapes import Shape

if TYPE_CHECKING:
    from torch import nn

    from nasbench_evs.datasets.schema import Schema

DEFAULT = "seqnas"  # the label of the space that is meant where none is named

INPUTS = {"sequences": SequenceShape, "vectors": VectorShape}


@dataclass(frozen=True)
class NetworkSpec:
    """A family of spaces and its networks.

    family         the name of its spaces in files
    space          their class, which takes a spec's parameters as keywords
    network        (architecture, shape, dropout=, embedding_std=) to a fresh torch module whose forward takes a
                   batch, as `Inputs.batch` gives it, and returns logits (B, outputs); imports torch when it is called
    inputs         what its networks read: "sequences" (shape: a SequenceShape), "vectors" (a VectorShape), or a function
                   (dataset, rows, protocol, device) to `training.inputs.Inputs`, of whichever shape
    label_pattern  the labels of its spaces, as a regular expression; left out, the family's name
    label_text     how messages put that
    from_label     (label, schema) to the space of that label, as the dataset needs it; left out, `space()`
    typical_shape  a space to the shape whose costs surrogates see where a table names none; left out, they see none then
    version        of what its ranks and strings mean
    """

    family: str
    space: type[SearchSpace]
    network: Callable[..., nn.Module]
    inputs: str | Callable[..., Any]
    label_pattern: str = ""
    label_text: str = ""
    from_label: Callable[[str, Schema], SearchSpace] | None = None
    typical_shape: Callable[[Any], Shape] | None = None
    version: int = 1

    def __post_init__(self) -> None:
        if not callable(self.inputs) and self.inputs not in INPUTS:
            raise InvalidSpace(
                f"inputs of {self.family!r}: {self.inputs!r}, expected {' or '.join(INPUTS)}, or a function"
            )
        object.__setattr__(self, "label_pattern", self.label_pattern or re.escape(self.family))
        object.__setattr__(self, "label_text", self.label_text or self.family)

    def make(self, label: str, schema: Schema) -> SearchSpace:
        """The space of a label of this family, as a dataset of this schema needs it."""
        return self.from_label(label, schema) if self.from_label else self.space.from_parameters(self.family, {})


_TABLE: dict[str, NetworkSpec] = {}


def register(spec: NetworkSpec) -> NetworkSpec:
    """Make a family known to the whole library. InvalidSpace if another one has its name."""
    families.register(spec.family, spec.space, spec.version)
    _TABLE[spec.family] = spec
    return spec


def spec_of(space: SearchSpace) -> NetworkSpec:
    """The entry of a space, or of the whole of which it is a view; InvalidSpace if it has no networks."""
    name = space.whole.name
    found = find(name)
    if found is None:
        raise InvalidSpace(
            f"the space {name!r} has no networks: expected {' or '.join(_TABLE)}, or register some for it"
        )
    return found


def find(family: str) -> NetworkSpec | None:
    """The entry of a family, if need be from an installed package; None if it has no networks."""
    if family not in _TABLE:
        families.find(family)
    return _TABLE.get(family)


def by_label(label: object) -> NetworkSpec:
    """The entry of the family whose space has that label; InvalidSpace if none has."""
    for everywhere in (False, True):
        if everywhere:
            families.import_all()
        for spec in _TABLE.values():
            if isinstance(label, str) and re.fullmatch(spec.label_pattern, label):
                return spec
    raise InvalidSpace(f"space {shown(label)}: expected {', or '.join(spec.label_text for spec in _TABLE.values())}")


def of_label(label: str, labels: list[str]) -> list[str]:
    """Which of `labels` a user means by `label`: the same, or all of the family that it names."""
    if label in labels:
        return [label]
    spec = find(label)
    return [each for each in labels if spec is not None and re.fullmatch(spec.label_pattern, each)]


def typical_shape(space: SearchSpace) -> Shape | None:
    """The shape whose costs stand for those that are not known; None if its family has none."""
    spec = find(space.whole.name)
    return spec.typical_shape(space.whole) if spec and spec.typical_shape else None


def build(architecture: Architecture, shape: Shape, *, dropout: float = 0.3, embedding_std: float = 0.1) -> nn.Module:
    """The network of an architecture, freshly initialised from torch's random generator.

    `dropout` is the rate wherever the network drops out, `embedding_std` the standard deviation with which embeddings start
    (where there are any). An architecture of a view has the network of the whole space's. InvalidArchitecture if the space has
    no networks or the shape does not fit it.
    """
    try:
        spec = spec_of(architecture.space)
    except InvalidSpace as error:
        raise InvalidArchitecture(str(error)) from None
    kind = None if callable(spec.inputs) else INPUTS[spec.inputs]
    if kind and not isinstance(shape, kind):
        raise InvalidArchitecture(f"{spec.family} reads {spec.inputs}: expected a {kind.__name__}, got {shape}")
    architecture = whole_architecture(architecture)
    architecture.space.cost(architecture, shape)  # says what does not fit
    return spec.network(architecture, shape, dropout=dropout, embedding_std=embedding_std)


def whole_architecture(architecture: Architecture) -> Architecture:
    """The same architecture in the whole space of which its space is a view."""
    space, whole = architecture.space, architecture.space.whole
    if space is whole:
        return architecture
    return whole.architectures(lift(space.stack([architecture]), space, whole))[0]


def _seqnas_network(
    architecture: Architecture, shape: SequenceShape, *, dropout: float, embedding_std: float
) -> nn.Module:
    from nasbench_evs.models.seqnas import SeqNASNetwork

    return SeqNASNetwork(architecture, shape, dropout, embedding_std)


def _seqnas_typical_shape(space: SeqNASSpace) -> Shape:
    return SequenceShape(((50, 8),) * 6, numerical=4 * space.numerical, channels=4, hidden=32, outputs=2, length=64)


def _ffn_network(architecture: Architecture, shape: VectorShape, *, dropout: float, embedding_std: float) -> nn.Module:
    from nasbench_evs.models.ffn import FFNNetwork

    return FFNNetwork(architecture, shape, dropout)


register(
    NetworkSpec(
        "seqnas",
        SeqNASSpace,
        network=_seqnas_network,
        inputs="sequences",
        from_label=lambda _, schema: SeqNASSpace(bool(schema.inputs or schema.profile_numerical)),
        typical_shape=_seqnas_typical_shape,
    )
)
register(
    NetworkSpec(
        "ffn",
        FFNSpace,
        network=_ffn_network,
        inputs="vectors",
        label_pattern="ffn-[1-9][0-9]?",
        label_text="ffn-L with L layers, such as ffn-3",
        from_label=lambda label, _: FFNSpace(int(label.removeprefix("ffn-"))),
        typical_shape=lambda _: VectorShape(inputs=64, outputs=2),
    )
)
