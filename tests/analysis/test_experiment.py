"""Experiments: files, resuming, statistics, and what is written."""

import lzma
import re
import shutil
import sqlite3

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from nasbench_evs import locations
from nasbench_evs.analysis import experiment as module
from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.regrets import Regrets
from nasbench_evs.analysis.report import read_fidelity, write_fidelity, write_report
from nasbench_evs.analysis.runs import read_runs, tidy
from nasbench_evs.analysis.statistics import cliques, holm, mean, mean_ranks, pairwise, rank_agreement
from nasbench_evs.benchmark import find_table
from nasbench_evs.cli import cli
from nasbench_evs.errors import InvalidQuery, NasbenchError, OutputError
from nasbench_evs.surrogate.card import read_card, write_card

FILE = """
title = "A small one"
seeds = 3
budget = 12
searchers = ["random", "evolution"]
[[searcher]]
name = "evolution"
label = "young"
population = 4
tournament = 2
[[benchmark]]
name = "bpic2012"
source = "table"
[[benchmark]]
name = "digits"
source = "table"
params = 20000
[[benchmark]]
name = "age"
source = "surrogate"
budget = 8
[[benchmark]]
name = "age"
source = "table"
budget = 8
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(FILE)
    return path


@pytest.fixture
def in_this_process(monkeypatch):
    """No processes: quick, and code can be put in their way."""

    class Now:
        def __init__(self, *args, **kwargs):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *args):
            pass

        def submit(self, work, *arguments):
            from concurrent.futures import Future

            job = Future()
            try:
                job.set_result(work(*arguments))
            except BaseException as error:
                job.set_exception(error)
            return job

        def shutdown(self, **kwargs):
            pass

    monkeypatch.setattr(module, "ProcessPoolExecutor", Now)


def test_one_row_for_each_evaluation(file, tmp_path, in_this_process):
    experiment = read_experiment(file)
    runs = run_experiment(experiment, tmp_path / "out")
    assert len(runs) == 3 * 3 * 4
    frame = tidy(runs)
    sizes = frame.groupby(["benchmark", "searcher", "seed"]).size()
    assert set(sizes["age surrogate"]) == {8}
    assert set(sizes["digits table params <= 20,000"]) == {12}
    # The incumbent is the best seen, and its true score is that of a query without a seed.
    one = frame[(frame.benchmark == "bpic2012 table") & (frame.searcher == "young") & (frame.seed == 2)]
    bench = experiment.benchmarks[0].load()
    best = one.loc[one.value.idxmax()]
    assert one.test.iloc[-1] == pytest.approx(
        bench.query(bench.space.unrank(int(best["rank"])), split="test").value, abs=1e-6
    )


def test_a_stopped_experiment_goes_on(file, tmp_path, in_this_process, monkeypatch):
    experiment = read_experiment(file)
    whole = run_experiment(experiment, tmp_path / "whole")
    done, real = [], module.search_once

    def until_stopped(*arguments):
        if len(done) == 11:
            raise KeyboardInterrupt
        done.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(module, "search_once", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, tmp_path / "parts")
    monkeypatch.setattr(module, "search_once", lambda *arguments: done.append(arguments) or real(*arguments))
    resumed = run_experiment(experiment, tmp_path / "parts")
    assert len(done) <= 36 + 11
    assert [each._replace(own_seconds=0) for each in resumed] == [each._replace(own_seconds=0) for each in whole]
    seen = []
    run_experiment(experiment, tmp_path / "parts", progress=lambda a, b: seen.append((a, b)))
    assert seen == [(36, 36)]  # nothing is run twice


def test_search_fidelity_goes_into_the_card(file, tmp_path, in_this_process, monkeypatch):
    folder = tmp_path / "small"
    shipped = locations.surrogate_of(find_table("age"))
    own = tmp_path / "surrogate"
    shutil.copytree(shipped, own)
    monkeypatch.setattr(locations, "surrogate_of", lambda path: own)
    missing = CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)])
    assert isinstance(missing.exception, OutputError)
    assert "nasbench-evs experiment writes it" in str(missing.exception)
    write_report(read_experiment(file), run_experiment(read_experiment(file), folder), folder, "")
    assert CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)], catch_exceptions=False).exit_code == 0
    (found,) = read_fidelity(folder / "search-fidelity.csv")
    assert (found.dataset, found.searchers, found.seeds) == ("age", 3, 3)
    assert -1 <= found.low <= found.tau <= found.high <= 1
    card = read_card(own)
    assert card["searches"]["tau"] == found.tau
    assert (
        f"of 3 searchers on this surrogate and on the recorded trainings of the same dataset, 3 seeds each: {found.tau:.2f}"
        in (own / "card.md").read_text()
    )
    assert {**card, "searches": None} == {**read_card(shipped), "searches": None}  # all else stays
    good = (folder / "search-fidelity.csv").read_text()
    for text in (
        "dataset,tau\nage,much\n",
        "",
        "hello world\n",
        good.replace("age,", "age,none,"),
        good[: good.index("age,")],
    ):
        (folder / "search-fidelity.csv").write_text(text)
        damaged = CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)])
        assert "does not say how searchers rank" in str(damaged.exception)
    write_card(own, {**card, "table_sha256": "another"})
    (folder / "search-fidelity.csv").write_text(good)
    assert "is about another table" in str(CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)]).exception)
    (own / "card.json").unlink()
    write_fidelity([found], folder / "search-fidelity.csv")
    assert "has no card yet" in str(CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)]).exception)


def test_which_benchmarks_are_a_pair(file, tmp_path, in_this_process):
    text = FILE[: FILE.index("[[benchmark]]")].replace("seeds = 3", "seeds = 2")
    cases = (("", "", 1), ('space = "seqnas"', "", 1), ("", "params = 50000", 0), ("", 'space = "seqnas-s"', 0))
    for space, params, pairs in cases:
        surrogate = f'[[benchmark]]\nname = "bpic2012"\nsource = "surrogate"\n{params}\n'
        file.write_text(f'{text}{surrogate}[[benchmark]]\nname = "bpic2012"\nsource = "table"\n{space}\n{params}\n')
        folder = tmp_path / f"{space}{params}"
        write_report(read_experiment(file), run_experiment(read_experiment(file), folder), folder, "")
        assert (folder / "search-fidelity.csv").exists() == bool(pairs)


def test_agreement_of_ranks():
    regrets = np.arange(8.0)[:, None] + np.random.default_rng(0).normal(0, 0.01, (8, 20))
    assert rank_agreement(regrets, 3 * regrets) == pytest.approx((1, 1, 1))
    assert rank_agreement(regrets, -regrets) == pytest.approx((-1, -1, -1))
    tau, low, high = rank_agreement(regrets, np.random.default_rng(1).normal(size=(8, 20)))
    assert low < tau < high


@pytest.mark.slow
def test_processes_give_the_same(file, tmp_path, in_this_process, monkeypatch):
    experiment = read_experiment(file)
    here = run_experiment(experiment, tmp_path / "here")
    monkeypatch.undo()
    there = run_experiment(experiment, tmp_path / "there", processes=2)
    assert [each._replace(own_seconds=0) for each in here] == [each._replace(own_seconds=0) for each in there]


def test_the_command_writes_everything(file, tmp_path, in_this_process):
    answer = CliRunner().invoke(cli, ["experiment", str(file), "--processes", "1"], catch_exceptions=False)
    assert answer.exit_code == 0
    folder = tmp_path / "small"
    page = (folder / "results.md").read_text()
    assert "| bpic2012 table | test |" in page
    assert "| age surrogate | valid |" in page  # it has no test scores
    assert "mean rank" in page
    assert "Regret of what is recommended" in page
    assert re.search(r"\| age \| -?[\d.]+ \[-?[\d.]+, -?[\d.]+\] \| \d+ of \d+ \|", page)  # surrogate against table
    frame = pd.read_csv(folder / "results.csv.xz")
    assert len(frame) == 3 * 3 * (12 + 12 + 8 + 8)
    kept = tidy(sorted(read_runs(read_experiment(file), folder), key=lambda run: run[:3]))
    pd.testing.assert_frame_equal(frame, kept, rtol=5.1e-5, check_dtype=False)
    summary = pd.read_csv(folder / "summary.csv")
    assert (summary.regret >= -1e-9).all()
    for name in ("regret-over-evaluations", "regret-over-seconds", "ranks"):
        assert (folder / f"{name}.svg").read_text().lstrip().startswith("<?xml")
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".sqlite"}
    again = CliRunner().invoke(cli, ["experiment", str(file), "--report-only"], catch_exceptions=False)
    assert again.exit_code == 0
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".sqlite"}
    assert {name for name in before if before[name] != after[name]} == set()
    with lzma.open(folder / "results.csv.xz", "rt") as lines:
        assert next(lines).startswith("benchmark,searcher,seed,evaluation,spent,seconds,rank,epoch,value,valid,test")


def test_only_seeds_that_all_have_ended_are_compared(file, tmp_path, in_this_process):
    experiment = read_experiment(file)
    runs = run_experiment(experiment, tmp_path / "out")
    regrets = Regrets(experiment, runs[:-1])
    assert regrets.seeds == [0, 1]
    assert regrets.final("bpic2012 table", "random").shape == (2,)
    with pytest.raises(InvalidQuery, match="no seed has ended"):
        write_report(experiment, runs[:5], tmp_path / "report", "command")


def test_the_order_in_which_runs_end_changes_nothing(file, tmp_path, in_this_process):
    experiment = read_experiment(file)
    runs = run_experiment(experiment, tmp_path / "out")
    seconds = (0.1, 0.2, 0.3)  # their mean depends on the order in which they are added
    assert np.mean(seconds) != np.mean(seconds[::-1])
    runs = [each._replace(own_seconds=seconds[each.seed]) for each in runs]
    folders = tmp_path / "forwards", tmp_path / "backwards"
    for folder, ordered in zip(folders, (runs, runs[::-1]), strict=True):
        regrets = write_report(experiment, ordered, folder, "command")
        assert regrets.own_seconds("random") == np.mean(np.tile(seconds, 4))
    written = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert {name for name in written[0] if written[0][name] != written[1][name]} == set()


def test_regret_never_grows_less_than_zero_and_curves_end_at_it(file, tmp_path, in_this_process):
    experiment = read_experiment(file)
    regrets = Regrets(experiment, run_experiment(experiment, tmp_path / "out"))
    for benchmark in regrets.benchmarks:
        for searcher in regrets.searchers:
            final = regrets.final(benchmark, searcher)
            assert (final >= -1e-6).all()
            budget = regrets.ground(benchmark).budget
            curve = regrets.curve(benchmark, searcher, np.array([0.0, 1.0, budget]))
            assert np.isnan(curve[:, 0]).all()
            assert np.allclose(curve[:, -1], final)


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


def test_a_damaged_journal(file, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "journal.sqlite").write_bytes(b"no database" * 100)
    answer = CliRunner().invoke(cli, ["experiment", str(file)])
    assert isinstance(answer.exception, NasbenchError)
    assert "journal" in str(answer.exception)
    missing = CliRunner().invoke(cli, ["experiment", str(tmp_path / "none.toml")])
    assert "no experiment file" in str(missing.exception)


def test_a_journal_of_another_experiment_adds_nothing(file, tmp_path, in_this_process):
    experiment = read_experiment(file)
    run_experiment(experiment, tmp_path / "out")
    file.write_text(FILE.replace("budget = 12", "budget = 13"))
    run_experiment(read_experiment(file), tmp_path / "out")
    with sqlite3.connect(tmp_path / "out" / "journal.sqlite") as journal:
        assert journal.execute("SELECT count(*) FROM runs").fetchone()[0] == 36 + 18


# Statistics


def test_known_ranks_and_adjustment():
    table = np.array([[0.1, 0.2, 0.3], [0.1, 0.1, 0.5], [0.3, 0.2, 0.4]])
    assert mean_ranks(table).tolist() == pytest.approx([(1 + 1.5 + 2) / 3, (2 + 1.5 + 1) / 3, 3])
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_never_lowers(p):
    p = np.array(p)
    adjusted = holm(p)
    assert (adjusted >= p - 1e-12).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= -1e-12).all()


def test_pairs_that_differ_everywhere_differ_significantly():
    rng = np.random.default_rng(0)
    base = rng.random((20, 1))
    table = np.concatenate(
        [base, base + 0.1 + 0.01 * rng.random((20, 1)), base + 0.01 * rng.normal(size=(20, 1))], axis=1
    )
    p = pairwise(table)
    assert p[0, 1] < 0.01
    assert p[1, 2] < 0.01
    assert p[0, 2] > 0.05
    assert cliques(mean_ranks(table), p) == [(0, 1)]


def test_the_interval_covers_the_mean():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        found = mean(rng.normal(3, 2, 10))
        hits += abs(found.value - 3) <= found.margin
    assert 0.91 < hits / 400 < 0.985
    assert np.isnan(mean([1.0]).margin)
    assert np.isnan(mean([]).value)
