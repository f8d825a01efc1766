"""A failure at calls by which something is written: nothing is lost, wrong or unreadable, and the next run succeeds.

Here at some calls of each writer; at every one of them it takes about two hours: python -m tests.faults
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.faults.harness import Writer, compiled, single, sweep, why_not
from tests.faults.writers import WRITERS

QUICK = ("text", "table", "logits", "journal of an experiment")  # the ways in which files are written


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    if reason := why_not():
        pytest.skip(reason)
    return compiled(tmp_path_factory.mktemp("trap"))


@pytest.fixture(scope="module")
def process():
    """What is forked is not pytest, whose threads would not survive it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=single) as pool:
        yield pool


def sweep_named(name, library, folder):
    return sweep(WRITERS[name], library, folder, most=4)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in WRITERS]
)
def test_a_failing_call_loses_nothing(name, process, library, tmp_path):
    found = process.submit(sweep_named, name, library, tmp_path).result()
    assert found.failures > 5
    assert found.wrong == []


def careless(folder, version, done):
    """Writes over what is there."""
    (folder / "file.txt").write_text(f"{version} " * 9000)


def untidy(folder, version, done):
    """Writes a file of another name first, which stays where it fails."""
    (folder / "other.txt").write_text(f"{version} " * 9000)
    (folder / "other.txt").rename(folder / "file.txt")


def hasty(folder, version, done):
    """Says that it is done before it is."""
    done("file.txt")
    untidy(folder, version, done)


def sweep_bad(write, library, folder):
    return sweep(Writer("bad", (), write, _texts), library, folder)


def _texts(folder):
    return {path.name: path.read_text() for path in folder.glob("file.txt")}


@pytest.mark.parametrize(
    ("write", "seen"),
    [
        (careless, "is neither the old nor the new one"),
        (careless, "is no error of one line"),
        (untidy, "left ['other.txt']"),
        (hasty, "file.txt is neither the old nor the new one"),
    ],
)
def test_a_bad_writer_is_found(write, seen, process, library, tmp_path):
    found = process.submit(sweep_bad, write, library, tmp_path).result()
    assert any(seen in each for each in found.wrong)
