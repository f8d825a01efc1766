"""What judges a search on records of which no two are of the same architecture: a surrogate that did not see them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nasbench_evs.spaces import SearchSpace

if TYPE_CHECKING:
    from nasbench_evs.surrogate import Surrogate


class Judge(Protocol):
    """What says what recorded architectures are worth, by models that saw no training of them: a `Surrogate` is one."""

    space: SearchSpace

    def out_of_fold(self, choices: np.ndarray, split: str) -> np.ndarray:
        """Mean scores of choice indices of `space`, float64 (N,); NotRecorded if there are none."""


class FittedJudge:
    """The surrogate in a folder as the judge of the table that it was fitted to, opened when it is first asked."""

    def __init__(self, folder: Path, space: SearchSpace, table_sha256: str, path: Path) -> None:
        """`table_sha256` and `path` are the table's: a surrogate of another one is refused (SurrogateError)."""
        self.folder, self.space, self.table_sha256, self.path = folder, space, table_sha256, path

    def __reduce__(self) -> tuple[object, ...]:
        return FittedJudge, (self.folder, self.space, self.table_sha256, self.path)  # the models stay where they are

    @cached_property
    def _surrogate(self) -> Surrogate:
        from nasbench_evs.surrogate import Surrogate

        surrogate = Surrogate.load(self.folder)
        surrogate.check_belongs_to(self.table_sha256, self.path)
        return surrogate

    def out_of_fold(self, choices: np.ndarray, split: str) -> np.ndarray:
        return self._surrogate.out_of_fold(choices, split)
