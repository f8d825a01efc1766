"""Searches with real trainings: the same with any number of workers, whatever happens to them, and as on a benchmark."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nasbench_evs as nb
from nasbench_evs import search
from nasbench_evs.errors import DatasetError, InvalidQuery, RecipeError, UnknownBenchmark
from nasbench_evs.generators.live import result_of, search_live, training_recipe
from nasbench_evs.tables import read
from nasbench_evs.training.recipe import Plan, Recipe, Search

COMMAND = [Path(sys.executable).parent / "nasbench-evs", "search", "evolution", "synthetic", "--source", "train"]


def seen(live):
    return [(str(trial.architecture), trial.value) for trial in live.result.trials]


@pytest.fixture(scope="module")
def alone(home, tmp_path_factory):
    """Twelve trainings by one worker, as the recipe of the synthetic dataset says."""
    return search_live("evolution", training_recipe("synthetic"), budget=12, out=tmp_path_factory.mktemp("alone"))


def test_two_workers_find_what_one_does(alone, tmp_path):
    progress = []
    both = search_live(
        "evolution", training_recipe("synthetic"), budget=12, out=tmp_path, workers=2, report=progress.append
    )
    assert len(seen(alone)) == 12
    assert seen(both) == seen(alone)
    assert both.result.recommended == alone.result.recommended
    assert [p.done for p in progress] == sorted(p.done for p in progress)
    assert (progress[-1].done, progress[-1].total) == (12, 12)
    assert any(p.seconds_left > 0 for p in progress)


def test_one_at_a_time_it_is_the_search_on_a_benchmark_that_trains(home, values, tmp_path):
    values["plan"] = {"random": 1}
    live = search_live("evolution", Recipe.from_dict(values), budget=8, batch=1, out=tmp_path)
    bench = nb.load(tmp_path / "table.h5", source="train")
    expected = search.run("evolution", bench, budget=8, seed=0).trials
    assert seen(live) == [(str(trial.architecture), pytest.approx(trial.value)) for trial in expected]


def test_the_result_follows_from_the_table(alone):
    plan = Plan(search=Search("evolution", 12))
    again = result_of(replace(training_recipe("synthetic"), plan=plan), read(alone.folder / "table.h5"), workers=3)
    assert [trial.architecture for trial in again.trials] == [trial.architecture for trial in alone.result.trials]
    finished = [trial.finished for trial in again.trials]
    assert finished == sorted(finished)
    assert len(set(finished)) == 2  # a batch of eight, and one of four
    assert finished[-1] < alone.result.trials[-1].finished  # three simulated workers are faster than one
    assert all(trial.started <= trial.finished for trial in again.trials)


def test_what_is_there_afterwards(alone):
    table, result = alone.table, alone.result
    assert set(table["sampler"]) == {b"evolution"}
    trajectory = pd.read_csv(alone.folder / "evaluations.csv")
    assert trajectory["value"].tolist() == pytest.approx([trial.value for trial in result.trials])
    best = result.best
    assert alone.score(best.architecture, "valid") == pytest.approx(best.value)
    assert np.isfinite(alone.score(best.architecture, "test"))
    assert result.timed
    assert result.trials[-1].finished > 0
    assert alone.real_seconds > 0
    other = next(each for each in map(table.header.space.unrank, range(99)) if each.rank not in table["rank"])
    with pytest.raises(InvalidQuery, match="was not trained by this search"):
        alone.score(other, "valid")


def test_the_same_search_again_trains_nothing(alone):
    again = search_live("evolution", training_recipe("synthetic"), budget=12, out=alone.folder)
    assert again.table.content_sha256 == alone.table.content_sha256
    assert again.real_seconds == alone.real_seconds


def test_a_folder_follows_from_what_is_searched(home, values):
    values["space"], values["plan"] = "ffn-1", {"random": 1}
    recipe = Recipe.from_dict(values)
    first, second = (search_live("random", recipe, budget=n, out=None) for n in (1, 2))
    assert first.folder.parent == second.folder.parent == home / "searches"
    assert first.folder != second.folder
    assert search_live("random", recipe, budget=1).folder == first.folder


def test_a_space_may_be_smaller_than_the_budget(home, values, tmp_path):
    values["space"], values["plan"] = "ffn-1", {"random": 1}
    live = search_live("random", Recipe.from_dict(values), budget=500, batch=10, workers=2, out=tmp_path)
    assert len(live.result.trials) == 20


def test_a_search_with_teachers_has_its_result_too(home, values, tmp_path):
    values["plan"] = {"random": 1}
    recipe = Recipe.from_dict(values)
    live = search_live("seqnas", recipe, budget=7, batch=2, workers=2, parameters={"initial": 5}, out=tmp_path)
    assert sorted(live.table["distilled"].tolist()) == [0] * 4 + [1] * 3
    assert len(live.result.trials) == 7
    assert live.score(live.result.best.architecture, "valid") == pytest.approx(live.result.best.value)


@pytest.mark.parametrize(
    ("name", "space", "error", "message"),
    [
        ("nowhere", None, UnknownBenchmark, "no benchmark 'nowhere'"),
        ("abank", None, RecipeError, "were not made by this trainer"),
        ("credit-default", None, DatasetError, "nasbench-evs data add credit-default"),
        ("credit-default", "seqnas-s", InvalidQuery, "over a whole space"),
        ("synthetic", "ffn-3", UnknownBenchmark, "is of the space 'seqnas', not of 'ffn-3'"),
        ("missing.toml", None, RecipeError, "cannot open missing.toml"),
    ],
)
def test_a_protocol_that_is_not_there_is_one_line(home, name, space, error, message):
    with pytest.raises(error, match=message) as caught:
        training_recipe(name, space)
    assert "\n" not in str(caught.value)


def test_more_workers_than_a_batch_are_refused(home, tmp_path):
    with pytest.raises(InvalidQuery, match="9 workers: evolution asks for 8 architectures at a time"):
        search_live("evolution", training_recipe("synthetic"), budget=12, workers=9, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def finished(folder):
    """How many trainings the journal of a run that is over says have ended."""
    with contextlib.closing(sqlite3.connect(folder / "journal.sqlite")) as db:
        return db.execute("SELECT count(*) FROM jobs WHERE state = 'finished'").fetchone()[0]


@pytest.mark.slow
def test_killed_twice_the_command_goes_on_and_reports_as_if_undisturbed(alone, tmp_path):
    command = [*COMMAND, "--workers", "2", "--budget", "12", "--out", tmp_path, "--format", "json"]
    journal = tmp_path / "seed-0" / "journal.sqlite"
    kept = 0
    for least in (1, 5):
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while run.poll() is None and not (journal.exists() and journal.read_bytes().count(b'"status": "ok"') >= least):
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=60)
        before, kept = kept, finished(tmp_path / "seed-0")
        assert before <= kept < 12
    assert kept
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (row,) = json.loads(done.stdout)
    trajectory = pd.read_csv(tmp_path / "seed-0" / "evaluations.csv")
    assert list(zip(trajectory["architecture"], trajectory["value"], strict=True)) == [
        (name, pytest.approx(value)) for name, value in seen(alone)
    ]
    assert row["architecture"] == str(alone.result.best.architecture)
    assert row["recommended"] == " ".join(map(str, alone.result.recommended))
    assert row["real_seconds"] > 0
    on_a_table = [COMMAND[0], "search", "evolution", "digits", "--source", "table", "--budget", "3", "--format", "json"]
    (other,) = json.loads(subprocess.run(on_a_table, capture_output=True, text=True, check=True).stdout)
    assert set(other) <= set(row)
