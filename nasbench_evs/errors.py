"""Every error a user can cause, under one root.

A message says what was wrong, which value, what was expected and what to do next, in one line.
"""

import difflib
from collections.abc import Iterable


def one_line(error: BaseException) -> str:
    """What another library's exception says, on one line."""
    return " ".join(str(error).split())


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """What ends the message about an unknown name: the nearest known one as a question, nothing where none is near."""
    names = {str(each).lower(): str(each) for each in known}
    near = difflib.get_close_matches(str(name).lower(), names, 1)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


class NasbenchError(Exception):
    """Root of all errors of nasbench-evs; the command line prints its message and exits with 1."""


class InvalidSpace(NasbenchError):
    """The choices given do not describe a search space."""


class InvalidArchitecture(NasbenchError):
    """A string, an index array or a rank that is no architecture of the space."""


class NotRecorded(NasbenchError):
    """The architecture, seed, epoch, split or cost asked for is not there."""


class UnknownBenchmark(NasbenchError):
    """No benchmark, table or surrogate of that name or at that path."""


class InvalidQuery(NasbenchError):
    """An argument of a query that has no meaning (split, source, seed, count, ...)."""


class TableFormatError(NasbenchError):
    """A file that is not a readable table: foreign, damaged, truncated, or of a newer format."""


class MergeConflict(NasbenchError):
    """Tables that must not be merged: other headers, or other results for the same training."""


class ReleaseError(NasbenchError):
    """An archive of published records that cannot be trusted or read."""


class SurrogateError(NasbenchError):
    """A surrogate that cannot be fitted, or whose files are damaged or belong to something else."""


class PredictorError(NasbenchError):
    """A performance predictor whose library is not installed."""


class DatasetError(NasbenchError):
    """Raw or prepared data that is missing, damaged, or not what it should be."""


class RecipeError(NasbenchError):
    """A recipe or a protocol that cannot be carried out."""


class TrainingError(NasbenchError):
    """A training, or a run of many, that cannot go on."""


class OutputError(NasbenchError):
    """Something could not be written: it exists already, or the file system refused."""
