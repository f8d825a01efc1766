"""Where workers live: the driver starts them, sends them requests and gets their answers. Here, processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Generic, TypeVar

from nasbench_evs.errors import NasbenchError
from nasbench_evs.generators.messages import Died, Fatal, Message, Ready, TrainingRequest, WorkerConfig
from nasbench_evs.generators.worker import Worker
from nasbench_evs.processes import ignoring_interrupts, serve_parent
from nasbench_evs.training.machine import Machine


@dataclass(eq=False)
class Handle:
    """A worker as the driver sees it; `machine` is what it said when it was ready, `job` what it is to train."""

    machine: Machine | None = None
    job: int | None = None

    @property
    def ready(self) -> bool:
        return self.machine is not None


H = TypeVar("H", bound=Handle)


@dataclass(frozen=True)
class Received(Generic[H]):
    """A message, and the worker that it is from or about."""

    handle: H
    message: Message


class Executor(ABC, Generic[H]):
    """Workers by one configuration. Close it, and they are gone.

    `workers` are those that were started and are not yet said to have died.
    """

    def __init__(self) -> None:
        self.workers: list[H] = []

    @abstractmethod
    def start(self) -> None:
        """One more worker, which will say when it is ready."""

    @abstractmethod
    def send(self, handle: H, request: TrainingRequest) -> None:
        """A request for a worker that is ready. That it died meanwhile is said later."""

    @abstractmethod
    def receive(self, seconds: float) -> list[Received[H]]:
        """What workers say within that time, as soon as one says something."""

    @abstractmethod
    def close(self) -> None:
        """Stop all workers, whatever they do; again does nothing."""


@dataclass(eq=False, kw_only=True)
class _Process(Handle):
    device: str
    process: SpawnProcess
    pipe: Connection


class LocalExecutor(Executor[_Process]):
    """A process for each worker; they share the devices evenly."""

    def __init__(self, config: WorkerConfig, devices: Sequence[str]) -> None:
        super().__init__()
        self._config, self._devices = config, devices

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        busy = [handle.device for handle in self.workers]
        device = min(self._devices, key=busy.count)
        process = context.Process(target=_work, args=(replace(self._config, device=device), theirs), daemon=True)
        with ignoring_interrupts():
            process.start()
        theirs.close()
        self.workers.append(_Process(device=device, process=process, pipe=ours))

    def send(self, handle: _Process, request: TrainingRequest) -> None:
        with contextlib.suppress(OSError):
            handle.pipe.send(request)

    def receive(self, seconds: float) -> list[Received[_Process]]:
        wait(
            [*(handle.pipe for handle in self.workers), *(handle.process.sentinel for handle in self.workers)],
            timeout=seconds,
        )
        received = []
        for handle in list(self.workers):
            alive = handle.process.is_alive()  # asked first: what it said before it died counts
            message: Message | None = None
            with contextlib.suppress(EOFError, OSError):
                if handle.pipe.poll():
                    message = handle.pipe.recv()
            if message is None and not alive:
                self.workers.remove(handle)
                handle.pipe.close()
                message = Died(_exit(handle.process.exitcode))
            if message is not None:
                received.append(Received(handle, message))
        return received

    def close(self) -> None:
        for handle in self.workers:
            handle.process.kill()
            handle.process.join()
            handle.pipe.close()
        self.workers.clear()


def _work(config: WorkerConfig, pipe: Connection) -> None:
    """A worker's process: answer requests until the driver hangs up."""
    serve_parent()
    try:
        worker = Worker(config)
    except NasbenchError as error:
        pipe.send(Fatal(str(error)))
        return
    pipe.send(Ready(worker.machine))
    while True:
        try:
            request: TrainingRequest = pipe.recv()
        except EOFError:
            return
        pipe.send(worker.answer(request))


def _exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}" + (", out of memory?" if code == -signal.SIGKILL else "")
    return f"exit code {code}"
