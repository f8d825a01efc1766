"""Prepared datasets: files, damage, padded batches, subsets, aggregates."""

import json
import os
import pickle

import numpy as np
import pytest

from nasbench_evs.datasets import Dataset, prepare
from nasbench_evs.datasets.aggregate import aggregates
from nasbench_evs.datasets.dataset import COLUMNS, MANIFEST
from nasbench_evs.datasets.describe import gaps, histogram, statistics
from nasbench_evs.errors import DatasetError, OutputError
from tests.datasets.test_prepare import RULES, make_raw


@pytest.fixture(scope="module")
def dataset():
    return prepare(make_raw(scenarios=np.array(["s1", "s2"] * 50)), RULES, source="made")


@pytest.fixture
def folder(dataset, tmp_path):
    dataset.save(tmp_path / "d")
    return tmp_path / "d"


def test_save_and_open(dataset, folder):
    opened = Dataset.open(folder)
    assert opened.fingerprint == dataset.fingerprint
    assert opened.schema == dataset.schema
    assert (opened.scenario_names, opened.source) == (("s1", "s2"), "made")
    for name in COLUMNS:
        assert np.array_equal(getattr(opened, name), getattr(dataset, name), equal_nan=COLUMNS[name][0].startswith("f"))
    with pytest.raises(ValueError, match="read-only"):
        opened.labels[0] = 1


def test_datasets_without_some_kind_of_field(tmp_path):
    dataset = prepare(make_raw(categorical={}, profile_categorical={}, profile_numerical={}), RULES)
    dataset.save(tmp_path / "d")
    assert Dataset.open(tmp_path / "d").fingerprint == dataset.fingerprint


def test_damage_is_noticed(folder):
    for name in COLUMNS:
        path = folder / f"{name}.npy"
        original = path.read_bytes()
        for damaged in (
            original[:-1] + bytes([original[-1] ^ 1]),
            original[:-3],
            original[:20],
            b"",
            b"\x80\x04 a pickle",
        ):
            path.write_bytes(damaged)
            with pytest.raises(DatasetError, match="prepare it again|damaged"):
                Dataset.open(folder)
        path.unlink()
        with pytest.raises(DatasetError, match=f"{name}.npy is missing"):
            Dataset.open(folder)
        path.write_bytes(original)
    Dataset.open(folder)


def test_damaged_headers_of_arrays_are_one_line(folder):
    """Every byte of the header of one column, changed in two ways."""
    path = folder / "time.npy"
    original = path.read_bytes()
    for at in range(128):
        for change in (0x20, 0x80):
            path.write_bytes(original[:at] + bytes([original[at] ^ change]) + original[at + 1 :])
            try:
                Dataset.open(folder)
            except DatasetError as error:
                assert "\n" not in str(error)


def test_manifests_that_are_not_ours(folder):
    path = folder / MANIFEST
    original = path.read_text()
    manifest = json.loads(original)
    for content, message in (
        (json.dumps({**manifest, "format_version": 2}), "format version 2, this nasbench-evs reads 1"),
        (
            json.dumps({**manifest, "format_version": "x" * 100_000}),
            "format version 'x{27}...x{28}', this nasbench-evs",
        ),
        (json.dumps({**manifest, "fingerprint": "0"}), "does not match its fingerprint"),
        (original.replace('"a"', '"z"', 1), "does not match its fingerprint"),
        (original.replace('"std": ', '"std": 9', 1), "does not match its fingerprint"),
        (
            original.replace('"fingerprint"', '"fingerprinf"'),
            "expected the manifest of a prepared dataset; prepare it again",
        ),
        (
            '{"format_version": 1, "schema": ' + "[" * 100_000,
            "expected the manifest of a prepared dataset; prepare it again",
        ),
        (original[:100], "expected the manifest of a prepared dataset; prepare it again"),
        ("[]", "expected the manifest of a prepared dataset; prepare it again"),
    ):
        path.write_text(content)
        with pytest.raises(DatasetError, match=message):
            Dataset.open(folder)


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("ids", 1, "00"), ("labels", 3, 9), ("labels", 3, -1), ("split", 0, 7), ("scenarios", 5, 2), ("offsets", 1, 0),
        ("offsets", -1, 10**9), ("full_lengths", 2, 0), ("categorical", (0, 0), 0), ("categorical", (0, 0), 99),
        ("profile_categorical", (0, 0), 0), ("time", 0, np.inf), ("time", 0, 1e9), ("inputs", (0, 0), np.nan),
        ("profile_inputs", (0, 0), np.nan), ("profile_inputs", (0, 0), np.inf),
    ],
)  # fmt: skip
def test_values_that_no_dataset_has(dataset, tmp_path, name, at, value):
    """Behind checksums that are right; most were found by benchmarks/fuzz.py."""
    columns = {each: np.array(getattr(dataset, each)) for each in COLUMNS}
    columns[name][at] = value
    Dataset(dataset.schema, columns, dataset.scenario_names).save(tmp_path / "d")
    with pytest.raises(DatasetError, match=f"d holds {name} that its schema does not have: .* prepare it again"):
        Dataset.open(tmp_path / "d")


def test_a_failed_write_leaves_nothing(dataset, tmp_path, monkeypatch):
    saved = []

    def fill_the_disk(file, array, **_):
        saved.append(file)
        if len(saved) == 5:
            raise OSError(28, "No space left on device")
        file.write(b"x")

    monkeypatch.setattr(np, "save", fill_the_disk)
    with pytest.raises(OutputError, match="No space left on device"):
        dataset.save(tmp_path / "d")
    assert os.listdir(tmp_path) == []


