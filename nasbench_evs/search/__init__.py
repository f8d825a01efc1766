"""Search algorithms behind one interface (ask and tell), and the loop that runs them on a benchmark."""

from nasbench_evs.benchmark import Best
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.registry import SEARCHERS, Entry, searcher_class
from nasbench_evs.search.run import Result, Trial, run, run_with
from nasbench_evs.search.searcher import MultiFidelitySearcher, Searcher, Step

__all__ = [
    "SEARCHERS",
    "Best",
    "Domain",
    "Entry",
    "MultiFidelitySearcher",
    "Result",
    "Searcher",
    "Step",
    "Trial",
    "run",
    "run_with",
    "searcher_class",
]
