"""Anybody's own data: what works, and one line for everything odd."""

import gzip

import numpy as np
import pandas as pd
import pytest

from nasbench_evs.datasets import custom, prepare
from nasbench_evs.errors import DatasetError, OutputError

SCHEMA = """
id = "client"
time = "when"
categorical = ["shop"]
numerical = ["amount"]
profile = ["city", "age"]
group = "household"
label = "churned"
metric = "roc_auc"
max_length = 5
"""


def make_frames(n=60):
    generator = np.random.default_rng(0)
    clients = [f"c{i}" for i in range(n)]
    events = pd.DataFrame(
        {
            "client": np.repeat(clients, 4),
            "when": [f"2024-01-{d:02d} 10:00:00" for d in generator.integers(1, 28, 4 * n)],
            "shop": generator.choice(["a", "b"], 4 * n),
            "amount": generator.normal(size=4 * n).round(3).astype(str),
            "city": np.repeat(generator.choice(["x", "y"], n), 4),
        }
    )
    labels = pd.DataFrame(
        {
            "client": clients,
            "churned": np.where(np.arange(n) % 2, "yes", "no"),
            "age": generator.integers(20, 60, n).astype(str),
            "household": [f"h{i // 2}" for i in range(n)],
        }
    )
    return events, labels


@pytest.fixture
def files(tmp_path):
    events, labels = make_frames()

    def write(events=events, labels=labels, schema=SCHEMA, form="csv"):
        suffix = {"csv": ".csv", "gz": ".csv.gz", "parquet": ".parquet"}[form]
        paths = tmp_path / f"events{suffix}", tmp_path / "labels.csv", tmp_path / "schema.toml"
        if form == "parquet":
            events.to_parquet(paths[0])
        else:
            events.to_csv(paths[0], index=False)
        labels.to_csv(paths[1], index=False)
        paths[2].write_text(schema)
        return paths

    return write


def load(paths, name="mine"):
    raw, rules = custom.read(name, *paths)
    return prepare(raw, rules)


@pytest.mark.parametrize("form", ["csv", "gz", "parquet"])
def test_a_users_dataset(files, form):
    dataset = load(files(form=form))
    schema = dataset.schema
    assert (len(dataset), schema.max_length, schema.metric.name) == (60, 5, "roc_auc")
    assert schema.classes == ("no", "yes")
    assert [c.name for c in schema.categorical] == ["shop"]
    assert [n.name for n in schema.numerical] == ["amount", "gap", "left"]
    assert [c.name for c in schema.profile_categorical] == ["city"]
    assert [n.name for n in schema.profile_numerical] == ["age"]
    assert dataset.time.min() == 0
    for household in np.unique(dataset.groups):
        assert len(np.unique(dataset.split[dataset.groups == household])) == 1


def test_every_form_gives_the_same_data(files):
    assert len({load(files(form=form)).fingerprint for form in ("csv", "gz", "parquet")}) == 1


def test_only_id_time_and_label_are_needed(files):
    dataset = load(files(schema='id = "client"\ntime = "when"\nlabel = "churned"\n'))
    assert [n.name for n in dataset.schema.numerical] == ["gap", "left"]
    assert dataset.schema.max_length == 128


def test_times_as_numbers_of_days(files):
    events, _ = make_frames()
    events["when"] = np.tile(["0", "1.5", "2", "7"], 60)
    assert load(files(events=events)).time.max() == 7.0


def test_missing_measurements_get_an_indicator(files):
    events, _ = make_frames()
    events.loc[::3, "amount"] = ""
    assert load(files(events=events)).schema.inputs[-1] == "amount measured"


def test_times_with_changing_offsets(files):
    events, _ = make_frames()
    expected = load(files(events=events)).time
    zoned = pd.to_datetime(events.when).dt.tz_localize("Europe/Berlin") + pd.Timedelta(days=75)  # across summer time
    events["when"] = zoned.astype(str)
    assert np.allclose(load(files(events=events)).time, expected)
    events["when"] = zoned
    assert np.allclose(load(files(events=events, form="parquet")).time, expected)


def test_one_bad_number_among_times_is_the_one_that_is_named(files):
    events, _ = make_frames()
    events["when"] = np.arange(len(events)).astype(str)
    for wrong in ("oops", ""):
        events.loc[7, "when"] = wrong
        with pytest.raises(DatasetError, match=rf"row 8, column when: '{wrong}' is not a number$"):
            load(files(events=events))


