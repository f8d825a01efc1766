"""Every error a user can cause, under one root.

A message says what was wrong, which value, what was expected and what to do next, in one line.
"""

import difflib
import math
import re
import reprlib
from collections.abc import Iterable

_ADDRESS = re.compile(r"(?: object)? at 0x[0-9a-fA-F]+")
_LONGEST = 2000  # characters of a message
_SHOWN = 60  # characters of a value in one


def shown(value: object) -> str:
    """A value as a message shows it: on one line, not long, without its address in memory."""
    shape = getattr(value, "shape", ())
    if isinstance(shape, tuple) and shape and math.prod(shape) > 8:
        return f"{type(value).__name__} of shape {shape}"
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = _SHOWN
    short.maxlist = short.maxtuple = short.maxdict = short.maxset = 8
    try:
        text = _tidy(short.repr(value))
    except Exception:  # of somebody's class, or of an integer of too many digits
        text = f"<{type(value).__name__} instance>"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _tidy(text: str) -> str:
    """On one line that can be printed, without addresses."""
    text = _ADDRESS.sub("", text).encode("utf-8", "backslashreplace").decode("utf-8")
    return text if text.isprintable() else " ".join("".join(c if c.isprintable() else " " for c in text).split())


def one_line(error: BaseException) -> str:
    """What another library's exception says, on one line."""
    return " ".join(str(error).split())


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """What ends the message about an unknown name: the nearest known one as a question, nothing where none is near."""
    if not isinstance(name, str):
        return ""
    names = {str(each).lower(): str(each) for each in known}
    near = difflib.get_close_matches(name.lower(), names, 1)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


class NasbenchError(Exception):
    """Root of all errors of nasbench-evs; the command line prints its message and exits with 1.

    Whatever values, paths and other libraries' words a message quotes, it is one line that any terminal can print.
    """

    def __init__(self, message: str = "") -> None:
        message = _tidy(str(message))
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST // 2]} ... {message[-_LONGEST // 2 :]}"
        super().__init__(message)


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
