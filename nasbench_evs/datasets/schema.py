"""Schema: the fields, classes and rules of an event-sequence dataset, before and after preparation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from nasbench_evs.arguments import as_list, check_int, of_kind
from nasbench_evs.errors import DatasetError
from nasbench_evs.metrics import METRICS, Metric, metric

TIME_UNITS = ("days", "hours", "seconds")

# Codes of every categorical field: 0 pads, 1 stands for a category that the training split does not have.
PADDING, UNKNOWN, FIRST_CODE = 0, 1, 2


@dataclass(frozen=True)
class Numerical:
    """A real-valued field, kept raw (NaN where missing) and turned into a network's input by a fitted transform.

    `log`: sign(x) * log(1 + |x|) first. `forward_fill`: a missing value repeats the one before it in its sequence. `indicator`:
    one more input says whether the value was measured in this very event. `low`, `high` (clipping), `mean` and `std`
    are fitted on the training split, after the logarithm.
    """

    name: str
    log: bool = False
    forward_fill: bool = False
    indicator: bool = False
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True)
class Categorical:
    """A categorical field; code FIRST_CODE + i is `vocabulary[i]`, fitted on the training split."""

    name: str
    vocabulary: tuple[str, ...] = ()

    @property
    def cardinality(self) -> int:
        """Number of codes, padding and unknown included: the rows of an embedding."""
        return FIRST_CODE + len(self.vocabulary)


_FIELDS = {
    "categorical": Categorical,
    "numerical": Numerical,
    "profile_categorical": Categorical,
    "profile_numerical": Numerical,
    "classes": str,
}


@dataclass(frozen=True)
class Schema:
    """What a dataset's columns are. `max_length` is in events; longer sequences keep their last ones."""

    name: str
    categorical: tuple[Categorical, ...]
    numerical: tuple[Numerical, ...]
    profile_categorical: tuple[Categorical, ...]
    profile_numerical: tuple[Numerical, ...]
    classes: tuple[str, ...]
    metric: Metric
    max_length: int
    time_unit: str = "days"
    synthetic: bool = False

    def __post_init__(self) -> None:
        for field, kind in _FIELDS.items():
            given = as_list(field, getattr(self, field), f"a tuple of {kind.__name__}", DatasetError)
            for each in given:
                of_kind(f"one of {field}", each, kind, f"a {kind.__name__}", DatasetError)
            object.__setattr__(self, field, tuple(given))
        of_kind("metric", self.metric, Metric, "a Metric, as metrics.metric(name) gives it", DatasetError)
        names = [*(c.name for c in self.categorical), *(n.name for n in self.numerical)]
        for fields in (names, self.profile):
            if len(set(fields)) < len(fields):
                raise DatasetError(f"{self.name}: field names must be distinct, got {', '.join(fields)}")
        check_int(f"{self.name}: max_length", self.max_length, 1, error=DatasetError)
        if self.time_unit not in TIME_UNITS:
            raise DatasetError(f"{self.name}: time unit {self.time_unit!r}, expected one of {', '.join(TIME_UNITS)}")
        if self.max_length < 1:
            raise DatasetError(f"{self.name}: max_length {self.max_length}, expected at least 1")
        if len(self.classes) > 2 and self.metric.name in ("roc_auc", "amex"):
            raise DatasetError(
                f"{self.name}: metric {self.metric.name} is for two classes, the labels have {len(self.classes)}; "
                f"expected one of {', '.join(name for name in METRICS if name not in ('roc_auc', 'amex'))}"
            )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the real-valued inputs of a network: the fields, then the indicators."""
        return tuple(field.name for field in self.numerical) + tuple(
            f"{field.name} measured" for field in self.numerical if field.indicator
        )

    @property
    def profile(self) -> list[str]:
        """Names of the profile fields, categorical ones first."""
        return [*(c.name for c in self.profile_categorical), *(n.name for n in self.profile_numerical)]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back."""
        return {**asdict(self), "metric": self.metric.name}

    def content(self) -> dict[str, Any]:
        """The part that identifies the data: without fitted numbers, which follow from it."""
        bare: dict[str, Any] = {"low": 0.0, "high": 0.0, "mean": 0.0, "std": 1.0}
        return replace(
            self,
            numerical=tuple(replace(field, **bare) for field in self.numerical),
            profile_numerical=tuple(replace(field, **bare) for field in self.profile_numerical),
        ).to_dict()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schema:
        """The schema that `to_dict` wrote."""
        fields = dict(values)
        for owner in ("", "profile_"):
            categorical = fields[f"{owner}categorical"]
            fields[f"{owner}categorical"] = tuple(Categorical(c["name"], tuple(c["vocabulary"])) for c in categorical)
            fields[f"{owner}numerical"] = tuple(Numerical(**n) for n in fields[f"{owner}numerical"])
        return cls(**{**fields, "classes": tuple(fields["classes"]), "metric": metric(fields["metric"])})
