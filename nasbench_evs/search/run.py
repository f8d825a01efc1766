"""run(): a searcher on a benchmark, under a budget, on a simulated clock."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench_evs.arguments import check_float, check_int
from nasbench_evs.benchmark import Benchmark, Best, Observation
from nasbench_evs.benchmark.base import check_benchmark, check_regime
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.metrics import Metric
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.own import call
from nasbench_evs.search.registry import AskTell, Foreign, label, make
from nasbench_evs.search.searcher import Searcher, Step, check_asked
from nasbench_evs.spaces import Architecture

if TYPE_CHECKING:
    import pandas as pd


_AT_ONCE = 1000  # architectures that a non-adaptive searcher is asked for
_IDLE = 10_000  # evaluations without any time, after which a budget of seconds counts as endless


class Trial(NamedTuple):
    """One evaluation, in the order in which evaluations ended.

    epoch     the epoch the training went to; None: the whole training, of which the score is read
    value     the validation score that was seen, in the benchmark's direction; NaN if the training failed
    feasible  whether the architecture keeps the constraint
    spent     evaluations so far, this one included; a part of a training counts as its share of the epochs
    started, finished    simulated seconds; without recorded seconds, a whole training takes one
    """

    architecture: Architecture
    epoch: int | None
    value: float
    feasible: bool
    spent: float
    started: float
    finished: float


@dataclass
class Result:
    """What one search did, and what judges it.

    bench, regime    where it searched, and what it saw there: see `Benchmark.true_values`
    recommended      its answer (see `Searcher.recommend`)
    own_seconds      real seconds of the searcher's own work
    timed            whether simulated seconds are those of trainings
    """

    searcher: str
    bench: Benchmark = field(repr=False)
    regime: str
    seed: int
    trials: list[Trial]
    recommended: list[Architecture]
    own_seconds: float
    timed: bool = True

    @property
    def metric(self) -> Metric:
        """The benchmark's."""
        return self.bench.metric

    @property
    def best(self) -> Best:
        """The feasible architecture with the best score seen; InvalidQuery if there is none."""
        found = self.incumbents
        if not len(found) or found[-1] < 0:
            raise InvalidQuery("no evaluation has a score within the constraint: search longer, or allow more")
        trial = self.trials[found[-1]]
        return Best(trial.architecture, trial.value)

    @property
    def incumbents(self) -> np.ndarray:
        """After each evaluation, the position in `trials` of the best so far, int (N,); -1 while there is none."""
        scores = np.array([self.metric.sign * t.value if t.feasible else math.nan for t in self.trials], float)
        best, position = -math.inf, -1
        found = np.empty(len(scores), np.int64)
        for i, score in enumerate(scores):
            if score > best:
                best, position = score, i
            found[i] = position
        return found

    @cached_property
    def true_values(self) -> np.ndarray:
        """After each evaluation, what the best so far is worth in the regime: float (N,); NaN while there is none.

        Computed when it is first asked for. NaN and NotRecorded as `Benchmark.true_values` says.
        """
        found, owner = np.unique(self.incumbents, return_inverse=True)
        values = np.full(len(found), np.nan)
        known = found >= 0
        chosen = [self.trials[i].architecture for i in found[known]]
        values[known] = self.bench.true_values(chosen, self.regime, self.seed)
        return values[owner]

    @property
    def regret(self) -> np.ndarray:
        """How far `true_values` are behind the benchmark's optimum in the regime: float (N,), larger is worse.

        NotRecorded as `Benchmark.optimum` says. The optimum is of all architectures, whatever the search's constraint allowed.
        """
        return self.metric.sign * (self.bench.optimum(self.regime).value - self.true_values)

    @property
    def trajectory(self) -> pd.DataFrame:
        """One row for each evaluation: what was asked for, what was seen, and the best so far."""
        import pandas as pd

        frame = pd.DataFrame([trial._asdict() for trial in self.trials], columns=Trial._fields)
        frame.insert(0, "evaluation", np.arange(1, len(frame) + 1))
        best = self.incumbents
        values = np.array([trial.value for trial in self.trials], float)
        frame["best"] = np.where(best >= 0, values[best], np.nan) if len(best) else np.empty(0)
        frame["architecture"] = frame["architecture"].map(str)
        return frame


