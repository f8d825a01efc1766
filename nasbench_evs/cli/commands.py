"""All commands as one, and what to say and with which code to exit when one fails."""

from __future__ import annotations

import io
import os
import sys

import click

from nasbench_evs.cli.across import across_command, recommend_command
from nasbench_evs.cli.baselines import baselines_command
from nasbench_evs.cli.benchmarks import list_command, query
from nasbench_evs.cli.data import data
from nasbench_evs.cli.experiment import experiment_command
from nasbench_evs.cli.explore import explore_command
from nasbench_evs.cli.generate import generate_command, pilot_command
from nasbench_evs.cli.output import extra_of
from nasbench_evs.cli.search import search_command, searchers_command
from nasbench_evs.cli.surrogates import surrogate
from nasbench_evs.cli.tables import import_release_command, table
from nasbench_evs.errors import NasbenchError
from nasbench_evs.version import __version__


def run() -> tuple[str, int]:
    """Carry out the command line: what went wrong, empty if nothing did, and the exit code."""
    if sys.stdout is None:
        return "standard output is closed: there is nowhere to write the answer to", 1
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for terminals that cannot show every character
    try:
        cli.main(prog_name="nasbench-evs", standalone_mode=False)
        sys.stdout.flush()  # so that a full disk is noticed here
    except NasbenchError as error:
        return str(error), 1
    except click.Abort as stopped:
        return str(stopped) or "interrupted", 130
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f"; see {context.command_path} --help" if context is not None else ""
        return " ".join(error.format_message().split()).rstrip(".") + hint, 2
    except BrokenPipeError:
        _discard_output()
        return "", 141
    except OSError as error:
        _discard_output()
        return f"{error.filename or 'output'}: {error.strerror or error}", 1
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed: pip install 'nasbench-evs[{extra_of(error.name or '')}]'", 1
    except MemoryError:
        return "out of memory: ask for fewer architectures at once, or use a larger machine", 1
    return "", 0


def _discard_output() -> None:
    """What could not be written must not fail once more when the process exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(__version__, prog_name="nasbench-evs")
def cli() -> None:
    """Query, make and check the nasbench-evs benchmarks.

    \b
    Example:
      nasbench-evs query digits --arch 32-144-24
    """


for _command in (
    list_command,
    query,
    searchers_command,
    search_command,
    experiment_command,
    explore_command,
    across_command,
    recommend_command,
    generate_command,
    pilot_command,
    baselines_command,
    import_release_command,
    table,
    surrogate,
    data,
):
    cli.add_command(_command)
