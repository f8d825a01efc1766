"""Preparation: canonical order, derived fields, and that nothing is learned from validation or test data."""

from dataclasses import replace

import numpy as np
import pytest

from nasbench_evs.datasets import Numerical, Raw, Rules, prepare
from nasbench_evs.datasets.schema import FIRST_CODE, UNKNOWN
from nasbench_evs.errors import DatasetError

RULES = Rules("made", ("no", "yes"), "roc_auc", max_length=4, numerical=(Numerical("amount", log=True),))


def make_raw(n=100, seed=0, **changes):
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 8, n)
    owner = generator.permutation(np.repeat(np.arange(n), counts))
    raw = Raw(
        ids=np.array([f"p{i:03d}" for i in range(n)]),
        labels=np.arange(n) % 2,
        owner=owner,
        time=generator.integers(0, 20, len(owner)) / 2,
        categorical={"kind": generator.choice(["a", "b", "c"], len(owner))},
        numerical={"amount": generator.normal(size=len(owner)) * 10},
        profile_categorical={"city": generator.choice(["x", "y"], n)},
        profile_numerical={"age": generator.integers(20, 60, n).astype(float)},
        cut=10.0,
    )
    return replace(raw, **changes)


@pytest.fixture(scope="module")
def dataset():
    return prepare(make_raw(), RULES)


def test_events_are_in_order_and_the_last_ones_are_kept(dataset):
    raw = make_raw()
    for row, name in enumerate(dataset.ids):
        mine = raw.owner == int(name[1:])
        order = np.argsort(raw.time[mine], kind="stable")
        events = slice(dataset.offsets[row], dataset.offsets[row + 1])
        assert np.array_equal(dataset.time[events], raw.time[mine][order][-4:])
        assert np.array_equal(
            dataset.numerical[events, 0], raw.numerical["amount"][mine][order][-4:].astype(np.float32)
        )
        vocabulary = dataset.schema.categorical[0].vocabulary
        kinds = [vocabulary[code - FIRST_CODE] for code in dataset.categorical[events, 0]]
        assert kinds == raw.categorical["kind"][mine][order][-4:].tolist()
        assert dataset.full_lengths[row] == mine.sum()


def test_simultaneous_events_keep_file_order():
    raw = make_raw(time=np.zeros(len(make_raw().time)))
    dataset = prepare(raw, replace(RULES, max_length=10))
    for row, name in enumerate(dataset.ids):
        events = slice(dataset.offsets[row], dataset.offsets[row + 1])
        expected = raw.numerical["amount"][raw.owner == int(name[1:])].astype(np.float32)
        assert np.array_equal(dataset.numerical[events, 0], expected)


def test_derived_fields(dataset):
    names = [field.name for field in dataset.schema.numerical]
    gap, left = dataset.numerical[:, names.index("gap")], dataset.numerical[:, names.index("left")]
    assert np.allclose(left, 10.0 - dataset.time)
    whole = prepare(make_raw(), replace(RULES, max_length=99))
    gap = whole.numerical[:, names.index("gap")]
    assert (gap[whole.offsets[:-1]] == 0).all()
    inner = np.setdiff1d(np.arange(len(gap)), whole.offsets[:-1])
    assert np.allclose(gap[inner], np.diff(whole.time)[inner - 1])


def test_without_a_common_window_a_sequence_ends_with_its_last_event():
    dataset = prepare(make_raw(cut=None), RULES)
    left = dataset.numerical[:, [f.name for f in dataset.schema.numerical].index("left")]
    assert (left[dataset.offsets[1:] - 1] == 0).all()


def test_a_cut_for_each_sequence():
    cut = np.arange(100) + 10.0
    dataset = prepare(make_raw(cut=cut), RULES)
    left = dataset.numerical[:, [f.name for f in dataset.schema.numerical].index("left")]
    owner = np.repeat(np.arange(100), dataset.lengths)
    assert np.allclose(left, cut[owner] - dataset.time)


