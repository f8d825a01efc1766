"""Surrogates: what they predict, their noise, their files."""

import shutil

import numpy as np
import pytest
from scipy.stats import kstest

from nasbench_evs import load
from nasbench_evs.errors import InvalidQuery, NotRecorded, OutputError, SurrogateError
from nasbench_evs.metrics import Metric
from nasbench_evs.spaces import FFNSpace
from nasbench_evs.surrogate import Extrapolator, Surrogate
from nasbench_evs.surrogate.evaluate import evaluate
from nasbench_evs.surrogate.noise import standard_normal
from nasbench_evs.tables import Table, build, write
from tests.conftest import make_end_table, make_header, make_table
from tests.surrogate.hostile import replace_file, rewrite


@pytest.fixture(scope="module")
def fitted(seqnas_table):
    return Surrogate.fit(seqnas_table, folds=3)


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("surrogate") / "s"
    fitted.save(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "s")


def test_it_learns_what_decides_the_score(fitted, seqnas_table):
    space = seqnas_table.header.space
    choices = space.sample_many(2000, seed=99)
    prediction = fitted.predict(choices)
    truth = 0.7 + 0.02 * (choices[:, 3] > 0) + 0.01 * choices[:, -1]
    assert np.corrcoef(prediction.mean, truth)[0, 1] > 0.9
    assert np.median(prediction.noise_std) == pytest.approx(0.004, rel=0.7)
    assert (prediction.epistemic_std >= 0).all()
    assert np.allclose(fitted.predict(choices, "test").mean, prediction.mean - 0.01, atol=0.01)
    seconds = fitted.predict_seconds(choices)
    expected = 4.0 * (1 + choices[:, 3])
    assert np.median(np.abs(seconds / expected - 1)) < 0.2
    assert fitted.card["metrics"]["valid"]["kendall_tau"] > 0.5


def test_a_metric_of_ones_own_is_kept(tmp_path):
    own = Metric("f1", "min", 0.0, 100.0)
    table = make_table(range(60), header=make_header(FFNSpace(2, range(1, 11)), metric=own))
    Surrogate.fit(table, folds=2).save(tmp_path / "s")
    assert Surrogate.load(tmp_path / "s").metric == own


def test_the_same_fit_predicts_the_same(fitted, seqnas_table):
    again = Surrogate.fit(seqnas_table, folds=3)
    choices = seqnas_table["choices"][:10]
    assert np.array_equal(again.predict(choices).mean, fitted.predict(choices).mean)


def test_batches_orders_and_blocks_do_not_matter(fitted, monkeypatch):
    choices = fitted.space.sample_many(300, 5)
    whole = np.array(fitted.predict(choices))
    assert np.array_equal(np.array(fitted.predict(choices[::-1]))[:, ::-1], whole)
    ones = [np.array(fitted.predict(choices[i : i + 1]))[:, 0] for i in range(30)]
    assert np.array_equal(np.array(ones).T, whole[:, :30])
    monkeypatch.setattr("nasbench_evs.surrogate.model._BLOCK", 64)
    assert np.array_equal(np.array(fitted.predict(choices)), whole)
    assert len(fitted.predict(choices[:0]).mean) == 0


def test_noise_is_standard_normal_and_depends_on_seed_and_architecture_alone():
    ranks = np.arange(20_000, dtype=np.uint64)
    draws = standard_normal("s", ranks, 7)
    assert kstest(draws, "norm").pvalue > 0.001
    assert np.array_equal(standard_normal("s", ranks[::-1], 7)[::-1], draws)
    assert np.array_equal(standard_normal("s", ranks[5:6], 7), draws[5:6])
    for other in (standard_normal("s", ranks, 8), standard_normal("t", ranks, 7)):
        assert abs(np.corrcoef(other, draws)[0, 1]) < 0.03
    # Part of what a seed means: these values never change.
    expected = [0.08399245, -2.02781858, 1.00042071]
    assert np.allclose(standard_normal("stream", np.array([0, 1, 2**63], np.uint64), 0), expected, atol=1e-6)


def test_threads_and_batch_sizes_do_not_matter(fitted):
    """Large batches are predicted by all threads, small ones by one."""
    choices = fitted.space.sample_many(20_000, 8)
    whole, seconds = fitted.predict_all(choices, epoch=1)
    parts = [fitted.predict_all(part, epoch=1) for part in np.split(choices, 8)]
    assert np.array_equal(np.concatenate([np.array(part) for part, _ in parts], axis=1), np.array(whole))
    assert np.array_equal(np.concatenate([part for _, part in parts]), seconds)