def test_an_interrupted_write_leaves_nothing(dataset, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        dataset.save(tmp_path / "d")
    assert os.listdir(tmp_path) == []


def test_batches_are_padded_and_masked(dataset):
    rows = np.array([5, 0, 17])
    batch = dataset.batch(rows)
    longest = dataset.lengths[rows].max()
    assert batch.mask.shape == batch.time.shape == (3, longest)
    assert batch.categorical.shape == (3, longest, 1)
    assert batch.inputs.shape == (3, longest, 3)
    for i, row in enumerate(rows):
        events = slice(dataset.offsets[row], dataset.offsets[row + 1])
        n = dataset.lengths[row]
        assert np.array_equal(batch.categorical[i, :n], dataset.categorical[events])
        assert np.array_equal(batch.inputs[i, :n], dataset.inputs[events])
        assert np.array_equal(batch.time[i, :n], dataset.time[events])
        assert (batch.categorical[i, n:] == 0).all()
        assert (batch.inputs[i, n:] == 0).all()
        assert batch.mask[i].sum() == n
    assert batch.labels.tolist() == dataset.labels[rows].tolist()
    assert dataset.batch(rows, length=9).time.shape == (3, 9)
    with pytest.raises(DatasetError, match="cannot be padded to 1"):
        dataset.batch(np.arange(50), length=1)


def test_padding_is_no_code(dataset):
    assert (dataset.categorical > 0).all()
    assert (dataset.profile_categorical > 0).all()


def test_subsets(dataset):
    small, large = dataset.subset(20), dataset.subset(50)
    assert set(small.ids) <= set(large.ids)
    assert small.fingerprint != dataset.fingerprint
    for i, name in enumerate(small.ids):
        row = int(np.flatnonzero(dataset.ids == name)[0])
        assert small.split[i] == dataset.split[row]
        ours = slice(small.offsets[i], small.offsets[i + 1])
        theirs = slice(dataset.offsets[row], dataset.offsets[row + 1])
        assert np.array_equal(small.inputs[ours], dataset.inputs[theirs])
    assert dataset.subset(100).fingerprint == dataset.fingerprint
    for n in (0, 101):
        with pytest.raises(DatasetError, match="expected 1 to 100"):
            dataset.subset(n)


def test_rows_of_a_split(dataset):
    parts = [dataset.rows(name) for name in ("train", "valid", "test")]
    assert sorted(np.concatenate(parts)) == list(range(100))
    with pytest.raises(DatasetError, match="unknown split 'val': expected one of train, valid, test"):
        dataset.rows("val")


def test_travels_to_other_processes(dataset):
    assert pickle.loads(pickle.dumps(dataset)).fingerprint == dataset.fingerprint


def test_aggregates_by_hand(dataset):
    features, names = aggregates(dataset, top=2)
    assert features.shape == (100, len(names))
    row = 7
    events = slice(dataset.offsets[row], dataset.offsets[row + 1])
    amount = dataset.numerical[events, 0].astype(float)
    codes = dataset.categorical[events, 0]
    expected = {
        "events": dataset.full_lengths[row],
        "events kept": len(amount),
        "distinct times": len(np.unique(dataset.time[events])),
        "span": np.ptp(dataset.time[events]),
        "amount last": amount[-1],
        "amount mean": amount.mean(),
        "amount min": amount.min(),
        "amount max": amount.max(),
        "amount std": amount.std(),
        "amount measured": len(amount),
        "kind last": codes[-1],
        "kind distinct": len(np.unique(codes)),
        f"kind = {dataset.schema.categorical[0].vocabulary[0]}": (codes == 2).mean(),
        "age": dataset.profile_numerical[row, 0],
        "city": dataset.profile_categorical[row, 0],
    }
    for name, value in expected.items():
        assert features[row, names.index(name)] == pytest.approx(value, abs=1e-5), name
    assert sum(name.startswith("kind =") for name in names) == 3  # unknown and two


def test_aggregates_of_what_was_never_measured_are_missing():
    raw = make_raw()
    amount = np.where(raw.owner == 3, np.nan, raw.numerical["amount"])
    features, names = aggregates(prepare(make_raw(numerical={"amount": amount}), RULES))
    row = 3
    assert np.isnan(features[row, [names.index(f"amount {s}") for s in ("last", "mean", "min", "max", "std")]]).all()
    assert features[row, names.index("amount measured")] == 0


def test_statistics_and_histograms(dataset):
    facts = statistics(dataset)
    assert facts["sequences"] == 100
    assert facts["events"] == dataset.full_lengths.sum()
    assert facts["scenarios"] == 2
    assert "no 50.0%, yes 50.0%" in facts["classes"]
    counted = [int(line.split()[2].replace(",", "")) for line in histogram(dataset.full_lengths, "events")]
    assert sum(counted) == 100
    assert len(gaps(dataset)) == len(dataset.time) - 100
    for constant in (np.full(50, 1 / 24), np.full(50, 1e-11), 1.5 + np.arange(50) * 1e-9):
        (line,) = histogram(constant, "days")
        assert line.split()[-2] == "50"
    lines = histogram(gaps(dataset), "days")
    assert lines[0].split()[0] == "0"