def test_the_order_of_sequences_and_files_does_not_matter(dataset):
    raw = make_raw()
    shuffle = np.random.default_rng(1).permutation(100)
    inverse = np.argsort(shuffle)
    moved = replace(
        raw,
        ids=raw.ids[shuffle],
        labels=raw.labels[shuffle],
        owner=inverse[raw.owner],
        profile_categorical={"city": raw.profile_categorical["city"][shuffle]},
        profile_numerical={"age": raw.profile_numerical["age"][shuffle]},
    )
    assert prepare(moved, RULES).fingerprint == dataset.fingerprint


def test_preprocessing_never_sees_validation_or_test_data(dataset):
    """Whatever stands in their events and profiles, nothing that is fitted changes."""
    raw = make_raw()
    held_out = np.flatnonzero(dataset.split[np.argsort(np.argsort(raw.ids))] > 0)
    event = np.isin(raw.owner, held_out)
    amount, kind = raw.numerical["amount"].copy(), raw.categorical["kind"].copy().astype("U9")
    amount[event] = 1e9
    kind[event] = "never"
    age, city = raw.profile_numerical["age"].copy(), raw.profile_categorical["city"].copy().astype("U9")
    age[held_out] = -1e9
    city[held_out] = "nowhere"
    other = prepare(
        replace(
            raw,
            numerical={"amount": amount},
            categorical={"kind": kind},
            profile_numerical={"age": age},
            profile_categorical={"city": city},
        ),
        RULES,
    )
    assert other.schema == dataset.schema
    train = np.repeat(dataset.split == 0, dataset.lengths)
    assert np.array_equal(other.inputs[train], dataset.inputs[train])
    assert (other.categorical[~train, 0] == UNKNOWN).all()
    assert (other.profile_categorical[dataset.split > 0, 0] == UNKNOWN).all()
    assert np.abs(other.inputs).max() < 20  # clipped by what training knows


def test_inputs_are_standardised_on_the_training_split(dataset):
    train = np.repeat(dataset.split == 0, dataset.lengths)
    assert np.allclose(dataset.inputs[train].mean(axis=0), 0, atol=1e-5)
    assert np.allclose(dataset.inputs[train].std(axis=0), 1, atol=1e-5)


def test_missing_values_are_filled_forward_within_a_sequence_and_zero_before():
    nan = np.nan
    raw = Raw(
        ids=[f"{i:02d}" for i in range(20)],
        labels=np.arange(20) % 2,
        owner=np.repeat(np.arange(20), 3),
        time=np.tile([0.0, 1, 2], 20),
        numerical={"x": np.tile([nan, 5.0, nan, 7.0, nan, nan], 10)},
    )
    field = Numerical("x", forward_fill=True, indicator=True)
    dataset = prepare(raw, replace(RULES, numerical=(field,)))
    fitted = dataset.schema.numerical[0]
    five, seven = ((np.clip(v, fitted.low, fitted.high) - fitted.mean) / fitted.std for v in (5.0, 7.0))
    assert np.allclose(dataset.inputs[:6, 0], [0, five, five, seven, seven, seven], atol=1e-6)
    assert dataset.inputs[:6, -1].tolist() == [0, 1, 0, 1, 0, 0]
    assert dataset.schema.inputs[-1] == "x measured"
    assert np.isnan(dataset.numerical[0, 0])


def test_rare_categories_are_unknown():
    raw = make_raw()
    kind = np.where(np.arange(len(raw.owner)) == 5, "once", raw.categorical["kind"])
    dataset = prepare(replace(raw, categorical={"kind": kind}), replace(RULES, rare=2, max_length=99))
    assert "once" not in dataset.schema.categorical[0].vocabulary


