"""One file, asked in every way there is: query, query_many, pandas, what is exported, and HDF5 itself say the same."""

import contextlib

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nasbench_evs as nb
from nasbench_evs import cli
from nasbench_evs.benchmark import SurrogateBenchmark, TableBenchmark
from nasbench_evs.errors import NotRecorded
from nasbench_evs.tables import build, read, write
from nasbench_evs.tables.table import SPLITS
from tests.conftest import make_end_table, make_header

TOLERANCE = {"rtol": 1e-12, "atol": 0}
EPOCHS = 3


def same(ours, theirs, **more):
    np.testing.assert_allclose(
        np.asarray(ours, float), np.asarray(theirs, float), equal_nan=True, **{**TOLERANCE, **more}
    )


@st.composite
def trainings(draw):
    """Columns of a table: ragged seeds, teachers, failures, curves that end early, unknown seconds and costs."""
    keys = draw(
        st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3), st.booleans()), min_size=1, max_size=15, unique=True)
    )
    n = len(keys)
    status = draw(st.lists(st.sampled_from(["ok", "ok", "ok", "diverged", "failed"]), min_size=n, max_size=n))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    ran = np.where([each == "ok" for each in status], EPOCHS, random.integers(0, EPOCHS, n))
    after = np.arange(EPOCHS)[None, :] >= ran[:, None]
    curve = np.where(after, np.nan, random.random((n, EPOCHS)))
    seconds = np.where(after | (random.random(n) < 0.2)[:, None], np.nan, random.random((n, EPOCHS)))
    columns = {
        "seed": [seed for _, seed, _ in keys],
        "distilled": [int(taught) for _, _, taught in keys],
        "status": status,
        "epochs_run": ran,
        "valid_curve": curve,
        "train_seconds": seconds,
        "sampler": "random",
    }
    if draw(st.booleans()):
        columns["test_curve"] = np.where(after, np.nan, random.random((n, EPOCHS)))
    return [rank for rank, _, _ in keys], columns


