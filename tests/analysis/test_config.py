"""Experiment files that are wrong."""

import pytest

from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.errors import NasbenchError
from tests.analysis.conftest import FILE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds = 3", "seeds = 0"), "seeds = 0: expected an integer of 1 or more"),
        (("seeds = 3", "seed = 3"), "no key 'seed': expected some of title"),
        (('"random", "evolution"]', '"randm"]'), "searcher 'randm': expected one of random"),
        (('label = "young"', ""), "two of \\[\\[searcher\\]\\] are called 'evolution'"),
        (("population = 4", "populaton = 4"), "young on bpic2012 table: evolution has no parameter 'populaton'"),
        (("params = 20000", "memory = 2"), "benchmark digits has no key 'memory'"),
        (('name = "age"', 'name = "nowhere"'), "no benchmark 'nowhere'"),
        (('"random", "evolution"]', '"random", "asha"]'), "asha on age surrogate: asha needs scores by epoch"),
        (("seeds = 3", "seeds = ["), "is no TOML"),
        (('"random", "evolution"]', '["random"]]'), "a searcher is \\['random'\\]: expected text"),
        (("params = 20000", 'params = "40k"'), "benchmark digits: params = '40k': expected a finite number"),
        (('source = "surrogate"', "source = 5"), "benchmark age: source is 5: expected text"),
        (("tournament = 2", "tournament = 2\nseed = 3"), "young on bpic2012 table: seed is no hyper-parameter"),
        (("seeds = 3", 'seeds = 3\nagainst = "k"'), "against = 'k': expected a numeric hyper-parameter"),
        (("seeds = 3", "seeds = 3\nnoise = 1"), "noise = 1: expected true or false"),
    ],
)
def test_wrong_files(file, tmp_path, change, message):
    file.write_text(FILE.replace(*change))
    with pytest.raises(NasbenchError, match=message):
        run_experiment(read_experiment(file), tmp_path / "out")
    assert not (tmp_path / "out").exists()
