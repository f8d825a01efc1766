"""Source: everything that is known about a dataset, and how its raw files are read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nasbench_evs.datasets.prepare import Raw, Rules


@dataclass(frozen=True)
class Source:
    """`read(path)` takes the folder with the publisher's files, or the file itself, and may raise DatasetError."""

    rules: Rules
    read: Callable[[Path], Raw]
    what: str  # one sentence: what a sequence is, and what is predicted
    get: str  # where the raw files come from, as an instruction
    leakage: str  # what must not be seen, and how that is ensured
    licence: str  # as stated by the source, or "not stated"
    citation: str
