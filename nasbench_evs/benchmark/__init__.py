"""Benchmarks behind one query: recorded trainings, surrogates, live training, one's own frames and functions."""

from nasbench_evs.benchmark.base import REGIMES, Benchmark
from nasbench_evs.benchmark.custom import FunctionBenchmark, from_frame, from_function
from nasbench_evs.benchmark.install import install
from nasbench_evs.benchmark.live import TrainingBenchmark
from nasbench_evs.benchmark.load import SOURCES, benchmarks, find_table, list_benchmarks, load
from nasbench_evs.benchmark.predicted import AutoBenchmark, SurrogateBenchmark
from nasbench_evs.benchmark.score import Best, Observation, Optimum, Question, Score, Scores
from nasbench_evs.benchmark.tabular import TableBenchmark

__all__ = [
    "REGIMES",
    "SOURCES",
    "AutoBenchmark",
    "Benchmark",
    "Best",
    "FunctionBenchmark",
    "Observation",
    "Optimum",
    "Question",
    "Score",
    "Scores",
    "SurrogateBenchmark",
    "TableBenchmark",
    "TrainingBenchmark",
    "benchmarks",
    "find_table",
    "from_frame",
    "from_function",
    "install",
    "list_benchmarks",
    "load",
]
