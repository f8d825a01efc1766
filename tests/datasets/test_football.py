"""The football tasks: which events are cuts, what their labels are, and that a sequence knows nothing of what comes after."""

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_evs.datasets import prepare
from nasbench_evs.datasets.sources import SOURCES
from nasbench_evs.datasets.sources.football import _NAMES
from nasbench_evs.errors import DatasetError

TASKS = {"football-next": 16, "football-shot": 24}
SHOTS = (33, 35, 100)
DUELS = (10, 11, 12, 13)


def make_frame(halves=2, events=120, seed=0):
    """Halves of made matches, in the columns of the real file; teams 1 and 2 of each match."""
    generator = np.random.default_rng(seed)
    n = halves * events
    return pd.DataFrame(
        {
            "matchId": np.repeat(100 + np.arange(halves) // 2, events),
            "matchPeriod": np.repeat(np.where(np.arange(halves) % 2, "2H", "1H"), events),
            "eventMs": np.concatenate([np.sort(generator.integers(0, 2_700_000, events)) for _ in range(halves)]),
            "teamId": generator.integers(1, 3, n),
            "subEventId": generator.choice(list(_NAMES), n),
            **{name: generator.integers(0, 101, n) for name in ("x", "y", "x2", "y2")},
            "tags": generator.choice(["1801", "1802", "", "701 1802", "1401 1801"], n),
        }
    )


def read(folder, frame, name):
    path = folder / "wyscout_events.parquet"
    frame.to_parquet(path)
    return SOURCES[name].read(path)


def sequence(raw, row):
    """Everything that a network may see of one sequence."""
    events = np.flatnonzero(raw.owner == row)
    columns = {**raw.categorical, **raw.numerical, "time": raw.time}
    shown = {name: np.asarray(values)[events].tolist() for name, values in columns.items()}
    return {**shown, "full_length": int(raw.full_lengths[row]), "cut": float(raw.cut[row])}


def place(frame, raw, row):
    """Where in the file the event at the cut of a sequence is."""
    match, period, number = raw.ids[row].split("-")
    half = np.flatnonzero((frame.matchId == int(match)) & (frame.matchPeriod == period))
    return half[0], half[0] + int(number), half[-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("football")


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(sorted(TASKS)), data=st.data())
def test_events_after_the_cut_change_nothing(folder, seed, name, data):
    frame = make_frame(seed=seed)
    raw = read(folder, frame, name)
    row = data.draw(st.integers(0, len(raw.ids) - 1))
    _, at, end = place(frame, raw, row)
    other = make_frame(seed=seed + 1)
    changed = frame.copy()
    later = np.arange(at + 1, end + 1)
    for column in ("teamId", "subEventId", "x", "y", "x2", "y2", "tags"):
        changed.loc[later, column] = other.loc[later, column].to_numpy()
    changed.loc[later[-1], "subEventId"] = 100  # a shot follows still: without one it would be no cut of football-shot
    again = read(folder, changed, name)
    there = again.ids.tolist().index(raw.ids[row])
    assert sequence(again, there) == sequence(raw, row)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_the_outcome_of_the_event_at_the_cut_is_not_seen(folder, seed, data):
    """Neither its tag, nor where it ends, nor the tag of the other side of the same duel."""
    frame = make_frame(seed=seed)
    raw = read(folder, frame, "football-next")
    row = data.draw(st.integers(0, len(raw.ids) - 1))
    _, at, _ = place(frame, raw, row)
    frame.loc[[at - 1, at], "subEventId"] = list(data.draw(st.sampled_from([(11, 12), (10, 10), (13, 13)])))
    frame.loc[[at - 1, at], "teamId"] = [1, 2]
    seen = []
    for tags in (("701 1802", "703 1801"), ("703 1801", "701 1802"), ("", "")):
        frame.loc[[at - 1, at], "tags"] = list(tags)
        frame.loc[at, ["x2", "y2"]] = [len(seen), 7 * len(seen)]
        raw = read(folder, frame, "football-next")
        seen.append(sequence(raw, row) | {"label": raw.labels[row]})
    assert seen[0] == seen[1] == seen[2]
    frame.loc[at - 2, "tags"] = "1801" if "1801" not in frame.tags[at - 2] else "1802"
    assert sequence(read(folder, frame, "football-next"), row) != {k: v for k, v in seen[0].items() if k != "label"}


@pytest.mark.parametrize("name", TASKS)
def test_windows_hold_the_events_up_to_the_cut_in_the_frame_of_its_team(folder, name):
    frame = make_frame(halves=4)
    raw = read(folder, frame, name)
    length = TASKS[name]
    for row in range(len(raw.ids)):
        begin, at, _ = place(frame, raw, row)
        window = frame.iloc[at - length + 1 : at + 1]
        assert window.matchPeriod.nunique() == 1
        shown = sequence(raw, row)
        own = (window.teamId == frame.teamId[at]).to_numpy()
        assert shown["team"] == np.where(own, "own", "other").tolist()
        assert shown["x"] == np.where(own, window.x, 100 - window.x).tolist()
        assert shown["y"] == np.where(own, window.y, 100 - window.y).tolist()
        assert shown["time"] == (window.eventMs / 1000).tolist()
        assert [text.split(",")[0] for text in shown["event"]] == [_NAMES[kind] for kind in window.subEventId]
        assert shown["full_length"] == at - begin + 1
        assert shown["cut"] == frame.eventMs[at] / 1000
        assert raw.groups[row] == str(frame.matchId[at])
        tagged = ["," in text for text in shown["event"]][:-2]
        assert tagged == [any(t in tags.split() for t in ("1801", "1802")) for tags in window.tags][:-2]


def test_every_17th_event_is_a_cut_and_the_next_one_its_label(folder):
    frame = make_frame(halves=4)
    raw = read(folder, frame, "football-next")
    classes = SOURCES["football-next"].rules.classes
    assert sorted(raw.full_lengths[:7]) == [16, 33, 50, 67, 84, 101, 118]
    for row in range(len(raw.ids)):
        _, at, _ = place(frame, raw, row)
        kind, side = frame.subEventId[at + 1], "own" if frame.teamId[at] == frame.teamId[at + 1] else "other"
        if kind in (*SHOTS, 40, 90, 91):
            expected = "shot or save"
        elif kind // 10 in (2, 3, 5) or kind == 0:
            expected = "dead ball"
        else:
            expected = f"{side} {'duel' if kind in DUELS else 'touch' if kind // 10 == 7 else 'pass'}"
        assert classes[raw.labels[row]] == expected


def test_cuts_and_labels_of_football_shot(folder):
    frame = make_frame(halves=8, events=300)
    raw = read(folder, frame, "football-shot")
    at = np.array([place(frame, raw, row)[1] for row in range(len(raw.ids))])
    assert not frame.subEventId[at].isin([*SHOTS, 90, 91]).any()
    assert (raw.full_lengths > 40).all()
    half = np.array([text.rpartition("-")[0] for text in raw.ids])
    same = half[1:] == half[:-1]
    assert (np.diff(raw.cut)[same] >= 60).all()
    assert same.sum() > 100
    for row, cut in enumerate(at):
        _, _, end = place(frame, raw, row)
        shots = [e for e in range(cut + 1, end + 1) if frame.subEventId[e] in SHOTS]
        assert raw.labels[row] == (frame.teamId[shots[0]] == frame.teamId[cut])


def test_the_order_of_halves_in_the_file_does_not_matter_and_shoot_outs_are_left_out(folder):
    frame = make_frame(halves=6)
    shuffled = pd.concat([frame.iloc[360:], frame.iloc[:360]], ignore_index=True)
    shoot_out = frame.iloc[:120].assign(matchPeriod="P")
    for name in TASKS:
        raw = read(folder, frame, name)
        other = read(folder, pd.concat([shoot_out, shuffled], ignore_index=True), name)
        assert raw.ids.tolist() == other.ids.tolist()
        assert all(sequence(raw, row) == sequence(other, row) for row in range(0, len(raw.ids), 5))


def test_a_place_that_is_not_known_is_missing(folder):
    frame = make_frame()
    frame.loc[:, "x2"] = -1
    raw = read(folder, frame, "football-shot")
    assert np.isnan(raw.numerical["end x"]).all()
    assert np.isnan(raw.numerical["end y"]).all()
    assert not np.isnan(raw.numerical["x"]).any()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("matchPeriod", "3H", r"row 5, column matchPeriod: '3H' is not a period, 1H, 2H"),
        ("subEventId", 99, r"row 5, column subEventId: '99' is not a kind of event"),
        ("eventMs", np.nan, r"row 5, column eventMs: 'nan' is not a number"),
    ],
)
def test_odd_values_are_named(folder, column, value, message):
    frame = make_frame()
    if isinstance(value, float):
        frame[column] = frame[column].astype(float)
    frame.loc[4, column] = value
    with pytest.raises(DatasetError, match=message):
        read(folder, frame, "football-next")


