"""Datasets compared by what they say of the same architectures: correlations, portfolios, and recommendations."""

import json
import math

import numpy as np
import pytest

from nasbench_evs.analysis import across, across_page, correlations, recommend
from nasbench_evs.analysis.correlations import PLANS, correlation, drawn, reliability
from nasbench_evs.analysis.portfolios import choose, common_pool, judge
from nasbench_evs.benchmark import TableBenchmark
from nasbench_evs.errors import InvalidQuery, NotRecorded
from nasbench_evs.metrics import metric
from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.spaces.subspaces import subspace_ranks
from tests.conftest import make_header, make_table

SPACE = SeqNASSpace()
RANKS = np.array(subspace_ranks("seqnas-s", SPACE)[:220], np.uint64)
PLAN = PLANS["seqnas-s"]
NAMES = ("first", "second")


@pytest.fixture(autouse=True, scope="module")
def _few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(correlations, "_RESAMPLED", 100)
        yield


def truth(seed):
    return np.random.default_rng(seed).normal(0.7, 0.01, len(RANKS))


def recorded(
    means, noise=0.0, *, dataset="made", seed=0, trainings=2, sampler="seqnas-s", score="roc_auc", failed=None
):
    """The table of RANKS, with scores about these means; the trainings of the architecture `failed` did."""
    means = means[: len(RANKS)]
    ranks, seeds = np.repeat(RANKS[: len(means)], trainings), np.tile(np.arange(trainings), len(means))
    found = np.repeat(means, trainings) + np.random.default_rng(seed + 100).normal(0, noise, len(ranks))
    header = make_header(SPACE, dataset=dataset, protocol={"epochs": 1}, metric=metric(score))
    status = np.where(ranks == failed, "failed", "ok")
    return make_table(ranks, seeds, scores=found[:, None], header=header, epochs=1, sampler=sampler, status=status)


def of(*tables):
    return [drawn(each, PLAN) for each in tables]


def test_equal_orders_reach_the_ceiling_and_independent_ones_correlate_not():
    a, b, other = of(
        recorded(truth(1), 0.005), recorded(2 * truth(1) - 0.7, 0.01, seed=1), recorded(truth(2), 0.005, seed=2)
    )
    equal, unlike = correlation("seqnas-s", NAMES, a, b), correlation("seqnas-s", NAMES, a, other)
    assert equal.architectures == len(RANKS)
    assert equal.tau == pytest.approx(equal.ceiling, abs=0.05)
    assert equal.ceiling < 0.8
    assert equal.share_low < 1 < equal.share_high
    assert unlike.tau_low < 0 < unlike.tau_high
    assert unlike.ceiling == pytest.approx(equal.ceiling, abs=0.1)
    assert equal.best[1] > 0.8 > 0.5 > unlike.best[1]
    assert min(equal.again[1], equal.again[3]) > 0.8


def test_reliability_is_what_means_of_two_trainings_have():
    (found,) = of(recorded(truth(1), 0.01))
    assert reliability(found) == pytest.approx(2 / 3, abs=0.12)  # equal variances: of one training a half
    (exact,) = of(recorded(truth(1)))
    assert reliability(exact) == pytest.approx(1)


def test_a_smaller_loss_is_better():
    (loss,) = of(recorded(-truth(1) + 2, score="log_loss"))
    (gain,) = of(recorded(truth(1)))
    assert correlation("seqnas-s", NAMES, loss, gain).tau == pytest.approx(1)
    assert correlation("seqnas-s", NAMES, loss, gain).best == (1, 1, 1, 1)


def test_without_repeats_the_ceiling_is_unknown_and_few_architectures_say_nothing():
    plan = PLANS["seqnas"]
    a, b = (drawn(recorded(truth(1), trainings=1, sampler="random"), plan) for _ in range(2))
    found = correlation("seqnas", NAMES, a, b)
    assert found.tau == pytest.approx(1)
    assert math.isnan(found.ceiling)
    assert math.isnan(found.again[0])
    assert correlation("seqnas", NAMES, a.of(RANKS[:0]), b) is None
    few = drawn(recorded(truth(1)[:60], trainings=1, sampler="random"), plan)
    found = correlation("seqnas", NAMES, few, b)
    assert (found.architectures, math.isnan(found.best[0])) == (60, True)


