"""Experiments whose searches really train: run, judged by new trainings, gone on with, and reported from what is committed."""

import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import nasbench_evs as nb
from nasbench_evs.analysis.config import BenchmarkConfig, read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.live import TRAININGS, read_trainings
from nasbench_evs.analysis.one_search import FIRST_SEED
from nasbench_evs.analysis.report import PAGE, write_report
from nasbench_evs.analysis.runs import RESULTS, read_runs
from nasbench_evs.analysis.trained import agreement, arms
from nasbench_evs.cli.experiment import experiment_command
from nasbench_evs.errors import InvalidQuery, OutputError, RecipeError
from nasbench_evs.generators.generate import generate
from nasbench_evs.training.recipe import Recipe

FILE = """
regime = "noisy"
seeds = 2
budget = 10
marks = [5]
[[searcher]]
name = "evolution"
[[searcher]]
name = "random"
label = "taught"
distilled = true
seeds = 1
[[benchmark]]
name = "{table}"
source = "train"
label = "trained"
"""


@pytest.fixture(scope="module")
def table(home, tmp_path_factory):
    """A table of two trainings on the synthetic dataset, whose protocol has teachers from the seventh on."""
    recipe = Recipe.from_dict(
        {
            "dataset": "synthetic",
            "train": 200,
            "protocol": {
                "epochs": 1, "batch_size": 64, "embedding": 4, "channels": 2, "hidden": 8, "score_at": "end",
                "teachers": 2, "teach_after": 6,
            },
            "plan": {"random": 2},
        }
    )  # fmt: skip
    return generate(recipe, tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="module")
