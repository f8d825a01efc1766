"""Experiments whose searches really train: run, judged by new trainings, gone on with, and reported from what is committed."""

import lzma
import shutil
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import nasbench_evs as nb
from nasbench_evs.analysis.config import BenchmarkConfig, read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.live import TRAININGS, read_trainings, write_trainings
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_incumbents_are_judged_by_new_trainings(done, table):
    _, runs, _ = done
    run = next(each for each in runs.values() if (each.searcher, each.seed) == ("evolution", 1))
    bench = nb.load(table, source="train")
    for point in run.points:
        again = [bench.query(bench.space.unrank(point.rank), seed=FIRST_SEED + i, split="test").value for i in range(2)]
        assert point.transfer == pytest.approx(np.mean(again), abs=1e-6)
        assert np.isnan(point.clean)
        assert point.noisy != point.seen  # the training that was seen judges nobody


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_report_needs_only_what_is_committed(done, file, tmp_path):
    folder, _, _ = done
    for name in (RESULTS, TRAININGS):
        shutil.copy(folder / name, tmp_path)
    write_report(read_experiment(file), read_runs(read_experiment(file), tmp_path).values(), tmp_path, "a command")
    assert (tmp_path / PAGE).read_text() == (folder / PAGE).read_text()
    pd.testing.assert_frame_equal(read_trainings(tmp_path / TRAININGS), read_trainings(folder / TRAININGS))


@pytest.mark.slow
def test_a_report_needs_nothing_that_trains(done, file, tmp_path, monkeypatch):
    folder, runs, _ = done
    shutil.copy(folder / TRAININGS, tmp_path)
    monkeypatch.setattr(BenchmarkConfig, "load", lambda self: pytest.fail("the dataset and PyTorch were asked for"))
    write_report(read_experiment(file), runs.values(), tmp_path, "a command")
    assert (tmp_path / PAGE).read_text() == (folder / PAGE).read_text()


@pytest.mark.slow
def test_without_its_trainings_a_report_is_refused(done, file, tmp_path):
    folder, _, _ = done
    shutil.copy(folder / RESULTS, tmp_path)
    with pytest.raises(OutputError, match=r"the trainings of evolution on trained, seed 0, are neither in"):
        write_report(read_experiment(file), read_runs(read_experiment(file), tmp_path).values(), tmp_path, "")


HEADER = "benchmark,searcher,seed,settings,evaluation,rank,distilled,valid,test,seconds,real_seconds"
FIRST = "b,s,0,0123,1,7,0,0.7,0.6,2.5,9"
SECOND = "b,s,0,0123,2,8,1,,0.5,2.5,9"
GOOD = f"{HEADER}\n{FIRST}\n{SECOND}\n"


def packed(path, text):
    path.write_bytes(lzma.compress(text.encode(), preset=0))
    return path


def test_a_score_that_is_missing_is_no_number(tmp_path):
    frame = read_trainings(packed(tmp_path / TRAININGS, GOOD))
    assert frame["evaluation"].tolist() == [1, 2]
    assert frame["valid"].tolist() == [0.7, pytest.approx(np.nan, nan_ok=True)]


@pytest.mark.parametrize("content", [b"", b"nothing", GOOD.encode(), lzma.compress(GOOD.encode())[:-20]])
def test_no_trainings_are_said_to_be_none(tmp_path, content):
    path = tmp_path / TRAININGS
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"it is damaged .*, expected trainings of this version"):
        read_trainings(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (HEADER, HEADER.replace("valid", "score"), "its columns are benchmark, searcher"),
        (HEADER, HEADER.replace(",test", ""), "its columns are benchmark, searcher"),
        (HEADER, f"{HEADER},valid", "its columns are benchmark, searcher"),
        (FIRST, f"0,{FIRST}", "row 2 has 12 cells, expected 11"),
        (FIRST, FIRST[:-2], "row 2 has 10 cells, expected 11"),
        ("b,s", "b,\0", "it has a NUL"),
        ("0.6", "good", "row 2: test is 'good', expected a finite number"),
        ("0.7", "nan", "row 2: valid is 'nan', expected a finite number"),
        ("0.7", "-inf", "row 2: valid is '-inf', expected a finite number"),
        ("0.7", "1e400", "row 2: valid is '1e400', expected a finite number"),
        ("2.5,9\n", "-2.5,9\n", "row 2: seconds is '-2.5', expected a finite number of 0 or more"),
        (",7,", ",7.5,", "row 2: rank is '7.5', expected an integer from 0 to"),
        (",7,", ",-1,", "row 2: rank is '-1', expected an integer from 0 to"),
        (",7,", f",{2**64},", "row 2: rank is '18446744073709551616', expected an integer from 0 to"),
        (",7,", "," + "7" * 5000 + ",", "row 2: rank is '7777"),
        (",7,0", ",7,2", "row 2: distilled is '2', expected an integer from 0 to 1"),
        ("s,0,", "s,-1,", "row 2: seed is '-1', expected an integer from 0 to"),
        (SECOND, f"{SECOND}\n{SECOND}", "row 4: evaluation is 2, expected 3, the search's next"),
        (f"{FIRST}\n", "", "row 2: evaluation is 2, expected 1, the search's next"),
    ],
    ids=range(19),
)  # fmt: skip
def test_trainings_that_no_search_can_have(tmp_path, old, new, message):
    with pytest.raises(OutputError) as caught:
        read_trainings(packed(tmp_path / TRAININGS, GOOD.replace(old, new, 1)))
    said = str(caught.value)
    assert said.startswith(str(tmp_path / TRAININGS))
    assert message in said
    assert said.endswith("move it away, or choose another --out")
    assert "\n" not in said
    assert len(said) < 1000


