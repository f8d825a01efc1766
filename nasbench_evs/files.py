"""Writing so that nothing is ever half-written: to a temporary name first, then renamed; and so that it lasts."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from nasbench_evs.errors import OutputError

if TYPE_CHECKING:
    import numpy as np


@contextlib.contextmanager
def replacing(target: Path, *, force: bool = False, marker: str = "") -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success what was written there becomes `target`.

    The body creates a file, or a folder that holds a file named `marker`, at the yielded path. If it fails, or the
    process is killed while it runs, whatever stood at `target` is untouched. (Where the system cannot exchange two
    folders, it takes two renames; the first is taken back if the second one fails.) OutputError if `target` exists and
    not `force`, if it is a folder of something else, or if the file system refuses (permission, disk full).
    """
    target = Path(target)
    _check_free(target, force, marker)
    made = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    scratch = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        written = scratch / target.name
        yield written
        _flush(written)
        if written.is_dir() and target.is_dir():
            _exchange(written, target, scratch / "replaced")
        else:
            os.replace(written, target)
        flush_names(target.parent, *(folder.parent for folder in made))
        made = []
    except OSError as error:
        raise OutputError(f"cannot write {target}: {_why(error)}") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if it is empty


def _why(error: OSError) -> object:
    if isinstance(error, shutil.Error):  # the file, the copy and the reason of all that could not be copied
        return error.args[0][0][2]
    return error.strerror or error


def write_text(target: Path, text: str, *, force: bool = False) -> None:
    """Write a file of text, complete or not at all; the errors of `replacing`."""
    with replacing(target, force=force) as scratch:
        scratch.write_text(text, encoding="utf-8")


def save_array(path: Path, array: np.ndarray) -> None:
    """`numpy.save`, without pickles; OSError if not all of it is written, which numpy leaves unsaid of what a file buffers."""
    import numpy as np

    with path.open("wb") as out:
        np.save(SimpleNamespace(write=out.write), array, allow_pickle=False)  # so that numpy writes through Python


def check_target(target: Path, *, force: bool = False, marker: str = "") -> None:
    """OutputError if `replacing` would refuse `target`: asked before the work whose result is to be written there."""
    target = Path(target)
    _check_free(target, force, marker)
    check_folder(target.parent)


def check_folder(folder: Path) -> None:
    """OutputError if nothing can be written into `folder`, which need not exist yet."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        raise OutputError(f"cannot write into {folder}: {there} is a file, expected a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write into {folder}: no permission to write into {there}")


def _check_free(target: Path, force: bool, marker: str) -> None:
    if target.is_dir() and not (marker and (target / marker).exists()):
        raise OutputError(f"{target} is a folder that holds something else: choose another output")
    if target.exists() and not force:
        raise OutputError(f"{target} exists already: choose another output, or overwrite it with --force (force=True)")


def _exchange(written: Path, target: Path, old: Path) -> None:
    if _swap(written, target):
        return
    os.replace(target, old)
    try:
        os.replace(written, target)
    except BaseException:
        os.replace(old, target)
        raise


def _swap(one: Path, other: Path) -> bool:
    """Whether two names now stand for each other's folders, which Linux does at one instant: renameat2(2), RENAME_EXCHANGE."""
    import ctypes

    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, TypeError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def remove(target: Path) -> None:
    """Remove a file or a folder if it is there, all of it at one instant; OutputError if the file system refuses."""
    try:
        if not target.is_dir():
            target.unlink(missing_ok=True)
            return
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            os.replace(target, scratch / target.name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"cannot remove {target}: {error.strerror or error}") from error


def flush_names(*folders: Path) -> None:
    """Make what these folders list last through the loss of power: without it a rename may be undone.

    Where the system has no such thing for folders, nothing happens.
    """
    for folder in folders:
        with contextlib.suppress(OSError):
            _sync(folder)


def _flush(path: Path) -> None:
    for file in path.iterdir() if path.is_dir() else [path]:
        _sync(file)
    if path.is_dir():
        flush_names(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
