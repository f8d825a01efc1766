"""Merging: a set union of records, with conflicts reported."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_evs.errors import MergeConflict
from nasbench_evs.metrics import metric
from nasbench_evs.spaces import FFNSpace
from nasbench_evs.tables import merge, read, write
from tests.conftest import make_end_table, make_header, make_table

CPUS = ["a", "b", "c"]


@st.composite
def shards(draw):
    """A part of all trainings of a 9-architecture space with three seeds, each always made on the same machine."""
    keys = draw(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2)), min_size=1, max_size=12, unique=True))
    ranks, seeds = zip(*keys, strict=True)
    machines = [{"cpu": cpu} for cpu in draw(st.permutations(CPUS))]
    hardware = [next(i for i, m in enumerate(machines) if m["cpu"] == CPUS[(r + s) % 3]) for r, s in keys]
    header = make_header(created=draw(st.sampled_from(["2026-01-01T00:00:00+00:00", "2026-02-02T00:00:00+00:00"])))
    sampler = ["random" if (r + s) % 2 else "a longer name" for r, s in keys]
    return make_table(ranks, seeds, header=header, machines=machines, hardware=hardware, sampler=sampler)


@st.composite
def repeated(draw):
    """A part of nine trainings with scores at the end, each with the same result, made anywhere, for anybody, any time."""
    keys = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=9, unique=True))
    ranks, seeds = zip(*keys, strict=True)
    n = len(keys)

    def each(of):
        return draw(st.lists(st.sampled_from(of), min_size=n, max_size=n))

    return make_end_table(
        ranks,
        seeds,
        failing=[i for i, (r, s) in enumerate(keys) if (r, s) == (1, 1)],
        sampler=each(["random", "seqnas-s", "repeat"]),
        code_commit=each(["", "1", "22"]),
        reason=each(["", "why"]),
        machines=[{"cpu": cpu, "model": "1"} for cpu in draw(st.permutations(CPUS))],
        hardware=each([-1, 0, 1, 2]),
        cpu_seconds=np.array(each([np.nan, 1.0, 2.0]))[:, None] * [1.0, np.nan, np.nan],
        train_seconds=np.array(each([3.0, 4.0]))[:, None] * [1.0, np.nan, np.nan],
        final_cpu_seconds=np.nan,
        final_valid_cpu_seconds=np.nan,
        final_eval_seconds=np.nan,
        latency_ms_b1=np.array(each([np.nan, 5.0])),
    )


def keys(table):
    return set(zip(table["rank"].tolist(), table["seed"].tolist(), strict=True))


def same(a, b):
    return a.content_sha256 == b.content_sha256 and a.header.attributes() == b.header.attributes()


@settings(max_examples=100, deadline=None)
@given(a=shards(), b=shards(), c=shards())
def test_commutative_associative_idempotent(a, b, c):
    everything = merge([a, b, c])
    assert keys(everything) == keys(a) | keys(b) | keys(c)
    assert len(everything) == len(keys(everything))
    assert same(everything, merge([c, a, b]))
    assert same(everything, merge([merge([a, b]), c]))
    assert same(everything, merge([a, merge([b, c])]))
    assert same(everything, merge([everything, a, everything]))
    assert same(merge([a, a]), a)


@settings(max_examples=100, deadline=None)
@given(a=repeated(), b=repeated(), c=repeated())
def test_of_equal_results_one_stays_whatever_the_order(a, b, c):
    everything = merge([a, b, c])
    assert keys(everything) == keys(a) | keys(b) | keys(c)
    assert len(everything) == len(keys(everything))
    assert same(everything, merge([c, b, a]))
    assert same(everything, merge([merge([b, a]), c]))
    assert same(everything, merge([a, merge([c, b])]))
    assert same(everything, merge([everything, a, everything]))
    assert same(merge([a]), a)
    for table in (a, b, c):  # the smallest sampler first
        for row in range(len(table)):
            at = (everything["rank"] == table["rank"][row]) & (everything["seed"] == table["seed"][row])
            assert everything["sampler"][at][0] <= table["sampler"][row]


def test_which_of_equal_records_stays():
    """The smallest by (sampler, commit, hardware, seconds), and hardware by what it is called."""

    def made(sampler, commit, cpu, seconds):
        return make_end_table(
            [0], sampler=sampler, code_commit=commit, machines=[{"cpu": cpu}], hardware=0,
            cpu_seconds=np.full((1, 3), seconds),
        )  # fmt: skip

    order = [
        ("a", "2", "y", 2.0),
        ("b", "1", "y", 2.0),
        ("b", "2", "x", 2.0),
        ("b", "2", "y", 1.0),
        ("b", "2", "y", 2.0),
    ]
    for i, first in enumerate(order):
        for other in order[i:]:
            for pair in ([first, other], [other, first]):
                merged = merge([made(*each) for each in pair])
                assert merged.content_sha256 == made(*first).content_sha256


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({"valid_score": [0.3]}, "valid_score 0.4 in table 1 and 0.3 in table 2"),
        ({"test_loss": [0.25]}, "test_loss"),
        (
            {"valid_blocks": np.full((1, 10), 0.4)},
            "valid_blocks .* without block 1 in table 1 and 0.4.* without block 1",
        ),
        ({"epochs_run": [-1]}, "epochs_run"),
    ],
)
def test_conflicts_of_what_is_measured_at_the_end(columns, shown):
    with pytest.raises(MergeConflict, match=shown):
        merge([make_end_table([0]), make_end_table([0], **columns)])


def test_merged_files_do_not_depend_on_the_order(tmp_path):
    a, b = make_table([0, 1]), make_table([1, 2])
    write(merge([a, b]), tmp_path / "ab.h5")
    write(merge([b, a]), tmp_path / "ba.h5")
    assert (tmp_path / "ab.h5").read_bytes() == (tmp_path / "ba.h5").read_bytes()
    assert read(tmp_path / "ab.h5")["rank"].tolist() == [0, 1, 2]


def test_another_result_for_the_same_training_is_a_conflict():
    a = make_table([0, 1, 2], scores=[[0.5], [0.6], [0.75]], epochs=1)
    b = make_table([1, 2], scores=[[0.6], [0.875]], epochs=1)
    with pytest.raises(MergeConflict) as caught:
        merge([a, b], ["one.h5", "two.h5"])
    message = str(caught.value)
    assert "(rank 2), seed 0 has valid_curve 0.75 at epoch 1 in one.h5 and 0.875 at epoch 1 in two.h5" in message
    with pytest.raises(MergeConflict, match=r"0.875 at epoch 1 in two.h5 and 0.75 at epoch 1 in one.h5"):
        merge([b, a], ["two.h5", "one.h5"])


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({"status": "diverged"}, "diverged"),
        ({"teachers": "3 4"}, "3 4"),
        ({"params": 21}, "21"),
        ({"train_loss": [[0.5, 0.25, 0.125]]}, "0.5 at epoch 1"),
    ],
)
def test_conflicts_in_any_compared_column_are_reported(columns, shown):
    with pytest.raises(MergeConflict, match=shown):
        merge([make_table([0]), make_table([0], **columns)])


def test_trainings_with_and_without_teachers_are_two_records():
    plain, taught = make_table([0], distilled=0), make_table([0], distilled=1, scores=np.full((1, 3), 0.9))
    merged = merge([plain, taught])
    assert len(merged) == 2


def test_not_recorded_is_the_same_as_without_teachers():
    with pytest.raises(
        MergeConflict, match="distilled 0 in table 1 and -1 in table 2|distilled -1 in table 2 and 0 in table 1"
    ):
        merge([make_table([0], distilled=0), make_table([0], distilled=-1)])


def test_protocols_are_compared_as_files_hold_them(tmp_path):
    made = make_table([0], header=make_header(protocol={"sizes": (1, 2), "shape": None}))
    write(made, tmp_path / "t.h5")
    assert len(merge([made, read(tmp_path / "t.h5")])) == 1


def test_unseeded_records_of_two_samplers_are_two_records():
    a = make_table([0], -1, sampler="random")
    b = make_table([0], -1, sampler="seqnas", scores=np.full((1, 3), 0.9))
    assert len(merge([a, b])) == 2
    with pytest.raises(MergeConflict, match="seed not recorded"):
        merge([a, make_table([0], -1, sampler="random", scores=np.full((1, 3), 0.9))])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"space": FFNSpace(2, [2, 3, 5])}, "space"),
        ({"dataset": "other"}, 'dataset: a.h5 has "made", b.h5 has "other"'),
        ({"fingerprint": "abc"}, "fingerprint"),
        ({"protocol": {**make_header().protocol, "epochs": 9}}, r"protocol \(epochs\): a.h5 has 3, b.h5 has 9"),
        ({"metric": metric("accuracy")}, "metric"),
        ({"curves": "best"}, "curves"),
    ],
)
def test_tables_that_do_not_belong_together(changes, field):
    a = make_table([0])
    b = make_table([1], header=replace(make_header(), **changes), epochs=1 if "curves" in changes else 3)
    with pytest.raises(MergeConflict, match=field):
        merge([a, b], ["a.h5", "b.h5"])


def test_other_numbers_of_epochs_do_not_merge():
    with pytest.raises(MergeConflict, match=r"epochs: table 1 has 3, table 2 has 4"):
        merge([make_table([0]), make_table([1], epochs=4)])


def test_nothing_to_merge():
    with pytest.raises(MergeConflict, match="at least one"):
        merge([])
