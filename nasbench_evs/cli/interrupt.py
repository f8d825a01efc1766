"""Ctrl-C at any moment, also where Python would lose it or a library not survive it: amid imports, and in callbacks."""

from __future__ import annotations

import atexit
import signal
import sys
import threading
import time
from types import FrameType

_AGAIN = 0.02  # seconds until an interrupt that could not be raised is tried again
_PATIENCE = 10.0  # seconds for imports to end; a user's own module may never


class Interrupt:
    """Within it Ctrl-C, which was `seen` then, raises KeyboardInterrupt; it may come out as another exception.

    While a module is imported it waits for the end of that, where there are timers: libraries in C++ abort the process, and
    numpy prints a traceback, if their own imports fail. Where it was lost, it is raised again. What Python does at its own end
    cannot be stopped.
    """

    def __init__(self) -> None:
        self.seen = False
        self._patient_until = 0.0
        self._hook = sys.unraisablehook
        # Whoever started us may want none; and outside the main thread there is none.
        here = threading.current_thread() is threading.main_thread()
        self._wanted = here and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        self._timed = self._wanted and hasattr(signal, "setitimer")

    def __enter__(self) -> Interrupt:
        if self._wanted:
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
            sys.unraisablehook = self._raise_again
            signal.signal(signal.SIGINT, self._raise)
        if self._timed:
            # As a signal once more, so that it waits where SIGINT is blocked.
            self._alarm = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        return self

    def __exit__(self, *_: object) -> None:
        if self._timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm)
        if self._wanted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.unraisablehook = self._hook

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if not self.seen:
            self.seen, self._patient_until = True, time.monotonic() + _PATIENCE
        if self._timed and _importing(frame) and time.monotonic() < self._patient_until:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
            return
        raise KeyboardInterrupt

    def _raise_again(self, lost: sys.UnraisableHookArgs) -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            self._hook(lost)
        elif self._timed:  # a moment later: at once it would be raised, and lost, within this very hook
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)


def _importing(frame: FrameType | None) -> bool:
    """Whether the module system is at work somewhere below."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
