"""Formats 1 and 2 of a table: which groups, columns and attributes its HDF5 file has, and what they mean.

One file holds records (trainings) of one space on one dataset under one protocol. Only fixed-size numbers and
fixed-length UTF-8 strings, gzip + shuffle + fletcher32: any HDF5 tool reads it without this library. Metadata is
written with HDF5's checksummed layout (1.10), so a flipped byte anywhere is noticed.

Format 2 is what is written; format 1 is read. In format 2 every HDF5 dataset carries the attribute `sha256`: the hash of
the line "path dtype shape" (such as "scores/valid_score <f4 912x5", ended by a newline) and of its values, row by row,
little-endian. Format 1 has one hash over all columns.
"""

import hashlib
import json
from typing import Any, NamedTuple

import numpy as np

FORMAT_NAME = "nasbench-evs table"
FORMAT_VERSION = 2
FORMAT_VERSIONS = (1, 2)

# Root attributes, all of them UTF-8 text but format_version (int64); *_json hold JSON.
ATTRIBUTES_1 = (
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
ATTRIBUTES = (
    *ATTRIBUTES_1,
    "score_at",  # SCORE_AT, as the protocol says: where a training's score is read
    "optional_json",  # the optional columns that the file has, by their paths
    "results_sha256",  # over the same attributes, and the columns that merging compares or that name a training
    "verified_json",  # a line for each time that a machine trained some of its records again, exactly; under no hash
)

# JSON [low, high], null for an open end: there only where the metric is not one that the library knows with its direction and
# range, and then part of what is hashed.
METRIC_RANGE = "metric_range_json"

# JSON: a line for each machine that measured the latencies; there only where some were measured, and under no hash.
LATENCY = "latency_json"

SCORE_AT = ("best epoch", "end")  # by validation score, from the curves; or final/*, after the last step
STATUSES = ("ok", "diverged", "failed")

MISSING = -1  # in integer columns that allow it; missing floats are NaN


class Column(NamedTuple):
    """One HDF5 dataset: `kind` is a numpy dtype, or "text"; `width` is None for shape (N,), else what (N, width) is."""

    group: str
    stored: str  # its name in the group
    kind: str
    width: str | None = None
    missing: bool = False  # may hold MISSING
    unit: str = ""
    optional: bool = False  # absent where no record has it
    compared: bool = True  # part of the result of a training: merging refuses two that differ

    @property
    def path(self) -> str:
        return f"{self.group}/{self.stored}"

    @property
    def default(self) -> object:
        """What stands where nothing was recorded."""
        return b"" if self.kind == "text" else MISSING if self.missing else np.nan

    def sha256(self, array: np.ndarray) -> str:
        """The hash that the file states of this column."""
        little = array.dtype.newbyteorder("<")
        digest = hashlib.sha256(f"{self.path} {little.str} {'x'.join(map(str, array.shape))}\n".encode())
        digest.update(np.ascontiguousarray(array.astype(little, copy=False)).data if array.size else b"")
        return digest.hexdigest()


def _seconds(group: str, stored: str, width: str | None = "epochs", *, optional: bool = True) -> Column:
    return Column(group, stored, "float32", width, unit="s", optional=optional, compared=False)


# By the name in memory: the four scores and losses of a training are called as they are in final/, its curves *_curve.
COLUMNS = {
    "rank": Column("architectures", "rank", "uint64"),
    "choices": Column("architectures", "choices", "int8", "choices"),  # -1 where a choice is inactive
    "avec": Column("architectures", "avec", "uint8", "bits"),
    "seed": Column("training", "seed", "int64", missing=True),
    "status": Column("training", "status", "text"),  # STATUSES
    "reason": Column("training", "reason", "text", compared=False),  # why a training failed or diverged
    "sampler": Column("training", "sampler", "text", compared=False),  # what proposed the architecture
    "distilled": Column("training", "distilled", "int8", missing=True),  # 1: trained with teachers, 0: without
    "teachers": Column("training", "teachers", "text"),  # their ranks, separated by spaces
    "epochs_run": Column("training", "epochs_run", "int32", missing=True),
    "train_seconds": _seconds("training", "train_seconds", optional=False),  # wall
    "eval_seconds": _seconds("training", "eval_seconds", optional=False),  # wall
    "hardware": Column("training", "hardware", "int32", missing=True, compared=False),  # row of /hardware
    "train_loss": Column("scores", "train_loss", "float32", "epochs"),
    "valid_loss_curve": Column("scores", "valid_loss", "float32", "epochs"),
    "test_loss_curve": Column("scores", "test_loss", "float32", "epochs", optional=True),
    "valid_curve": Column("scores", "valid_score", "float32", "epochs"),
    "test_curve": Column("scores", "test_score", "float32", "epochs", optional=True),
    "params": Column("costs", "params", "int64", missing=True),
    "flops": Column("costs", "flops", "int64", missing=True),  # of one forward pass of one sample
    "latency_ms_b1": Column("costs", "latency_ms_b1", "float32", unit="ms", compared=False),
    "latency_ms_b256": Column("costs", "latency_ms_b256", "float32", unit="ms", compared=False),
}
FORMAT_1 = tuple(COLUMNS)  # its columns, in the order of its hash, which names them as they are stored

# Of format 2. final/* are measured on the whole evaluation splits by the weights after the last step: NaN for a training
# that did not get there, absent unless score_at is "end". Scores are float64, so that a journal's record and a table's are one
# number; blocks are there for differences. CPU seconds are those of the training's thread, NaN on a GPU.
COLUMNS |= {
    "cpu_seconds": _seconds("training", "cpu_seconds"),  # of an epoch: training and evaluation of the curves
    "code_commit": Column("training", "code_commit", "text", optional=True, compared=False),
    "valid_score": Column("final", "valid_score", "float64", optional=True),
    "test_score": Column("final", "test_score", "float64", optional=True),
    "valid_loss": Column("final", "valid_loss", "float64", optional=True),
    "test_loss": Column("final", "test_loss", "float64", optional=True),
    "valid_blocks": Column("final", "valid_blocks", "float32", "blocks", optional=True),
    "test_blocks": Column("final", "test_blocks", "float32", "blocks", optional=True),
    "final_cpu_seconds": _seconds("final", "cpu_seconds", None),
    "final_valid_cpu_seconds": _seconds("final", "valid_cpu_seconds", None),  # of these, the validation split's
    "final_eval_seconds": _seconds("final", "eval_seconds", None),  # wall
}
FINAL = tuple(name for name, column in COLUMNS.items() if column.group == "final")

# A training's score and loss on a split, and the curve it is read from where score_at is "best epoch".
CURVE_OF = {
    "valid_score": "valid_curve",
    "test_score": "test_curve",
    "valid_loss": "valid_loss_curve",
    "test_loss": "test_loss_curve",
}

# The machines that trained, one row each, referred to by training/hardware.
HARDWARE = {
    name: Column("hardware", name, "text" if name != "threads" else "int32", missing=name == "threads")
    for name in (
        "cpu",
        "gpu",
        "threads",
        "versions",  # JSON: library versions
        "family",  # of the CPU, as are the next two: its name alone may stand for several
        "model",
        "instruction_set",  # the widest vector instructions
    )
}
HARDWARE_1 = tuple(HARDWARE)[:4]

# One training is named by these; no two records of a table share them. The sampler counts only where no seed was
# recorded (imported records differ in nothing else); distilled "not recorded" is the same as 0.
KEY = ("rank", "seed", "distilled", "sampler")


def storage_dtype(kind: str) -> np.dtype:
    """The numpy dtype of a column in memory; text is kept as UTF-8 bytes."""
    return np.dtype("S1" if kind == "text" else kind)


def to_json(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
