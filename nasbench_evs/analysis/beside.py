"""What lies beside a table: its pilot's figures, and the baselines on the same sequences."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict, cast

from msgspec import Meta

from nasbench_evs.errors import InvalidQuery
from nasbench_evs.metrics import BLOCKS
from nasbench_evs.reader import Source
from nasbench_evs.tables.reliability import KS

if TYPE_CHECKING:
    from nasbench_evs.tables import Header

_ADVICE = "make it again, or move it away"


_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Blocks = Annotated[list[float], Meta(min_length=BLOCKS, max_length=BLOCKS)]


class Baseline(TypedDict):
    """One of what `nasbench-evs baselines` writes; `best` settings or `seeds`, one of them, are what was averaged."""

    network: str
    dataset: str
    subset: int | None
    train: NotRequired[int | None]  # which older files do not have, nor blocks
    metric: str
    trials: _Count
    best: NotRequired[_Count]
    seeds: NotRequired[_Count]
    kernels: NotRequired[_Count]
    valid_mean: float
    valid_std: float
    test_mean: float
    test_std: float
    valid_blocks: NotRequired[_Blocks]
    test_blocks: NotRequired[_Blocks]
    valid_curves: list[list[float]]
    protocols: NotRequired[list[dict[str, Any]]]
    protocol: NotRequired[dict[str, Any]]
    machine: NotRequired[dict[str, Any]]
    pool: NotRequired[str]


class _Reliability(TypedDict):
    R_1: float
    R_2: float
    R_3: float
    R_4: float
    quantiles: dict[str, Annotated[list[float], Meta(min_length=4, max_length=4)]]
    signal: float
    noise: float


class _Rival(TypedDict):
    name: str
    valid: float
    test: float


class _Lead(TypedDict):
    difference: float
    interval: tuple[float, float]
    verdict: str


class _Scores(TypedDict):
    mean: float
    best: float


_Pilot = TypedDict(
    "_Pilot",
    {
        "dataset": str,
        "train": int | None,
        "protocol": dict[str, Any],
        "order": str,
        "architectures": _Count,
        "seeds": _Count,
        "trainings": _Count,
        "at chance": _Count,
        "verdict": str,
        "k": int | None,
        "reliability": dict[str, _Reliability],
        "scores": dict[str, _Scores],
        "cost": dict[str, float],
        "twice the steps": dict[str, float],
        "baselines": list[_Rival],
        "order matters": dict[str, _Lead],
    },
)
_PILOT_KEYS = {
    "reliability": ("top quarter", "all", "transfer", "transfer, all"),
    "scores": ("valid", "test"),
    "cost": ("cpu seconds, median", "cpu seconds, mean", "trainings of the plan", "core hours of the plan"),
    "twice the steps": ("architectures", "median gain, valid", "median gain, test", "tau, valid", "tau, test"),
}


def read_pilot(path: Path, header: Header) -> Mapping[str, Any] | None:
    """What `nasbench-evs pilot` wrote there, None if nothing; InvalidQuery unless it is of the same protocol."""
    if not path.exists() and not path.is_symlink():
        return None
    source = Source(path, InvalidQuery, "what nasbench-evs pilot writes", _ADVICE)
    found = source.json(_Pilot, nan=True)
    parts = cast("dict[str, Any]", found)
    lacking = [f"{name}, {key}" for name, keys in _PILOT_KEYS.items() for key in keys if key not in parts[name]]
    lacking += [
        f"order matters, {each['name']}" for each in found["baselines"] if each["name"] not in found["order matters"]
    ]
    quantiles = {f"R_{k}" for k in KS}
    lacking += [
        f"quantiles of {name}" for name, each in found["reliability"].items() if not quantiles <= set(each["quantiles"])
    ]
    if found["k"] is not None and found["k"] not in KS:
        lacking.append(f"a k of {min(KS)} to {max(KS)}")
    if lacking:
        raise source.refusal(f"it lacks {lacking[0]}")
    protocol = {**found["protocol"], "train": found["train"]}
    if found["dataset"] != header.dataset or any(header.protocol.get(key) != value for key, value in protocol.items()):
        raise source.refusal("it is of another dataset or protocol than the table")
    return found


def baselines_of(path: Path, header: Header) -> list[Baseline]:
    """The baselines in that file on the sequences of a table."""
    subset, train = (header.protocol.get(name) for name in ("subset", "train"))
    return read_baselines(path, dataset=header.dataset, metric=header.metric.name, subset=subset, train=train)


def read_baselines(path: Path, *, dataset: str, metric: str, subset: int | None, train: int | None) -> list[Baseline]:
    """What `nasbench-evs baselines` wrote there, empty if nothing; InvalidQuery unless it is of these sequences."""
    if not path.exists() and not path.is_symlink():
        return []
    expected = {"dataset": dataset, "metric": metric, "subset": subset, "train": train}
    source = Source(path, InvalidQuery, "what nasbench-evs baselines writes", _ADVICE)
    found = source.json(list[Baseline], nan=True)
    for each in found:
        name = each["network"]
        if ("best" in each) == ("seeds" in each) or (name == "minirocket" and "kernels" not in each):
            raise source.refusal(f"of {name} it is not said over what its mean is")
        for key, value in expected.items():
            if each.get(key) != value:
                raise source.refusal(f"it has {key} = {each.get(key)}, expected {value}")
    return found
