"""Regrets of an experiment in each regime, what they are measured against, and which benchmarks are a surrogate and its table."""

import numpy as np
import pytest

import nasbench_evs as nb
from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.fidelity import search_fidelity
from nasbench_evs.analysis.references import reference
from nasbench_evs.analysis.regrets import Regrets, all_regrets
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.search.domain import Domain
from tests.analysis.conftest import FILE


@pytest.fixture
def runs(file, tmp_path, in_this_process):
    return list(run_experiment(read_experiment(file), tmp_path / "out").values())


def test_only_seeds_that_all_have_ended_are_compared(file, runs):
    experiment = read_experiment(file)
    last = max(runs, key=lambda run: (run.regime == "noisy", run.seed))
    clean, noisy, transfer = all_regrets(experiment, [run for run in runs if run != last])
    assert (clean.seeds, noisy.seeds, transfer.seeds) == ([0, 1, 2], [0, 1], [0, 1])
    assert noisy.final("bpic2012 table", "random").shape == (2,)
    with pytest.raises(InvalidQuery, match="no seed has ended"):
        all_regrets(experiment, runs[:5])


def test_which_benchmarks_have_a_regime(file, runs):
    experiment = read_experiment(file)
    clean, noisy, transfer = (Regrets(experiment, runs, regime) for regime in ("clean", "noisy", "transfer"))
    assert len(clean.benchmarks) == 5
    assert noisy.benchmarks == [each for each in clean.benchmarks if each != "landscape:nk-1"]
    assert transfer.benchmarks == [each for each in noisy.benchmarks if not each.startswith("age")]  # no test scores
    assert (clean.marks, noisy.marks) == ((8,), (4,)) or noisy.marks == (4,)


def test_regrets_are_true_values_behind_a_fixed_reference(file, runs):
    experiment = read_experiment(file)
    regrets = Regrets(experiment, runs, "clean")
    for benchmark in regrets.benchmarks:
        config = regrets.config(benchmark)
        for searcher in regrets.searchers:
            curve = regrets.at(benchmark, searcher, [0, 1, *config.marks])
            assert np.isnan(curve[:, 0]).all()
            assert np.allclose(curve[:, -1], regrets.final(benchmark, searcher))
            for mark, column in zip(config.marks, curve.T[2:], strict=True):
                assert np.allclose(regrets.final(benchmark, searcher, mark), column)
            # What a clean search sees is what judges it: its regret never grows.
            assert not (np.diff(curve[:, 2:], axis=1) > 1e-9).any()
    bench = nb.load("landscape:nk-1")
    run = next(run for run in runs if run.benchmark == "landscape:nk-1" and run.searcher == "young" and run.seed == 1)
    expected = bench.regret([bench.space.unrank(run.curve[-1].rank)])[0]
    assert regrets.final("landscape:nk-1", "young")[1] == pytest.approx(expected, abs=1e-6)
    assert (regrets.final("landscape:nk-1", "young") >= 0).all()


def test_references_and_scales():
    bench = nb.load("landscape:constrained")
    domain = Domain.on(bench, bench.limit)
    within = reference(bench, bench.limit, "clean", [])
    assert (within.value, within.how) == (pytest.approx(bench.best_within(bench.limit).value), "exact")
    middle = np.median(bench.true_values(domain.sample_many(4000, 1)))
    assert within.scale == pytest.approx(within.value - middle, rel=0.1)
    table = nb.load("credit-default", "ffn-3", source="table")
    for regime in ("clean", "noisy"):
        assert reference(table, {}, regime, []).value == pytest.approx(table.optimum(regime).value)
        small = reference(table, {"params": 4450}, regime, [])
        fits = table.pool[table.costs(table.pool, "params") <= 4450]
        assert small.value == pytest.approx(np.nanmax(table.true_values(fits, regime)))
        assert small.value < table.optimum(regime).value


def test_an_unknown_optimum_is_the_best_of_the_runs(monkeypatch):
    bench = nb.from_function(nb.spaces.SearchSpace.from_choices({"a": [1, 2, 3], "b": [1, 2]}), lambda arch: arch["a"])
    found = reference(bench, {}, "clean", [3.0, 5.0])
    assert (found.value, found.how, found.scale) == (5.0, "best of these runs", 3.0)


def test_one_weight_for_a_surrogate_and_its_table(file, runs):
    regrets = Regrets(read_experiment(file), runs, "noisy")
    parts = dict(zip(regrets.benchmarks, regrets.normalized(), strict=True))
    age = (parts["age surrogate"] + parts["age table"]) / 2
    rest = [part for name, part in parts.items() if not name.startswith("age")]
    assert regrets.suite() == pytest.approx(np.mean([age, *rest], axis=0))
    # 1 is what every run starts from, and its first evaluation ends that.
    for curve, end in zip(regrets.at_shares(np.array([0.0, 1.0])), regrets.normalized(), strict=True):
        assert (curve[..., 0] == 1).all()
        assert curve[..., 1] == pytest.approx(end)


def test_which_benchmarks_are_a_pair(file, tmp_path, in_this_process):
    text = FILE[: FILE.index("[[benchmark]]")].replace("seeds = 3", "seeds = 2")
    cases = (("", "", 2), ('space = "seqnas"', "", 2), ("", "params = 50000", 0), ("", 'space = "seqnas-s"', 0))
    for space, params, pairs in cases:
        surrogate = f'[[benchmark]]\nname = "bpic2012"\nsource = "surrogate"\n{params}\n'
        file.write_text(f'{text}{surrogate}[[benchmark]]\nname = "bpic2012"\nsource = "table"\n{space}\n{params}\n')
        found = all_regrets(
            read_experiment(file), run_experiment(read_experiment(file), tmp_path / f"{space}{params}").values()
        )
        rows = [row for each in found[:2] for row in search_fidelity(each)]
        assert [row.regime for row in rows] == ["clean", "noisy"][:pairs]