def file(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("experiment") / "arms.toml"
    path.write_text(FILE.format(table=table))
    return path


@pytest.fixture(scope="module")
def done(file):
    """The folder of the experiment when it has ended, its runs, and what was said on the way."""
    folder, said = file.with_suffix(""), []
    runs = run_experiment(
        read_experiment(file), folder, training=lambda done, total, task, progress: said.append((task, progress))
    )
    write_report(read_experiment(file), runs.values(), folder, "a command")
    return folder, runs, said


def test_every_search_has_its_budget_of_trainings(done):
    folder, runs, said = done
    frame = read_trainings(folder / TRAININGS)
    assert {key: len(part) for key, part in frame.groupby(["searcher", "seed"])} == {
        ("evolution", 0): 10, ("evolution", 1): 10, ("taught", 0): 10,
    }  # fmt: skip
    assert len(runs) == 3
    assert {task.searcher.label for task, _ in said} == {"evolution", "taught"}
    assert frame[frame["searcher"] == "evolution"]["distilled"].sum() == 0
    taught = frame[frame["searcher"] == "taught"].sort_values("evaluation")["distilled"].tolist()
    assert taught == [0] * 6 + [1] * 4


def test_incumbents_are_judged_by_new_trainings(done, table):
    _, runs, _ = done
    run = next(each for each in runs.values() if (each.searcher, each.seed) == ("evolution", 1))
    bench = nb.load(table, source="train")
    for point in run.points:
        again = [bench.query(bench.space.unrank(point.rank), seed=FIRST_SEED + i, split="test").value for i in range(2)]
        assert point.transfer == pytest.approx(np.mean(again), abs=1e-6)
        assert np.isnan(point.clean)
        assert point.noisy != point.seen  # the training that was seen judges nobody


def test_what_has_ended_is_not_run_again(done, file):
    folder, runs, _ = done
    said = []
    again = run_experiment(read_experiment(file), folder, training=lambda *args: said.append(args))
    assert again.keys() == runs.keys()
    assert not said


@pytest.mark.slow
def test_a_search_that_was_stopped_goes_on(done, file, tmp_path):
    _, runs, _ = done

    class Stopped(Exception):
        pass

    def stop(done, total, task, progress):
        if progress.done == 4:
            raise Stopped

    with pytest.raises(Stopped):
        run_experiment(read_experiment(file), tmp_path, training=stop)
    numbers = []
    resumed = run_experiment(
        read_experiment(file), tmp_path, training=lambda done, total, task, progress: numbers.append(progress.done)
    )
    assert numbers[0] >= 4  # nothing was trained again
    assert [[(p.rank, p.seen, p.noisy, p.transfer) for p in run.points] for run in resumed.values()] == [
        [(p.rank, p.seen, p.noisy, p.transfer) for p in run.points] for run in runs.values()
    ]


def test_the_report_needs_only_what_is_committed(done, file, tmp_path):
    folder, _, _ = done
    for name in (RESULTS, TRAININGS):
        shutil.copy(folder / name, tmp_path)
    write_report(read_experiment(file), read_runs(read_experiment(file), tmp_path).values(), tmp_path, "a command")
    assert (tmp_path / PAGE).read_text() == (folder / PAGE).read_text()
    pd.testing.assert_frame_equal(read_trainings(tmp_path / TRAININGS), read_trainings(folder / TRAININGS))


def test_a_report_needs_nothing_that_trains(done, file, tmp_path, monkeypatch):
    folder, runs, _ = done
    shutil.copy(folder / TRAININGS, tmp_path)
    monkeypatch.setattr(BenchmarkConfig, "load", lambda self: pytest.fail("the dataset and PyTorch were asked for"))
    write_report(read_experiment(file), runs.values(), tmp_path, "a command")
    assert (tmp_path / PAGE).read_text() == (folder / PAGE).read_text()


def test_without_its_trainings_a_report_is_refused(done, file, tmp_path):
    folder, _, _ = done
    shutil.copy(folder / RESULTS, tmp_path)
    with pytest.raises(OutputError, match=r"the trainings of evolution on trained, seed 0, are neither in"):
        write_report(read_experiment(file), read_runs(read_experiment(file), tmp_path).values(), tmp_path, "")


def test_no_trainings_are_said_to_be_none(tmp_path):
    path = tmp_path / TRAININGS
    for content in (b"", b"nothing", b"\xfd7zXZ\x00 cut"):
        path.write_bytes(content)
        with pytest.raises(OutputError, match="it is damaged .*, expected trainings of this version"):
            read_trainings(path)


def test_the_three_best_are_those_of_the_trainings(done, file):
    folder, _, _ = done
    frame = read_trainings(folder / TRAININGS)
    first, taught = arms(read_experiment(file), frame)
    assert (first.seeds, taught.seeds, taught.taught) == ([0, 1], [0], 0.4)
    rows = frame[(frame["searcher"] == "evolution") & (frame["seed"] == 1)]
    best = rows.sort_values("valid", ascending=False)[:3]
    assert first.three[1] == pytest.approx([best["valid"].mean(), best["test"].mean()])
    assert first.best[1] == pytest.approx([best["valid"].iloc[0], best["test"].iloc[0]])
    assert first.curves[1, -1] == pytest.approx(best["valid"].mean())
    assert np.isnan(first.curves[:, :2]).all()
    assert (np.diff(first.curves[:, 2:], axis=1) >= 0).all()
    page = (folder / PAGE).read_text()
    assert "## As they were trained" in page
    assert f"{taught.three[0, 1]:.4f}" in page


def test_predictions_that_are_right_agree():
    bench = nb.load("bpic2012", source="surrogate")
    rng = np.random.default_rng(0)
    many = bench.space.sample_many(400, seed=0)
    scores = bench.query_many(many)
    std = np.hypot(scores.epistemic_std, scores.noise_std)
    frame = pd.DataFrame(
        {"rank": bench.space.rank_many(many), "distilled": 0, "valid": scores.value + std * rng.normal(size=len(std))}
    )
    right = agreement(frame, bench)
    assert abs(right.bias) < 3 * right.predicted / 20
    assert right.spread == pytest.approx(right.predicted, rel=0.2)
    assert 0.84 < right.within < 0.95
    wrong = agreement(frame.assign(valid=frame["valid"] + 3 * right.predicted), bench)
    assert wrong.within < 0.2
    assert right.trainings == wrong.trainings == len(frame["rank"].unique())


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (('regime = "noisy"', 'regime = "clean"'), InvalidQuery, 'expected regime = "noisy" and no other'),
        (("distilled = true", "distilled = 3"), InvalidQuery, "distilled = 3, expected true or false"),
        (("seeds = 1", "seeds = 0"), InvalidQuery, "seeds = 0: expected an integer of 1 or more"),
        (('source = "train"', 'source = "table"'), InvalidQuery, "taught says who teaches its trainings"),
        (('name = "evolution"', 'name = "hyperband"'), RecipeError, "evolution|hyperband on trained: .*pauses"),
        (('name = "evolution"', 'name = "evolution"\nsize = 3'), InvalidQuery, "has no parameter 'size'"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is(file, tmp_path, change, error, said):
    path = tmp_path / "wrong.toml"
    path.write_text(file.read_text().replace(*change, 1))
    with pytest.raises(error, match=said):
        run_experiment(read_experiment(path), tmp_path / "out")
    assert not (tmp_path / "out" / "live").exists()


def test_a_device_needs_something_to_train(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text('budget = 3\nseeds = 1\nsearchers = ["random"]\n[[benchmark]]\nname = "landscape:nk-1"\n')
    found = CliRunner().invoke(experiment_command, [str(path), "--device", "cpu"])
    assert isinstance(found.exception, InvalidQuery)
    assert "nothing is trained in" in str(found.exception)