def test_missing_values_in_parquet(files):
    """None is a category of its own, texts stay whole, and missing labels, groups and ids are named."""
    events, _ = make_frames()
    events["shop"] = np.tile(["groceries north", "groceries south", "fuel", None], 60)
    events.loc[events.client == "c3", "city"] = None
    dataset = load(files(events=events, form="parquet"))
    assert set(dataset.schema.categorical[0].vocabulary) == {"groceries north", "groceries south", "fuel", ""}
    assert {"x", "y"} <= set(dataset.schema.profile_categorical[0].vocabulary) <= {"x", "y", ""}
    events.loc[4, "client"] = None
    with pytest.raises(DatasetError, match="row 5, column client: .* is empty"):
        load(files(events=events, form="parquet"))


def test_columns_twice_and_rows_too_long(files, tmp_path):
    paths = files()
    lines = gzip.decompress(paths[0].read_bytes()) if paths[0].suffix == ".gz" else paths[0].read_bytes()
    header, _, rest = lines.partition(b"\n")
    paths[0].write_bytes(b"client," + header + b"\n" + b"\n".join(b"c0," + line for line in rest.splitlines()))
    with pytest.raises(DatasetError, match="has the column 'client' twice"):
        load(paths)
    paths[0].write_bytes(header + b"\n" + b"\n".join(line + b"," for line in rest.splitlines()))
    with pytest.raises(DatasetError, match="no table of comma-separated values"):
        load(paths)


def test_fields_named_like_derived_ones(files):
    events, _ = make_frames()
    events["gap"] = events.pop("amount")
    with pytest.raises(DatasetError, match="a field 'gap' of its own: rename yours"):
        load(files(events=events, schema=SCHEMA.replace('"amount"', '"gap"')))


def test_more_than_two_classes(files):
    _, labels = make_frames()
    labels["churned"] = np.tile(["10", "9", "11"], 20)
    dataset = load(files(labels=labels, schema=SCHEMA.replace('metric = "roc_auc"\n', "")))
    assert dataset.schema.classes == ("9", "10", "11")
    assert dataset.schema.metric.name == "macro_roc_auc"
    with pytest.raises(DatasetError, match="metric roc_auc is for two classes, the labels have 3"):
        load(files(labels=labels))


def _event(column, row, value):
    def change(events, labels):
        events.loc[row, column] = value

    return change


def _label(column, row, value):
    def change(events, labels):
        labels.loc[row, column] = value

    return change


def _column(frame, column, value):
    def change(events, labels):
        (events if frame == "events" else labels)[column] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_event("when", 100, "soon"), r"events.csv, row 101, column when: 'soon' is not a time"),
        (_event("when", 100, ""), r"events.csv, row 101, column when: '' is not a time|is empty"),
        (_event("amount", 7, "much"), r"events.csv, row 8, column amount: 'much' is not a number"),
        (_event("client", 9, ""), r"events.csv, row 10, column client: '' is empty"),
        (
            _event("client", 9, "stranger"),
            r"events.csv, row 10, column client: 'stranger' has no label in .*labels.csv",
        ),
        (
            _event("city", 5, "elsewhere"),
            r"events.csv, row 6, column city: 'elsewhere' differs from the sequence's first",
        ),
        (_label("churned", 3, ""), r"labels.csv, row 4, column churned: '' is empty"),
        (_label("client", 3, "c2"), r"labels.csv, row 4, column client: 'c2' occurs in an earlier row"),
        (_label("client", 59, "nobody"), r"nobody|has no label|has no events"),
        (_event("client", 9, "NaN"), r"row 10, column client: 'NaN' is empty"),
        (_label("churned", 3, "nan"), r"row 4, column churned: 'nan' is empty"),
        (_label("household", 3, ""), r"labels.csv, row 4, column household: '' is empty"),
        (_event("amount", 7, "1e300"), r"row 8, column amount: '1e300' is not a number"),
        (_event("when", 7, "now"), r"row 8, column when: 'now' is not a time"),
        (_event("when", 7, "2024-01-01 10:00:00+01:00"), r"row 1, column when: .* is not a time with a UTC offset"),
        (_column("labels", "churned", "yes"), r"labels.csv, column churned: all labels are 'yes'"),
        (_column("events", "shop", "a"), r"events.csv, column shop: every value is 'a'; drop it from the schema"),
        (_column("events", "amount", "1.0"), r"events.csv, column amount: every value is '1.0'"),
        (_column("labels", "age", "30"), r"labels.csv, column age: every value is '30'"),
    ],
)
def test_odd_data_is_one_line(files, change, message):
    events, labels = make_frames()
    change(events, labels)
    with pytest.raises(DatasetError, match=message) as caught:
        load(files(events=events, labels=labels))
    assert "\n" not in str(caught.value)