def raw(path):
    """What HDF5 holds of a table, by names of its own."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, each: found.update({name: each[()]}) if isinstance(each, h5py.Dataset) else None)
        about = {name: each.decode() if isinstance(each, bytes) else each for name, each in file.attrs.items()}
    at_end, sign = about.get("score_at") == "end", 1 if about["direction"] == "max" else -1
    return found, at_end, sign


def scores_of(path, split):
    """The score of every record, read without this library."""
    data, at_end, sign = raw(path)
    if at_end:
        score = (
            data[f"final/{split}_score"].astype(float)
            if f"final/{split}_score" in data
            else np.full(len(data["training/seed"]), np.nan)
        )
    else:
        score = np.full(len(data["training/seed"]), np.nan)
        curve = data.get(f"scores/{split}_score")
        for row, valid in enumerate(data["scores/valid_score"] * sign):
            if curve is not None and not np.isnan(valid).all():
                score[row] = curve[row, int(np.nanargmax(valid))]
    score[(data["training/status"] == b"failed") | ~np.isfinite(score)] = np.nan
    return score


def check_file(path, some=None):
    """All ways in agree on all architectures of a table, or on `some`."""
    table = read(path)
    bench = TableBenchmark(table)
    data, _, _ = raw(path)
    frame = table.to_frame(curves=True)
    frame["valid"], frame["test"] = table.scores("valid"), table.scores("test")
    architectures = bench.space.architectures(bench.pool)[:some]
    assert frame["seed"].isna().sum() == (data["training/seed"] == -1).sum()
    for split in SPLITS:
        single = scores_of(path, split)
        same(frame[split], single)
        if np.isnan(single).all():
            continue
        for taught in (False, True):
            asked = frame[(frame["distilled"].fillna(0) == 1).to_numpy() == taught]
            groups = asked.groupby("architecture", sort=False)[split]
            means = pd.DataFrame(
                {"mean": groups.mean(), "sem": groups.sem(), "std": groups.std(), "count": groups.count()}
            )
            wanted = [each for each in architectures if str(each) in means.index]
            missing = [each for each in architectures if str(each) not in means.index]
            many = bench.query_many(wanted, split=split, distilled=taught) if wanted else None
            for i, each in enumerate(wanted):
                one, row = bench.query(each, split=split, distilled=taught), means.loc[str(each)]
                same(
                    [one.value, one.standard_error, one.noise_std, one.trainings],
                    row[["mean", "sem", "std", "count"]],
                    rtol=1e-7,
                )
                same([one.value, one.standard_error, one.noise_std, one.seconds, one.trainings], [
                    many.value[i], many.standard_error[i], many.noise_std[i], many.seconds[i], many.trainings[i]])  # fmt: skip
            for each in missing[:3]:
                with pytest.raises(NotRecorded):
                    bench.query(each, split=split, distilled=taught)
                with pytest.raises(NotRecorded):
                    bench.query_many([each], split=split, distilled=taught)
    check_trainings(path, bench, frame, architectures)


def check_trainings(path, bench, frame, architectures):
    """The trainings of each architecture, by their seeds: scores, epochs, seconds, costs."""
    data, _, _ = raw(path)
    ranks = data["architectures/rank"]
    for each in architectures:
        mine = frame[
            (ranks == each.rank) & (frame["distilled"].fillna(0) != 1).to_numpy() & frame["seed"].notna().to_numpy()
        ]
        assert bench.seeds(each) == tuple(mine["seed"].tolist())
        with contextlib.suppress(NotRecorded):  # costs are not recorded everywhere
            assert (
                list(bench.cost(each)) == [*mine[["params", "flops"]].fillna(-1).to_numpy(int)[0]]
                or mine["params"].isna().all()
            )
        for position, row in zip(mine.index, mine.itertuples(index=False), strict=True):
            seed = int(row.seed)
            one, many = bench.query(each, seed=seed), bench.query_many([each, each], seed=[seed, seed])
            same([one.value, many.value[0], many.value[1]], [row.valid] * 3)
            same(many.seconds, [one.seconds] * 2)
            if bench.epochs:
                for epoch in range(1, bench.epochs + 1):
                    at = bench.query(each, seed=seed, epoch=epoch).value
                    failed = row.status == "failed"
                    same(at, np.nan if failed else data["scores/valid_score"][position, epoch - 1])
                    same(at, np.nan if failed else frame[f"valid_curve.{epoch}"][position])
                    same(bench.query_many([each], seed=seed, epoch=epoch).value, [at])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trainings(), st.sampled_from(["max", "min"]))
def test_generated_tables_say_the_same_to_everybody(tmp_path, made, direction):
    ranks, columns = made
    header = make_header(metric=nb.benchmark.custom.own_metric("made", direction), protocol={"epochs": EPOCHS})
    # A training that is ok has a score.
    table = build(header, choices=header.space.unrank_many(ranks), **columns)
    write(table, tmp_path / "made.h5", force=True)
    check_file(tmp_path / "made.h5")


def test_scores_at_the_end(tmp_path):
    write(make_end_table([0, 2, 2, 2, 5, 8], [0, 0, 1, 2, 0, 0], failing=[3]), tmp_path / "end.h5")
    check_file(tmp_path / "end.h5")


@pytest.mark.parametrize(
    ("dataset", "space"), [("digits", None), ("abank", None), ("credit-default", "seqnas"), ("tafeng-churn", None)]
)
def test_shipped_tables_say_the_same_to_everybody(dataset, space):
    check_file(nb.benchmark.find_table(dataset, space), some=30)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_is_exported_is_what_is_asked_for(tmp_path, monkeypatch, form):
    bench, out = nb.load("digits", source="table"), tmp_path / f"digits.{form}"
    path = str(nb.benchmark.find_table("digits"))
    monkeypatch.setattr("sys.argv", ["nasbench-evs", "table", "export", path, "--format", form, "--out", str(out)])
    cli.main()
    frame = pd.read_csv(out) if form == "csv" else pd.read_parquet(out)
    assert len(frame) == len(bench.table)
    groups = frame[frame["distilled"] != 1].groupby("architecture")["valid_score"]
    texts = list(groups.groups)
    scores = bench.query_many(bench.space.parse_many(texts))
    same(scores.value, groups.mean()[texts], rtol=1e-7)
    same(scores.standard_error, groups.sem()[texts], rtol=1e-6, atol=1e-9)
    assert scores.trainings.tolist() == groups.count()[texts].tolist()


@pytest.fixture(scope="module")
def surrogate():
    return nb.load("digits", source="surrogate")


@settings(max_examples=25, deadline=None)
@given(ranks=st.lists(st.integers(0, 7999), max_size=8), seed=st.none() | st.integers(0, 2**40), split=st.sampled_from(SPLITS),
       epoch=st.none() | st.integers(1, 20))  # fmt: skip
def test_a_surrogate_says_the_same_alone_among_others_and_itself(surrogate, ranks, seed, split, epoch):
    assert isinstance(surrogate, SurrogateBenchmark)
    if split == "test" and epoch is not None:
        epoch = None if surrogate.surrogate._targets["test"].epochs is None else epoch
    choices = surrogate.space.unrank_many(ranks)
    many = surrogate.query_many(choices, split=split, seed=seed, epoch=epoch)
    predicted = surrogate.surrogate.predict(choices, split, epoch=epoch)
    noise = 0 if seed is None else surrogate.surrogate.noise(choices, split, seed) * predicted.noise_std
    same(many.value, predicted.mean + noise)
    same(many.seconds, surrogate.surrogate.predict_seconds(choices, epoch=epoch))
    same(many.epistemic_std, predicted.epistemic_std)
    for i, each in enumerate(surrogate.space.architectures(choices)):
        one = surrogate.query(each, split=split, seed=seed, epoch=epoch)
        same([one.value, one.epistemic_std, one.noise_std, one.seconds],
             [many.value[i], many.epistemic_std[i], many.noise_std[i], many.seconds[i]])  # fmt: skip