@pytest.mark.parametrize("seed", [-1, 1.0, True, "1"])
def test_seeds_that_are_none(fitted, seed):
    with pytest.raises(InvalidQuery, match="expected an integer of 0 or more"):
        fitted.noise(fitted.space.sample_many(1, 0), "valid", seed)


def test_save_and_load(fitted, saved):
    loaded = Surrogate.load(saved)
    choices = fitted.space.sample_many(100, 3)
    assert np.array_equal(loaded.predict(choices).mean, fitted.predict(choices).mean)
    assert np.array_equal(loaded.predict_seconds(choices), fitted.predict_seconds(choices))
    assert np.array_equal(loaded.noise(choices, "test", 4), fitted.noise(choices, "test", 4))
    assert loaded.card["records"] == 200
    for epoch in (1, 2):
        assert np.array_equal(loaded.predict(choices, epoch=epoch).mean, fitted.predict(choices, epoch=epoch).mean)
    models = [f"{split}{kind}.cbm" for split in ("test", "valid") for kind in ("", ".epochs", ".noise")]
    assert sorted(path.name for path in saved.iterdir()) == sorted(
        ["out_of_fold.npy", "seconds.cbm", "surrogate.json", *models]
    )


def test_scores_and_seconds_at_an_epoch(fitted, seqnas_table):
    space = seqnas_table.header.space
    choices = seqnas_table["choices"]
    for epoch in (1, 2):
        predicted = fitted.predict(choices, epoch=epoch)
        assert np.median(np.abs(predicted.mean - seqnas_table["valid_curve"][:, epoch - 1])) < 0.005
        assert (predicted.noise_std > 0).all()
    one = space.sample_many(1, 3)
    spent = [fitted.predict_seconds(one, epoch=epoch)[0] for epoch in (1, 2)]
    assert spent == sorted(spent)
    assert spent[-1] == pytest.approx(fitted.predict_seconds(one)[0])
    prediction, seconds = fitted.predict_all(one, epoch=2)
    assert np.array_equal(prediction, fitted.predict(one, epoch=2))
    assert seconds[0] == spent[1]
    for epoch in (0, 3, -1):
        with pytest.raises(NotRecorded, match=f"epoch {epoch} is not predicted: expected 1 to 2"):
            fitted.predict(one, epoch=epoch)


def test_intervals_cover_what_they_say(fitted):
    """Of new architectures with fresh noise, drawn as the table's scores are."""
    generator = np.random.default_rng(5)
    choices = fitted.space.sample_many(4000, seed=123)
    truth = 0.7 + 0.02 * (choices[:, 3] > 0) + 0.01 * choices[:, -1]
    truth += generator.normal(scale=0.004, size=(len(choices), 2)).max(axis=1)  # the better of two epochs
    prediction = fitted.predict(choices)
    total = np.hypot(prediction.noise_std, prediction.epistemic_std)
    assert 0.7 < np.mean(np.abs(truth - prediction.mean) < 1.2816 * total) < 0.9


def test_an_existing_surrogate_is_kept_unless_forced(fitted, copy):
    with pytest.raises(OutputError, match="exists already"):
        fitted.save(copy)
    fitted.save(copy, force=True)
    Surrogate.load(copy)


def test_a_damaged_model_is_refused(copy):
    for name in ("valid.cbm", "valid.noise.cbm", "test.epochs.cbm", "seconds.cbm"):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(SurrogateError, match=f"{name} is damaged or was replaced"):
            Surrogate.load(copy)
        (copy / name).write_bytes(content)
    (copy / "test.cbm").unlink()
    with pytest.raises(SurrogateError, match=r"cannot open .*test.cbm"):
        Surrogate.load(copy)


def _replace_model(folder, content):
    replace_file(folder, "valid.cbm", content)


def test_a_classifier_is_refused(copy, tmp_path):
    from catboost import CatBoostClassifier

    generator = np.random.default_rng(0)
    model = CatBoostClassifier(iterations=3, verbose=False, allow_writing_files=False)
    model.fit(generator.random((30, 123)), np.arange(30) % 2)
    model.save_model(str(tmp_path / "c.cbm"))
    _replace_model(copy, (tmp_path / "c.cbm").read_bytes())
    with pytest.raises(SurrogateError, match=r"valid.cbm is a model for Logloss: expected RMSE"):
        Surrogate.load(copy)