def test_a_label_without_events(files):
    events, _ = make_frames()
    with pytest.raises(DatasetError, match=r"labels.csv, row 6, column client: 'c5' has no events in .*events.csv"):
        load(files(events=events[events.client != "c5"]))


def test_renamed_columns_and_empty_tables(files):
    events, labels = make_frames()
    with pytest.raises(DatasetError, match=r"events.csv has no column 'shop'; its columns are client, when, store"):
        load(files(events=events.rename(columns={"shop": "store"})))
    with pytest.raises(DatasetError, match=r"labels.csv has no column 'churned'"):
        load(files(labels=labels.rename(columns={"churned": "left"})))
    with pytest.raises(DatasetError, match=r"labels.csv has no rows"):
        load(files(labels=labels[:0]))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (SCHEMA.replace('"city"', '"churned"'), "the column 'churned' is both label and profile"),
        (SCHEMA.replace('["amount"]', '["amount", "churned"]'), "the column 'churned' is both label and numerical"),
        (SCHEMA.replace('["shop"]', '["shop", "shop"]'), "the column 'shop' is both categorical and categorical"),
        (SCHEMA.replace('["shop"]', '["client"]'), "the column 'client' is both id and categorical"),
        (SCHEMA.replace("max_length = 5", "max_length = 1000000000000000000000000"), "at most 1,000,000"),
        (SCHEMA + "colour = 1\n", "unknown key 'colour'"),
        (SCHEMA.replace("categorical", "categoricals"), "unknown key 'categoricals': .*did you mean 'categorical'"),
        (SCHEMA.replace('label = "churned"', ""), "lacks the key 'label'"),
        (SCHEMA.replace("max_length = 5", "max_length = 0"), "max_length = 0, expected a positive integer"),
        (SCHEMA.replace("max_length = 5", 'max_length = "5"'), "expected a positive integer"),
        (SCHEMA.replace('["shop"]', '"shop"'), "categorical = 'shop', expected a list of column names"),
        (SCHEMA.replace('"roc_auc"', '"f1"'), "unknown metric 'f1': expected one of"),
        ("id = ", "is no TOML"),
    ],
)
def test_schemas_that_are_wrong(files, schema, message):
    with pytest.raises(DatasetError, match=message):
        load(files(schema=schema))


def test_files_that_are_not_there_or_something_else(files, tmp_path):
    paths = files()
    for missing in range(3):
        with pytest.raises(DatasetError, match=r"there is no file|cannot open"):
            load([tmp_path / "none" if i == missing else path for i, path in enumerate(paths)])
    paths[0].write_bytes(gzip.compress(b"id,x\n")[:10])
    with pytest.raises(DatasetError, match=r"events.csv"):
        load(paths)
    (tmp_path / "e.parquet").write_bytes(b"no parquet")
    with pytest.raises(DatasetError, match="no Parquet file"):
        load([tmp_path / "e.parquet", *paths[1:]])


def test_frames_and_a_dict_are_what_the_files_are(files, tmp_path):
    """Frames stay as they are, whatever their index and types."""
    import tomllib

    paths = files()
    events, labels = make_frames()
    events["when"], events["amount"] = pd.to_datetime(events["when"]), events["amount"].astype(float)
    events.index = labels.index.repeat(4)
    before = events.copy()
    found = [prepare(*custom.read("mine", *each)) for each in (paths, (events, labels, tomllib.loads(SCHEMA)))]
    assert found[0].fingerprint == found[1].fingerprint
    pd.testing.assert_frame_equal(events, before)
    labels.loc[3, "churned"] = None
    with pytest.raises(DatasetError, match="the DataFrame of labels, row 4, column churned: '' is empty"):
        custom.read("mine", events, labels, tomllib.loads(SCHEMA))
    with pytest.raises(DatasetError, match="the schema lacks the key 'label'"):
        custom.read("mine", events, labels, {"id": "client", "time": "when"})


def test_a_dataset_is_added_from_frames_and_says_what_it_is_made_from(tmp_path, monkeypatch):
    import tomllib

    from nasbench_evs.datasets import add, open_dataset

    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path))
    schema = tomllib.loads(SCHEMA)
    dataset = add("mine", *make_frames(), schema)
    assert open_dataset("mine").fingerprint == dataset.fingerprint
    assert open_dataset("mine").source == "a DataFrame with labels of a DataFrame"
    with pytest.raises(OutputError, match="mine is prepared already"):
        add("mine", *make_frames(), schema)
    assert add("mine", *make_frames(80), schema, force=True).fingerprint != dataset.fingerprint
    with pytest.raises(DatasetError, match="'oulad' is the name of a built-in dataset"):
        add("oulad", *make_frames(), schema)
