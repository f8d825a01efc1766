"""What a surrogate's card holds, as types by which its file is read: `evaluate` says what the figures are."""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from nasbench_evs.surrogate.sidecar import Count, Sha256

Tau = Annotated[float, Meta(ge=-1, le=1)] | None
Share = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(max_length=1000)]


class Interval(TypedDict):
    mean: float | None
    plus_minus: Annotated[float, Meta(ge=0)] | None


class Bracket(TypedDict):
    value: Tau
    low: Tau
    high: Tau


class Coverage(TypedDict):
    coverage: dict[str, Share]
    negative_log_likelihood: float | None
    mean_std: Annotated[float, Meta(ge=0)]


class Calibration(TypedDict, total=False):
    """All of them, or none."""

    noise: Coverage
    noise_and_knowledge: Coverage
    noise_is: Text


class Ceiling(TypedDict):
    architectures: Count
    two_trainings: Bracket
    perfect: Bracket | None
    architecture_share: Bracket | None
    chosen: bool


class LeftOut(TypedDict):
    records: Count
    trained_on: Count
    kendall_tau: Tau
    mean_absolute_error: Annotated[float, Meta(ge=0)]
    mean_error: float
    coverage_80: Share


class Size(TypedDict):
    architectures: Count
    kendall_tau: Interval


class Seen(TypedDict):
    epochs: Count
    last_score: Interval
    extrapolated: Interval


class Figures(TypedDict):
    """Of one split."""

    records: Count
    architectures: Count
    repeats: Count
    folds: Count
    kendall_tau: Interval
    kendall_tau_drawn: NotRequired[Interval]
    sparse_tau: NotRequired[Interval]
    spearman: NotRequired[Interval]
    r2: NotRequired[Interval]
    mean_absolute_error: NotRequired[Interval]
    top10_regret: NotRequired[Interval]
    calibration: Calibration
    ceiling: Ceiling | None
    searchers: dict[str, LeftOut]
    sizes: list[Size]
    curves: list[Seen]


class Searches(TypedDict):
    """Search fidelity, as analysis.fidelity has it."""

    experiment: Text
    regime: Text
    searchers: Count
    seeds: Count
    tau: Annotated[float, Meta(ge=-1, le=1)]
    low: Annotated[float, Meta(ge=-1, le=1)]
    high: Annotated[float, Meta(ge=-1, le=1)]
    agree: Count
    pairs: Count


class Card(TypedDict):
    dataset: Text
    space: Text
    metric: Text
    table_sha256: Sha256
    splits: dict[Literal["valid", "test"], Figures]
    searches: NotRequired[Searches]
    figure: NotRequired[Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")]]
    sha256: NotRequired[Any]
