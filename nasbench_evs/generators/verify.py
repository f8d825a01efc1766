"""Records trained again: do they come out?"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from nasbench_evs.errors import InvalidQuery, NotRecorded
from nasbench_evs.tables import Table
from nasbench_evs.tables.format import CURVE_OF
from nasbench_evs.tables.noise import seed_noise
from nasbench_evs.training.machine import Machine
from nasbench_evs.training.record import machines_of
from nasbench_evs.training.retrain import Retrainer

TOLERANCE = 0.02  # of the best validation score, where hardware or libraries differ and no record has several seeds
SEED_DEVIATIONS = 4.0  # standard deviations between seeds, where some have
FIRST_EPOCH = 1e-3  # of losses after one epoch, where nothing differs but the trainer's rounding


@dataclass(frozen=True)
class Check:
    """One record and its repetition.

    difference    the largest of any recorded loss or score, which has to be 0 on the `same_machine` with the same versions
    tolerance     of the validation score, elsewhere
    begun         difference of losses after one epoch, as a share of them if they are above 1
    """

    training: str
    recorded: float  # validation score
    repeated: float
    difference: float
    begun: float
    same_machine: bool
    tolerance: float
    passed: bool


def verify_sample(
    table: Table,
    sample: int,
    *,
    seed: int = 0,
    device: str = "cpu",
    here: bool = False,
    report: Callable[[int, int], None] = lambda *_: None,
) -> list[Check]:
    """Train a random sample of a table's records again; with `here`, of those that this machine recorded.

    On the machine type and versions of the record, every loss and score must come out exactly, also those without a block.
    Elsewhere the validation score must, within SEED_DEVIATIONS standard deviations between seeds, or TOLERANCE where no
    record has several. If only this library differs, which computes the same function with other rounding, the losses of
    the first epoch must also come out within FIRST_EPOCH: by then rounding has changed their sixth digit, and anything else
    the first; some architectures amplify it up to the noise between seeds in the epochs after. The commit that trained
    makes no machine another. Records with teachers and failed ones are left out.
    Errors of `Retrainer`; InvalidQuery, NotRecorded.
    """
    if sample < 1:
        raise InvalidQuery(f"sample {sample}: expected at least 1")
    rows = np.flatnonzero((table["distilled"] != 1) & (table["status"] != b"failed") & (table["seed"] >= 0))
    if not len(rows):
        raise NotRecorded("no record can be trained again: all have teachers, failed, or name no seed")
    retrainer = Retrainer(table.header, device)
    machines = machines_of(table)
    if here:
        ours = [row for row, then in enumerate(machines) if then == _known_of(retrainer.machine, then)]
        rows = rows[np.isin(table["hardware"][rows], ours)]
        if not len(rows):
            raise NotRecorded("no record was trained on this machine with these versions: verify without --here")
    chosen = np.sort(np.random.default_rng(seed).choice(rows, min(sample, len(rows)), replace=False))
    scores, noise = table.scores("valid"), seed_noise(table).std
    tolerance = TOLERANCE if np.isnan(noise) else SEED_DEVIATIONS * noise
    checks = []
    for done, row in enumerate(chosen.tolist()):
        report(done, len(chosen))
        again = retrainer.train(table.header.space.unrank(int(table["rank"][row])), int(table["seed"][row]))
        recorded, repeated = float(scores[row]), float(again.scores("valid")[0])
        difference = max(_difference(table[name][row], again[name][0]) for name in _COMPARED)
        begun = max(_difference(*_relative(table[name][row, :1], again[name][0, :1])) for name in _LOSSES)
        at = int(table["hardware"][row])
        then = machines[at] if at >= 0 else Machine()
        now = _known_of(retrainer.machine, then)
        rounding = _but_rounding(then) == _but_rounding(now)
        if then == now:
            passed = difference == 0
        else:
            passed = _difference(np.array([recorded]), np.array([repeated])) <= tolerance
            passed = passed and not (rounding and begun > FIRST_EPOCH)
        checks.append(Check(table.training(row), recorded, repeated, difference, begun, then == now, tolerance, passed))
    report(len(chosen), len(chosen))
    return checks


_LOSSES = ("train_loss", "valid_loss_curve", "test_loss_curve")
_COMPARED = (*_LOSSES, "valid_curve", "test_curve", *CURVE_OF, "valid_blocks", "test_blocks")
_DETAILS = ("family", "model", "instruction_set")


def _relative(recorded: np.ndarray, repeated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = np.clip(np.abs(recorded), 1.0, np.finfo(np.float32).max)
    return recorded / size, repeated / size


def _difference(recorded: np.ndarray, repeated: np.ndarray) -> float:
    """The largest absolute difference; infinite where only one of the two is a number."""
    if not np.array_equal(np.isnan(recorded), np.isnan(repeated)):
        return float("inf")
    with np.errstate(invalid="ignore"):  # infinite both times is no difference
        return float(np.nanmax(np.abs(recorded - repeated), initial=0.0))


def _known_of(now: Machine, then: Machine) -> Machine:
    """This machine in what a record says of its own: older ones name the processor only."""
    unsaid: dict[str, Any] = {name: "" for name in _DETAILS if then.cpu and not getattr(then, name)}
    return replace(now, **unsaid)


def verified_line(checks: Sequence[Check], machine: Machine) -> str:
    """What a table says of records that came out exactly on the machine that had recorded them."""
    details = ", ".join(f"{name} {value}" for name in _DETAILS if (value := getattr(machine, name)))
    torch = json.loads(machine.versions)["torch"]
    day = datetime.now(UTC).date().isoformat()
    return f"{day}: {len(checks)} records trained again, exactly, on {machine.cpu} ({details}), torch {torch}"


def _but_rounding(machine: Machine) -> Machine:
    """Without the versions of this library, of which the header's protocol has the part that matters."""
    with contextlib.suppress(ValueError, AttributeError):  # somebody else's text is compared as it is
        ours = ("trainer", "nasbench-evs")
        versions = {name: value for name, value in json.loads(machine.versions).items() if name not in ours}
        return replace(machine, versions=json.dumps(versions, sort_keys=True))
    return machine