def test_what_is_packed_to_unpack_to_more_is_not_unpacked(tmp_path):
    path, zeros = tmp_path / TRAININGS, bytes(8 << 20)
    packer = lzma.LZMACompressor(preset=0)
    parts = [packer.compress(GOOD.encode()), *(packer.compress(zeros) for _ in range(8)), packer.flush()]
    path.write_bytes(b"".join(parts))
    tracemalloc.start()
    with pytest.raises(OutputError, match="it unpacks to more than"):
        read_trainings(path)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_what_is_larger_than_trainings_can_be_is_not_read(tmp_path):
    path = tmp_path / "trainings.csv"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(OutputError, match="it has 10,737,418,240 bytes, trainings .* at most"):
        read_trainings(path)


def change(row, column, value):
    """A change to the trainings of all searches: a cell of that row is another."""

    def changed(frame):
        frame = frame.astype({column: object})
        frame.loc[row, column] = value
        return frame

    return changed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (change(3, "test", 1.5), r"row 5: test is 1\.5, expected a .* from 0 to 1;"),
        (change(3, "valid", -0.1), r"row 5: valid is -0\.1, expected a .* from 0 to 1;"),
        (change(3, "rank", 2**64 - 1), r"row 5: rank is 18446744073709551615, expected one below \d+;"),
        (lambda frame: frame.drop(9), r"it has 9 trainings of evolution on trained, seed 0, which asked for 10;"),
        (lambda frame: frame.assign(settings="other"), r"the trainings of evolution on trained, seed 0, are neither in"),
        (lambda frame: frame.assign(benchmark="other"), r"the trainings of evolution on trained, seed 0, are neither in"),
        (
            lambda frame: frame.assign(seed=frame["seed"].replace({0: 1, 1: 0})),
            r"it has no training of rank \d+ with the score .*, which evolution on trained, seed 0, saw;",
        ),
    ],
    ids=["test", "valid", "rank", "gone", "settings", "benchmark", "swapped"],
)  # fmt: skip
def test_trainings_of_another_search_are_refused(done, file, tmp_path, changed, message):
    folder, runs, _ = done
    frame = changed(read_trainings(folder / TRAININGS)).sort_values(["searcher", "seed", "evaluation"], kind="stable")
    packed(tmp_path / TRAININGS, frame.to_csv(index=False))
    before = (tmp_path / TRAININGS).read_bytes()
    with pytest.raises(OutputError, match=message):
        write_trainings(read_experiment(file), runs.values(), tmp_path)
    assert (tmp_path / TRAININGS).read_bytes() == before


@pytest.mark.slow
def test_trainings_in_a_search_s_folder_are_its_own(done, file, tmp_path):
    folder, runs, _ = done
    shutil.copytree(folder, tmp_path / "other")
    first, second = sorted((tmp_path / "other" / "live").glob("trained-evolution-*/trainings.csv"))
    shutil.copy(second, first)
    with pytest.raises(OutputError, match=r"row 2: searcher is evolution, expected evolution on trained, seed 0, with"):
        write_trainings(read_experiment(file), runs.values(), tmp_path / "other")


@pytest.mark.slow
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
