"""From an architecture and the shape of its inputs to a network."""

from torch import nn

from nasbench_evs.errors import InvalidArchitecture
from nasbench_evs.models.ffn import FFNNetwork
from nasbench_evs.models.seqnas import EMBEDDING_STD, SeqNASNetwork
from nasbench_evs.spaces import Architecture, FFNSpace, SeqNASSpace, SequenceShape, VectorShape


def build(
    architecture: Architecture,
    shape: SequenceShape | VectorShape,
    *,
    dropout: float = 0.3,
    embedding_std: float = EMBEDDING_STD,
) -> nn.Module:
    """The network of an architecture, freshly initialised from torch's random generator.

    `dropout` is the rate wherever the network drops out, `embedding_std` the standard deviation with which embeddings
    start (`ffn` has none). InvalidArchitecture if the space has no network or the shape
    does not fit it.
    """
    space = architecture.space
    if isinstance(space, SeqNASSpace | FFNSpace):
        space.cost(architecture, shape)  # says what does not fit
    if isinstance(space, SeqNASSpace) and isinstance(shape, SequenceShape):
        return SeqNASNetwork(architecture, shape, dropout, embedding_std)
    if isinstance(space, FFNSpace) and isinstance(shape, VectorShape):
        return FFNNetwork(architecture, shape, dropout)
    raise InvalidArchitecture(f"the space {space.name!r} has no networks: expected seqnas or ffn")
