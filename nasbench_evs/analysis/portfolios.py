"""Portfolios: a few architectures that were good on other datasets, and what they are worth on one where nothing is known."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np

from nasbench_evs.analysis.correlations import Drawn, reliability
from nasbench_evs.analysis.recommend import PORTFOLIO, Worth
from nasbench_evs.analysis.references import Reference, reference
from nasbench_evs.benchmark import Benchmark
from nasbench_evs.errors import NotRecorded
from nasbench_evs.search import run
from nasbench_evs.spaces import Architecture

SIZE = 5  # architectures of a portfolio
BUDGET = 25  # trainings of a search that it is compared with
SEARCHERS = ("random", "evolution")
FEWEST = 200  # architectures that all datasets have, to choose among
REGIMES = ("noisy", "transfer")
_DRAWS = 400  # of what true orders may be


def common_pool(sources: Mapping[str, Drawn]) -> tuple[list[str], np.ndarray]:
    """The most datasets that share at least FEWEST architectures, of as many those that share most, and the shared ranks.

    Empty where no two do.
    """
    large = [name for name, each in sources.items() if len(each.ranks) >= FEWEST]
    for count in range(len(large), 1, -1):
        found = []
        for names in combinations(large, count):
            shared = sources[names[0]].ranks
            for name in names[1:]:
                shared = np.intersect1d(shared, sources[name].ranks)
            found.append((len(shared), names, shared))
        size, names, shared = max(found, key=lambda each: each[0])
        if size >= FEWEST:
            return list(names), shared
    return [], np.empty(0, np.uint64)


def choose(sources: Sequence[Drawn], size: int = SIZE) -> list[int]:
    """Positions of the architectures of a portfolio, in the order in which to train them; `sources` have the same ranks.

    Greedy: each has the largest gain in the expected place of the portfolio's best, mean over datasets. A place is the normal
    score of a mean's rank, so that failed trainings and units do not matter. What it truly is, given the noise of means, is
    drawn: normal with mean sqrt(R) z and variance 1 - R, z the observed one and R the `reliability` of means there. Without
    noise, whatever is added to the best of one dataset would gain nothing.
    """
    from scipy.stats import norm, rankdata

    rng = np.random.default_rng(0)
    places = []
    for each in sources:
        z = norm.ppf((rankdata(each.means) - 0.5) / len(each.means))
        r = reliability(each)
        r = 1.0 if math.isnan(r) else r
        places.append(math.sqrt(r) * z + math.sqrt(1 - r) * rng.standard_normal((_DRAWS, len(z))))
    drawn = np.concatenate(places)
    chosen: list[int] = []
    best = np.full(len(drawn), -np.inf)
    for _ in range(size):
        gains = np.maximum(drawn, best[:, None]).mean(axis=0)
        gains[chosen] = -np.inf
        chosen.append(int(gains.argmax()))
        best = np.maximum(best, drawn[:, chosen[-1]])
    return chosen


def judge(
    dataset: str, bench: Benchmark, portfolio: Sequence[Architecture], seeds: int, progress: Callable[[], None]
) -> tuple[list[Worth], dict[str, Reference]]:
    """What the portfolio, its first architecture alone, and searches among the benchmark's pool are worth, by regime.

    All see, for each of the `seeds`, the same trainings: one of each architecture; the best validation score decides,
    and others judge (`Benchmark.true_values`). Also the reference of each regime that the benchmark has values in.
    """
    found: dict[tuple[str, int], list[Architecture]] = {}
    for seed in range(seeds):
        values, _ = bench.observe_many(portfolio, seed=seed)
        score = np.nan_to_num(bench.metric.sign * values, nan=-np.inf)
        found.setdefault((PORTFOLIO, SIZE), []).append(portfolio[int(score.argmax())])
        found.setdefault(("first of the portfolio", 1), []).append(portfolio[0])
        for searcher in SEARCHERS:
            result = run(searcher, bench, budget=BUDGET, seed=seed)
            for trainings in (SIZE, BUDGET) if searcher == "random" else (BUDGET,):
                incumbent = max(0, int(result.incumbents[min(trainings, len(result.trials)) - 1]))
                found.setdefault((searcher, trainings), []).append(result.trials[incumbent].architecture)
        progress()
    worth, references = [], {}
    for regime in REGIMES:
        with contextlib.suppress(NotRecorded):  # no test scores, or nobody to judge
            known = {key: _true_values(bench, each, regime) for key, each in found.items()}
            references[regime] = reference(bench, {}, regime, ())
            worth += [_worth(dataset, regime, key, known, bench.metric.sign, references[regime]) for key in known]
    return worth, references


def _true_values(bench: Benchmark, found: Sequence[Architecture], regime: str) -> np.ndarray:
    """What was found with the seeds 0, 1, ... is worth, (seeds,)."""
    return np.array([bench.true_values([each], regime, seed)[0] for seed, each in enumerate(found)])


def _worth(
    dataset: str,
    regime: str,
    key: tuple[str, int],
    values_of: Mapping[tuple[str, int], np.ndarray],
    sign: int,
    reference: Reference,
) -> Worth:
    values = values_of[key]
    difference = (sign * (values_of[PORTFOLIO, SIZE] - values)).round(9)
    better = (difference > 0).mean() + (difference == 0).mean() / 2
    known = values[np.isfinite(values)]  # what failed has no true value
    mean = float(known.mean()) if len(known) else math.nan
    spread = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    return Worth(
        dataset,
        regime,
        *key,
        round(mean, 6),
        round(spread / len(known) ** 0.5, 6) if spread else math.nan,
        round(float(sign * (reference.value - mean) / reference.scale), 4),
        math.nan if key[0] == PORTFOLIO else float(better),
    )