def test_architectures_of_a_searcher_and_with_too_few_trainings_are_left_out():
    table = recorded(truth(1))
    assert len(drawn(table, PLANS["seqnas"]).ranks) == 0
    once = table.select(np.arange(len(table)) != 1)
    assert set(RANKS) - set(drawn(once, PLAN).ranks) == {table["rank"][0]}


def test_a_portfolio_has_the_best_of_each_dataset_and_no_failed_one():
    means = [truth(1), truth(2)]
    for each, best in zip(means, (3, 4), strict=True):
        each[[3, 4]] = 0.6
        each[best] = 0.8
        each[5] = 0.78
    a, b = (recorded(each) for each in means)
    order = np.argsort(RANKS)
    chosen = [int(order[i]) for i in choose(of(a, b))]
    assert chosen[0] == 5
    assert set(chosen[:3]) == {3, 4, 5}
    assert len(set(chosen)) == 5
    failed = recorded(means[0], failed=RANKS[3])
    assert 3 not in [int(order[i]) for i in choose(of(failed))]


def test_the_common_pool_is_of_the_most_datasets():
    sources = dict(zip("abc", of(*(recorded(truth(s)) for s in (1, 2, 3))), strict=True))
    names, ranks = common_pool(sources)
    assert names == ["a", "b", "c"]
    assert set(ranks) == set(RANKS)
    sources["c"] = sources["c"].of(np.sort(RANKS)[:50])
    assert common_pool(sources)[0] == ["a", "b"]
    assert common_pool({"c": sources["c"], "a": sources["a"]}) == ([], pytest.approx([]))


def test_what_a_portfolio_is_worth():
    means = truth(1)
    bench = TableBenchmark(recorded(means))
    best = [SPACE.unrank(int(RANKS[i])) for i in np.argsort(-means)[[0, 100, 101, 102, 103]]]
    worth, references = judge("made", bench, best, 5, lambda: None)
    assert set(references) == {"noisy", "transfer"}
    found = {(each.regime, each.name): each for each in worth}
    for regime, value in (("noisy", means.max()), ("transfer", means.max() - 0.01)):
        portfolio = found[regime, "portfolio (5)"]
        assert portfolio.regret == pytest.approx(0, abs=1e-4)
        assert portfolio.value == pytest.approx(value, abs=1e-5)
        assert found[regime, "first of the portfolio (1)"].portfolio_better == 0.5  # all ties
        assert found[regime, "random (5)"].portfolio_better > 0.8
        assert found[regime, "random (5)"].regret > found[regime, "random (25)"].regret > 0
    again, _ = judge("made", bench, best, 5, lambda: None)
    assert str(again) == str(worth)


@pytest.fixture(scope="module")
def tables():
    """Three datasets, of which two are alike."""
    means = {"one": truth(1), "two": truth(1), "three": truth(3)}
    return {
        name: TableBenchmark(recorded(each, 0.003, dataset=name, seed=i))
        for i, (name, each) in enumerate(means.items())
    }


@pytest.fixture(scope="module")
def compared(tables):
    return across.compare_datasets(tables, {"one": across.Gru(0.7, 30)}, seeds=2)


def test_a_portfolio_knows_nothing_of_the_dataset_left_out(tables, compared):
    (before,) = compared.compared
    changed = {**tables, "one": TableBenchmark(recorded(truth(9), 0.003, dataset="one"))}
    (after,) = across.compare_datasets(changed, {}, seeds=2).compared
    strings = [
        {each.left_out: [member.architecture for member in each.members] for each in found.portfolios}
        for found in (before, after)
    ]
    assert set(strings[0]) == {"", "one", "two", "three"}
    assert strings[0]["one"] == strings[1]["one"]
    assert strings[0]["two"] != strings[1]["two"]
    assert strings[0][""] != strings[1][""]


