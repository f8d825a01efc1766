"""Recipe: what makes a shard. Dataset, part of it, space, protocol and plan, in TOML; with the code version it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from nasbench_evs.datasets import Dataset
from nasbench_evs.errors import InvalidArchitecture, InvalidSpace, RecipeError, did_you_mean, shown
from nasbench_evs.models import networks
from nasbench_evs.reader import Source
from nasbench_evs.spaces import Cost, SearchSpace
from nasbench_evs.spaces.subspaces import SUBSPACES, subspace_ranks
from nasbench_evs.training.protocol import Protocol

_MOST = 10_000_000  # jobs of one recipe


# A search of a plan that is another searcher, with keys of [plan.search] of its own: paper 000's is taught by its trainings.
PRESETS: Mapping[str, tuple[str, Mapping[str, Any]]] = {"seqnas": ("bananas-paper", {"batch": 15, "distilled": True})}


@dataclass(frozen=True)
class Search:
    """Architectures that a searcher asks for, trained with seed 0.

    `searcher` is a name of `search.SEARCHERS` or of PRESETS, or where a class is ("package.module:Class"); `seed` is its own,
    `parameters` are its hyper-parameters. It asks for `architectures` in all, repeats included, `batch` at a time (by default
    as many as its own parameter of that name says, else 8), and is told their scores when the whole batch has ended. `start`:
    so many random ones of the plan are told first. `constraint`: the largest allowed params or flops. `distilled`: from
    position protocol.teach_after of the search on, those of the start included, the best of all earlier batches teach.
    """

    searcher: str
    architectures: int
    batch: int | None = None
    start: int = 0
    distilled: bool = False
    seed: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    constraint: Mapping[str, float] = field(default_factory=dict)

    @property
    def algorithm(self) -> str:
        """The searcher without what a preset adds to the plan."""
        return PRESETS[self.searcher][0] if self.searcher in PRESETS else self.searcher

    @classmethod
    def from_dict(cls, values: object) -> Search:
        """The search of a plan's section; RecipeError."""
        where = "plan.search"
        if not isinstance(values, Mapping):
            raise RecipeError(f"{where}: expected a section [{where}]")
        values = dict(values)
        if not isinstance(values.get("searcher"), str):
            raise RecipeError(f"{where}: searcher is {_there(values, 'searcher')}, expected its name")
        if "architectures" not in values:
            raise RecipeError(f"{where}: architectures is missing: expected how many to ask for")
        if values["searcher"] in PRESETS:
            values = {**PRESETS[values["searcher"]][1], **values}
        _integers(values, cls, where, {"architectures": 1, "start": 0, "seed": 0})
        if values.get("batch") is not None:
            _integers(values, cls, where, {"batch": 1})
        for name in ("parameters", "constraint"):
            part = values.get(name, {})
            if not isinstance(part, Mapping):
                raise RecipeError(f"{where}: {name} = {shown(part)}, expected a section [{where}.{name}]")
            values[name] = dict(sorted(part.items()))
        _no_others(values["constraint"], Cost._fields, f"{where}.constraint")
        for name, limit in values["constraint"].items():
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 0:
                raise RecipeError(f"{where}.constraint: {name} = {shown(limit)}, expected the largest allowed")
        return _make(cls, values, where)


@dataclass(frozen=True)
class Plan:
    """Which trainings.

    `random` architectures drawn without repeats, or all of the space (`exhaustive`), or those of a sub-space
    (`architectures`, a name of spaces.subspaces) or of a file of canonical strings, one a line (then `listed` are these),
    in that order. All with seeds 0 to `seeds_of_all` - 1, the first `repeated` of them with seeds 0 to `seeds` - 1.
    `skip` leaves out so many architectures at the beginning of the order, `first` keeps so many of the next. `distilled`:
    that many of the random ones, from position protocol.teach_after on, are also trained with teachers (the best of those
    before them), with as many seeds. `search`: those that a searcher asks for, after random ones or alone.
    """

    random: int = 0
    exhaustive: bool = False
    architectures: str = ""
    listed: tuple[str, ...] = ()
    skip: int = 0
    first: int | None = None
    sample_seed: int = 0
    repeated: int = 0
    seeds: int = 3
    seeds_of_all: int = 1
    distilled: int = 0
    search: Search | None = None

    @property
    def identity(self) -> str:
        """How journals tell plans apart: as the first ones wrote it, when no searcher but BANANAS could be in a plan."""
        values = [f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.name != "search"]
        last = "bananas=None" if self.search is None else f"search={self.search!r}"
        return f"Plan({', '.join([*values, last])})"


