"""Writing so that nothing is ever half-written: to a temporary name first, then renamed."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nasbench_evs.errors import OutputError


@contextlib.contextmanager
def replacing(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success what was written there becomes `target`.

    The body creates a file or a directory at the yielded path. If it fails, or the process is killed,
    whatever stood at `target` before is untouched. OutputError if `target` exists and not `force`, or if
    the file system refuses (permission, disk full).
    """
    target = Path(target)
    if target.exists() and not force:
        raise OutputError(f"{target} exists already: choose another output, or overwrite it with --force (force=True)")
    scratch = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        written = scratch / target.name
        yield written
        _flush(written)
        if written.is_dir() and target.is_dir():
            os.replace(target, scratch / "replaced")
        os.replace(written, target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _flush(path: Path) -> None:
    for file in path.iterdir() if path.is_dir() else [path]:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
