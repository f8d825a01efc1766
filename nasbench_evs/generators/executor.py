"""Where workers live: the driver hires them, sends them orders and hears what they answer. Here, processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, NamedTuple, TypeVar

from nasbench_evs.errors import NasbenchError
from nasbench_evs.generators.worker import Order, Setting, Worker


@dataclass(eq=False)
class Hand:
    """A worker as the driver sees it; `machine` is what it said when it was ready, `job` what it was ordered to do."""

    machine: dict[str, Any] | None = None
    job: int | None = None

    @property
    def ready(self) -> bool:
        return self.machine is not None


class Heard(NamedTuple):
    """`answer`: of `Worker.answer`, or the {"machine"} of a worker that is ready, or the {"death"} of one that is no more."""

    hand: Hand
    answer: dict[str, Any]


H = TypeVar("H", bound=Hand)


class Executor(ABC, Generic[H]):
    """Workers by one setting: the `team`, of those that were hired and whose death was not heard. Close it, and they are gone."""

    def __init__(self) -> None:
        self.team: list[H] = []

    @abstractmethod
    def hire(self) -> None:
        """One more worker, which will say when it is ready."""

    @abstractmethod
    def send(self, hand: H, order: Order) -> None:
        """An order for a worker that is ready. That it died meanwhile is heard later."""

    @abstractmethod
    def listen(self, seconds: float) -> list[Heard]:
        """What workers say within that time, as soon as one says something."""

    @abstractmethod
    def close(self) -> None:
        """Stop all workers, whatever they do; again does nothing."""


@dataclass(eq=False, kw_only=True)
class _Process(Hand):
    device: str
    process: SpawnProcess
    pipe: Connection


class LocalExecutor(Executor[_Process]):
    """A process for each worker; they share the devices evenly."""

    def __init__(self, setting: Setting, devices: Sequence[str]) -> None:
        super().__init__()
        self._setting, self._devices = setting, devices

    def hire(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        busy = [hand.device for hand in self.team]
        device = min(self._devices, key=busy.count)
        process = context.Process(target=_work, args=(replace(self._setting, device=device), theirs), daemon=True)
        with _deaf():
            process.start()
        theirs.close()
        self.team.append(_Process(device=device, process=process, pipe=ours))

    def send(self, hand: _Process, order: Order) -> None:
        with contextlib.suppress(OSError):
            hand.pipe.send(order)

    def listen(self, seconds: float) -> list[Heard]:
        wait([*(hand.pipe for hand in self.team), *(hand.process.sentinel for hand in self.team)], timeout=seconds)
        heard = []
        for hand in list(self.team):
            alive = hand.process.is_alive()  # asked first: what it said before it died counts
            answer = None
            with contextlib.suppress(EOFError, OSError):
                if hand.pipe.poll():
                    answer = hand.pipe.recv()
            if answer is None and not alive:
                self.team.remove(hand)
                hand.pipe.close()
                answer = {"death": _exit(hand.process.exitcode)}
            if answer is not None:
                heard.append(Heard(hand, answer))
        return heard

    def close(self) -> None:
        for hand in self.team:
            hand.process.kill()
            hand.process.join()
            hand.pipe.close()
        self.team.clear()


def _work(setting: Setting, pipe: Connection) -> None:
    """A worker's process: answer orders until the driver hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what an interrupt means
    _die_with_parent()
    try:
        worker = Worker(setting)
    except NasbenchError as error:
        pipe.send({"error": str(error), "fatal": True})
        return
    pipe.send({"machine": worker.machine})
    while True:
        try:
            order: Order = pipe.recv()
        except EOFError:
            return
        pipe.send(worker.answer(order))


def _die_with_parent() -> None:
    """A driver that was killed cannot tell its workers."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}" + (", out of memory?" if code == -signal.SIGKILL else "")
    return f"exit code {code}"


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """What is started here never hears Ctrl-C: the driver decides what an interrupt means."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
