"""Ctrl-C or SIGTERM at any moment, also where Python would lose it or a library not survive it: amid imports, in callbacks."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from types import FrameType

_AGAIN = 0.02  # seconds until an interrupt that could not be raised is tried again
_PATIENCE = 10.0  # seconds for imports to end; a user's own module may never
_CATBOOST_POOL = os.path.join("catboost", "core.py"), "_init"  # file and function


class Interrupt:
    """Within it Ctrl-C, and SIGTERM, which schedulers send before they kill, raise KeyboardInterrupt.

    `number` is then that of the signal; it may come out as another exception. While a module is imported, or CatBoost takes its
    data over, it waits for the end of that, where there are timers: libraries in C++ abort the process, and numpy prints a
    traceback, if their own imports fail, and CatBoost's is a segmentation fault. Where it was lost, it is raised again. What
    Python does at its own end cannot be stopped.
    """

    def __init__(self) -> None:
        self.number = 0
        self._patient_until = 0.0
        self._hook = sys.unraisablehook
        # Whoever started us may want none; and outside the main thread there is none.
        usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        here = threading.current_thread() is threading.main_thread()
        self._before = {each: handler for each, handler in usual.items() if here and signal.getsignal(each) is handler}
        self._timed = bool(self._before) and hasattr(signal, "setitimer")

    def __enter__(self) -> Interrupt:
        if signal.SIGINT in self._before:
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
        if self._before:
            sys.unraisablehook = self._raise_again
        for each in self._before:
            signal.signal(each, self._raise)
        if self._timed:
            # As a signal once more, so that it waits where SIGINT is blocked.
            self._alarm = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(self.number))
        return self

    def __exit__(self, *_: object) -> None:
        if self._timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm)
        for each, handler in self._before.items():
            signal.signal(each, handler)
        if self._before:
            sys.unraisablehook = self._hook

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if not self.number:
            self.number, self._patient_until = number, time.monotonic() + _PATIENCE
        if self._timed and _fragile(frame) and time.monotonic() < self._patient_until:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
            return
        raise KeyboardInterrupt

    def _raise_again(self, lost: sys.UnraisableHookArgs) -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            self._hook(lost)
        elif self._timed:  # a moment later: at once it would be raised, and lost, within this very hook
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)


def _fragile(frame: FrameType | None) -> bool:
    """Whether the module system is at work somewhere below, or CatBoost on a pool of its own."""
    file, function = _CATBOOST_POOL
    while frame is not None:
        code = frame.f_code
        if code.co_filename == "<frozen importlib._bootstrap>" or (
            code.co_name == function and code.co_filename.endswith(file)
        ):
            return True
        frame = frame.f_back
    return False
