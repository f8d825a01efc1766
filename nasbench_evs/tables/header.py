"""Header: what all records of a table share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from nasbench_evs import spaces
from nasbench_evs.arguments import one_of
from nasbench_evs.errors import InvalidQuery, TableFormatError, shown
from nasbench_evs.metrics import RANGE, Metric, metric_from_dict, own_metric
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.tables.format import FORMAT_NAME, LATENCY, METRIC_RANGE, SCORE_AT, to_json
from nasbench_evs.version import __version__

CURVES = ("epochs", "best")


@dataclass(frozen=True)
class Header:
    """What all records of a table share; tables merge only if all but created, library, code, verified and latency agree."""

    space: SearchSpace
    dataset: str
    fingerprint: str  # of the prepared dataset and its split; says so where it is unknown
    protocol: dict[str, Any]  # everything but architecture and seed that decides a training
    metric: Metric
    curves: str = "epochs"  # see format.ATTRIBUTES
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    library: str = f"nasbench-evs {__version__}"
    code: str = __version__
    verified: tuple[str, ...] = ()  # which machines trained some of their records again, and that they came out exactly
    latency: tuple[str, ...] = ()  # which machine measured the latencies, and how

    def __post_init__(self) -> None:
        for name, kind in (("space", SearchSpace), ("protocol", dict), ("metric", Metric), ("dataset", str)):
            if not isinstance(getattr(self, name), kind):
                raise TableFormatError(f"header: {name} is {shown(getattr(self, name))}, expected a {kind.__name__}")
        one_of("curves", self.curves, CURVES, TableFormatError)
        try:
            own_metric(*self.metric)
        except InvalidQuery as error:
            raise TableFormatError(f"header: {error}") from None
        try:  # as a file gives it back: lists for tuples, text for keys
            object.__setattr__(self, "protocol", json.loads(to_json(self.protocol)))
        except (TypeError, ValueError) as error:
            raise TableFormatError(f"header: the protocol is not what JSON can hold: {error}") from None
        if self.score_at not in SCORE_AT:
            raise TableFormatError(
                f"header: the protocol has score_at = {shown(self.score_at)}, expected one of {', '.join(SCORE_AT)}"
            )

    @property
    def score_at(self) -> str:
        """Where a training's score is read: "best epoch" by validation score, or "end", after the last step."""
        return self.protocol.get("score_at", SCORE_AT[0])

    @property
    def identity(self) -> dict[str, Any]:
        """The parts that decide whether two tables may be merged, as JSON holds them."""
        return {
            "space": self.space.spec,
            "dataset": self.dataset,
            "dataset fingerprint": self.fingerprint,
            "protocol": self.protocol,
            **self.metric.to_dict(),
            "curves": self.curves,
        }

    @property
    def shape(self) -> spaces.SequenceShape | spaces.VectorShape | None:
        """The protocol's input shape and widths, from which costs follow; None if it does not say."""
        return spaces.shape_from_dict(self.protocol["shape"]) if self.protocol.get("shape") else None

    def attributes(self) -> dict[str, str]:
        """The root attributes of the file that are about the header: no version, optional columns or hashes."""
        own = self.metric.to_dict().get(RANGE)
        optional = {METRIC_RANGE: own, LATENCY: list(self.latency) or None}
        return {name: to_json(value) for name, value in optional.items() if value is not None} | {
            "format": FORMAT_NAME,
            "space_json": to_json(self.space.spec),
            "dataset": self.dataset,
            "dataset_fingerprint": self.fingerprint,
            "protocol_json": to_json(self.protocol),
            "metric": self.metric.name,
            "direction": self.metric.direction,
            "curves": self.curves,
            "score_at": self.score_at,
            "created": self.created,
            "library": self.library,
            "code": self.code,
            "verified_json": to_json(self.verified),
        }

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, str]) -> Header:
        """The header that `attributes` wrote."""
        described: dict[str, Any] = {"metric": attributes["metric"], "direction": attributes["direction"]}
        if METRIC_RANGE in attributes:
            described[RANGE] = json.loads(attributes[METRIC_RANGE])
        protocol = json.loads(attributes["protocol_json"])
        if not isinstance(protocol, dict):
            raise TableFormatError(f"protocol {shown(protocol)} is no JSON object")
        header = cls(
            space=spaces.from_spec(json.loads(attributes["space_json"])),
            dataset=attributes["dataset"],
            fingerprint=attributes["dataset_fingerprint"],
            protocol=protocol,
            metric=metric_from_dict(described),
            curves=attributes["curves"],
            created=attributes["created"],
            library=attributes["library"],
            code=attributes["code"],
            verified=tuple(map(str, json.loads(attributes.get("verified_json", "[]")))),
            latency=tuple(map(str, json.loads(attributes.get(LATENCY, "[]")))),
        )
        if attributes.get("score_at", header.score_at) != header.score_at:
            raise TableFormatError(
                f"score_at {shown(attributes['score_at'])}: the protocol has {shown(header.score_at)}"
            )
        return header
