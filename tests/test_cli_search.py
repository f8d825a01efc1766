"""`nasbench-evs search`: what it prints, writes and refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import nasbench_evs as nb
from nasbench_evs.search import SEARCHERS

COMMAND = Path(sys.executable).parent / "nasbench-evs"


def call(*arguments, code=0, command="search"):
    done = subprocess.run([COMMAND, command, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_one_row_for_each_seed_and_the_same_again(tmp_path):
    arguments = ("evolution", "bpic2012", "--source", "table", "--budget", 15, "--seeds", 2, "--format", "json")
    rows = json.loads(call(*arguments, "--out", tmp_path / "all.csv").stdout)
    assert [row["seed"] for row in rows] == [0, 1]
    again = json.loads(call(*arguments).stdout)
    for row in (*rows, *again):
        row.pop("own_seconds")
    assert rows == again
    trajectory = pd.read_csv(tmp_path / "all.csv")
    assert len(trajectory) == 30
    assert trajectory[trajectory.seed == 1].value.max() == pytest.approx(rows[1]["valid_seen"])
    refused = call(*arguments, "--out", tmp_path / "all.csv", code=1)
    assert "exists already" in refused.stderr


def test_a_search_that_finds_nothing_feasible_is_a_row_too():
    arguments = ("tunas-abs", "credit-default", "--space", "ffn-3", "--constraint", "params=1000", "--budget", 3)
    row = json.loads(call(*arguments, "--format", "json").stdout)[0]
    assert (row["architecture"], row["true_value"], row["regret"], row["evaluations"]) == ("", None, None, 3)


@pytest.mark.parametrize("regime", ["clean", "noisy", "transfer"])
def test_what_was_found_is_judged_in_the_regime(regime):
    arguments = ("random", "bpic2012", "--source", "table", "--budget", 400, "--regime", regime, "--format", "json")
    row = json.loads(call(*arguments).stdout)[0]
    bench = nb.load("bpic2012", source="table")
    found = [bench.space.parse(row["architecture"])]
    assert row["regime"] == regime
    assert row["true_value"] == bench.true_values(found, regime)[0]
    assert row["regret"] == bench.regret(found, regime)[0]
    assert (row["regret"] == 0) == (regime == "clean")  # all 400 were seen, and only there as they are


def test_where_nothing_can_judge_it_says_so():
    done = call("random", "age", "--source", "table", "--regime", "transfer", "--budget", 3, "--format", "json")
    row = json.loads(done.stdout)[0]
    assert (row["true_value"], row["regret"]) == (None, None)
    assert row["valid_seen"] > 0.5
    assert "not judged: the table of age has no test scores" in done.stderr


def test_searchers_are_listed():
    rows = json.loads(call("--format", "json", command="searchers").stdout)
    assert [row["searcher"] for row in rows] == list(SEARCHERS)
    assert all(row["about"] for row in rows)
    assert [row["searcher"] for row in rows if not row["paper"]] == ["random"]
    assert {row["searcher"]: row["preset"] for row in rows}["bananas-mlp"] == "predictor=mlp batch=10"
    text = call(command="searchers").stdout.splitlines()
    assert len(text) == len(rows) + 1
    assert call("--format", "csv", command="searchers").stdout.startswith("searcher,about,paper,preset,class\n")


def test_a_searcher_of_ones_own_is_found_in_spawned_workers_too(tmp_path):
    (tmp_path / "own.py").write_text("from nasbench_evs.search.random import RandomSearch as Mine\n")
    (tmp_path / "x.toml").write_text(
        'seeds = 2\nbudget = 3\nsearchers = ["own:Mine"]\n[[searcher]]\nname = "own.py:Mine"\n[[benchmark]]\n'
        'name = "landscape:nk-1"\n'
    )
    command = [COMMAND, "experiment", "x.toml", "--processes", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(pd.read_csv(tmp_path / "x" / "results.csv.xz").searcher) == {"own:Mine", "own.py:Mine"}


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("own.py:Mine", "age"), "own.py: expected the path of a Python file", 1),
        (("evolution", "age", "--set", "populaton=3"), "did you mean 'population'", 1),
        (("random", "physionet", "--budget", "3"), "did you mean 'physionet2012'", 1),
        (("greedy", "age"), "unknown searcher 'greedy'", 1),
        (("random", "age", "--regime", "loud"), "regime 'loud': expected one of clean, noisy, transfer", 1),
        (("random", "nowhere"), "no benchmark 'nowhere'", 1),
        (("random", "age", "--set", "population"), "--set 'population': expected NAME=VALUE", 1),
        (("random", "age", "--set", "population=3"), "random has no parameter 'population'", 1),
        (("evolution", "age", "--set", "population=many"), "population = 'many': expected an integer", 1),
        (("random", "age", "--constraint", "params=few"), "--constraint params=few: expected a number", 1),
        (("random", "age", "--constraint", "params=100"), "cost", 1),
        (("tunas-abs", "bpic2012"), "--constraint params=40000", 1),
        (("asha", "age"), "asha needs scores by epoch", 1),
        (("random", "age", "--seconds", "10"), "no training seconds", 1),
        (("random", "age", "--seeds", "0"), "--seeds 0", 1),
        (("seqnas", "bpic2012"), "seqnas learns from its own trainings: it goes with --source train", 1),
        (("random", "bpic2012", "--per-device", "2"), "--per-device says how to train: it goes with --source train", 1),
        (("asha", "synthetic", "--source", "train"), "asha pauses trainings", 1),
        (("random", "synthetic", "--source", "train", "--seconds", "9"), "give a --budget of trainings", 1),
        (("random", "nowhere", "--source", "train"), "no benchmark 'nowhere'", 1),
        (("random", "synthetic", "--source", "train", "--constraint", "weight=3"), "unknown keys weight", 1),
        (("random",), "Missing argument 'BENCHMARK'", 2),
    ],
)
def test_mistakes_are_one_line(arguments, message, code):
    done = call(*arguments, code=code)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
