"""Search spaces: choices, architectures, AVec, ranks, canonical strings and costs. numpy only."""

from nasbench_evs.spaces import families
from nasbench_evs.spaces.architecture import Architecture
from nasbench_evs.spaces.choices import Choice
from nasbench_evs.spaces.ffn import FFNSpace
from nasbench_evs.spaces.restricted import RestrictedSpace, lift
from nasbench_evs.spaces.seqnas import SeqNASSpace
from nasbench_evs.spaces.shapes import Cost, SequenceShape, VectorShape, shape_from_dict, shape_to_dict
from nasbench_evs.spaces.space import SearchSpace
from nasbench_evs.spaces.spec import from_spec

__all__ = [
    "Architecture",
    "Choice",
    "Cost",
    "FFNSpace",
    "RestrictedSpace",
    "SearchSpace",
    "SeqNASSpace",
    "SequenceShape",
    "VectorShape",
    "from_spec",
    "lift",
    "shape_from_dict",
    "shape_to_dict",
]

families.register("seqnas", SeqNASSpace)
families.register("ffn", FFNSpace)
families.register_view(RestrictedSpace)
