"""The loop: budgets, the simulated clock, workers, constraints, and other people's searchers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nasbench_evs as nb
from nasbench_evs import search, spaces
from nasbench_evs.benchmark import REGIMES, AutoBenchmark, TableBenchmark
from nasbench_evs.errors import InvalidQuery, NotRecorded
from nasbench_evs.metrics import metric
from nasbench_evs.search.random import RandomSearch
from nasbench_evs.tables import Header, build
from nasbench_evs.testing.searcher import SearcherContract
from tests.conftest import make_end_table

EPOCHS = 4


def made_table(n=60, seeds=2, seconds=True, metric_name="accuracy", failed=False):
    """Made records of a small space: curves, seeds, seconds that differ."""
    space = spaces.SearchSpace.from_choices({"a": [0, 1, 2, 3], "b": [0, 1, 2, 3], "c": ["x", "y", "z", "w"]})
    rng = np.random.default_rng(0)
    ranks = np.repeat(rng.permutation(space.size)[:n], seeds)
    header = Header(space=space, dataset="made", fingerprint="none", protocol={}, metric=metric(metric_name))
    curves = np.sort(rng.random((len(ranks), EPOCHS)), axis=1)
    status = np.where(failed & (np.arange(len(ranks)) % 7 == 0), "failed", "ok")
    curves[status == "failed"] = np.nan
    return build(
        header,
        choices=space.unrank_many(ranks.astype(np.uint64)),
        seed=np.tile(np.arange(seeds), n),
        sampler="random",
        distilled=0,
        status=status,
        epochs_run=EPOCHS,
        valid_curve=curves,
        test_curve=curves / 2,
        params=np.repeat(rng.integers(10, 1000, n), seeds),
        flops=5,
        **({"train_seconds": rng.uniform(0.5, 5, (len(ranks), EPOCHS))} if seconds else {}),
    )


@pytest.fixture(scope="module")
def bench():
    return TableBenchmark(made_table())


@pytest.mark.parametrize("name", ["random", "asha", "hyperband", "tpe-hyperband"])
def test_scores_at_the_end(name):
    """A whole training is told the score at its end, a part of one the curve; the clock reads CPU seconds."""
    bench = TableBenchmark(make_end_table(range(9), failing=[4]))
    result = search.run(name, bench, budget=6, seed=1)
    assert result.timed
    reached = {}
    for trial in result.trials:
        epoch = None if trial.epoch == bench.epochs else trial.epoch
        seen = bench.query(trial.architecture, epoch=epoch)
        assert np.array_equal(trial.value, seen.value, equal_nan=True)
        before = reached.get(trial.architecture, 0)
        spent = seen.seconds - (bench.query(trial.architecture, epoch=before).seconds if before else 0)
        assert trial.finished - trial.started == pytest.approx(spent)
        reached[trial.architecture] = trial.epoch or bench.epochs
    assert any(trial.epoch in (None, bench.epochs) for trial in result.trials)


@pytest.mark.parametrize("name", ["random", "evolution", "local", "asha", "hyperband", "bohb"])
@pytest.mark.parametrize("workers", [1, 3])
def test_within_the_budget_of_evaluations(bench, name, workers):
    for budget in (1, 7, 20):
        result = search.run(name, bench, budget=budget, seed=1, workers=workers)
        assert 0 < result.trials[-1].spent <= budget + 1e-9
        if name in ("random", "evolution", "local"):
            assert len(result.trials) == budget


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(["random", "evolution", "asha", "hyperband"]),
    workers=st.integers(1, 9),
    seconds=st.floats(0, 300),
    seed=st.integers(0, 50),
)
def test_the_clock(bench, name, workers, seconds, seed):
    result = search.run(name, bench, seconds=seconds, seed=seed, workers=workers)
    ends = [trial.finished for trial in result.trials]
    assert ends == sorted(ends)  # time never runs backwards
    assert all(end <= seconds for end in ends)
    assert all(trial.started <= trial.finished for trial in result.trials)
    for moment in ends:  # never more at work than there are workers
        assert sum(trial.started < moment <= trial.finished for trial in result.trials) <= workers
    for trial in result.trials:  # a step takes the difference between its epochs
        before = [
            t.epoch for t in result.trials if t.architecture == trial.architecture and t.finished < trial.finished
        ]
        whole = trial.epoch in (None, EPOCHS)
        taken = bench.observe(trial.architecture, seed=seed, epoch=None if whole else trial.epoch).seconds
        if before:
            taken -= bench.observe(trial.architecture, seed=seed, epoch=max(before)).seconds
        assert trial.finished - trial.started == pytest.approx(taken, abs=1e-6)


class OneByOne(RandomSearch):
    """Random search that does not say that it is non-adaptive."""


@settings(max_examples=80, deadline=None)
@given(
    bench=st.sampled_from(["table", "untimed", "losses", "surrogate"]),
    workers=st.integers(1, 9),
    budget=st.none() | st.integers(1, 70),
    seconds=st.none() | st.floats(0, 400),
    params=st.none() | st.integers(300, 60_000),
    seed=st.integers(0, 2**40),
    replacement=st.booleans(),
    regime=st.sampled_from(REGIMES),
)
def test_asking_for_many_at_once_changes_nothing(bench, workers, budget, seconds, params, seed, replacement, regime):
    if bench == "untimed" or (budget is None and seconds is None):
        budget, seconds = budget or 30, None
    if replacement and budget is None:
        budget = 70
    if bench == "surrogate":
        loaded = nb.load("credit-default", source="surrogate")
        budget = budget or 40
        params = params and max(params, 500)  # its smallest network has 448
    else:
        metric_name = "log_loss" if bench == "losses" else "accuracy"
        loaded = TableBenchmark(
            made_table(seconds=bench != "untimed", metric_name=metric_name, failed=bench == "losses")
        )
    one, many = (
        search.run(
            cls, loaded, budget=budget, seconds=seconds, workers=workers, regime=regime, seed=seed, replacement=replacement,
            constraint=None if params is None else {"params": params},
        )
        for cls in (OneByOne, RandomSearch)
    )  # fmt: skip
    assert len(many.trials) == len(one.trials)
    assert many.recommended == one.recommended
    for a, b in zip(one.trials, many.trials, strict=True):
        assert (a.architecture, a.epoch, a.feasible, a.spent) == (b.architecture, b.epoch, b.feasible, b.spent)
        assert (a.value, a.started, a.finished) == pytest.approx((b.value, b.started, b.finished), nan_ok=True)


def test_a_searcher_that_is_made_goes_on_where_it_was(bench):
    made, other = RandomSearch(bench.space, 0), RandomSearch(bench.space, 0)
    parts = [trial.architecture for _ in range(2) for trial in search.run(made, bench, budget=20).trials]
    assert parts == [trial.architecture for trial in search.run(other, bench, budget=40).trials]


def test_what_inherits_from_random_search_is_told(bench):
    class Learner(RandomSearch):
        def _propose(self, n):
            heard.append(len(self.told[1]))
            return super()._propose(n)

    heard = []
    search.run(Learner, bench, budget=10, seed=0)
    assert heard == list(range(10))


def test_a_benchmark_that_says_nothing_is_asked_one_by_one(bench):
    class Wrapped(nb.Benchmark):
        space, dataset, metric = bench.space, bench.dataset, bench.metric

        def _query(self, architecture, question):
            asked.append(architecture)
            return bench._query(architecture, question)

    class Overridden(TableBenchmark):
        def query(self, architecture, **question):
            asked.append(architecture)
            return super().query(architecture, **question)

    asked = []
    for each in (Wrapped(), Overridden(bench.table)):
        asked.clear()
        assert len(search.run("random", each, budget=7, seed=0).trials) == len(asked) == 7


def test_what_only_teachers_trained_is_predicted_alike():
    recorded, predicted = nb.load("credit-default", source="table"), nb.load("credit-default", source="surrogate")
    taught = recorded.table.select(np.flatnonzero(recorded.table["distilled"] == 1))
    bench = AutoBenchmark(TableBenchmark(taught), predicted)
    choices = TableBenchmark(taught).pool[:20]
    one = [bench.observe(architecture, seed=3) for architecture in recorded.space.architectures(choices)]
    np.testing.assert_allclose(np.transpose(one), bench.observe_many(choices, seed=3))
    assert one[0].value == pytest.approx(predicted.query_many(choices[:1], seed=3).value[0])


@pytest.mark.parametrize(("name", "source"), [("credit-default", "auto"), ("age", "table"), ("bpic2012", "surrogate")])
@pytest.mark.parametrize("noise", [True, False])
def test_many_observations_are_those_of_one(name, source, noise):
    bench = nb.load(name, source=source)
    recorded = nb.load(name, source="table").pool
    choices = recorded[:80] if source == "table" else np.concatenate([bench.space.sample_many(20, 0), recorded[:60]])
    scores, seconds = bench.observe_many(choices, seed=5, noise=noise)
    for architecture, score, taken in zip(bench.space.architectures(choices), scores, seconds, strict=True):
        np.testing.assert_allclose(bench.observe(architecture, seed=5, noise=noise), (score, taken))


def test_more_workers_end_sooner(bench):
    ends = [search.run("random", bench, budget=30, seed=0, workers=w).trials[-1].finished for w in (1, 2, 6)]
    assert ends[0] > ends[1] > ends[2]
    serial = sum(t.finished - t.started for t in search.run("random", bench, budget=30, seed=0).trials)
    assert ends[0] == pytest.approx(serial)


def test_one_search_sees_one_training_of_each_architecture(bench):
    result = search.run("random", bench, budget=60, seed=5)
    assert len({trial.architecture for trial in result.trials}) == 60  # the whole pool, then no more
    for trial in result.trials:
        seen = {bench.query(trial.architecture, seed=s).value for s in bench.seeds(trial.architecture)}
        assert trial.value in seen
    other = search.run("random", bench, budget=60, seed=6)
    values = {t.architecture: t.value for t in other.trials}
    assert any(values[t.architecture] != t.value for t in result.trials)


def test_in_the_clean_regime_the_objective_is_seen_and_judges():
    bench = TableBenchmark(made_table(failed=True))
    result = search.run("random", bench, budget=60, seed=5, regime="clean")
    for trial in result.trials:
        np.testing.assert_array_equal(trial.value, bench.true_values([trial.architecture])[0])
    assert any(np.isnan(trial.value) for trial in result.trials)
    assert result.true_values[-1] == result.best.value == bench.optimum().value
    assert result.regret[-1] == 0
    assert (np.diff(result.regret[result.incumbents >= 0]) <= 0).all()


@pytest.mark.parametrize("regime", ["noisy", "transfer"])
def test_a_noisy_search_is_judged_by_what_it_did_not_see(bench, regime):
    result = search.run("random", bench, budget=25, seed=5, regime=regime)
    assert (result.regime, result.bench) == (regime, bench)
    split = "test" if regime == "transfer" else "valid"
    for at, value in zip(result.incumbents, result.true_values, strict=True):
        architecture = result.trials[at].architecture
        other = 1 - bench.observed_seed(architecture, 5)
        assert value == pytest.approx(bench.query(architecture, seed=other, split=split).value)
    assert result.regret.tolist() == (bench.optimum(regime).value - result.true_values).tolist()
    assert [t.value for t in result.trials] == [t.value for t in search.run("random", bench, budget=25, seed=5).trials]


def test_a_search_that_saw_no_score_is_worth_nothing():
    table = made_table()
    failed = TableBenchmark(
        build(table.header, choices=table["choices"], seed=table["seed"], status="failed", distilled=0)
    )
    result = search.run("random", failed, budget=3)
    assert np.isnan(result.true_values).all()
    nothing = search.run("random", TableBenchmark(table), seconds=0)
    assert nothing.true_values.shape == nothing.regret.shape == (0,)


def test_where_nothing_can_judge_a_search_runs_and_says_so():
    space = spaces.SearchSpace.from_choices({"a": [0, 1, 2, 3]})
    drawn = nb.from_function(space, lambda architecture, seed=0: float(architecture["a"] + seed))
    result = search.run("random", drawn, budget=4)
    assert result.best.value == 3
    with pytest.raises(NotRecorded, match="no true values for the noisy regime"):
        result.true_values  # noqa: B018
    with pytest.raises(NotRecorded, match="takes a seed: its mean over seeds, the objective, is unknown"):
        search.run("random", drawn, budget=4, regime="clean")
    fixed = nb.from_function(space, lambda architecture: float(architecture["a"]))
    assert search.run("random", fixed, budget=4, regime="clean").true_values[-1] == 3


def test_an_exhausted_pool_ends_the_search(bench):
    assert len(search.run("evolution", bench, budget=10_000, seed=0).trials) == 60


def test_incumbents_and_best(bench):
    result = search.run("random", bench, budget=25, seed=2)
    values = np.array([trial.value for trial in result.trials])
    assert (values[result.incumbents] == np.maximum.accumulate(values)).all()
    assert result.best.value == values.max()
    frame = result.trajectory
    assert frame["best"].tolist() == np.maximum.accumulate(values).tolist()
    assert frame["evaluation"].tolist() == list(range(1, 26))


def test_smaller_is_better_where_the_metric_says_so():
    bench = TableBenchmark(made_table(metric_name="log_loss"))
    result = search.run("random", bench, budget=25, seed=2)
    assert result.best.value == min(trial.value for trial in result.trials)


def test_constraints(bench):
    limit = int(np.median(bench.table["params"]))
    for name in ("random", "evolution", "local", "bohb", "tpe"):
        result = search.run(name, bench, budget=15, seed=0, constraint={"params": limit})
        assert all(trial.feasible for trial in result.trials)
        assert all(bench.cost(trial.architecture).params <= limit for trial in result.trials)
    shaped = search.run("tunas-abs", bench, budget=40, seed=0, constraint={"params": limit})
    assert not all(
        trial.feasible for trial in shaped.trials
    )  # it looks beyond the limit, but does not return what lies there
    assert bench.cost(shaped.best.architecture).params <= limit
    assert all(bench.cost(a).params <= limit for a in shaped.recommended)


def test_surrogates_of_large_spaces_with_a_constraint():
    bench = nb.load("bpic2012", source="surrogate")
    typical = np.median(bench.cost_many(bench.space.sample_many(200, 0)).params)
    for name in ("random", "evolution", "local"):
        result = search.run(name, bench, budget=12, seed=0, constraint={"params": float(typical)})
        assert len(result.trials) == 12
        assert all(bench.cost(trial.architecture).params <= typical for trial in result.trials)


def test_seconds_are_those_of_a_surrogate_too():
    result = search.run("random", nb.load("bpic2012", source="surrogate"), budget=5, seed=0, workers=2)
    assert result.timed
    assert result.trials[-1].finished > 0


def test_without_recorded_seconds_every_training_takes_as_long():
    bench = TableBenchmark(made_table(seconds=False))
    result = search.run("random", bench, budget=8, seed=0, workers=2)
    assert [trial.finished for trial in result.trials] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert not result.timed
    with pytest.raises(InvalidQuery, match="no training seconds"):
        search.run("random", bench, seconds=100, seed=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"searcher": "greedy"}, "unknown searcher 'greedy': expected one of random, "),
        ({"budget": None}, "needs a budget"),
        ({"budget": 0}, "budget = 0: expected an integer of 1 or more"),
        ({"budget": 10**400}, "budget = 10+\\.\\.\\.0+: expected an integer from 1 to 9223372036854775807"),
        ({"seconds": 10**400}, "seconds = 10+\\.\\.\\.0+: expected a finite number"),
        ({"seconds": -1}, "seconds = -1"),
        ({"workers": 0}, "workers = 0"),
        ({"regime": "loud"}, "regime 'loud': expected one of clean, noisy, transfer"),
        ({"noise": False}, "random has no parameter 'noise'"),
        ({"seed": "one"}, "seed = 'one'"),
        ({"constraint": {"memory": 3}}, "constraint on 'memory': expected some of params, flops"),
        ({"constraint": {"params": 1}}, "no architecture with params <= 1 was found"),
        ({"populaton": 3}, "random has no parameter 'populaton': expected some of replacement"),
        ({"searcher": object()}, "no searcher: expected a name, or a class or object with ask and tell"),
    ],
)
def test_wrong_arguments(bench, arguments, message):
    with pytest.raises(InvalidQuery, match=message):
        search.run(**{"searcher": "random", "bench": bench, "budget": 5, **arguments})


def test_multi_fidelity_needs_epochs():
    with pytest.raises(InvalidQuery, match="asha needs scores by epoch"):
        search.run("asha", nb.load("age", source="table"), budget=5)


class HillClimb:
    """Somebody's own searcher: nothing of ours but the space it is given."""

    def __init__(self, space, seed=0, *, radius=1):
        self.space, self.rng, self.best, self.seen = space, np.random.default_rng(seed), None, set()
        self.radius = radius

    def ask(self, n=1):
        found = []
        for _ in range(1000):
            row = (
                self.space.sample_many(1, self.rng)
                if self.best is None
                else self.space.mutate_many(self.best[1], self.rng)
            )
            if row.tobytes() not in self.seen and len(found) < n:
                self.seen.add(row.tobytes())
                found.append(row[0])
        return self.space.architectures(np.array(found)) if found else []

    def tell(self, architectures, scores):
        for architecture, score in zip(architectures, scores, strict=True):
            if self.best is None or score > self.best[0]:
                self.best = score, np.frombuffer(architecture.key, np.int8)[None]


def test_somebodys_own_searcher(bench):
    by_class = search.run(HillClimb, bench, budget=10, seed=3, radius=2)
    assert len(by_class.trials) == 10
    assert by_class.searcher == "HillClimb"
    with pytest.raises(InvalidQuery, match="has no parameter 'raduis'"):
        search.run(HillClimb, bench, budget=20, raduis=2)
    whole = nb.load("bpic2012", source="surrogate")
    by_object = search.run(HillClimb(whole.space, 3), whole, budget=10)
    assert len(by_object.trials) == 10


class OwnSearcher(search.Searcher):
    """A subclass, in a few lines."""

    def _propose(self, n):
        choices, scores = self.known
        if not len(scores):
            return self.new(self.random, n)
        best = choices[[scores.argmax()]]
        return self.new(lambda m: self.domain.mutate_many(best.repeat(m, axis=0), self.rng), n)


class TestOwnSearcher(SearcherContract):
    """The public contract test, inherited as a user would."""

    def make(self, space, seed=0):
        return OwnSearcher(space, seed)
