"""Progress on stderr, with the time left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def with_progress(what: str, work: Callable[[Callable[..., None]], Any]) -> Any:
    """Run `work(report)`, showing done, total and the time left on stderr; `report(done, total, detail)` says more."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def report(done: int, total: int, detail: str = "") -> None:
            bar.update(task, completed=done, total=total, description=f"{what} {detail}".strip())

        return work(report)
