"""Processes that work for another one: they leave its interrupts to it, and do not outlive it."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import parent_process, resource_tracker


def serve_parent() -> None:
    """To be called first in a worker's process: what Ctrl-C means is the parent's to decide, and its death ends the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:  # a parent that was killed cannot tell
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """Processes that are started within it never hear Ctrl-C, not even before `serve_parent`."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # when the first spawned process starts it, it unblocks SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
