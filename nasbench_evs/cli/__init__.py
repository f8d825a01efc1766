"""The `nasbench-evs` command: data to stdout, messages to stderr, one line for a user's mistake.

What takes time to import is imported within `main`, so that Ctrl-C is one line from the beginning.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from nasbench_evs.cli.interrupt import Interrupt

if TYPE_CHECKING:
    from nasbench_evs.cli.commands import cli

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command; exit with 0, 1 for a mistake or a refusal, 2 for wrong usage, 130 if interrupted, 143 by SIGTERM."""
    try:
        message, code = _run()
    except KeyboardInterrupt:  # before or after `Interrupt` watches
        message, code = "interrupted", 130
    if message:
        print("error: " + " ".join(message.split()), file=sys.stderr)
    if code:
        sys.exit(code)


def _run() -> tuple[str, int]:
    """What is to be said at the end, and the exit code."""
    with Interrupt() as interrupt:
        try:
            from nasbench_evs.cli.commands import run

            message, code = run()
        except SystemExit:
            raise
        except BaseException:
            if not interrupt.number:
                raise
            return "interrupted", 128 + interrupt.number
    if interrupt.number and code:  # whatever it looked like where it happened
        return message if code == 130 else "interrupted", 128 + interrupt.number
    return message, code


def __getattr__(name: str) -> Any:
    if name != "cli":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nasbench_evs.cli.commands import cli

    return cli