def test_what_is_no_model_is_refused(copy):
    _replace_model(copy, b"not a model")
    with pytest.raises(SurrogateError, match=r"valid.cbm is no CatBoost model"):
        Surrogate.load(copy)


def test_another_model_does_not_make_the_reference_predictions(copy, seqnas_table, tmp_path):
    Surrogate.fit(seqnas_table.select(np.arange(100)), folds=2).save(tmp_path / "other")
    _replace_model(copy, (tmp_path / "other" / "valid.cbm").read_bytes())
    with pytest.raises(SurrogateError, match=r"valid.cbm does not predict what it did"):
        Surrogate.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(format="other"), "no sidecar of a surrogate"),
        (lambda s: s.update(version=3), "format version 3, this nasbench-evs reads 2: upgrade"),
        (lambda s: s["space"].update(version=2), "version 2; this nasbench-evs knows version 1"),
        (lambda s: s["space"].update(name="mine"), "no space .mine. is known here"),
        (lambda s: s.update(features="something"), "features 'something'"),
    ],
)
def test_sidecars_of_something_else(copy, change, message):
    rewrite(copy, change)
    with pytest.raises(SurrogateError, match=message):
        Surrogate.load(copy)


def test_damaged_sidecars(copy):
    path = copy / "surrogate.json"
    original = path.read_text()
    path.write_text(original.replace('"records": 200', '"records": 201'))
    with pytest.raises(SurrogateError, match="damaged or was edited"):
        Surrogate.load(copy)
    for content in (original[:50], "[]", "{}", ""):
        path.write_text(content)
        with pytest.raises(SurrogateError, match="damaged"):
            Surrogate.load(copy)
    path.unlink()
    with pytest.raises(SurrogateError, match="cannot open"):
        Surrogate.load(copy)


def test_nothing_is_pickled(saved):
    for path in saved.iterdir():
        assert path.read_bytes()[:4] == b"CBM1" or path.suffix == ".json" or np.load(path, allow_pickle=False).size


def test_tables_too_small_to_learn_from():
    with pytest.raises(
        SurrogateError, match="3 scored records of 3 architectures with 3 distinct scores: expected at least 20"
    ):
        Surrogate.fit(make_table([0, 1, 2]))
    with pytest.raises(SurrogateError, match="not all equal"):
        Surrogate.fit(make_table([0] * 27, range(27), scores=np.full((27, 3), 0.5)))
    one = make_table([0] * 25, range(25), scores=np.linspace(0.5, 0.6, 25)[:, None], epochs=1)
    with pytest.raises(SurrogateError, match="25 scored records of 1 architectures"):
        Surrogate.fit(one)
    for arguments in ({"folds": 1}, {"folds": 2.5}, {"seed": -1}, {"seed": True}, {"seed": 2**40}):
        with pytest.raises(InvalidQuery, match="expected an integer from"):
            Surrogate.fit(make_table([0, 1, 2]), **arguments)


def test_scores_that_are_nearly_all_equal(tmp_path):
    ranks = np.repeat(np.arange(9), 3)
    scores = np.where(np.arange(27) == 4, 0.6, 0.5)[:, None]
    surrogate = Surrogate.fit(make_table(ranks, np.tile([0, 1, 2], 9), scores=scores, epochs=1), folds=np.int64(3))
    surrogate.save(tmp_path / "s")
    assert Surrogate.load(tmp_path / "s").card["metrics"]["valid"]["folds"] == 3


def test_teachers_are_answered_for_only_if_there_were_any(fitted):
    with pytest.raises(NotRecorded, match="saw no training with teachers: use distilled=False"):
        fitted.predict(fitted.space.sample_many(1, 0), distilled=True)


def test_what_a_table_lacks_is_not_predicted():
    header = make_header(curves="best")
    scores = np.random.default_rng(0).random((9, 1))
    ranks = np.arange(9, dtype=np.uint64)
    table = build(
        header,
        choices=np.repeat(header.space.unrank_many(ranks), 3, axis=0),
        seed=np.tile([0, 1, 2], 9),
        valid_curve=np.repeat(scores, 3, axis=0),
    )
    surrogate = Surrogate.fit(table, folds=2)
    choices = header.space.unrank_many(ranks)
    assert np.isnan(surrogate.predict_seconds(choices)).all()
    with pytest.raises(NotRecorded, match="predicts no 'test' scores: expected split valid"):
        surrogate.predict(choices, "test")