def run(
    searcher: str | type[AskTell] | AskTell,
    bench: Benchmark,
    *,
    budget: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    workers: int = 1,
    constraint: Mapping[str, float] | None = None,
    regime: str = "noisy",
    **parameters: Any,
) -> Result:
    """Run a searcher on a benchmark until its budget is spent or nothing is left to ask for.

    `searcher` is a name (see `SEARCHERS`), a class or where one is ("package.module:Class"), made with the benchmark's domain,
    `seed` and the `parameters`; or an object with `ask` and `tell`, taken as it is. `budget` counts evaluations (whole
    trainings), `seconds` simulated seconds; one of them or both. `workers` evaluate at the same time: each takes the recorded
    seconds of what it trains. `constraint` names the largest allowed `params` or `flops`. `regime` says what a searcher sees, and
    by what its result is judged: in "clean" the objective, in "noisy" and "transfer" one training of each architecture, as in
    life (see `Benchmark.observe` and `Benchmark.true_values`). InvalidQuery for what has no meaning, NotRecorded for the clean
    regime where no objective is known.

    `seed`, one number, is the searcher's own generator and, in the noisy regimes, says which training of each architecture the
    search sees: the same one whenever it is asked for, and for every searcher of that seed, so that searchers compare in pairs
    over seeds. In the clean regime the benchmark does not depend on it. Results of one seed are the same again; what
    one searcher is worth takes many (`nb.compare`). Whatever a searcher begins with (`initial` random architectures, a first
    population) is evaluated like all else and counts in the budget; defaults follow the budget and leave more than half of it.

    >>> import nasbench_evs as nb
    >>> from nasbench_evs import search
    >>> result = search.run("random", nb.load("digits"), budget=20, seed=0)
    >>> len(result.trials), str(result.best.architecture)
    (20, '224-240-512')
    """
    return run_with(
        searcher, bench, budget=budget, seconds=seconds, seed=seed, workers=workers, constraint=constraint, regime=regime,
        parameters=parameters,
    )  # fmt: skip


def run_with(
    searcher: str | type[AskTell] | AskTell,
    bench: Benchmark,
    *,
    parameters: Mapping[str, Any],
    budget: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    workers: int = 1,
    constraint: Mapping[str, float] | None = None,
    regime: str = "noisy",
) -> Result:
    """As `run`, with the searcher's hyper-parameters in a mapping of their own."""
    check_benchmark(bench)
    if budget is None and seconds is None:
        raise InvalidQuery("a search needs a budget: budget=150 evaluations, or seconds=3600 simulated seconds")
    most = math.inf if budget is None else check_int("budget", budget, 1)
    limit = math.inf if seconds is None else check_float("seconds", seconds, 0)
    workers = check_int("workers", workers, 1)
    seed = check_int("seed", seed, 0)
    check_regime(regime)
    domain = Domain.on(bench, constraint)
    spent = time.perf_counter()
    made = make(searcher, domain, seed=seed, epochs=bench.epochs, parameters=parameters, budget=budget)
    loop = _Loop(made, bench, domain, seed=seed, noise=regime != "clean", most=most, limit=limit, workers=workers)
    loop.own += time.perf_counter() - spent
    loop.run()
    return Result(label(searcher), bench, regime, seed, loop.trials, call(made, "recommend", 3), loop.own, loop.timed)


class _Running(NamedTuple):
    """An evaluation that will end at `finished`; `order` breaks ties."""

    finished: float
    order: int
    asked: Architecture | Step
    score: float
    share: float
    started: float


