"""Format version 1 of a table: which groups, columns and attributes its HDF5 file has, and what they mean.

One file holds records (trainings) of one space on one dataset under one protocol. Only fixed-size numbers and
fixed-length UTF-8 strings, gzip + shuffle + fletcher32: any HDF5 tool reads it without this library. Metadata is
written with HDF5's checksummed layout (1.10), so a flipped byte anywhere is noticed.
"""

from typing import NamedTuple

import numpy as np

FORMAT_NAME = "nasbench-evs table"
FORMAT_VERSION = 1

# Root attributes, all of them UTF-8 text but format_version (int64); *_json hold JSON.
ATTRIBUTES = (
    "format",
    "space_json",  # name, version, parameters: spaces.from_spec
    "dataset",
    "dataset_fingerprint",
    "protocol_json",
    "metric",
    "direction",  # "max" or "min"
    "curves",  # "epochs": column e is epoch e + 1; "best": one column, each training's best epoch by validation score
    "created",  # ISO 8601, UTC
    "library",  # name and version that wrote the file
    "code",  # version of the code that trained
    "content_sha256",  # over everything above but created, library and code, and over all columns
)

STATUSES = ("ok", "diverged", "failed")

MISSING = -1  # in integer columns that allow it; missing floats are NaN


class Column(NamedTuple):
    """One HDF5 dataset: `kind` is a numpy dtype, or "text"; `width` is None for shape (N,), else what (N, width) is."""

    group: str
    name: str
    kind: str
    width: str | None = None
    missing: bool = False  # may hold MISSING
    unit: str = ""

    @property
    def path(self) -> str:
        return f"{self.group}/{self.name}"

    @property
    def default(self) -> object:
        """What stands where nothing was recorded."""
        return b"" if self.kind == "text" else MISSING if self.missing else np.nan


COLUMNS = {
    column.name: column
    for column in (
        Column("architectures", "rank", "uint64"),
        Column("architectures", "choices", "int8", "choices"),  # -1 where a choice is inactive
        Column("architectures", "avec", "uint8", "bits"),
        Column("training", "seed", "int64", missing=True),
        Column("training", "status", "text"),  # STATUSES
        Column("training", "reason", "text"),  # why a training failed or diverged
        Column("training", "sampler", "text"),  # what proposed the architecture
        Column("training", "distilled", "int8", missing=True),  # 1: trained with teachers, 0: without
        Column("training", "teachers", "text"),  # their ranks, separated by spaces
        Column("training", "epochs_run", "int32", missing=True),
        Column("training", "train_seconds", "float32", "epochs", unit="s"),
        Column("training", "eval_seconds", "float32", "epochs", unit="s"),
        Column("training", "hardware", "int32", missing=True),  # row of /hardware
        Column("scores", "train_loss", "float32", "epochs"),
        Column("scores", "valid_loss", "float32", "epochs"),
        Column("scores", "test_loss", "float32", "epochs"),
        Column("scores", "valid_score", "float32", "epochs"),
        Column("scores", "test_score", "float32", "epochs"),
        Column("costs", "params", "int64", missing=True),
        Column("costs", "flops", "int64", missing=True),  # of one forward pass of one sample
        Column("costs", "latency_ms_b1", "float32", unit="ms"),
        Column("costs", "latency_ms_b256", "float32", unit="ms"),
    )
}

# The machines that trained, one row each, referred to by training/hardware.
HARDWARE = {
    column.name: column
    for column in (
        Column("hardware", "cpu", "text"),
        Column("hardware", "gpu", "text"),
        Column("hardware", "threads", "int32", missing=True),
        Column("hardware", "versions", "text"),  # JSON: library versions
    )
}

# One training is named by these; no two records of a table share them. The sampler counts only where no seed was
# recorded (imported records differ in nothing else); distilled "not recorded" is the same as 0.
KEY = ("rank", "seed", "distilled", "sampler")


def storage_dtype(kind: str) -> np.dtype:
    """The numpy dtype of a column in memory; text is kept as UTF-8 bytes."""
    return np.dtype("S1" if kind == "text" else kind)