def test_places_are_those_among_the_shared_architectures(tables, compared):
    (found,) = compared.compared
    member = found.portfolios[0].members[0]
    (source,) = of(tables["one"].table)
    row = list(source.ranks).index(SPACE.parse(member.architecture).rank)
    assert member.places["one"] == 1 + sum(source.means > source.means[row])
    assert member.params == {}  # the protocol names no widths
    assert member.seconds == {"one": 0.5, "two": 0.5, "three": 0.5}


def test_tables_that_share_nothing(tables):
    with pytest.raises(InvalidQuery, match="1 tables share too few architectures to compare"):
        across.compare_datasets({"one": tables["one"]}, {}, seeds=2)
    with pytest.raises(InvalidQuery, match="1 seeds: expected 2 or more"):
        across.compare_datasets(tables, {}, seeds=1)


def test_the_page_says_all(compared):
    text = across_page.page(compared, 2, "the command")
    assert "the command" in text
    assert "| one, two | 220 of seqnas-s | 2 |" in text
    assert "| tuned GRU | 0.7000 (" in text
    assert ", 30 settings | not tuned | not tuned | - |" in text
    assert "nan" not in text
    for portfolio in compared.compared[0].portfolios:
        for member in portfolio.members:
            assert f"`{member.architecture}`" in text


def test_recommendations(compared, tmp_path):
    path = tmp_path / "portfolios.json"
    recommend.write_portfolios(compared.compared, path)
    new = recommend.recommend("new-data", path=path)
    assert new.known == "new-data was never recorded"
    assert new.portfolio.left_out == ""
    assert {each.dataset for each in new.worth} == {"one", "two", "three"}
    own = recommend.recommend("one", "seqnas-s", path=path)
    assert own.portfolio.left_out == "one"
    assert {each.dataset for each in own.worth} == {"one"}
    assert "one is recorded" in own.known
    assert "is recorded (seqnas), but not among" in recommend.recommend("abank", path=path).known
    assert recommend.recommend("abnk", path=path).known == "abnk was never recorded; did you mean 'abank'?"
    with pytest.raises(NotRecorded, match="no portfolios of the space 'seqnas-x': expected seqnas-s; did you mean"):
        recommend.recommend("one", "seqnas-x", path=path)
    for name in ("", " ", "a/b", "table.h5", 3):
        with pytest.raises(InvalidQuery, match="expected the name of a dataset"):
            recommend.recommend(name, path=path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found[0].pop("worth"), "missing required field"),
        (lambda found: found[0].update(portfolios=[]), "no portfolio"),
        (lambda found: found[0]["portfolios"][0].update(members=[]), "an empty one"),
        (lambda found: found[0]["portfolios"].pop(), "has not one portfolio without each dataset"),
        (lambda found: found[0]["portfolios"].append(found[0]["portfolios"][1]), "has not one portfolio without each"),
        (lambda found: found.clear(), "no comparison"),
    ],
)
def test_a_file_of_something_else(compared, tmp_path, change, message):
    path = tmp_path / "portfolios.json"
    recommend.write_portfolios(compared.compared, path)
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    with pytest.raises(InvalidQuery, match=message):
        recommend.recommend("one", path=path)


def test_the_verdict_counts_datasets(compared):
    worth = compared.compared[0].worth
    text = recommend.verdict(worth, "transfer")
    regrets = {(each.dataset, each.name): each.regret for each in worth if each.regime == "transfer"}
    better = sum(regrets[name, "portfolio (5)"] < regrets[name, "random (5)"] for name in compared.compared[0].names)
    assert f"than random (5) on {better} of 3" in text
    assert "than tuned GRU on" in text
    assert "of 1 datasets." in text
