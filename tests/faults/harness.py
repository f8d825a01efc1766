"""Every call by which a writer writes goes wrong once: what stood before is intact then, or what is new is complete.

`trap.c` counts the calls, in a forked process each time, and makes one of them go wrong in one of three ways (MODES):

error  the call fails (EIO) and does nothing; all others succeed
full   the disk is full from this call on: half of the bytes are written, then nothing is any more (ENOSPC)
kill   the process is killed (SIGKILL) at this call, half of whose bytes are written
"""

import contextlib
import ctypes
import math
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nasbench_evs.errors import NasbenchError

MODES = ("error", "full", "kill")
STARTS = ("nothing", "old")  # what stands before
PATIENCE = 120.0  # seconds for a forked process
_CODES = {"count": 0, "error": 1, "full": 2, "kill": 3}
_REMOVING = (84, 87, 263)  # rmdir, unlink, unlinkat: where these fail, what was to be removed stays
_SOURCE = Path(__file__).with_name("trap.c")


@dataclass(frozen=True)
class Writer:
    """Something that writes into a folder.

    `write(folder, version, done)` writes version 0 or 1, over what is there, and calls `done(part)` when a part is on the disk
    for good, if that is before it returns. `read(folder)` gives the parts that are there; it raises if one cannot be read.
    `set_up(folder)` makes what it writes beside. `leaves`: the name of a file that an error may leave for the next run.
    """

    name: str
    modules: tuple[str, ...]  # whose writing it is
    write: Callable[[Path, int, Callable[[Hashable], None]], object]
    read: Callable[[Path], Mapping[Hashable, object]]
    set_up: Callable[[Path], object] = lambda folder: None
    leaves: str = ""


@dataclass
class Sweep:
    """What came of all the calls of a writer: how many there were, how many went wrong, and what did not hold."""

    calls: int = 0
    failures: int = 0
    wrong: list[str] = field(default_factory=list)


def why_not():
    """What stands against it here; nothing if it can be done."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "traps system calls of Linux on x86-64"
    if shutil.which("cc") is None:
        return "needs a C compiler"
    return ""


def single():
    """From here on this process has one CPU: the threads by which CatBoost predicts on more are not there in a fork of it."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def compiled(folder):
    """The trap as a library in that folder."""
    library = folder / "trap.so"
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(library), str(_SOURCE)]
    subprocess.run(command, check=True)
    return library


def sweep(writer, library, folder, *, modes=MODES, starts=STARTS, most=None):
    """Let every call go wrong in each of these ways (or at most so many of them, spread out; of each way others)."""
    total = Sweep()
    folder = folder.resolve()
    for start in starts:
        before = folder / start
        before.mkdir(parents=True)
        writer.set_up(before)
        writer.write(_copy(before, folder / f"{start}-first"), 1, _nothing)  # what is imported and made only once
        if start == "old":
            writer.write(before, 0, _nothing)
        old, names = _read(writer, before), _names(before)
        after = _copy(before, folder / f"{start}-new")
        said, calls = _attempt(writer, library, after, "count", 0)
        new, new_names = _read(writer, after), _names(after)
        if said[-1:] != ["ok"] or new == old:
            raise ValueError(f"{writer.name} does not write: {said}, {old} -> {new}")
        total.calls += len(calls)
        every = 1 if most is None else math.ceil(len(calls) / most)
        for i, mode in enumerate(modes):
            for call in range(1 + i % every, len(calls) + 1, every):
                place = _copy(before, folder / f"{start}-{mode}-{call}")
                said, _ = _attempt(writer, library, place, mode, call)
                total.failures += 1
                wrong = _judge(writer, place, mode, calls[call - 1], said, (old, names), (new, new_names))
                total.wrong += [
                    f"{writer.name}, {mode} at call {call} of {len(calls)} over {start}: {w}" for w in wrong
                ]
                shutil.rmtree(place)
    return total


def _judge(writer, place, mode, call, said, before, after):
    """What does not hold."""
    (old, old_names), (new, new_names) = before, after
    done = {part for part in new if f"done {part}" in said}
    try:
        found = _read(writer, place)
    except Exception as error:
        yield f"cannot be read: {error!r}"
        return
    for part in old.keys() | new.keys() | found.keys():
        allowed = [new.get(part)] if part in done or "ok" in said else [old.get(part), new.get(part)]
        if found.get(part) not in allowed:
            yield f"{part} is neither the old nor the new one: {str(found.get(part))[:200]}; {said}"
    errors = [each for each in said if each.startswith("error ")]
    if mode == "kill":
        if "died" not in said:
            yield f"was not killed: {said}"
    elif "died" in said or not (errors or "ok" in said):
        yield f"died: {said}"
    if errors and (len(said) - len(done) != 1 or "\n" in errors[0] or not errors[0].startswith("error NasbenchError ")):
        yield f"is no error of one line: {errors[0]}"
    if mode != "kill" and call not in _REMOVING and (left := _names(place) - old_names - new_names - {writer.leaves}):
        yield f"left {sorted(left)}"
    again, _ = _attempt(writer, None, place, "count", 0)
    if again[-1:] != ["ok"] or _read(writer, place) != new:
        yield f"the next run does not succeed: {again}"


def _attempt(writer, library, folder, mode, call):
    """What a forked process said that writes version 1, and the numbers of its calls."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.close(reading)
        _child(writer, library, folder, mode, call, writing)
    os.close(writing)
    said = _said(reading, child).split("\0")[:-1]
    _, status = os.waitpid(child, 0)
    calls = [int(each) for each in said[-1].split()[1:]] if said[-1:] and said[-1].startswith("calls") else []
    said = [each for each in said if not each.startswith("calls")]
    return said + ["died"] * (status != 0), calls


def _said(reading, child):
    """All that comes through a pipe; a process that is too long about it is killed, as one that waits for a thread it has not."""
    said, end = [], time.monotonic() + PATIENCE
    with open(reading, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
            if not (some := pipe.read(1 << 16)):
                break
            said.append(some)
        else:
            os.kill(child, signal.SIGKILL)
    return b"".join(said).decode(errors="replace")


def _child(writer, library, folder, mode, call, pipe):
    def say(text):
        os.write(pipe, text.encode() + b"\0")

    try:
        trap = None
        if library is not None:
            trap = ctypes.CDLL(str(library))
            if number := trap.arm(os.fsencode(folder), _CODES[mode], call):
                raise OSError(number, "the system does not let calls be trapped: " + os.strerror(number))
        try:
            writer.write(folder, 1, lambda part: say(f"done {part}"))
            say("ok")
        except NasbenchError as error:
            say(f"error NasbenchError {error}")
        except BaseException:
            say(f"error {traceback.format_exc()}")
        if trap is not None:
            numbers = (ctypes.c_short * 65536)()
            count = trap.counted(numbers, len(numbers))
            say("calls " + " ".join(map(str, numbers[:count])))
        os._exit(0)
    except BaseException:
        with contextlib.suppress(OSError):
            say(traceback.format_exc())
        os._exit(1)


def _nothing(part):
    pass


def _read(writer, folder):
    return dict(writer.read(folder))


def _names(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _copy(folder, target):
    return Path(shutil.copytree(folder, target))
