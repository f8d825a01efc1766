"""Models that may be anything: CatBoost crashes on some files, and answers wrongly from others.

So a file is first loaded by a process of its own, with limits, that evaluates the model on made rows; what it says is compared
with what the model said when it was saved. A file that passed is remembered by its hash and loaded at once from then on; so
are those that ship with this library, whose hashes PINNED lists, wherever they lie.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs import locations
from nasbench_evs.errors import SurrogateError, one_line
from nasbench_evs.surrogate.ensemble import loss_of, predict
from nasbench_evs.surrogate.sidecar import ADVICE, SIDECAR, source

if TYPE_CHECKING:
    from catboost import CatBoost

# Hashes of the models under surrogate/, as surrogate/README.md makes them.
PINNED = Path(__file__).with_name("pinned.txt")
_MEMORY = "checked-models"  # in `locations.home()`: an empty file for each model that passed

_ROWS = 4096
_MOST_FEATURES = 20_000
# What the process may take; the bytes are beyond those of CatBoost itself.
_CPU_SECONDS, _SECONDS, _BYTES = 10, 120, 1 << 30
_TOLERANCE = 1e-7  # of a sum of standardised values
_passed: set[str] = set()  # in this process

Model = tuple[Mapping[str, Any], str]  # its entry in the sidecar, and the loss that it is fitted to


def read_model(folder: Path, entry: Mapping[str, Any], loss: str) -> CatBoost:
    """The model of that entry, which `check_models` let pass; SurrogateError if it is for another loss."""
    file = source(folder, entry["file"])
    model = load_model(read_checked(folder, entry), file.path)
    found = loss_of(model)
    if found != loss:
        raise SurrogateError(f"{file.path} is a model for {found[:100]}: expected {loss}")
    return model


def read_checked(folder: Path, entry: Mapping[str, Any]) -> bytes:
    """The bytes of that entry; SurrogateError if they are not those of its hash."""
    file = source(folder, entry["file"])
    content = file.content()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise SurrogateError(
            f"{file.path} is damaged or was replaced: it does not match the hash in {SIDECAR}; {ADVICE}"
        )
    return content


def load_model(content: bytes, path: Path) -> CatBoost:
    """The model of these bytes; SurrogateError if they are none."""
    from catboost import CatBoost, CatBoostError

    model = CatBoost()
    try:
        model.load_model(blob=content)
        model.get_metadata()
    except (CatBoostError, ValueError, KeyError) as error:
        raise SurrogateError(f"{path} is no CatBoost model: {one_line(error)[:200]}") from None
    return model


def check_models(folder: Path, models: Sequence[Model], sums: Mapping[str, Sequence[float]]) -> None:
    """SurrogateError if any of these files crashes CatBoost, never ends, or predicts what it did not when it was saved.

    `sums` are those of the sidecar, by file: what each predicted then.
    """
    unknown = [model for model in models if not _known(model[0]["sha256"])]
    if not unknown:
        return
    for entry, _ in unknown:
        read_checked(folder, entry)
    for (entry, _), found in zip(unknown, _probe(folder, unknown), strict=True):
        path = folder / entry["file"]
        if isinstance(found, str):
            raise SurrogateError(f"{path} {found}; {ADVICE}")
        saved = sums.get(entry["file"])
        if saved is not None and not (
            len(saved) == len(found) and np.allclose(found, saved, rtol=1e-12, atol=_TOLERANCE)
        ):
            raise SurrogateError(f"{path} does not predict what it did when it was saved; {ADVICE}")
        remember(entry["sha256"])


def remember(sha256: str) -> None:
    """The model of this hash passed, or was saved here."""
    _passed.add(sha256)
    with contextlib.suppress(OSError):  # a memory that cannot be written costs the next process another check
        path = _remembered(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _known(sha256: str) -> bool:
    if sha256 in _passed or sha256 in _pinned():
        return True
    with contextlib.suppress(OSError):
        return _remembered(sha256).is_file()
    return False


@cache
def _pinned() -> frozenset[str]:
    return frozenset(PINNED.read_text(encoding="ascii").split())


def _remembered(sha256: str) -> Path:
    """For another CatBoost it has to pass again."""
    return locations.home() / _MEMORY / f"{sha256}-{version('catboost')}"


def model_sums(model: CatBoost) -> list[float]:
    """What a model predicts for `probe_rows` of it, added up: one number for each output."""
    return np.atleast_2d(predict(model, probe_rows(model)).T).sum(axis=1).tolist()


def probe_rows(model: CatBoost) -> np.ndarray:
    """Made feature rows, float32 (_ROWS, F), that take every branch of a model about equally often; on any machine the same.

    Each value is next to one of the borders that the model has for the feature.
    """
    features = len(model.feature_names_)
    if not 1 <= features <= _MOST_FEATURES:
        raise SurrogateError(f"a model of {features:,} features: expected at most {_MOST_FEATURES:,}")
    borders = model.get_borders()
    bits = np.random.PCG64(0)
    rows = np.zeros((_ROWS, features), np.float32, order="F")
    for feature in range(features):
        drawn = bits.random_raw(_ROWS) >> np.uint64(11)
        edges = np.array(borders.get(feature, ()), np.float32)
        if len(edges):
            levels = np.append(np.nextafter(edges[:1], np.float32(-np.inf)), np.nextafter(edges, np.float32(np.inf)))
            rows[:, feature] = levels[drawn % np.uint64(len(levels))]
    return rows


# The process that loads a model for the first time


def _probe(folder: Path, models: Sequence[Model]) -> list[list[float] | str]:
    """Of each model its sums, or what is wrong with it, as a process of its own finds them; the last one may have ended it."""
    if not sys.executable:
        raise SurrogateError(f"cannot check {folder}: there is no Python interpreter (sys.executable) to check it with")
    questions = [[str(folder.absolute() / entry["file"]), entry["sha256"], loss] for entry, loss in models]
    path = os.pathsep.join(each or os.getcwd() for each in sys.path)
    code = "from nasbench_evs.surrogate.check import answer; answer()"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            input=json.dumps(questions).encode(),
            capture_output=True,
            timeout=_SECONDS,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
        output, how = done.stdout, f"ended the process that read it (status {done.returncode})"
    except subprocess.TimeoutExpired as error:
        output, how = error.stdout or b"", f"was not read within {_SECONDS} seconds"
    except OSError as error:
        raise SurrogateError(f"cannot check {folder} in a process of its own: {error.strerror or error}") from None
    started, *lines = output.decode(errors="replace").splitlines() or [""]
    if started != "started":
        last = (
            (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            if output
            else "no message"
        )
        raise SurrogateError(f"cannot check {folder}: a process of its own cannot load CatBoost ({last[:200]})")
    answers: list[list[float] | str] = [json.loads(line) for line in lines[: len(models)]]
    answers += [f"is no model that CatBoost can read: it {how}"] * (len(models) - len(answers))
    return answers


def answer() -> None:
    """The work of that process: of each [path, hash, loss] that it is asked, a line with the model's sums or what is wrong."""
    questions = json.load(sys.stdin)
    import catboost  # noqa: F401 (before the limits, which are about what it does with files)

    _limit()
    print("started", flush=True)
    for path, sha256, loss in questions:
        try:
            model = read_model(Path(path).parent, {"file": Path(path).name, "sha256": sha256}, loss)
            found: list[float] | str = model_sums(model)
            if not np.isfinite(model.get_leaf_values()).all() or not np.isfinite(found).all():
                found = "predicts what is no number"
        except SurrogateError as error:
            found = str(error).removeprefix(f"{path} ")
        except Exception as error:  # whatever CatBoost's wrapper trips over
            found = f"is no model that CatBoost can read ({type(error).__name__}: {one_line(error)[:100]})"
        print(json.dumps(found), flush=True)


def _limit() -> None:
    """No more memory and time from here on than any honest model takes, where the system has such limits."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + _CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        bytes_ = pages * resource.getpagesize() + _BYTES
        resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))
