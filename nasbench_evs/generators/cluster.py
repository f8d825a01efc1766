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
from nasbench_evs.generators.executor import Executor, Hand, Heard
from nasbench_evs.generators.worker import Order, Setting, Worker

try:
    import ray
    from ray.exceptions import RayError
except ImportError:
    raise RecipeError("--executor ray needs Ray: pip install 'nasbench-evs[cluster]'") from None


_KINDS = ("cpu", "cuda", "xpu")


class _Actor:
    """A worker where Ray has put it. It begins to prepare when it is asked, so that it can say what went wrong, and where."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def ready(self) -> dict[str, Any]:
        try:
            self._worker = Worker(self._setting)
        except NasbenchError as error:
            return self._placed({"error": str(error), "fatal": True})
        return {"machine": self._worker.machine}

    def answer(self, order: Order) -> dict[str, Any]:
        return self._placed(self._worker.answer(order))

    def live(self) -> None:
        """Never returns: that it fails is how the death of a worker without orders is heard."""
        threading.Event().wait()

    def _placed(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "error": f"{answer['error']} (on {socket.gethostname()})"} if answer.get("fatal") else answer


@dataclass(eq=False, kw_only=True)
class _Member(Hand):
    actor: Any


class RayExecutor(Executor[_Member]):
    """An actor for each worker: one CPU, and on GPUs the `per_device`-th part of one.

    Every node needs this library, the prepared dataset and, for teachers, the run's folder. `address` is that of a running
    cluster; without it Ray looks where it is told to (RAY_ADDRESS, or a cluster started on this machine). TrainingError
    if there is none, RecipeError if it has no such devices.
    """

    def __init__(self, setting: Setting, address: str | None, per_device: int) -> None:
        if setting.device not in _KINDS:
            raise RecipeError(f"device {setting.device!r}: Ray says which one, expected one of {', '.join(_KINDS)}")
        super().__init__()
        self._setting = setting
        self._expected: dict[Any, _Member] = {}  # answers, and ends of lives, that will come
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
        gpus = 0.0 if setting.device == "cpu" else 1 / per_device
        if gpus > gpus_there:  # Ray would wait for one, and say nothing
            self.close()
            raise RecipeError("the Ray cluster has no GPU yet: expected --device cpu, or a node with a GPU")
        self._actor = ray.remote(_Actor).options(num_cpus=1, num_gpus=gpus, max_restarts=0, max_concurrency=2)

    def hire(self) -> None:
        member = _Member(actor=self._actor.remote(self._setting))
        self.team.append(member)
        self._expected[member.actor.live.remote()] = member
        self._expected[member.actor.ready.remote()] = member

    def send(self, hand: _Member, order: Order) -> None:
        self._expected[hand.actor.answer.remote(order)] = hand

    def listen(self, seconds: float) -> list[Heard]:
        if not self._expected:
            time.sleep(seconds)
            return []
        ray.wait(list(self._expected), timeout=seconds)
        done, _ = ray.wait(list(self._expected), num_returns=len(self._expected), timeout=0)
        heard: list[Heard] = []
        deaths: dict[_Member, str] = {}
        for reference in done:
            member = self._expected.pop(reference)
            try:
                heard.append(Heard(member, ray.get(reference)))
            except RayError as error:
                deaths[member] = _cause(error)
        for member, cause in deaths.items():  # after what it said before
            self.team.remove(member)
            self._expected = {reference: other for reference, other in self._expected.items() if other is not member}
            with contextlib.suppress(RayError):
                ray.kill(member.actor)
            heard.append(Heard(member, {"death": cause}))
        return heard

    def close(self) -> None:
        for member in self.team:
            with contextlib.suppress(RayError):
                ray.kill(member.actor)
        self.team.clear()
        self._expected.clear()
        if self._ours:
            ray.shutdown()


def _connect(address: str | None) -> None:
    _reach(address or os.environ.get("RAY_ADDRESS"))
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address or "auto", logging_level=logging.WARNING)
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
