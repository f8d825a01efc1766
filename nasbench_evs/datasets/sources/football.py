"""Football: what happens on the ball in 1,941 matches, as Wyscout's analysts wrote it down; two tasks on one file.

The file has one row an event, in order: match, period, milliseconds of the period, team, kind (`subEventId`), where it
began and ended in percent of the pitch as the acting team attacks, and tags, of which only "accurate" and "not accurate"
are read. Both tasks cut the halves of a match (those of extra time too, not the penalty shoot-out) at some events; a
sequence is the last events up to one cut, within the half, and the team of the event at the cut is "the team on the ball".
Positions are turned to its frame: it attacks towards x = 100, and events of the other side are mirrored.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.sources.source import Source

_COLUMNS = ["matchId", "matchPeriod", "eventMs", "teamId", "subEventId", "x", "y", "x2", "y2", "tags"]
_PERIODS = ("1H", "2H", "E1", "E2", "P")
_SHOOT_OUT = "P"
_DUEL, _FOUL, _FREE_KICK, _KEEPER, _INTERRUPTION, _OFFSIDE, _TOUCH, _PASS, _SAVE, _SHOT = range(
    1, 11
)  # Wyscout's types
_KINDS = {
    _DUEL: {10: "air duel", 11: "attacking duel", 12: "defending duel", 13: "loose ball duel"},
    _FOUL: {
        20: "foul",
        21: "hand foul",
        22: "late card foul",
        23: "out of game foul",
        24: "protest",
        25: "simulation",
        26: "time lost foul",
        27: "violent foul",
    },
    _FREE_KICK: {
        30: "corner",
        31: "free kick",
        32: "free kick cross",
        33: "free kick shot",
        34: "goal kick",
        35: "penalty",
        36: "throw in",
    },
    _KEEPER: {40: "goalkeeper leaving line"},
    _INTERRUPTION: {50: "ball out of the field", 51: "whistle"},
    _OFFSIDE: {0: "offside"},
    _TOUCH: {70: "acceleration", 71: "clearance", 72: "touch"},
    _PASS: {
        80: "cross",
        81: "hand pass",
        82: "head pass",
        83: "high pass",
        84: "launch",
        85: "simple pass",
        86: "smart pass",
    },
    _SAVE: {90: "reflexes", 91: "save attempt"},
    _SHOT: {100: "shot"},
}
_NAMES = {kind: name for kinds in _KINDS.values() for kind, name in kinds.items()}
_TYPES = {kind: of for of, kinds in _KINDS.items() for kind in kinds}
_SHOTS = (33, 35, 100)  # free kicks and penalties at goal too
_TAGS = {"1801": ", accurate", "1802": ", not accurate"}

_NEXT_WINDOW, _SHOT_WINDOW = 16, 24
_EARLIER = 40  # events of the half before a cut of football-shot
_SPACING = 90.0  # seconds between two of its cuts


@dataclass
class _Events:
    """The events of all halves, by match, period and time; arrays of shape (E,), but `starts` (halves + 1,)."""

    starts: np.ndarray
    match: np.ndarray  # text
    period: np.ndarray  # text
    seconds: np.ndarray
    team: np.ndarray
    kind: np.ndarray
    type: np.ndarray
    tag: np.ndarray  # "", or one of _TAGS' texts
    begin: np.ndarray  # (E, 2), NaN where not known
    end: np.ndarray

    @property
    def position(self) -> np.ndarray:
        """Events of the half before each."""
        return np.arange(len(self.kind)) - np.repeat(self.starts[:-1], np.diff(self.starts))


def _read_events(path: Path) -> _Events:
    path = reading.find(path, "wyscout_events.parquet")
    frame = reading.read_parquet(path, _COLUMNS)
    known = frame.matchPeriod.isin(_PERIODS).to_numpy()
    if not known.all():
        raise reading.odd(frame.matchPeriod, ~known, path, f"is not a period, {', '.join(_PERIODS)}")
    known = frame.subEventId.isin(_NAMES).to_numpy()
    if not known.all():
        raise reading.odd(frame.subEventId, ~known, path, "is not a kind of event")
    values = {
        name: reading.numbers(frame[name], path) for name in ("matchId", "eventMs", "teamId", "x", "y", "x2", "y2")
    }
    period = pd.Categorical(frame.matchPeriod, categories=_PERIODS)
    order = np.lexsort((values["eventMs"], period.codes, values["matchId"]))  # stable: file order where times are equal
    order = order[(frame.matchPeriod != _SHOOT_OUT).to_numpy()[order]]
    match, code = values["matchId"][order].astype(np.int64), period.codes[order]
    new = (np.diff(match, prepend=-1) != 0) | (np.diff(code, prepend=-1) != 0)
    kind = frame.subEventId.to_numpy(np.int64)[order]

    def places(*names: str) -> np.ndarray:
        pairs = np.stack([values[name][order] for name in names], axis=1)
        return np.where((pairs < 0).any(axis=1, keepdims=True), np.nan, pairs)

    tags = pd.Categorical(frame.tags)
    tag_of = np.array(
        [_tag(str(text).split()) for text in tags.categories] + [""], object
    )  # the last is for a missing one
    return _Events(
        starts=np.append(np.flatnonzero(new), len(order)),
        match=_texts(match),
        period=np.array(_PERIODS, object)[code],
        seconds=values["eventMs"][order] / 1000,
        team=values["teamId"][order],
        kind=kind,
        type=pd.Series(_TYPES).loc[kind].to_numpy(),
        tag=tag_of[tags.codes[order]],
        begin=places("x", "y"),
        end=places("x2", "y2"),
    )


def _tag(numbers: list[str]) -> str:
    return next((text for number, text in _TAGS.items() if number in numbers), "")


def _texts(numbers: np.ndarray) -> np.ndarray:
    """As text; equal ones are one object."""
    distinct, code = np.unique(numbers, return_inverse=True)
    return distinct.astype(str).astype(object)[code]


def _raw(events: _Events, cuts: np.ndarray, labels: np.ndarray, window: int, *, outcome: bool) -> Raw:
    """Sequences of the `window` events up to each cut, all in one half. Without `outcome`, of the event at the cut is seen
    what is known when it begins (`football-next`), and the places where events ended are left out."""
    shown = cuts[:, None] + np.arange(1 - window, 1)
    own = events.team[shown] == events.team[cuts][:, None]
    tag = events.tag[shown]
    if not outcome:
        tag[:, -1] = ""
        duel = events.type[shown[:, -2:]] == _DUEL
        tag[duel.all(axis=1) & ~own[:, -2], -2] = (
            ""  # the other side of the same duel: its tag is the first one's opposite
        )
    names = pd.Series(_NAMES, dtype=object).loc[events.kind[shown].ravel()].to_numpy()

    def turned(places: np.ndarray) -> np.ndarray:
        return np.where(own[..., None], places[shown], 100 - places[shown]).reshape(-1, 2)

    x, y = turned(events.begin).T
    numerical = {"x": x, "y": y}
    if outcome:
        numerical["end x"], numerical["end y"] = turned(events.end).T
    position = events.position[cuts]
    half = zip(events.match[cuts], events.period[cuts], position.tolist(), strict=True)
    return Raw(
        ids=np.array([f"{match}-{period}-{number:05d}" for match, period, number in half]),
        labels=labels,
        owner=np.repeat(np.arange(len(cuts)), window),
        time=events.seconds[shown].ravel(),
        categorical={
            "event": names + tag.ravel(),
            "team": np.array(["other", "own"], object)[own.ravel().astype(int)],
        },
        numerical=numerical,
        groups=events.match[cuts],
        cut=events.seconds[cuts],
        full_lengths=position + 1,
    )


def _read_next(path: Path) -> Raw:
    """Every 17th event of a half from the 16th on is a cut: the sequences with their labels share no event."""
    events = _read_events(path)
    position = events.position
    last = np.zeros(len(position), bool)
    last[events.starts[1:] - 1] = True
    cuts = np.flatnonzero((position % (_NEXT_WINDOW + 1) == _NEXT_WINDOW - 1) & ~last)
    following = cuts + 1
    shot = np.isin(events.kind[following], _SHOTS) | np.isin(events.type[following], (_SAVE, _KEEPER, _SHOT))
    other = events.team[following] != events.team[cuts]
    labels = np.full(len(cuts), 6)
    for label, kind in enumerate((_PASS, _DUEL, _TOUCH)):
        labels = np.where(events.type[following] == kind, label + 3 * other, labels)
    return _raw(events, cuts, np.where(shot, 7, labels), _NEXT_WINDOW, outcome=False)


def _read_shot(path: Path) -> Raw:
    events = _read_events(path)
    shot = np.isin(events.kind, _SHOTS)
    after = np.append(_next(shot)[1:], len(shot))  # the next shot, this event left out
    followed = after < np.repeat(events.starts[1:], np.diff(events.starts))
    free = followed & ~shot & (events.type != _SAVE) & (events.position >= _EARLIER)
    cuts = []
    for begin, end in zip(events.starts[:-1], events.starts[1:], strict=True):
        candidates = begin + np.flatnonzero(free[begin:end])
        seconds = events.seconds[candidates]
        at = 0
        while at < len(candidates):
            cuts.append(candidates[at])
            at = int(np.searchsorted(seconds, seconds[at] + _SPACING))
    chosen = np.array(cuts, np.int64)
    labels = (events.team[after[chosen]] == events.team[chosen]).astype(np.int64)
    return _raw(events, chosen, labels, _SHOT_WINDOW, outcome=True)


def _next(marked: np.ndarray) -> np.ndarray:
    """The first marked position from each on; the length where there is none."""
    positions = np.where(marked, np.arange(len(marked)), len(marked))
    return np.minimum.accumulate(positions[::-1])[::-1]


_GET = (
    "flatten the match files of koenvo/wyscout-soccer-match-event-dataset on GitHub (processed-v2/files) to "
    f"wyscout_events.parquet, one row an event in their order, columns {', '.join(_COLUMNS)} (eventMs: whole milliseconds "
    "of the period; x, y and x2, y2: both positions; tags: their numbers with blanks between)"
)
_CITATION = (
    "L. Pappalardo, P. Cintia, A. Rossi, E. Massucco, P. Ferragina, D. Pedreschi, F. Giannotti: A public data set of "
    "spatio-temporal match events in soccer competitions, Scientific Data 6:236, 2019"
)
_MATCHES = (
    "All cuts of a match are on one side of the split. Clubs, players, other tags and all later events are not read."
)

FOOTBALL_NEXT = Source(
    rules=Rules(
        "football-next",
        (
            "own pass",
            "own duel",
            "own touch",
            "other pass",
            "other duel",
            "other touch",
            "dead ball",
            "shot or save",
        ),
        "macro_roc_auc",
        max_length=_NEXT_WINDOW,
        time_unit="seconds",
        rare=30,
        shares=(0.8, 0.1, 0.1),
    ),
    read=_read_next,
    what=(
        f"The last {_NEXT_WINDOW} events on the ball of a football half, up to a cut; what is the next event? A pass, a duel or "
        "a touch (others on the ball: clearances, accelerations) of the own team, that of the event at the cut, or of the "
        "other; a dead ball (foul, offside, ball out of the field, whistle, and free kicks, corners, goal kicks, throw-ins); "
        "a shot (free kicks and penalties at goal too), a save or a goalkeeper who leaves the line. Every event counts as a "
        f"next one. Every {_NEXT_WINDOW + 1}th event of a half is a cut, so sequences and labels share no event."
    ),
    get=_GET,
    leakage=(
        "Of the event at the cut, only what is known when it begins is seen: no tag of accuracy, which is written down after "
        "its outcome; where the event before is the other side of the same duel, its tag is hidden too, being the opposite "
        "of the first. Where events end is left out. `gap` of a sequence's first event is 0, its predecessor is not seen. "
        f"{_MATCHES}"
    ),
    licence="CC BY 4.0",
    citation=_CITATION,
)

FOOTBALL_SHOT = Source(
    rules=Rules(
        "football-shot",
        ("the other team", "the team on the ball"),
        "roc_auc",
        max_length=_SHOT_WINDOW,
        time_unit="seconds",
        rare=30,
        shares=(0.62, 0.19, 0.19),
    ),
    read=_read_shot,
    what=(
        f"The last {_SHOT_WINDOW} events on the ball of a football half, up to a cut; does the team on the ball, that of the "
        "event at the cut, take the next shot of the half (free kicks and penalties at goal are shots)? Cuts are at least "
        f"{_SPACING:.0f} seconds apart, never on a shot or save, after at least {_EARLIER} events of the half, and before its "
        "last shot: where none follows, nobody takes it."
    ),
    get=_GET,
    leakage=(
        "A sequence ends with the event at the cut, its accuracy and where it ended included; the next shot comes later. "
        f"`gap` of a sequence's first event is 0, its predecessor is not seen. {_MATCHES}"
    ),
    licence="CC BY 4.0",
    citation=_CITATION,
)
