"""nasbench-evs: a benchmark for neural architecture search on event sequences.

>>> import nasbench_evs as nb
>>> bench = nb.load("digits")
>>> bench.query(bench.space.parse("512-128-8")).source
'table'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nasbench_evs.version import __version__

if TYPE_CHECKING:
    from nasbench_evs import datasets, search, spaces, tables
    from nasbench_evs.analysis.compare import compare
    from nasbench_evs.benchmark import Benchmark, Score, Scores, from_frame, from_function
    from nasbench_evs.benchmark.load import benchmarks, load
    from nasbench_evs.errors import NasbenchError

__all__ = [
    "Benchmark", "NasbenchError", "Score", "Scores", "__version__", "benchmarks", "compare", "datasets", "from_frame",
    "from_function", "load", "search", "spaces", "tables",
]  # fmt: skip

# Loaded when first used, so that `import nasbench_evs` costs nothing.
_HOMES = {
    "Benchmark": "nasbench_evs.benchmark",
    "NasbenchError": "nasbench_evs.errors",
    "Score": "nasbench_evs.benchmark",
    "Scores": "nasbench_evs.benchmark",
    "benchmarks": "nasbench_evs.benchmark",
    "compare": "nasbench_evs.analysis.compare",
    "from_frame": "nasbench_evs.benchmark",
    "from_function": "nasbench_evs.benchmark",
    "load": "nasbench_evs.benchmark",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name in ("datasets", "search", "spaces", "tables"):
        value = import_module(f"nasbench_evs.{name}")
    else:
        raise AttributeError(f"module 'nasbench_evs' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
