"""Workers on a Ray cluster, which places them, watches over them and says when one has died."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

from nasbench_evs.errors import NasbenchError, RecipeError, TrainingError, one_line
from nasbench_evs.generators.executor import Executor, Handle, Received
from nasbench_evs.generators.messages import Answer, Died, Fatal, Ready, TrainingRequest, WorkerConfig
from nasbench_evs.generators.worker import Worker

try:
    import ray
    from ray.exceptions import RayError
except ImportError:
    raise RecipeError("--executor ray needs Ray: pip install 'nasbench-evs[cluster]'") from None


_KINDS = ("cpu", "cuda", "xpu")


class _Actor:
    """A worker where Ray has put it. It begins to prepare when it is asked, so that it can say what went wrong, and where."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config

    def ready(self) -> Ready | Fatal:
        try:
            self._worker = Worker(self._config)
        except NasbenchError as error:
            return _placed(Fatal(str(error)))
        return Ready(self._worker.machine)

    def answer(self, request: TrainingRequest) -> Answer:
        answer = self._worker.answer(request)
        return _placed(answer) if isinstance(answer, Fatal) else answer

    def live(self) -> None:
        """Never returns: that it fails is how the death of a worker without requests is heard."""
        threading.Event().wait()


def _placed(fatal: Fatal) -> Fatal:
    return Fatal(f"{fatal.reason} (on {socket.gethostname()})")


@dataclass(eq=False, kw_only=True)
class _ActorHandle(Handle):
    actor: Any


class RayExecutor(Executor[_ActorHandle]):
    """An actor for each worker: one CPU, and on GPUs the `per_device`-th part of one.

    Every node needs this library, the prepared dataset and, for teachers, the run's folder. `address` is that of a running
    cluster; without it Ray looks where it is told to (RAY_ADDRESS, or a cluster started on this machine). TrainingError
    if there is none, RecipeError if it has no such devices.
    """

    def __init__(self, config: WorkerConfig, address: str | None, per_device: int) -> None:
        if config.device not in _KINDS:
            raise RecipeError(f"device {config.device!r}: Ray says which one, expected one of {', '.join(_KINDS)}")
        super().__init__()
        self._config = config
        self._expected: dict[Any, _ActorHandle] = {}  # answers, and ends of lives, that will come
        self._ours = not ray.is_initialized()  # or the caller's connection
        try:
            if self._ours:
                _connect(address)
            gpus_there = ray.cluster_resources().get("GPU", 0)
        except (OSError, RuntimeError, ValueError, RayError) as error:
            self.close()
            raise TrainingError(
                f"no Ray cluster{f' at {address}' if address else ''}: {_cause(error)}; start one with ray start --head, give "
                f"its --address, and set RAY_AUTH_MODE=token if it asks for a token"
            ) from None
        gpus = 0.0 if config.device == "cpu" else 1 / per_device
        if gpus > gpus_there:  # Ray would wait for one, and say nothing
            self.close()
            raise RecipeError("the Ray cluster has no GPU yet: expected --device cpu, or a node with a GPU")
        self._actor = ray.remote(_Actor).options(num_cpus=1, num_gpus=gpus, max_restarts=0, max_concurrency=2)

    def start(self) -> None:
        handle = _ActorHandle(actor=self._actor.remote(self._config))
        self.workers.append(handle)
        self._expected[handle.actor.live.remote()] = handle
        self._expected[handle.actor.ready.remote()] = handle

    def send(self, handle: _ActorHandle, request: TrainingRequest) -> None:
        self._expected[handle.actor.answer.remote(request)] = handle

    def receive(self, seconds: float) -> list[Received[_ActorHandle]]:
        if not self._expected:
            time.sleep(seconds)
            return []
        ray.wait(list(self._expected), timeout=seconds)
        done, _ = ray.wait(list(self._expected), num_returns=len(self._expected), timeout=0)
        received: list[Received[_ActorHandle]] = []
        deaths: dict[_ActorHandle, str] = {}
        for reference in done:
            handle = self._expected.pop(reference)
            try:
                received.append(Received(handle, ray.get(reference)))
            except RayError as error:
                deaths[handle] = _cause(error)
        for handle, cause in deaths.items():  # after what it said before
            self.workers.remove(handle)
            self._expected = {reference: other for reference, other in self._expected.items() if other is not handle}
            with contextlib.suppress(RayError):
                ray.kill(handle.actor)
            received.append(Received(handle, Died(cause)))
        return received

    def close(self) -> None:
        for handle in self.workers:
            with contextlib.suppress(RayError):
                ray.kill(handle.actor)
        self.workers.clear()
        self._expected.clear()
        if self._ours:
            ray.shutdown()


def _connect(address: str | None) -> None:
    _reach(address or os.environ.get("RAY_ADDRESS"))
    before = signal.getsignal(signal.SIGTERM)
    try:
        # What workers have to say comes as answers and errors; their lines would run into the progress.
        ray.init(address=address or "auto", logging_level=logging.WARNING, log_to_driver=False)
    finally:  # Ray takes the signal for itself
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _reach(address: str | None) -> None:
    """OSError if nothing listens there: Ray itself tries for minutes before it says so."""
    place = re.fullmatch(r"(?:ray://)?\[?([^\[\]/]+)\]?:(\d+)", address or "")
    if place:
        socket.create_connection((place[1], int(place[2])), timeout=10).close()


def _cause(error: Exception) -> str:
    """The line of Ray's many that says why: the exception of the worker, or what comes last."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):
        return f"{type(cause).__name__}: {one_line(cause)}"[:300]
    lines = [line.strip() for line in re.sub(r"\x1b\[\d*m", "", str(error)).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
