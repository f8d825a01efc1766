"""Boosting baselines: what each form sees, and that shuffling takes away order and nothing else."""

import numpy as np
import pytest

from nasbench_evs.datasets import Raw, Rules, prepare
from nasbench_evs.datasets.boosting import FORMS, boosting, shuffle
from nasbench_evs.datasets.split import blocks, stable_hash
from nasbench_evs.errors import DatasetError
from nasbench_evs.metrics import BLOCKS


def make(n=400, seed=0):
    """Six events each; the label is whether the third last and the second last are the same mark."""
    generator = np.random.default_rng(seed)
    marks = generator.choice(["a", "b"], (n, 6))
    marks[:, 1] = np.where(marks[:, 0] == "a", "b", "a")  # so that counts say little
    length = np.full(n, 6)
    length[: n // 10] = 3
    shown = np.arange(6) >= 6 - length[:, None]
    raw = Raw(
        ids=np.array([f"s{i:04d}" for i in range(n)]),
        labels=(marks[:, 3] == marks[:, 4]) ^ (generator.random(n) < 0.05),  # noise ends the boosting early
        owner=np.repeat(np.arange(n), length),
        time=np.tile(np.arange(6.0), (n, 1))[shown] + generator.random(shown.sum()) / 2,
        categorical={"mark": marks[shown]},
        numerical={"amount": generator.normal(size=shown.sum())},
        cut=7.0,
    )
    return prepare(raw, Rules("made", ("differ", "same"), "roc_auc", max_length=6))


@pytest.fixture(scope="module")
def dataset():
    return make()


@pytest.fixture(scope="module")
def results(dataset):
    return {
        (form, shuffled): boosting(dataset, form=form, shuffled=shuffled, threads=1)
        for form in FORMS
        for shuffled in (False, True)
    }


def test_only_the_last_events_in_order_know(results):
    assert results["last events", False]["test"] > 0.85
    for form in (("counts", False), ("counts", True), ("last events", True)):
        assert results[form]["test"] < 0.8


def test_results_name_what_they_are_of(dataset, results):
    for (form, shuffled), row in results.items():
        assert (row["form"], row["shuffled"], row["train"]) == (form, shuffled, len(dataset.rows("train")))
        for split in ("valid", "test"):
            assert len(row[f"{split}_blocks"]) == BLOCKS
            assert np.mean(row[f"{split}_blocks"]) == pytest.approx(row[split], abs=0.02)


def test_a_block_left_out_is_a_score_without_it(dataset, results):
    """All scores without a block equal the whole where that block has no sequence of the split."""
    test = dataset.rows("test")
    row = results["counts", False]
    missing = set(range(BLOCKS)) - set(blocks(dataset.groups)[test].tolist())
    assert all(row["test_blocks"][block] == pytest.approx(row["test"]) for block in missing)
    assert len(set(row["test_blocks"])) > 1


def test_shuffling_keeps_times_and_what_happened(dataset):
    other = shuffle(dataset)
    names = [field.name for field in dataset.schema.numerical]
    timing = [names.index("gap"), names.index("left")]
    assert np.array_equal(other.time, dataset.time)
    assert np.array_equal(other.numerical[:, timing], dataset.numerical[:, timing])
    amount = names.index("amount")
    moved = 0
    for row in range(len(dataset)):
        events = slice(dataset.offsets[row], dataset.offsets[row + 1])
        before = list(zip(dataset.numerical[events, amount], dataset.categorical[events, 0], strict=True))
        after = list(zip(other.numerical[events, amount], other.categorical[events, 0], strict=True))
        assert sorted(before) == sorted(after)  # an event's fields stay together
        moved += before != after
    assert moved > 0.9 * len(dataset)
    assert np.array_equal(shuffle(dataset).numerical, other.numerical)
    assert not np.array_equal(shuffle(dataset, seed=1).numerical, other.numerical)


def test_fewer_training_sequences_are_those_with_the_smallest_hashes(dataset):
    """Other training sequences change nothing."""
    row = boosting(dataset, train=100, threads=1)
    assert row["train"] == 100
    train = dataset.rows("train")
    chosen = train[np.argsort(stable_hash(dataset.ids[train], "subset"))[:100]]
    labels = np.array(dataset.labels)
    unseen = np.setdiff1d(train, chosen)
    labels[unseen] = 1 - labels[unseen]
    again = boosting(dataset, train=100, threads=1, labels=labels)
    assert (again["valid"], again["test"]) == (row["valid"], row["test"])
    assert len(again["test_blocks"]) == BLOCKS


def test_mistakes(dataset):
    with pytest.raises(DatasetError, match="unknown form 'all' of the baseline: expected one of counts, last events"):
        boosting(dataset, form="all")
    whole = len(dataset.rows("train"))
    for n in (0, whole + 1):
        with pytest.raises(DatasetError, match=f"train = {n} of made: expected 1 to {whole}, its training sequences"):
            boosting(dataset, train=n)
