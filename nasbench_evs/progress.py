"""Progress on stderr, with the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

LINE_EVERY = 60.0  # seconds between two lines where there is no terminal


def with_progress(what: str, work: Callable[[Callable[..., None]], Any]) -> Any:
    """Run `work(report)`, showing done, total and the time left on stderr; `report(done, total, detail)` says more.

    Where there is no terminal, in a line a minute.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        return work(Lines(what))
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def report(done: int, total: int, detail: str = "") -> None:
            bar.update(task, completed=done, total=total, description=f"{what} {detail}".strip())

        return work(report)


class Lines:
    """Progress where there is no terminal: a line now and then."""

    def __init__(self, what: str) -> None:
        self._what, self._began = what, time.monotonic()
        self._said = self._began
        self._before: int | None = None  # done when the first report came: by an earlier session

    def __call__(self, done: int, total: int, detail: str = "") -> None:
        if self._before is None:
            self._before = done
        now = time.monotonic()
        if now - self._said < LINE_EVERY:
            return
        self._said = now
        text = f"{self._what} {detail}".strip() + f": {done}/{total}"
        if done > self._before:
            left = (now - self._began) / (done - self._before) * (total - done)
            text += f", {left / 60:.0f} min left"
        print(text, file=sys.stderr, flush=True)
