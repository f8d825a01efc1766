"""Search algorithms behind one interface (ask and tell), and the loop that runs them on a benchmark."""

from nasbench_evs.search.domain import Domain
from nasbench_evs.search.registry import SEARCHERS, searcher_class
from nasbench_evs.search.run import Best, Result, Trial, run, run_with
from nasbench_evs.search.searcher import MultiFidelitySearcher, Searcher, Step

__all__ = [
    "SEARCHERS",
    "Best",
    "Domain",
    "MultiFidelitySearcher",
    "Result",
    "Searcher",
    "Step",
    "Trial",
    "run",
    "run_with",
    "searcher_class",
]
