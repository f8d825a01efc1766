"""Experiment files that are wrong."""

import dataclasses

import pytest

from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.runs import run_settings
from nasbench_evs.errors import NasbenchError
from nasbench_evs.tables import write
from tests.analysis.conftest import FILE
from tests.conftest import make_table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds = 3", "seeds = 0"), "seeds = 0: expected an integer of 1 or more"),
        (("seeds = 3", "seed = 3"), "no key 'seed': expected some of title"),
        (
            ("seeds = 3", f"seeds = {10**18}"),
            "seeds = 1000000000000000000: .* searches, expected at most 1,000,000; take",
        ),
        (("seeds = 3", f"seeds = {10**400}"), "seeds = 1000.*: expected an integer from 1"),
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
        (("seeds = 3", 'seeds = 3\nagainst = ["k"]'), "against is \\['k'\\]: expected text"),
        (("seeds = 3", "seeds = 3\nquestion = inf"), "question is inf: expected text"),
        (('label = "young"', "label = 5"), "label is 5: expected text"),
        (
            ('label = "young"', 'label = "a\\u0000b"'),
            "some of \\[\\[searcher\\]\\] are called 'a.x00b': expected printable text",
        ),
        (('label = "young"', f'label = "{"x" * 100_000}"'), "are called 'xxx.*, at most 1000 characters"),
        (("seeds = 3", 'seeds = 3\nagainst = "k"'), "against = 'k': expected a numeric hyper-parameter"),
        (("seeds = 3", "seeds = 3\nnoise = false"), "no key 'noise'"),
        (('"clean", "noisy"]', '"transfer"]'), "regime 'transfer': expected some of clean, noisy"),
        (('regime = "clean"', 'regime = "clean"\nregimes = ["noisy"]'), "landscape:nk-1 has both regime and regimes"),
        (("marks = [3]", "marks = [9]"), "marks = \\[9\\]: 9 is more than the budget of 8"),
        (("marks = [4, 10]", "marks = [0]"), "marks = \\[0\\]: expected integers of 1 or more"),
        (
            ("params = 20000", 'restrict = ["conv"]'),
            "benchmark digits: restrict = \\['conv'\\], expected a table of choices",
        ),
        (("params = 20000", 'restrict = { "layer.9" = [8] }'), "layer.9"),
        (("params = 20000", 'restrict = { "layer.0" = [9] }'), "layer.0"),
    ],
)
def test_wrong_files(file, tmp_path, change, message):
    file.write_text(FILE.replace(*change))
    with pytest.raises(NasbenchError, match=message):
        run_experiment(read_experiment(file), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_regime_that_nothing_can_judge(file, tmp_path):
    write(make_table([1, 2, 3]), tmp_path / "one-seed.h5")
    file.write_text(
        FILE.replace('name = "age"\nsource = "table"', f'name = "{tmp_path}/one-seed.h5"\nregime = "noisy"')
    )
    with pytest.raises(NasbenchError, match=r"one-seed.h5 auto, noisy regime: .* has no"):
        run_experiment(read_experiment(file), tmp_path / "out")


def test_a_part_of_a_space(file):
    whole = read_experiment(file)
    file.write_text(FILE.replace("params = 20000", 'label = "narrow"\nrestrict = { "layer.0" = [8, 16] }'))
    part = read_experiment(file)
    [narrow] = [each for each in part.benchmarks if each.label == "narrow"]
    assert {each["layer.0"] for each in narrow.load().space.architectures(narrow.load().pool)} == {8, 16}
    assert narrow.load() is narrow.load()

    def settings(experiment, label):
        [found] = [each for each in experiment.benchmarks if each.label == label]
        return run_settings(experiment, found, experiment.searchers[0])

    assert settings(whole, "landscape:nk-1") == settings(part, "landscape:nk-1")
    other = dataclasses.replace(part, benchmarks=[narrow._replace(restrict={"layer.0": [8]})])
    assert settings(part, "narrow") != settings(other, "narrow")


def test_budgets_and_regimes(file):
    experiment = read_experiment(file)
    first, *_, table, landscape = experiment.benchmarks
    assert (first.marks, first.regimes) == ((4, 10, 12), ("clean", "noisy"))
    assert table.marks == (4, 8)  # 10 is more than its budget
    assert (landscape.label, landscape.marks, landscape.regimes) == ("landscape:nk-1", (3, 8), ("clean",))
    assert experiment.regimes == ("clean", "noisy")
    file.write_text(FILE.replace('regimes = ["clean", "noisy"]', ""))
    assert read_experiment(file).regimes == ("clean",)
