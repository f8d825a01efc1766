"""Regrets of an experiment, and which of its benchmarks are a surrogate and its table."""

import numpy as np
import pytest

from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.regrets import Regrets
from nasbench_evs.analysis.report import write_report
from nasbench_evs.errors import InvalidQuery
from tests.analysis.conftest import FILE


def test_only_seeds_that_all_have_ended_are_compared(file, tmp_path, in_this_process):
    experiment = read_experiment(file)
    runs = run_experiment(experiment, tmp_path / "out")
    regrets = Regrets(experiment, runs[:-1])
    assert regrets.seeds == [0, 1]
    assert regrets.final("bpic2012 table", "random").shape == (2,)
    with pytest.raises(InvalidQuery, match="no seed has ended"):
        write_report(experiment, runs[:5], tmp_path / "report", "command")


def test_regret_never_grows_less_than_zero_and_curves_end_at_it(file, tmp_path, in_this_process):
    experiment = read_experiment(file)
    regrets = Regrets(experiment, run_experiment(experiment, tmp_path / "out"))
    for benchmark in regrets.benchmarks:
        for searcher in regrets.searchers:
            final = regrets.final(benchmark, searcher)
            assert (final >= -1e-6).all()
            budget = regrets.config(benchmark).budget
            curve = regrets.curve(benchmark, searcher, np.array([0.0, 1.0, budget]))
            assert np.isnan(curve[:, 0]).all()
            assert np.allclose(curve[:, -1], final)


def test_which_benchmarks_are_a_pair(file, tmp_path, in_this_process):
    text = FILE[: FILE.index("[[benchmark]]")].replace("seeds = 3", "seeds = 2")
    cases = (("", "", 1), ('space = "seqnas"', "", 1), ("", "params = 50000", 0), ("", 'space = "seqnas-s"', 0))
    for space, params, pairs in cases:
        surrogate = f'[[benchmark]]\nname = "bpic2012"\nsource = "surrogate"\n{params}\n'
        file.write_text(f'{text}{surrogate}[[benchmark]]\nname = "bpic2012"\nsource = "table"\n{space}\n{params}\n')
        folder = tmp_path / f"{space}{params}"
        write_report(read_experiment(file), run_experiment(read_experiment(file), folder), folder, "")
        assert (folder / "search-fidelity.csv").exists() == bool(pairs)