class _Loop:
    """The event loop: workers ask, a heap of finish times says who tells next. Time never runs backwards."""

    def __init__(
        self,
        searcher: Searcher | Foreign,
        bench: Benchmark,
        domain: Domain,
        *,
        seed: int,
        noise: bool,
        most: float,
        limit: float,
        workers: int,
    ) -> None:
        self.searcher, self.bench, self.domain = searcher, bench, domain
        self.seed, self.noise, self.sign = seed, noise, bench.metric.sign
        self.most, self.limit, self.workers = most, limit, workers
        self.trials: list[Trial] = []
        self.own = 0.0
        self.timed = True
        self._running: list[_Running] = []
        self._begun = 0.0  # evaluations, ended or not
        self._count = 0
        self._reached: dict[bytes, int] = {}  # epochs an architecture was trained to
        self._known, self._timings = 0.0, 0  # seconds of whole trainings so far, and of how many
        self._idle = 0  # evaluations in a row that took no time

    def run(self) -> None:
        if self.searcher.non_adaptive and self.bench.lookup:
            self._run_ahead()
            return
        now, spent = 0.0, 0.0
        self._fill(now)
        while self._running:
            ended = heapq.heappop(self._running)
            now = ended.finished
            if now > self.limit:
                break
            spent += ended.share
            self._record(ended, spent)
            self._timed("tell", [ended.asked], [ended.score])
            self._fill(now)

    def _run_ahead(self) -> None:
        """The same for a searcher that need not wait for results: it asks for many at once, and is told many at once."""
        free = [0.0] * self.workers  # when each worker is
        ended: list[tuple[float, int, float, float, Architecture]] = []  # finished, order, started, score
        while self._begun < self.most and free[0] <= self.limit:
            asked = self._asked(_AT_ONCE if self.most == math.inf else min(_AT_ONCE, int(self.most - self._begun)))
            if not asked:
                break
            choices = self.domain.space.stack(asked)
            values, seconds = self.bench.observe_many(choices, seed=self.seed, noise=self.noise)
            for architecture, score, taken in zip(asked, (self.sign * values).tolist(), seconds.tolist(), strict=True):
                started = free[0]
                taken = self._taken(taken, 1.0)
                self._begun += 1
                heapq.heapreplace(free, started + taken)
                ended.append((started + taken, len(ended), started, score, architecture))
        ended = [each for each in sorted(ended) if each[0] <= self.limit]
        if not ended:
            return
        architectures = [each[-1] for each in ended]
        fits = self.domain.feasible(self.domain.space.stack(architectures)).tolist()
        self.trials = [
            Trial(architecture, None, self.sign * score, fit, spent, started, finished)
            for spent, (fit, (finished, _, started, score, architecture)) in enumerate(zip(fits, ended, strict=True), 1)
        ]
        self._timed("tell", architectures, [each[3] for each in ended])

    def _fill(self, now: float) -> None:
        """Give work to every free worker."""
        while len(self._running) < self.workers and self._begun < self.most - 1e-9:
            asked = self._asked(1)
            if not asked or not self._start(asked[0], now):
                return

    def _asked(self, n: int) -> list[Any]:
        """What the searcher asks for, at most n."""
        kinds = (Architecture,) if n > 1 else (Architecture, Step)
        asked = check_asked(self._timed("ask", n), n, kinds)
        if not asked and not self._begun:
            raise InvalidQuery(
                f"the searcher answered its first ask({n}) with nothing: expected a list of architectures of "
                f"{self.domain.space.name}, and [] only once there is nothing left to ask for"
            )
        return asked

    def _start(self, asked: Architecture | Step, now: float) -> bool:
        """Begin an evaluation; False if the budget does not allow the whole of it, which ends the search."""
        architecture, epoch = (asked.architecture, asked.epoch) if isinstance(asked, Step) else (asked, None)
        whole_training = epoch is None or epoch == self.bench.epochs
        seen = self._observe(architecture, None if whole_training else epoch)
        taken, share = seen.seconds, 1.0
        if epoch is not None:
            before = self._reached.get(architecture.key, 0)
            if epoch <= before:
                raise InvalidQuery(
                    f"the searcher asked to train {architecture} to epoch {epoch}, but it was trained to {before} already"
                )
            share = (epoch - before) / self.bench.epochs
            if self._begun + share > self.most + 1e-9:
                self._begun = self.most
                return False
            if before and not math.isnan(taken):
                taken = max(0.0, taken - self._observe(architecture, before).seconds)
            self._reached[architecture.key] = epoch
        taken = self._taken(taken, share)
        self._begun += share
        self._count += 1
        heapq.heappush(self._running, _Running(now + taken, self._count, asked, self.sign * seen.value, share, now))
        return True

    def _observe(self, architecture: Architecture, epoch: int | None) -> Observation:
        return self.bench.observe(architecture, seed=self.seed, noise=self.noise, epoch=epoch)

    def _taken(self, seconds: float, share: float) -> float:
        """The simulated seconds of an evaluation, which is a share of a whole training."""
        if math.isnan(seconds):
            seconds = self._unknown(share)
        elif seconds > 0:
            self._known += seconds / share
            self._timings += 1
        self._idle = 0 if seconds > 0 else self._idle + 1
        if self.most == math.inf and self._idle > _IDLE:
            raise InvalidQuery(
                "trainings of this benchmark take no time: give a budget of evaluations instead of seconds"
            )
        return seconds

    def _unknown(self, share: float) -> float:
        """Seconds of an evaluation that has none: as long as the mean of those known so far, for a whole training."""
        if not self._timings:
            if self.limit < math.inf:
                raise InvalidQuery("this benchmark has no training seconds: give a budget of evaluations instead")
            self.timed = False
            return share
        return share * self._known / self._timings

    def _record(self, ended: _Running, spent: float) -> None:
        step = ended.asked
        architecture, epoch = (step.architecture, step.epoch) if isinstance(step, Step) else (step, None)
        feasible = not self.domain.limits or bool(self.domain.feasible(self.domain.space.stack([architecture]))[0])
        value = self.sign * ended.score
        self.trials.append(Trial(architecture, epoch, value, feasible, spent, ended.started, ended.finished))

    def _timed(self, method: str, *arguments: Any) -> Any:
        start = time.perf_counter()
        answer = call(self.searcher, method, *arguments)
        self.own += time.perf_counter() - start
        return answer