@dataclass(frozen=True)
class Recipe:
    """A recipe, checked as far as that is possible without its dataset."""

    dataset: str
    protocol: Protocol
    plan: Plan
    space: str = networks.DEFAULT
    subset: int | None = None
    train: int | None = None  # training sequences; validation and test split stay whole
    text: str = field(default="", compare=False)  # as it was written

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """The recipe in a TOML file; RecipeError says what is wrong with it."""
        path = Path(path)
        file = Source(path, RecipeError, "a recipe in TOML")
        text = file.text()
        values = file.toml(text)
        try:
            return cls.from_dict(values, text, path.parent)
        except RecipeError as error:
            raise RecipeError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], text: str = "", folder: Path | None = None) -> Recipe:
        """The recipe of plain values, as TOML gives them; files of architectures are in `folder`."""
        known = ("dataset", "space", "subset", "train", "protocol", "plan")
        _no_others(values, known, "")
        for name, kind in (("dataset", str), ("protocol", Mapping), ("plan", Mapping)):
            if not isinstance(values.get(name), kind):
                what = "the name of a dataset" if kind is str else f"a section [{name}]"
                raise RecipeError(f"{name} is {_there(values, name)}: expected {what}")
        plan = dict(values["plan"])
        if "search" in plan:
            plan["search"] = Search.from_dict(plan["search"])
        if "listed" in plan:
            raise RecipeError("plan: listed is no key of a recipe: name a file with architectures")
        lowest = {
            "random": 0,
            "sample_seed": 0,
            "repeated": 0,
            "seeds": 1,
            "seeds_of_all": 1,
            "distilled": 0,
            "skip": 0,
        }
        _integers(plan, Plan, "plan", lowest)
        if plan.get("first") is not None:
            _integers(plan, Plan, "plan", {"first": 1})
        if plan.get("architectures"):
            plan["listed"] = _listed(plan["architectures"], folder)
        recipe = cls(
            dataset=values["dataset"],
            protocol=Protocol.from_dict(values["protocol"]),
            plan=_make(Plan, plan, "plan"),
            space=values.get("space", networks.DEFAULT),
            subset=values.get("subset"),
            train=values.get("train"),
            text=text,
        )
        recipe._check()
        return recipe

    def _check(self) -> None:
        plan, protocol = self.plan, self.protocol
        try:
            spec = networks.by_label(self.space)
        except InvalidSpace as error:
            raise RecipeError(str(error)) from None
        for name in ("subset", "train"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise RecipeError(f"{name} {shown(value)}: expected how many sequences, or nothing for all")
        if self.subset is not None and self.train is not None:
            raise RecipeError(
                "subset and train: expected one of them; train bounds the training split only, subset cuts all three"
            )
        if protocol.norm != "none" and spec.inputs == "sequences":
            raise RecipeError(
                f"protocol: norm = {shown(protocol.norm)} is for networks of vectors, such as ffn; the space is {self.space}: "
                "leave it out"
            )
        sources = bool(plan.exhaustive) + bool(plan.random) + bool(plan.architectures)
        if sources > 1 or not (sources or plan.search):
            raise RecipeError(
                "plan: expected either random = how many architectures, or exhaustive = true, or architectures = a "
                "sub-space or a file, or a section [plan.search]"
            )
        if not plan.random and plan.distilled:
            raise RecipeError("plan: distilled follows random ones: drop it")
        if (plan.exhaustive or plan.architectures) and plan.search:
            raise RecipeError("plan: a search goes with random ones or alone: drop [plan.search]")
        if (plan.seeds_of_all > 1 or plan.first is not None or plan.skip) and (plan.search or plan.distilled):
            raise RecipeError("plan: seeds_of_all, skip and first go without [plan.search] and distilled")
        if plan.first is not None and plan.repeated > plan.first:
            raise RecipeError(f"plan: repeated = {plan.repeated}, expected at most first = {plan.first}")
        if not (plan.exhaustive or plan.architectures) and plan.repeated > plan.random:
            raise RecipeError(f"plan: repeated = {plan.repeated}, expected at most random = {plan.random}")
        if plan.repeated and plan.seeds_of_all > plan.seeds:
            raise RecipeError(
                f"plan: seeds_of_all = {plan.seeds_of_all} above the seeds = {plan.seeds} of the first {plan.repeated}: "
                "expected at most as many"
            )
        if plan.distilled and plan.distilled + protocol.teach_after > plan.random:
            raise RecipeError(
                f"plan: distilled = {plan.distilled} architectures after the first {protocol.teach_after}, of "
                f"random = {plan.random}: expected fewer, or more random ones"
            )
        jobs = plan.random * plan.seeds_of_all + (plan.repeated + plan.distilled) * plan.seeds
        if jobs > _MOST:
            raise RecipeError(f"plan: {jobs:,} trainings: expected at most {_MOST:,}")
        if plan.search and plan.search.start > plan.random:
            raise RecipeError(f"plan.search: start = {plan.search.start}, expected at most random = {plan.random}")

    def search_space(self, dataset: Dataset) -> SearchSpace:
        """The recipe's space, as this dataset needs it. RecipeError if the plan asks for more than it holds."""
        space = networks.by_label(self.space).make(self.space, dataset.schema)
        plan = self.plan
        wanted = plan.random + (plan.search.architectures if plan.search else 0)
        if wanted > space.size:
            raise RecipeError(f"plan: {wanted:,} architectures of a space of {space.size:,}")
        if plan.exhaustive and space.size * plan.seeds_of_all > _MOST:
            raise RecipeError(f"plan: exhaustive over {space.size:,} architectures: expected at most {_MOST:,}")
        listed = plan_ranks(plan, space) if plan.architectures else None
        if listed is not None and plan.repeated > len(listed):
            raise RecipeError(f"plan: repeated = {plan.repeated:,} of {len(listed):,} architectures")
        if listed is not None and len(listed) * plan.seeds_of_all > _MOST:
            raise RecipeError(f"plan: {len(listed) * plan.seeds_of_all:,} trainings: expected at most {_MOST:,}")
        if plan.exhaustive and plan.repeated > space.size:
            raise RecipeError(f"plan: repeated = {plan.repeated:,} of {space.size:,} architectures")
        return space


def plan_ranks(plan: Plan, space: SearchSpace) -> list[int]:
    """Ranks of the architectures that a plan lists, in its order. RecipeError if they are not of this space."""
    if not plan.listed:
        try:
            return subspace_ranks(plan.architectures, space)
        except InvalidSpace as error:
            raise RecipeError(f"plan: {error}") from None
    ranks: dict[int, str] = {}
    for line, text in enumerate(plan.listed, start=1):
        try:
            rank = space.parse(text).rank
        except InvalidArchitecture as error:
            raise RecipeError(f"plan: {plan.architectures}, architecture {line}: {error}") from None
        if rank in ranks:
            raise RecipeError(f"plan: {plan.architectures}, architecture {line}: {text} is there twice")
        ranks[rank] = text
    return list(ranks)


def _listed(name: object, folder: Path | None) -> tuple[str, ...]:
    """The strings of a file; nothing for the name of a sub-space."""
    if not isinstance(name, str):
        raise RecipeError(f"plan: architectures = {shown(name)}, expected the name of a sub-space or of a file")
    if name in SUBSPACES:
        return ()
    path = (folder or Path()) / name
    try:
        lines = Source(path, RecipeError, "canonical strings, one a line").text().splitlines()
    except RecipeError as error:
        raise RecipeError(
            f"plan: architectures = {shown(name)} is neither a sub-space ({', '.join(SUBSPACES)}) nor a file of canonical "
            f"strings: {error}"
        ) from None
    strings = tuple(text for line in lines if (text := line.split("#")[0].strip()))
    if not strings:
        raise RecipeError(f"plan: {path} holds no architectures: expected canonical strings, one a line")
    return strings


Section = TypeVar("Section", Search, Plan)


def _make(cls: type[Section], values: Mapping[str, Any], where: str) -> Section:
    for each in fields(cls):
        if each.type == "bool" and not isinstance(values.get(each.name, False), bool):
            raise RecipeError(f"{where}: {each.name} = {shown(values[each.name])}, expected true or false")
    return cls(**values)


def _no_others(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise RecipeError(
            f"{where and where + ': '}unknown keys {', '.join(unknown)}; expected some of {', '.join(known)}"
            f"{did_you_mean(unknown[0], known)}"
        )


def _integers(values: Mapping[str, Any], cls: type[Search | Plan], where: str, lowest: Mapping[str, int]) -> None:
    _no_others(values, tuple(each.name for each in fields(cls)), where)
    for name, low in lowest.items():
        value = values.get(name, low)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= _MOST:
            raise RecipeError(f"{where}: {name} = {shown(value)}, expected an integer from {low} to {_MOST:,}")


def _there(values: Mapping[str, Any], name: str) -> str:
    return shown(values[name]) if name in values else "missing"