def test_progress_counts_every_model(seqnas_table):
    steps = []
    Surrogate.fit(seqnas_table.select(np.arange(60)), folds=2, progress=lambda *step: steps.append(step))
    assert steps == [(i + 1, 9) for i in range(9)]  # per split two folds, all records, epochs; and seconds


@pytest.fixture(scope="module")
def seqnas_end_table(seqnas_table):
    """200 architectures with scores at the end that the curves do not end at, without test curves; ten diverged."""
    score = seqnas_table["valid_score"]
    failing = np.arange(0, 200, 20)
    ended = np.where(np.isin(np.arange(200), failing), np.nan, score)
    curve = np.stack([score - 0.1, score - 0.05, score + 0.01], axis=1)
    curve[failing, 1:] = np.nan
    return make_end_table(
        seqnas_table["rank"],
        space=seqnas_table.header.space,
        failing=failing,
        valid_curve=curve,
        train_loss=1 - curve,
        valid_loss_curve=1 - curve,
        valid_score=ended,
        test_score=ended - 0.02,
        cpu_seconds=np.where(np.isnan(curve), np.nan, 1.0 + seqnas_table["choices"][:, 3:4]),
    )


def test_scores_at_the_end(seqnas_end_table, tmp_path):
    """Scores of trainings are predicted, curves of the split that has some, seconds with the last evaluation."""
    table = seqnas_end_table
    fitted = Surrogate.fit(table, folds=3)
    assert fitted.card["records"] == 190
    assert fitted.card["table_sha256"] == table.results_sha256
    ok = table["status"] == b"ok"
    choices = table["choices"][ok]
    for split in ("valid", "test"):
        error = fitted.predict(choices, split).mean - table[f"{split}_score"][ok]
        assert np.median(np.abs(error)) < 0.005
    for epoch in (1, 2, 3):
        error = fitted.predict(choices, epoch=epoch).mean - table["valid_curve"][ok, epoch - 1]
        assert np.median(np.abs(error)) < 0.006
    assert fitted.epochs == 3
    with pytest.raises(NotRecorded, match="predicts no test scores of single epochs: leave epoch out"):
        fitted.predict(choices, "test", epoch=1)
    assert np.median(np.abs(fitted.predict_seconds(choices) / table.seconds()[ok] - 1)) < 0.05
    ratio = fitted.predict_seconds(choices, epoch=3) / fitted.predict_seconds(choices)
    assert (ratio < 0.95).all()  # the rest is the validation split at the end
    fitted.save(tmp_path / "t.surrogate")
    write(table, tmp_path / "t.h5")
    bench = load(tmp_path / "t.h5")
    again = make_end_table(table["rank"], space=table.header.space, valid_score=0.6)
    write(again, tmp_path / "t.h5", force=True)
    with pytest.raises(SurrogateError, match="fitted to another table"):
        load(tmp_path / "t.h5")
    unrecorded = bench.space.sample(seed=77)
    assert bench.query(unrecorded).source == "surrogate"


def test_seconds_and_hardware_of_a_table_are_nothing_to_its_surrogate(seqnas_end_table, tmp_path):
    table = seqnas_end_table
    Surrogate.fit(table, folds=2).save(tmp_path / "t.surrogate")
    slower = Table(
        table.header,
        {**table.columns, "train_seconds": 2 * table["train_seconds"]},
        {**table.hardware, "cpu": np.array([b"another"])},
    )
    write(slower, tmp_path / "t.h5")
    for source in ("auto", "surrogate"):
        load(tmp_path / "t.h5", source=source)


@pytest.mark.slow
def test_evaluating_and_extrapolating_scores_at_the_end(seqnas_end_table):
    card = evaluate(seqnas_end_table, repeats=1, folds=3)
    assert list(card) == ["valid", "test"]
    for figures in card.values():
        assert figures["records"] == 190
        assert figures["searchers"] == {}
        assert [each["epochs"] for each in figures["curves"]] == [1, 2]
        assert figures["curves"][0]["last_score"]["mean"] > 0.9
    for split in ("valid", "test"):
        extrapolator = Extrapolator.fit(seqnas_end_table, 2, split=split)
        ok = seqnas_end_table["status"] == b"ok"
        seen = {name: seqnas_end_table[name][ok, :2] for name in ("train_loss", "valid_loss_curve", "valid_curve")}
        predicted = extrapolator.predict(seqnas_end_table["choices"][ok], seen)
        assert np.median(np.abs(predicted.mean - seqnas_end_table[f"{split}_score"][ok])) < 0.003