def test_files_that_are_none(tmp_path):
    with pytest.raises(DatasetError, match="holds no wyscout_events.parquet"):
        SOURCES["football-next"].read(tmp_path)
    path = tmp_path / "wyscout_events.parquet"
    make_frame().drop(columns="tags").to_parquet(path)
    with pytest.raises(DatasetError, match="wyscout_events.parquet has no column 'tags'"):
        SOURCES["football-next"].read(tmp_path)
    path.write_text("no table")
    with pytest.raises(DatasetError, match="is no Parquet file"):
        SOURCES["football-shot"].read(tmp_path)


def test_without_pyarrow_one_line_says_what_to_install(folder, monkeypatch):
    read(folder, make_frame(), "football-next")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DatasetError, match=r"needs pyarrow: pip install 'nasbench-evs\[parquet\]'"):
        SOURCES["football-next"].read(folder)


@pytest.mark.slow
def test_the_real_file_after_cuts_and_without_outcomes(shared, folder):
    """Of ten matches: with every event after the first three cuts of a half replaced, and outcomes hidden, nothing changes."""
    frame = pd.read_parquet(shared / "data" / "raw" / "football" / "wyscout_events.parquet")
    frame = frame[frame.matchId.isin(frame.matchId.unique()[:10])].reset_index(drop=True)
    for name in TASKS:
        raw = read(folder, frame, name)
        number = pd.Series(raw.ids).str.rpartition("-")[0].to_numpy()
        early = np.flatnonzero(pd.Series(number).groupby(number).cumcount() < 3)
        last = {number[row]: place(frame, raw, row)[1] for row in early}
        changed = frame.copy()
        changed["tags"] = changed.tags.astype(str)
        for row, at in ((row, place(frame, raw, row)) for row in early):
            if name == "football-next":
                changed.loc[at[1], ["tags", "x2", "y2"]] = ["", 0, 0]
            if last[number[row]] == at[1]:
                later = np.arange(at[1] + 1, at[2])
                changed.loc[later, ["teamId", "subEventId", "x", "tags"]] = [1, 85, 1, "1801"]
                changed.loc[at[2], "subEventId"] = 100
        again = read(folder, changed, name)
        where = {text: row for row, text in enumerate(again.ids)}
        assert len(early) > 50
        for row in early:
            assert sequence(again, where[raw.ids[row]]) == sequence(raw, row)


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_no_match_is_on_two_sides_and_evaluation_is_large(shared, name):
    source = SOURCES[name]
    dataset = prepare(source.read(shared / "data" / "raw" / "football"), source.rules)
    for split in ("valid", "test"):
        assert 15_000 <= len(dataset.rows(split)) <= 20_000
    gap = dataset.numerical[:, [field.name for field in dataset.schema.numerical].index("gap")]
    assert (gap[dataset.offsets[:-1]] == 0).all()
    assert (dataset.lengths == dataset.schema.max_length).all()
    assert (dataset.full_lengths >= dataset.lengths).all()
