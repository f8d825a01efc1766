"""Protocol: everything that decides a training, apart from architecture and seed; part of every table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from nasbench_evs.errors import RecipeError, did_you_mean, shown
from nasbench_evs.spaces.shapes import NORMS

TRAINER = 1  # version of the function a training computes; tables of different ones never merge
# Version of how it is computed. The same function, rounded differently: curves of two versions part slowly, and seconds and
# latency change. Records that do not say are of version 1.
ROUNDING = 2

OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("one-cycle", "cosine", "constant")
CLASS_WEIGHTS = ("balanced", "none")
PRECISIONS = ("float32", "bfloat16")
SCORE_AT = ("best epoch", "end")
_ENDING_AT_ZERO = ("one-cycle", "cosine")

_INTEGERS = {
    "epochs": (1, 10_000),
    "batch_size": (1, 1_000_000),
    "embedding": (0, 10_000),
    "channels": (1, 10_000),
    "hidden": (1, 100_000),
    "pool": (1, 100_000),
    "teachers": (1, 1000),
    "teach_after": (1, 1_000_000_000),
}
_OPTIONAL_INTEGERS = {"epoch_size": (1, 1_000_000_000), "curve_rows": (2, 1_000_000_000)}
_NUMBERS = {
    "learning_rate": 1e3,
    "weight_decay": 1e3,
    "dropout": 0.95,
    "clip": 1e9,
    "teacher_weight": 1.0,
    "warm_up": 1.0,
    "embedding_std": 10.0,
}
# Keys that came after the first tables: written only where they differ from what was done before, which is their default.
_LATER = ("epoch_size", "curve_rows", "test_curves", "score_at", "warm_up", "embedding_std", "norm")


@dataclass(frozen=True)
class Protocol:
    """How one architecture is trained.

    `learning_rate` is the schedule's peak. `embedding` is the width of every categorical field's embedding, 0 for
    min(600, round(1.6 n^0.56)) of n codes. `channels` are the convolution channels of a real-valued field, `hidden` the
    width of attention heads and feed-forward layers; the three mean nothing to `ffn`. `class_weights` of the loss:
    "balanced" weighs every class the same. `clip` is the largest gradient norm. Batches are cut from pools of `pool`
    batches sorted by length. `precision` "bfloat16" is autocast: matrix products in half precision, on a CPU too (fast
    only where it has instructions for it); on a GPU recurrent layers stay in float32. Where a recipe asks for it, the `teachers`
    best trainings teach with weight `teacher_weight` (paper 000, section 3.4): in a search from training `teach_after` + 1 on
    the best of all batches before, in a plan's `distilled` ones the best of its first `teach_after`.

    `epoch_size` sequences are an epoch, of an endless stream of permutations of the training sequences; left out, all of
    them are. Curves are evaluated on whole splits, or on the `curve_rows` validation sequences with the smallest hashes
    and, with `test_curves`, as many test sequences. `score_at`: the score of a training is that of its "best epoch" by
    validation score, or that of its "end": of the last weights, on whole splits, evaluated once; the schedule must end at
    0 then. `warm_up` is the share of the steps in which one-cycle's rate rises, `embedding_std` the standard deviation of
    embeddings at the start. `norm` "layer" gives `ffn` a layer norm before each ReLU (paper 003, appendix B.2).
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    optimiser: str = "adamw"
    schedule: str = "one-cycle"
    class_weights: str = "balanced"
    dropout: float = 0.3
    clip: float = 1.0
    embedding: int = 8
    channels: int = 4
    hidden: int = 32
    pool: int = 8
    precision: str = "float32"
    teachers: int = 3
    teach_after: int = 30
    teacher_weight: float = 0.2
    epoch_size: int | None = None
    curve_rows: int | None = None
    test_curves: bool = False
    score_at: str = "best epoch"
    warm_up: float = 0.3
    embedding_std: float = 0.1
    norm: str = "none"

    def __post_init__(self) -> None:
        for name, (low, high) in _INTEGERS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise RecipeError(f"protocol: {name} = {shown(value)}, expected an integer from {low} to {high}")
        for name, (low, high) in _OPTIONAL_INTEGERS.items():
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high
            ):
                raise RecipeError(
                    f"protocol: {name} = {shown(value)}, expected an integer from {low} to {high}, or nothing for all"
                )
        for name, largest in _NUMBERS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= largest:
                raise RecipeError(f"protocol: {name} = {shown(value)}, expected a number from 0 to {largest:g}")
            object.__setattr__(self, name, float(value))
        for name, options in (
            ("optimiser", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("class_weights", CLASS_WEIGHTS),
            ("precision", PRECISIONS),
            ("score_at", SCORE_AT),
            ("norm", NORMS),
        ):
            if getattr(self, name) not in options:
                raise RecipeError(
                    f"protocol: {name} = {shown(getattr(self, name))}, expected one of {', '.join(map(repr, options))}"
                )
        if not isinstance(self.test_curves, bool):
            raise RecipeError(f"protocol: test_curves = {shown(self.test_curves)}, expected true or false")
        if self.test_curves and self.curve_rows is None:
            raise RecipeError(
                "protocol: test_curves = true without curve_rows: name how many sequences, or leave both out for whole splits"
            )
        if self.score_at == "end" and self.schedule not in _ENDING_AT_ZERO:
            raise RecipeError(
                f"protocol: score_at = 'end' with schedule = {shown(self.schedule)}: expected one that ends at 0, "
                f"{' or '.join(map(repr, _ENDING_AT_ZERO))}"
            )
        if self.teachers > self.teach_after:
            raise RecipeError(
                f"protocol: teachers = {self.teachers}, expected at most teach_after = {self.teach_after}"
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        """The protocol of a recipe's section; RecipeError names unknown keys."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise RecipeError(
                f"protocol: unknown keys {', '.join(unknown)}; expected some of {', '.join(known)}"
                f"{did_you_mean(unknown[0], known)}"
            )
        if "epochs" not in values:
            raise RecipeError("protocol: epochs is missing: expected how many epochs an architecture is trained")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the later keys where they are at their defaults."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if name not in _LATER or value != defaults[name]}

    @classmethod
    def recorded(cls, values: Mapping[str, Any]) -> Protocol:
        """The protocol in a table's header; RecipeError if this library's trainer did not write it."""
        if values.get("trainer") != trainer_name():
            raise RecipeError(
                f"the records were not made by this trainer ({trainer_name()}) but by {shown(values.get('trainer'))}: "
                f"they cannot be trained again here"
            )
        names = {field.name for field in fields(cls)}
        return cls.from_dict({name: value for name, value in values.items() if name in names})


def trainer_name() -> str:
    """How tables name the code whose curves they hold: a name, and no module path, so that it stays where code moves."""
    return f"nasbench_evs.generators.trainer {TRAINER}"
