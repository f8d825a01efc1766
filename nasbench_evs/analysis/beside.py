"""What lies beside a table: its pilot's figures, and the baselines on the same sequences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_evs.errors import InvalidQuery
from nasbench_evs.reader import Source

if TYPE_CHECKING:
    from nasbench_evs.tables import Header


def read_pilot(path: Path, header: Header) -> dict[str, Any] | None:
    """What `nasbench-evs pilot` wrote there, None if nothing; InvalidQuery unless it is of the same protocol."""
    if not path.exists() and not path.is_symlink():
        return None
    try:
        found = Source(path, InvalidQuery, "what nasbench-evs pilot writes").json(dict[str, Any], nan=True)
        protocol = {**found["protocol"], "train": found["train"]}
        same = found["dataset"] == header.dataset and all(header.protocol.get(k) == v for k, v in protocol.items())
        complete = {"verdict", "reliability", "cost", "twice the steps", "baselines", "order matters"} <= set(found)
    except (InvalidQuery, ValueError, TypeError, KeyError, AttributeError):
        complete = same = False
    if not complete or not same:
        what = "another dataset or protocol than the table" if complete else "not what nasbench-evs pilot writes"
        raise InvalidQuery(f"{path} is {'of ' * complete}{what}: make it again, or move it away")
    return found


def baselines_of(path: Path, header: Header) -> list[dict[str, Any]]:
    """The baselines in that file on the sequences of a table."""
    subset, train = (header.protocol.get(name) for name in ("subset", "train"))
    return read_baselines(path, dataset=header.dataset, metric=header.metric.name, subset=subset, train=train)


def read_baselines(
    path: Path, *, dataset: str, metric: str, subset: int | None, train: int | None
) -> list[dict[str, Any]]:
    """What `nasbench-evs baselines` wrote there, empty if nothing; InvalidQuery unless it is of these sequences."""
    if not path.exists() and not path.is_symlink():
        return []
    expected = {"dataset": dataset, "metric": metric, "subset": subset, "train": train}
    needed = (
        "network",
        "trials",
        "valid_mean",
        "valid_std",
        "test_mean",
        "test_std",
        "valid_curves",
        *(name for name in expected if name != "train"),  # which older files do not have
    )
    try:
        found = Source(path, InvalidQuery, "what nasbench-evs baselines writes").json(list[dict[str, Any]], nan=True)
        complete = all(set(needed) <= set(each) and {"best", "seeds"} & set(each) for each in found)
    except InvalidQuery:
        complete = False
    if not complete:
        raise InvalidQuery(f"{path} is not what nasbench-evs baselines writes: make it again, or move it away")
    for each in found:
        for name, value in expected.items():
            if each.get(name) != value:
                raise InvalidQuery(
                    f"{path} has {name} = {each.get(name)}, expected {value}: make it again, or move it away"
                )
    return found