def test_one_changed_value_is_another_fingerprint(dataset):
    raw = make_raw()
    assert prepare(make_raw(), RULES).fingerprint == dataset.fingerprint
    last = int(np.flatnonzero(raw.owner == 0)[np.argmax(raw.time[raw.owner == 0])])
    amount = raw.numerical["amount"].copy()
    amount[last] += 0.01
    time = raw.time.copy()
    time[last] += 0.01
    labels = raw.labels.copy()
    labels[0] = 1 - labels[0]
    changed = [
        prepare(replace(raw, numerical={"amount": amount}), RULES),
        prepare(replace(raw, time=time), RULES),
        prepare(replace(raw, labels=labels), RULES),
        prepare(raw, RULES, seed=1),
        prepare(raw, replace(RULES, max_length=3)),
        prepare(raw, replace(RULES, metric="accuracy")),
    ]
    assert len({dataset.fingerprint, *(each.fingerprint for each in changed)}) == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": np.array(["same"] * 100)}, "the id same occurs twice"),
        ({"labels": np.zeros(100, int)}, "all labels are 'no'"),
        ({"cut": 3.0}, r"sequence p\d+ has an event at .* days, after the end of the observation at 3"),
        ({"time": np.full(len(make_raw().time), np.nan)}, "event 1 has no time"),
        ({"owner": np.zeros(len(make_raw().time), int)}, "the id p001 has a label but no events"),
        (
            {"labels": np.where(np.arange(100) == 3, 1, 0)},
            "no sequence of class 'yes' is in the (train|valid|test) split",
        ),
        ({"labels": np.arange(100) % 3}, "the label 2 is none of the 2 classes"),
        ({"labels": np.arange(100) % 2 - 0.5}, "the label -0.5 is none"),
        ({"numerical": {"gap": np.zeros(len(make_raw().time))}}, "a field 'gap' of its own: rename yours"),
    ],
)
def test_data_that_cannot_be_prepared(changes, message):
    with pytest.raises(DatasetError, match=message):
        prepare(make_raw(**changes), RULES)


@pytest.mark.parametrize("shares", [(0.6, 0.4), (0.8, 0.2, 0.0), (0.6, 0.3, 0.3), (1.2, -0.1, -0.1)])
def test_shares_that_are_none(shares):
    with pytest.raises(DatasetError, match=r"made: shares .* expected three positive numbers with the sum 1"):
        replace(RULES, shares=shares)


def test_shares_and_time_unit_of_the_rules():
    raw = make_raw()
    thirds = prepare(raw, replace(RULES, shares=(0.4, 0.3, 0.3), time_unit="seconds"))
    assert np.bincount(thirds.split).tolist() == [40, 30, 30]
    assert thirds.schema.time_unit == "seconds"
    assert np.array_equal(thirds.time, prepare(raw, RULES).time)
    rare = make_raw(labels=np.where(np.arange(100) < 2, 1, 0))
    with pytest.raises(DatasetError, match="expected at least 20 of each class"):
        prepare(rare, replace(RULES, shares=(0.9, 0.05, 0.05)))


def test_no_sequences():
    empty = np.array([])
    with pytest.raises(DatasetError, match="no sequences"):
        prepare(Raw(ids=[], labels=empty, owner=empty.astype(int), time=empty), RULES)


def test_a_dataset_without_categorical_or_without_real_valued_fields():
    raw = make_raw(categorical={}, profile_categorical={}, profile_numerical={})
    dataset = prepare(raw, RULES)
    assert dataset.categorical.shape == (len(dataset.time), 0)
    assert dataset.profile_inputs.shape == (100, 0)
    assert prepare(make_raw(numerical={}), RULES).inputs.shape[1] == 2  # gap and left


def test_three_classes_need_another_metric():
    rules = replace(RULES, classes=("a", "b", "c"))
    with pytest.raises(DatasetError, match="metric roc_auc is for two classes, the labels have 3; expected one of"):
        prepare(make_raw(labels=np.arange(100) % 3), rules)
