"""Damage and forge files of every format, and see what becomes of whoever reads them.

    python -m benchmarks.fuzz --mutations 5000

from the root of a checkout. Half of the mutations change bytes, whatever they mean; the other half change values, types,
names and shapes where the format has them, and make all checksums right again. A worker process reads each file as a user
would. It may refuse it with one line (NasbenchError), or answer: as the sound file does, or, behind checksums that are right or
where there are none, what the mutated file says and its format allows. All else is a finding: an answer that is wrong,
another exception, a crash of the process, more than 5 s of its and its children's CPU, no answer for two minutes, more memory
than twice what the sound file takes (and 32 MiB, which tell small files nothing). Findings are kept with --keep FOLDER.
"""

import argparse
import collections
import contextlib
import dataclasses
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from benchmarks.fuzzing.formats import FORMATS
from nasbench_evs.errors import NasbenchError
from nasbench_evs.training.machine import cpu_name

SECONDS, PATIENCE = 5.0, 120.0  # of CPU, which other work beside it does not lengthen; by the wall
SLACK = 32 << 20
OUTCOMES = ("refused", "as the sound file", "as the mutated file", "wrong", "exception", "crash", "slow", "memory")


@dataclasses.dataclass
class Reading:
    """What a worker says of one file."""

    outcome: str
    text: str = ""
    memory: int = 0
    seconds: float = 0.0


class Worker:
    """A process that reads files until one of them kills it or takes too long; then another."""

    def __init__(self) -> None:
        self.process = self._start()

    def _start(self) -> subprocess.Popen:
        command = [sys.executable, "-m", "benchmarks.fuzz", "--worker"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        process.stdout.readline()  # when it has imported what reads; that takes its time, which is no file's
        return process

    def read(self, name: str, path: Path, seconds: float = PATIENCE) -> Reading:
        with contextlib.suppress(BrokenPipeError):  # dead already: its output says so
            self.process.stdin.write(json.dumps([name, str(path)]) + "\n")
            self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return Reading(*json.loads(line))
        code = self.process.poll() if ready else None
        if ready and code is None:
            code = self.process.wait()
        self.stop()
        self.process = self._start()
        return Reading("crash", f"exit code {code}") if ready else Reading("slow", f"no answer for {seconds:g} s")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def _peak() -> int:
    """Bytes of memory of this process at most since `_forget_peak`."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024


def work() -> None:
    """Read the files that standard input names, one a line, and say what came of each."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with tempfile.TemporaryDirectory() as folder:
        for name in ("surrogate", "results", "experiment"):  # all libraries that are imported when they are needed
            FORMATS[name].read(FORMATS[name].make(Path(folder) / name))
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        name, path = json.loads(line)
        Path("/proc/self/clear_refs").write_text("5")
        before, began = _peak(), sum(os.times()[:4])
        try:
            outcome, text = "answer", json.dumps(FORMATS[name].read(Path(path)), sort_keys=True)
        except NasbenchError as error:
            outcome, text = "refused", str(error)
            if "\n" in text or len(text) > 1000:
                outcome, text = "exception", f"a message of several lines: {text}"
        except AssertionError as error:
            outcome, text = "wrong", str(error)
        except BaseException:
            outcome, text = "exception", traceback.format_exc()
        print(json.dumps([outcome, text, _peak() - before, sum(os.times()[:4]) - began]), file=out, flush=True)


def judge(reading: Reading, sound: Reading, sealed: bool) -> Reading:
    """What a reading of a mutated file amounts to: one of OUTCOMES."""
    if reading.memory > 2 * sound.memory + SLACK:
        return Reading("memory", f"{reading.memory >> 20} MiB, the sound file {sound.memory >> 20}")
    if reading.seconds > SECONDS:
        return Reading("slow", f"{reading.seconds:.1f} s of CPU")
    if reading.outcome != "answer":
        return reading
    if reading.text == sound.text:
        return Reading("as the sound file")
    return Reading("as the mutated file") if sealed else Reading("wrong", reading.text[:300])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=5000)
    parser.add_argument("--formats", nargs="*", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the files of findings")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work()
        return
    findings = run(options.mutations, options.formats, options.seed, options.keep)
    sys.exit(1 if findings else 0)


def run(mutations: int, names: list[str], seed: int, keep: Path | None) -> int:
    """So many mutations over these formats, a table of what came of them on standard output; the number of findings."""
    worker, counts, findings, started = Worker(), collections.Counter(), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        sound = {name: FORMATS[name].make(Path(folder) / name) for name in names}
        honest = {name: [worker.read(name, path) for _ in range(2)][1] for name, path in sound.items()}
        for name, reading in honest.items():
            if reading.outcome != "answer":
                sys.exit(f"{name}: the sound file is not read: {reading.outcome} {reading.text}")
        for i in range(mutations):
            name, sealed = names[i % len(names)], i // len(names) % 2 == 1
            generator = random.Random(f"{seed} {i}")
            path = _copied(sound[name], Path(folder) / "mutated")
            done = (FORMATS[name].forge if sealed else FORMATS[name].damage)(path, generator)
            reading = judge(worker.read(name, path), honest[name], sealed or not FORMATS[name].summed)
            counts[name, sealed, reading.outcome] += 1
            if reading.outcome not in OUTCOMES[:3]:
                findings += 1
                print(f"{name} {i} ({done}): {reading.outcome}: {reading.text}", file=sys.stderr)
                if keep is not None:
                    _copied(path, keep / f"{name}-{i}")
            if sys.stderr.isatty():
                print(f"\r{i + 1}/{mutations}, {findings} findings", end="", file=sys.stderr)
    worker.stop()
    print(_table(counts, names, mutations, time.monotonic() - started))
    return findings


def _copied(source: Path, target: Path) -> Path:
    if target.is_dir():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    if source.is_dir():
        shutil.copytree(source, target / source.name)
    else:
        shutil.copy(source, target / source.name)
    return target / source.name


def _table(counts: collections.Counter, names: list[str], mutations: int, seconds: float) -> str:
    lines = [f"{cpu_name()}, {mutations} mutations in {seconds:.0f} s", ""]
    lines += [f"| format | checksums | {' | '.join(OUTCOMES)} |", f"| --- | --- |{' --- |' * len(OUTCOMES)}"]
    for name in names:
        for sealed in (False, True):
            cells = [counts[name, sealed, outcome] for outcome in OUTCOMES]
            words = ("as they were", "right again") if FORMATS[name].summed else ("none; bytes", "none; values")
            lines.append(f"| {name} | {words[sealed]} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
