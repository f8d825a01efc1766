"""Workers on a Ray cluster, which places them, watches over them and says when one has died."""

from __future__ import annotations

import logging
import re
import socket
import time
from dataclasses import dataclass
from typing import Any

from nasbench_evs.errors import NasbenchError, RecipeError, TrainingError, one_line
from nasbench_evs.generators.executor import Executor, Hand, Heard
from nasbench_evs.generators.worker import Order, Setting, Worker

try:
    import ray
except ImportError:
    raise RecipeError("--executor ray needs Ray: pip install 'nasbench-evs[cluster]'") from None


_KINDS = ("cpu", "cuda", "xpu")


def _reach(address: str | None) -> None:
    """OSError if nothing listens there: Ray itself tries for minutes before it says so."""
    place = re.fullmatch(r"(?:ray://)?\[?([^\[\]/]+)\]?:(\d+)", address or "")
    if place:
        socket.create_connection((place[1], int(place[2])), timeout=10).close()


class _Actor:
    """A worker where Ray has put it. It begins to prepare when it is asked, so that it can say what went wrong."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def ready(self) -> dict[str, Any]:
        try:
            self._worker = Worker(self._setting)
        except NasbenchError as error:
            return {"error": str(error), "fatal": True}
        return {}

    def answer(self, order: Order) -> dict[str, Any]:
        return self._worker.answer(order)


@dataclass(eq=False)
class _Member(Hand):
    actor: Any = None


class RayExecutor(Executor):
    """An actor for each worker: one CPU, and on GPUs the `per_device`-th part of one.

    Every node needs this library, the prepared dataset and, for teachers, the run's folder. `address` is that of a running
    cluster; without it Ray looks where it is told to (RAY_ADDRESS, or a cluster started on this machine). TrainingError
    if there is none, RecipeError if it has no such devices.
    """

    def __init__(self, setting: Setting, address: str | None, per_device: int) -> None:
        if setting.device not in _KINDS:
            raise RecipeError(f"device {setting.device!r}: Ray says which one, expected one of {', '.join(_KINDS)}")
        self._setting = setting
        self._ours = not ray.is_initialized()  # or the caller's connection
        if self._ours:
            try:
                _reach(address)
                ray.init(address=address or "auto", logging_level=logging.WARNING)
            except (OSError, RuntimeError, ValueError) as error:
                reason = one_line(error).split(". ")[0][:200]
                raise TrainingError(
                    f"no Ray cluster{f' at {address}' if address else ''}: {reason}; start one with ray start --head, or give "
                    f"its --address"
                ) from None
        gpus = 0.0 if setting.device == "cpu" else 1 / per_device
        if gpus > ray.cluster_resources().get("GPU", 0):  # Ray would wait for one, and say nothing
            self._leave()
            raise RecipeError("the Ray cluster has no GPU yet: expected --device cpu, or a node with a GPU")
        self._actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Actor)
        self._team: list[_Member] = []
        self._expected: dict[Any, _Member] = {}  # answers that will come

    def hire(self) -> Hand:
        member = _Member(self._setting.device, actor=self._actor.remote(self._setting))
        self._team.append(member)
        self._expected[member.actor.ready.remote()] = member
        return member

    def send(self, hand: Hand, order: Order) -> None:
        self._expected[hand.actor.answer.remote(order)] = hand  # type: ignore[attr-defined,assignment]

    def listen(self, seconds: float) -> list[Heard]:
        if not self._expected:
            time.sleep(seconds)
            return []
        ray.wait(list(self._expected), timeout=seconds)
        done, _ = ray.wait(list(self._expected), num_returns=len(self._expected), timeout=0)
        heard = []
        for reference in done:
            member = self._expected.pop(reference)
            try:
                answer = ray.get(reference)
            except ray.exceptions.RayError as error:
                self._team.remove(member)
                ray.kill(member.actor)
                answer = {"death": str(error).strip().split("\n")[0][:300]}
            heard.append(Heard(member, answer))
        return heard

    def close(self) -> None:
        for member in self._team:
            ray.kill(member.actor)
        self._leave()

    def _leave(self) -> None:
        if self._ours:
            ray.shutdown()
