"""The sidecar of a surrogate, JSON beside its models: what they belong to, what their files hold, and the numbers between.

It is read as values of the types below and carries its own hash, so that whatever is wrong with it is said in one line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import numpy as np
from msgspec import Meta

from nasbench_evs.errors import NasbenchError, SurrogateError
from nasbench_evs.metrics import Metric, metric_from_dict
from nasbench_evs.reader import Source
from nasbench_evs.spaces import from_spec, shape_from_dict
from nasbench_evs.surrogate.features import LAYOUT
from nasbench_evs.tables.format import to_json

FORMAT_NAME = "nasbench-evs surrogate"
FORMAT_VERSION = 2
SIDECAR = "surrogate.json"
OUT_OF_FOLD = "out_of_fold"
ADVICE = "fit the surrogate again"

_LIMIT = 4 << 20
_SLACK = 0.1  # of a metric's range by which a prediction may leave it: regression goes on beyond what it saw

Sha256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
FileName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")]
Number = Annotated[float, Meta(ge=-1e12, le=1e12)]
Positive = Annotated[float, Meta(gt=0, le=1e12)]
Count = Annotated[int, Meta(ge=0, le=2**40)]
Size = Annotated[int, Meta(ge=0, lt=2**31)]


class FileEntry(TypedDict):
    """A file beside the sidecar."""

    file: FileName
    sha256: Sha256


class EpochsEntry(TypedDict):
    scale: Positive
    factors: Annotated[list[Annotated[float, Meta(ge=0, le=1e12)]], Meta(min_length=1, max_length=100_000)]
    model: FileEntry


class TargetEntry(TypedDict):
    mean: Number
    scale: Positive
    noise_factor: Positive
    knowledge_factor: Positive
    model: FileEntry
    noise: FileEntry
    epochs: EpochsEntry | None


class SecondsEntry(TypedDict):
    mean: Number
    scale: Positive
    shares: Annotated[list[Annotated[float, Meta(ge=0, le=1.001)]], Meta(min_length=1, max_length=100_000)]
    model: FileEntry


class FirstFigures(TypedDict):
    folds: Annotated[int, Meta(ge=1, le=2**31)]
    kendall_tau: Annotated[float, Meta(ge=-1, le=1)] | None
    mean_absolute_error: Annotated[float, Meta(ge=0)]


class Sidecar(TypedDict):
    """All but the range of a metric of one's own, which `metric_from_dict` checks.

    `sums`: by its file, what each model predicts for `check.probe_rows`, added up. Surrogates of 0.1.0 have none.
    """

    space: dict[str, Any]
    dataset: Annotated[str, Meta(max_length=1000)]
    metric: Annotated[str, Meta(max_length=1000)]
    direction: NotRequired[str]
    shape: dict[str, Size | str | Annotated[list[tuple[Size, Size]], Meta(max_length=10_000)]] | None
    features: str
    table_sha256: Sha256
    records: Count
    architectures: Count
    fitted: str
    distilled: Annotated[list[bool], Meta(min_length=1, max_length=2)]
    seed: Annotated[int, Meta(ge=0, lt=2**31)]
    libraries: dict[str, str]
    metrics: dict[str, FirstFigures]
    targets: dict[Literal["valid", "test"], TargetEntry]
    seconds: SecondsEntry | None
    reference: dict[str, Annotated[list[Any], Meta(min_length=1, max_length=10_000)]]
    sums: NotRequired[dict[str, Annotated[list[float], Meta(min_length=1, max_length=2)]]]
    out_of_fold: NotRequired[FileEntry]


def source(folder: Path, name: str) -> Source:
    """A file of a surrogate."""
    what = {".json": "what nasbench-evs writes beside the models of a surrogate", ".cbm": "a CatBoost model"}
    return Source(folder / name, SurrogateError, what.get(Path(name).suffix, "out-of-fold predictions"), ADVICE)


def read_sidecar(folder: Path) -> dict[str, Any]:
    """What `write_sidecar` wrote, without its hash; SurrogateError if it is damaged, or of something else."""
    file = Source(folder / SIDECAR, SurrogateError, "the sidecar of a surrogate", ADVICE, _LIMIT)
    content = file.content()
    try:
        values = file.json(dict[str, Any], content)
    except SurrogateError as error:
        raise SurrogateError(str(error).replace(f"{file.path}: ", f"{file.path} is damaged: ", 1)) from None
    if values.get("format") != FORMAT_NAME:
        raise SurrogateError(f"{file.path} is no sidecar of a surrogate, or damaged: {ADVICE}")
    if values.get("version") != FORMAT_VERSION:
        raise SurrogateError(
            f"{file.path} has format version {str(values.get('version'))[:50]}, this nasbench-evs reads {FORMAT_VERSION}: "
            "upgrade with pip install --upgrade nasbench-evs"
        )
    written = values.pop("sha256", None)
    if sha256_of(values) != written:
        raise SurrogateError(f"{file.path} is damaged or was edited: {ADVICE}")
    file.json(Sidecar, content)
    if values["features"] != LAYOUT:
        raise SurrogateError(f"{file.path} has the features {values['features'][:100]!r}: expected {LAYOUT!r}")
    try:
        _check(values, file)
    except SurrogateError:
        raise
    except NasbenchError as error:
        raise SurrogateError(f"{file.path}: {error}") from None
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise file.refusal(f"it describes no surrogate ({type(error).__name__})") from None
    return values


def _check(values: dict[str, Any], file: Source) -> None:
    """Whether what it says of space, metric, shape and reference predictions holds together."""
    space = from_spec(values["space"])
    metric_from_dict(values)
    if values["shape"]:
        shape_from_dict(values["shape"])
    if OUT_OF_FOLD in values and False not in values["distilled"]:
        raise file.refusal("it has out-of-fold predictions of trainings without teachers, and saw none")
    if "valid" not in values["targets"]:
        raise file.refusal("it predicts no validation scores")
    if set(values["metrics"]) != set(values["targets"]) or len(set(values["distilled"])) != len(values["distilled"]):
        raise file.refusal("its metrics are not those of its targets, or its distilled are not distinct")
    names = {"ranks", *values["targets"], *(("seconds",) if values["seconds"] else ())}
    names |= {f"{name}.epochs" for name, entry in values["targets"].items() if entry["epochs"]}
    reference = values["reference"]
    if set(reference) != names:
        raise file.refusal(f"it has reference predictions of {sorted(reference)}, expected {sorted(names)}")
    ranks = reference["ranks"]
    if not all(type(rank) is int and 0 <= rank < space.size for rank in ranks):
        raise file.refusal(f"its reference architectures are no ranks of a space of {space.size:,}")
    for name in names - {"ranks"}:
        rows = 1 if name == "seconds" else 3
        try:
            found = np.array(reference[name])
        except ValueError:  # rows of several lengths
            found = np.array(None)
        if found.shape != (rows, len(ranks)) or found.dtype.kind not in "fi" or not np.isfinite(found).all():
            raise file.refusal(f"its reference predictions of {name} are no {rows} x {len(ranks)} finite numbers")


def check_plausible(scores: np.ndarray, metric: Metric, file: Path) -> None:
    """SurrogateError unless predicted scores are finite and within the metric's range, or nearly."""
    slack = _SLACK * (metric.high - metric.low) if np.isfinite(metric.high - metric.low) else 1.0
    wrong = ~((scores >= metric.low - slack) & (scores <= metric.high + slack))
    if wrong.any():
        raise SurrogateError(
            f"{file} predicts {metric.name} {scores[wrong][0]:.6g}, expected {metric.low:g} to {metric.high:g}: {ADVICE}"
        )


def write_sidecar(sidecar: dict[str, Any], path: Path) -> None:
    """Write it with its hash."""
    sidecar["sha256"] = sha256_of(sidecar)
    path.write_text(json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def sha256_of(values: Mapping[str, Any]) -> str:
    """Of the values as canonical JSON; of what JSON cannot hold, and so was not written, a hash that nothing has."""
    try:
        return hashlib.sha256(to_json(values).encode()).hexdigest()
    except (ValueError, RecursionError):  # among them UnicodeEncodeError
        return ""
