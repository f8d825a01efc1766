"""Ctrl-C at any moment, also where Python would lose it: while modules are imported, and in callbacks."""

from __future__ import annotations

import _thread
import atexit
import signal
import sys
import threading
from types import FrameType


class Interrupt:
    """Within it Ctrl-C, which was `seen` then, raises KeyboardInterrupt; it may come out as another exception.

    A library whose import it stops may say that it is broken. Where nothing can be raised, it is raised again afterwards. What
    Python does at its own end cannot be stopped.
    """

    def __init__(self) -> None:
        self.seen = False
        self._hook = sys.unraisablehook
        # Whoever started us may want none; and outside the main thread there is none.
        here = threading.current_thread() is threading.main_thread()
        self._wanted = here and signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def __enter__(self) -> Interrupt:
        if self._wanted:
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
            sys.unraisablehook = self._raise_again
            signal.signal(signal.SIGINT, self._raise)
        return self

    def __exit__(self, *_: object) -> None:
        if self._wanted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.unraisablehook = self._hook

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        raise KeyboardInterrupt

    def _raise_again(self, lost: sys.UnraisableHookArgs) -> None:
        if isinstance(lost.exc_value, KeyboardInterrupt):
            # A moment later: at once it would be raised, and lost, within this very hook.
            again = threading.Timer(0.01, _thread.interrupt_main)
            again.daemon = True
            again.start()
        else:
            self._hook(lost)
