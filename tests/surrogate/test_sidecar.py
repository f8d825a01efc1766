"""Sidecars, cards, references and out-of-fold predictions that say what cannot be, behind hashes that are right."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from nasbench_evs.errors import NasbenchError, SurrogateError
from nasbench_evs.spaces import FFNSpace
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.surrogate.card import read_card, write_card
from nasbench_evs.surrogate.reference import find_reference, read_reference, write_reference
from tests.conftest import make_header, make_table
from tests.surrogate.hostile import rehash, replace_file, rewrite, set_at

SPACE = FFNSpace(2, range(1, 11))
SHIPPED = Path(__file__).resolve().parents[2] / "surrogate"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("surrogate") / "s"
    Surrogate.fit(make_table(range(60), header=make_header(SPACE)), folds=2).save(folder)
    surrogate = Surrogate.load(folder)
    write_reference(folder, surrogate, {split: find_reference(surrogate, split) for split in surrogate.splits})
    card = read_card(SHIPPED / "bpic2012" / "seqnas")
    write_card(folder, {**card, "table_sha256": surrogate.card["table_sha256"]})
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "s")


def deep(depth=100_000):
    return "[" * depth + "]" * depth


WRONG_TEXTS = [
    "",
    "null",
    "5",
    "[]",
    "{}",
    "{",
    '"text"',
    "NaN",
    "\x00",
    deep(),
    '{"a":' * 9000 + "1" + "}" * 9000,
    "1" * 5000,
]


@pytest.mark.parametrize("text", WRONG_TEXTS, ids=range(len(WRONG_TEXTS)))
@pytest.mark.parametrize("name", ["surrogate.json", "card.json", "reference.json"])
def test_files_of_something_else(copy, name, text):
    (copy / name).write_text(text)
    with pytest.raises(SurrogateError) as caught:
        everything(copy)
    assert one_clear_line(caught.value, name)


def everything(folder):
    """All that is read of a surrogate."""
    surrogate = Surrogate.load(folder)
    return surrogate.card, surrogate.references, surrogate.out_of_fold(SPACE.unrank_many([0]))


def one_clear_line(error, name):
    text = str(error)
    return name in text and "\n" not in text and len(text) < 1000


ANYTHING = [
    None,
    True,
    -1,
    0.5,
    10**30,
    -1e308,
    "",
    "text",
    "../valid.cbm",
    [],
    [None],
    {},
    {"a": {"b": []}},
    [[1, 2], [3]],
]
PLACES = [
    "space", "space/name", "space/version", "space/parameters", "space/parameters/layers", "space/parameters/sizes",
    "space/parameters/sizes/0", "dataset", "metric", "shape", "shape/inputs", "shape/outputs", "features", "table_sha256",
    "records", "architectures", "fitted", "distilled", "distilled/0", "seed", "libraries", "libraries/catboost", "metrics",
    "metrics/valid", "metrics/valid/folds", "metrics/valid/mean_absolute_error", "targets", "targets/valid", "targets/test",
    "targets/valid/mean", "targets/valid/scale", "targets/valid/noise_factor", "targets/valid/knowledge_factor",
    "targets/valid/model", "targets/valid/model/file", "targets/valid/model/sha256", "targets/valid/noise",
    "targets/valid/noise/file", "targets/valid/epochs", "targets/valid/epochs/scale", "targets/valid/epochs/factors",
    "targets/valid/epochs/factors/1", "targets/valid/epochs/model", "seconds", "reference", "reference/ranks",
    "reference/ranks/3", "reference/valid", "reference/valid/1", "reference/valid/1/2", "reference/valid.epochs",
    "out_of_fold", "out_of_fold/file", "out_of_fold/sha256", "sums/valid.cbm", "sums/valid.cbm/0",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_sidecar_is_refused_or_predicts_what_it_did(copy, place):
    original = (copy / "surrogate.json").read_text()
    choices = SPACE.sample_many(30, 1)
    before = np.array(Surrogate.load(copy).predict(choices))
    for value in ANYTHING:
        values = json.loads(original)
        set_at(values, place, value)
        rehash(copy / "surrogate.json", values)
        try:
            everything(copy)
        except NasbenchError as error:
            assert one_clear_line(error, "")
        else:
            assert np.array_equal(Surrogate.load(copy).predict(choices), before), (place, value)


def test_what_a_sidecar_lacks(copy):
    original = (copy / "surrogate.json").read_text()
    for name in json.loads(original):
        if name in (
            "sums",
            "sha256",
            "direction",
        ):  # that may be missing, that is written again, that follows from the metric
            continue
        values = json.loads(original)
        del values[name]
        rehash(copy / "surrogate.json", values)
        with pytest.raises(NasbenchError) as caught:
            everything(copy)
        assert one_clear_line(caught.value, ""), name


CARD_PLACES = [
    "dataset", "table_sha256", "splits", "splits/valid", "splits/valid/records", "splits/valid/kendall_tau",
    "splits/valid/kendall_tau/mean", "splits/valid/r2", "splits/valid/calibration/noise",
    "splits/valid/calibration/noise/coverage", "splits/valid/calibration/noise/mean_std",
    "splits/valid/ceiling/perfect", "splits/valid/ceiling/perfect/value", "splits/valid/searchers",
    "splits/valid/searchers/bananas", "splits/valid/searchers/bananas/records", "splits/valid/sizes",
    "splits/valid/sizes/0", "splits/valid/curves", "splits/valid/curves/0/last_score", "searches", "figure",
]  # fmt: skip


@pytest.mark.parametrize("place", CARD_PLACES)
def test_cards_are_read_as_figures_or_not_at_all(copy, place):
    from nasbench_evs.surrogate.card import page, summary

    original = (copy / "card.json").read_text()
    refused = 0
    for value in ANYTHING:
        values = json.loads(original)
        set_at(values, place, value)
        rehash(copy / "card.json", values)
        try:
            card = read_card(copy)
        except SurrogateError as error:
            assert one_clear_line(error, "card.json")
            refused += 1
        else:
            assert page(card)
            assert isinstance(summary(card), list)
    assert refused > 4


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("surrogate", "0" * 64, "of another surrogate"),
        ("version", 2, "no reference that this nasbench-evs reads"),
        ("splits/valid/value", 0.9, "is not what the surrogate predicts of valid"),
        ("splits/valid/architecture", "0-0", "find it again"),
        ("splits/valid/architecture", "1-1", "is not what the surrogate predicts"),
        ("splits/valid/how", "guessed", "Invalid enum value"),
        ("splits/valid/evaluations", -1, "Expected `int` >= 1"),
        ("splits/valid", None, "Expected `object`"),
        (
            "splits/train",
            {"value": 1.0, "architecture": "1-1", "how": "exact", "evaluations": 1, "search": ""},
            "of train",
        ),
    ],
)
def test_references_that_say_what_is_not(copy, place, value, message):
    values = json.loads((copy / "reference.json").read_text())
    set_at(values, place, value)
    (copy / "reference.json").write_text(json.dumps(values))
    with pytest.raises(SurrogateError, match=message):
        read_reference(copy, Surrogate.load(copy))


def npy(array, shape=None):
    import io

    buffer = io.BytesIO()
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": shape or array.shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + array.tobytes()


def test_out_of_fold_predictions_that_cannot_be(copy):
    good = np.load(copy / "out_of_fold.npy")

    def changed(name, row, value):
        other = good.copy()
        other[name][row] = value
        return npy(other)

    wrong = {
        "ranks are not ascending": changed("rank", 3, 2),
        "ascending ones of a space of 100": changed("rank", -1, 100),
        "predicts roc_auc 7": changed("valid", 3, 7),
        "predicts roc_auc inf": changed("test", 3, np.inf),
        "expected .* in the shape": npy(good, shape=(10**12,)),
        "bytes of numbers": npy(good) + b"more",
        r"expected ranks and the scores": npy(good.astype([("rank", "<i8"), ("valid", "<f4"), ("test", "<f4")])),
        r"it holds \(0,\)": npy(good[:0]),
        r"it holds \(60, 1\)": npy(good.reshape(60, 1)),
        "it is no array": b"no array",
        "no array .*O": npy(good).replace(b"'<u8'", b"'|O8'"),
        "is no array": npy(good).replace(b"'rank'", b"((((((")[:60],
    }
    for message, content in wrong.items():
        replace_file(copy, "out_of_fold.npy", content)
        with pytest.raises(SurrogateError, match=f"out_of_fold.npy.*{message}"):
            Surrogate.load(copy).out_of_fold(SPACE.unrank_many([0]))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("name", ["surrogate.json", "card.json", "reference.json", "valid.cbm", "out_of_fold.npy"])
def test_pipes_folders_and_devices(copy, name):
    for make, kind in (
        (os.mkfifo, "a pipe or a device"),
        (os.mkdir, "a folder"),
        (lambda path: os.symlink("/dev/zero", path), "a pipe or a device"),
        (lambda path: os.symlink("/none", path), "No such file"),
    ):
        path = copy / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        make(path)
        with pytest.raises(SurrogateError, match=f"cannot open .*{name}: .*{kind}"):
            everything(copy)


def test_predictions_beyond_the_metric_are_refused(copy):
    def change(sidecar):
        sidecar["targets"]["valid"]["mean"] += 5
        for name in ("valid", "valid.epochs"):
            sidecar["reference"][name][0] = [value + 5 for value in sidecar["reference"][name][0]]

    rewrite(copy, change)
    with pytest.raises(SurrogateError, match=r"valid.cbm predicts roc_auc 5.*, expected 0 to 1"):
        Surrogate.load(copy)


@pytest.mark.parametrize("name", ["noise_is", "noise", "noise_and_knowledge"])
def test_a_calibration_is_whole_or_none(copy, name):
    """Found by benchmarks/fuzz.py: the page of such a card was a KeyError."""
    rewrite(copy, lambda card: card["splits"]["valid"]["calibration"].pop(name), "card.json")
    with pytest.raises(SurrogateError, match=f"card.json, calibration of valid scores: it has no {name}"):
        read_card(copy)
