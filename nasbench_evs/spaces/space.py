"""SearchSpace: sampling, mutation, neighbours, AVec, ranks and strings of any space made of choices.

The batch form of N architectures is an int8 array of choice indices, shape (N, C): one column per choice, -1 where
the choice is inactive. Every operation on one architecture has a `_many` form on such arrays.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nasbench_evs.arguments import as_list, check_int, is_int, known, of_kind
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery, InvalidSpace, did_you_mean, shown
from nasbench_evs.spaces import families
from nasbench_evs.spaces.architecture import Architecture
from nasbench_evs.spaces.avec import AVecCode
from nasbench_evs.spaces.choices import Choice, Option
from nasbench_evs.spaces.drawing import Block, Part
from nasbench_evs.spaces.ranks import RankCode
from nasbench_evs.spaces.shapes import Cost, Shape
from nasbench_evs.spaces.strings import Reader
from nasbench_evs.spaces.tree import ChoiceTree

Seed = int | np.random.Generator | None

SAMPLING = ("hierarchical", "uniform")
MAX_SAMPLE = 10**9


class SearchSpace:
    """All architectures that a list of choices allows.

    `name`, `version` and `parameters` identify the space in files; `parameters` is what JSON can hold. A class of spaces of
    its own takes its parameters as keywords, gives its family's name, and is registered (see `spaces.families`).
    """

    _never: Collection[int] = ()  # columns that are never active

    def __init__(
        self, choices: Sequence[Choice], *, name: str, version: int = 1, parameters: Mapping[str, Any] | None = None
    ) -> None:
        if not isinstance(name, str) or not name or families.taken(name, type(self)):
            raise InvalidSpace(f"{shown(name)} cannot name a space of {type(self).__name__}: expected another text")
        self.choices = tuple(as_list("choices", choices, "a list of spaces.Choice", InvalidSpace))
        for choice in self.choices:
            of_kind("a choice", choice, Choice, "a spaces.Choice", InvalidSpace)
        self.name = name
        self.version = check_int("version", version, 0, error=InvalidSpace)
        parameters = {} if parameters is None else parameters
        self.parameters = dict(of_kind("parameters", parameters, Mapping, "what JSON holds, by name", InvalidSpace))
        self._tree = ChoiceTree(self.choices, self._never)
        self._ranks = RankCode(self._tree.options.tolist(), self._tree.parents, self._tree.allowed)
        self._avecs = AVecCode(self.choices)

    @classmethod
    def from_choices(
        cls,
        options: Mapping[str, Sequence[Option]],
        conditions: Mapping[str, Mapping[str, Sequence[Option]]] | None = None,
        *,
        name: str = "custom",
    ) -> SearchSpace:
        """A space from plain choices.

        `options` maps each choice's name to its options; `conditions` maps a conditional choice's name to
        `{earlier choice: options of it that make this one active}` (exactly one earlier choice).

        >>> space = SearchSpace.from_choices(
        ...     {"op": ["conv", "attention"], "heads": [1, 2, 4]}, {"heads": {"op": ["attention"]}}
        ... )
        >>> space.size, str(space.unrank(3))
        (4, 'op=attention,heads=4')
        """
        of_kind("options", options, Mapping, "choices as {name: [options, ...]}", InvalidSpace)
        conditions = {} if conditions is None else conditions
        of_kind("conditions", conditions, Mapping, "{choice: {earlier choice: [options]}}", InvalidSpace)
        for child, condition in conditions.items():
            if child not in options:
                raise InvalidSpace(
                    f"a condition names the choice {shown(child)}: expected one of {', '.join(map(str, options))}"
                )
            if not isinstance(condition, Mapping) or len(condition) != 1:
                raise InvalidSpace(
                    f"the condition of {shown(child)} is {shown(condition)}: expected {{earlier choice: [options]}}"
                )
        choices = []
        for choice, values in options.items():
            listed = as_list(f"the options of {shown(choice)}", values, "a list of options", InvalidSpace)
            parent, when = next(iter(conditions.get(choice, {}).items()), (None, ()))
            needed = as_list(f"the condition of {shown(choice)}", when, "{earlier choice: [options]}", InvalidSpace)
            choices.append(Choice(choice, tuple(listed), parent, tuple(needed)))
        # A list, because the order of the choices decides what ranks mean.
        parameters: dict[str, Any] = {"choices": [[each.name, list(each.options)] for each in choices]}
        if conditions:
            parameters["conditions"] = {each.name: {each.parent: list(each.when)} for each in choices if each.parent}
        return SearchSpace(choices, name=name, parameters=parameters)

    def restrict(self, options: Mapping[str, Sequence[Option]], *, name: str | None = None) -> SearchSpace:
        """A view of the architectures whose choices take these options only; choices that are not named keep all of theirs.

        It has its own ranks and neighbours, and this space's strings, AVecs and costs. InvalidSpace if a choice or an
        option is unknown.

        >>> from nasbench_evs.spaces import FFNSpace
        >>> view = FFNSpace(2).restrict({"layer.0": [8, 16], "layer.1": [32]})
        >>> view.size, [str(view.unrank(rank)) for rank in range(2)]
        (2, ['8-32', '16-32'])
        """
        return families.view(self, options, name)

    # Identity

    @property
    def spec(self) -> dict[str, Any]:
        """Name, version and parameters: what `spaces.from_spec` makes the same space of."""
        return {"name": self.name, "version": self.version, "parameters": self.parameters}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SearchSpace) and (self is other or self._identity == other._identity)

    def __hash__(self) -> int:
        return hash(self._identity)

    @cached_property
    def _identity(self) -> str:
        return json.dumps(self.spec, sort_keys=True)

    def __reduce__(self) -> tuple[Any, ...]:
        # By reference to the class: where it is unpickled, its module is imported, which may register its networks.
        return _rebuild, (type(self), self.name, self.parameters)

    def __repr__(self) -> str:
        return f"<search space {self.name}: {len(self.choices)} choices, {self.size:,} architectures>"

    @classmethod
    def from_parameters(cls, name: str, parameters: Mapping[str, Any]) -> SearchSpace:
        """The space of this class with a spec's name and parameters, which are the keywords of the class."""
        given = dict(of_kind("parameters", parameters, Mapping, "those of a space's spec", InvalidSpace))
        make: Any = cls
        if cls is SearchSpace:
            if "choices" not in given:
                raise InvalidSpace(
                    f"space {shown(name)} was not made by from_choices: expected its choices, got {shown(given)}"
                )
            try:
                given = {"options": dict(given.pop("choices")), **given, "name": name}
            except (TypeError, ValueError):
                raise InvalidSpace(f"space {shown(name)}: expected its choices as [[name, [options]], ...]") from None
            make = cls.from_choices
        try:
            inspect.signature(make).bind(**given)
        except TypeError as error:
            raise InvalidSpace(
                f"space {shown(name)} does not have the parameters {shown(given)}: {error}, expected those of its spec"
            ) from None
        made: SearchSpace = make(**given)
        return made

    @property
    def label(self) -> str:
        """What the space is called where one is asked for: in `load`, in recipes, as the name of a table's file.

        `name` is the family's where spaces of a family differ in size ("ffn"), the label says which one is meant ("ffn-3").
        """
        return self.name

    @property
    def size(self) -> int:
        """The number of architectures."""
        return self._ranks.size

    @property
    def avec_bits(self) -> int:
        """The length of the AVec."""
        return self._avecs.bits

    def column(self, name: str) -> int:
        """The column of a choice in the batch form."""
        columns = self._tree.columns
        if not isinstance(name, str) or name not in columns:
            raise InvalidArchitecture(
                f"{self.name} has no choice {shown(name)}: expected one of {', '.join(columns)}{did_you_mean(name, columns)}"
            )
        return columns[name]

    @property
    def whole(self) -> SearchSpace:
        """The space of which this one is a view, or a view of one; itself if it is none."""
        return self

    # Between one architecture and the batch form

    def from_options(self, options: Mapping[str, Option]) -> Architecture:
        """The architecture with these options: every active choice given, no inactive one."""
        of_kind("options", options, Mapping, "{choice: option}", InvalidArchitecture)
        for name in options:
            self.column(name)
        indices = [-1] * len(self.choices)
        for column, choice in enumerate(self.choices):
            active = self._tree.active_in(column, indices)
            if active and choice.name not in options:
                raise InvalidArchitecture(
                    f"{choice.name} is missing: expected one of {', '.join(map(str, choice.options))}"
                )
            if not active and choice.name in options:
                when = " or ".join(map(str, choice.when))
                raise InvalidArchitecture(f"{choice.name} is given but not active: it needs {choice.parent} = {when}")
            if active:
                indices[column] = choice.index(options[choice.name])
        return self._from_indices(indices)

    def architectures(self, choices: np.ndarray) -> list[Architecture]:
        """The rows of a batch as Architecture objects."""
        data = np.ascontiguousarray(self.check(choices)).tobytes()
        width = len(self.choices)
        return [Architecture(self, data[start : start + width]) for start in range(0, len(data), width)]

    def stack(self, architectures: Iterable[Architecture]) -> np.ndarray:
        """The batch form, int8 of shape (N, C), of Architecture objects of this space."""
        keys = []
        if isinstance(architectures, Architecture):
            raise InvalidArchitecture(f"architectures = {shown(architectures)}: expected a list, [architecture]")
        if not isinstance(architectures, list):
            architectures = as_list("architectures", architectures, "a list of Architectures", InvalidArchitecture)
        for architecture in architectures:
            if not isinstance(architecture, Architecture):
                raise InvalidArchitecture(
                    f"{shown(architecture)} is a {type(architecture).__name__}: expected an Architecture; "
                    "make one with space.parse(text), space.unrank(rank) or space.from_options({...})"
                )
            if architecture.space is not self and architecture.space != self:
                raise self._other_space(architecture)
            keys.append(architecture.key)
        return np.frombuffer(b"".join(keys), np.int8).reshape(len(keys), len(self.choices))

    def _other_space(self, architecture: Architecture) -> InvalidArchitecture:
        theirs, ours = repr(architecture.space), repr(self)
        if theirs == ours:
            theirs, ours = str(architecture.space.spec), str(self.spec)
        return InvalidArchitecture(f"{architecture} is of the space {theirs}: expected one of {ours}")

    def check(self, choices: np.ndarray) -> np.ndarray:
        """The same choice indices as int8 of shape (N, C), or InvalidArchitecture naming the first wrong entry."""
        return self._tree.check(choices, self.name)

    def is_active(self, column: int, choices: np.ndarray) -> np.ndarray:
        """In which rows the choice of this column is active, given the columns before it: bool (N,)."""
        check_int("column", column, 0, len(self.choices) - 1)
        return self._tree.active(column, self._tree.check_parent(column, choices, self.name))

    # Sampling

    def sample(self, seed: Seed = None, method: str = "hierarchical") -> Architecture:
        """One random architecture: `sample_many` with n = 1."""
        return self._one(self.sample_many(1, seed, method))

    def sample_many(self, n: int, seed: Seed = None, method: str = "hierarchical") -> np.ndarray:
        """n random architectures, with repeats, as choice indices of shape (n, C).

        `hierarchical` draws choice by choice with each choice's probabilities, as the authors of seqnas sample (paper 000);
        `uniform` draws ranks. Same seed, same architectures; a Generator is used as it is.
        """
        if not is_int(n) or not 0 <= n <= MAX_SAMPLE:
            raise InvalidQuery(f"cannot sample {shown(n)} architectures: expected 0 to {MAX_SAMPLE:,}")
        known("sampling method", method, SAMPLING)
        generator = generator_of(seed)
        if method == "uniform":
            return self._ranks.unrank(generator.integers(self.size, size=n, dtype=np.uint64))
        choices = self._tree.empty(n)
        self._tree.complete(choices, generator)
        return choices

    def complete(self, choices: np.ndarray, seed: Seed = None) -> np.ndarray:
        """Valid choice indices of rows that may lack active choices or hold inactive ones, int (N, C).

        Active choices that are -1 are drawn by their probabilities, what is not active is cleared.
        """
        completed = np.array(self._tree.check(choices, self.name, partial=True), order="F")
        self._tree.complete(completed, generator_of(seed))
        return completed

    # Mutation and neighbours

    def mutate(self, architecture: Architecture, seed: Seed = None) -> Architecture:
        """A random neighbour: `mutate_many` of one."""
        return self._one(self.mutate_many(self.stack([architecture]), seed))

    def mutate_many(self, choices: np.ndarray, seed: Seed = None) -> np.ndarray:
        """For each row one active choice, drawn uniformly, takes another option, drawn uniformly.

        What becomes active is drawn by its probabilities, what becomes inactive is dropped. A row in which no choice has
        another option comes back unchanged.
        """
        return self._tree.mutate(self.check(choices), generator_of(seed))

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """All architectures that differ in exactly one choice: `neighbors_many` of one."""
        return self.architectures(self.neighbors_many(self.stack([architecture]))[0])

    def neighbors_many(self, choices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For every row, every architecture that differs in one active choice, and in what that choice activates.

        What becomes active takes its first option (otherwise a step in depth would have thousands of neighbours).
        Returns choice indices of shape (M, C) and the row each belongs to, shape (M,), in order of rows.
        """
        return self._tree.neighbors(self.check(choices))

    # AVec

    def encode(self, architecture: Architecture) -> np.ndarray:
        """The AVec: uint8 of shape (avec_bits,)."""
        return self.encode_many(self.stack([architecture]))[0]

    def encode_row(self, row: np.ndarray) -> list[int]:
        """The AVec of one row of choice indices as a plain list: for one architecture, ten times as fast."""
        fast = type(row) is np.ndarray and row.dtype == np.int8 and row.ndim == 1
        indices = row.tolist() if fast else self.check([row])[0].tolist()  # type: ignore[arg-type]
        self._tree.check_row(indices, self.name)
        return self._avecs.row(indices)

    def encode_many(self, choices: np.ndarray) -> np.ndarray:
        """AVecs, uint8 of shape (N, avec_bits)."""
        choices = self.check(choices)
        avec = np.empty((len(choices), self.avec_bits), np.uint8)
        self._avecs.into(choices, avec)
        return avec

    def encode_into(self, choices: np.ndarray, out: np.ndarray) -> None:
        """Write the AVecs into the first avec_bits columns of `out`, whatever its dtype and memory order."""
        choices = self.check(choices)
        if (
            not isinstance(out, np.ndarray)
            or out.ndim != 2
            or len(out) != len(choices)
            or out.shape[1] < self.avec_bits
            or out.dtype.kind not in "iuf"
            or not out.flags.writeable
        ):
            raise InvalidQuery(
                f"out = {shown(out)}: expected a writeable array of numbers of {len(choices)} rows and {self.avec_bits} columns "
                "or more"
            )
        self._avecs.into(choices, out)

    # Ranks

    def rank(self, architecture: Architecture) -> int:
        """The architecture's integer index, 0 to size - 1."""
        return int(self._ranks.rank(self.stack([architecture]))[0])

    def rank_many(self, choices: np.ndarray) -> np.ndarray:
        """Ranks, uint64 of shape (N,)."""
        return self._ranks.rank(self.check(choices))

    def unrank(self, rank: int) -> Architecture:
        """The architecture of a rank."""
        return self._one(self.unrank_many([rank]))

    def unrank_many(self, ranks: Sequence[int] | np.ndarray) -> np.ndarray:
        """Choice indices of shape (N, C) of ranks, or InvalidArchitecture for one out of range."""
        if not isinstance(ranks, np.ndarray):
            ranks = as_list("ranks", ranks, f"integers from 0 to {self.size - 1}", InvalidArchitecture)
            for rank in ranks:
                if not is_int(rank):
                    raise InvalidArchitecture(
                        f"rank {shown(rank)} is no integer: expected one from 0 to {self.size - 1}"
                    )
                if not 0 <= rank < self.size:
                    raise self._outside(int(rank))
            ranks = np.array(ranks, np.uint64)
        if ranks.ndim != 1 or ranks.dtype.kind not in "iu":
            raise InvalidArchitecture(f"expected ranks as integers of shape (N,), got {ranks.dtype} of {ranks.shape}")
        wrong = (ranks < 0) | (ranks > np.uint64(self.size - 1))
        if wrong.any():
            raise self._outside(int(ranks[wrong][0]))
        return self._ranks.unrank(ranks.astype(np.uint64, copy=False))

    def _outside(self, rank: int) -> InvalidArchitecture:
        return InvalidArchitecture(f"rank {shown(rank)} is out of range for {self.name}: expected 0 to {self.size - 1}")

    # Canonical strings

    def format(self, architecture: Architecture) -> str:
        """The canonical string; for a space from plain choices `choice=option` of the active ones, by commas."""
        return ",".join(f"{name}={option}" for name, option in self._own(architecture).options.items())

    def format_many(self, choices: np.ndarray) -> list[str]:
        """Canonical strings of a batch."""
        return [str(architecture) for architecture in self.architectures(choices)]

    def parse(self, text: str) -> Architecture:
        """The architecture of a canonical string, or InvalidArchitecture pointing at the offending character."""
        reader = Reader(text, f"a {self.name} architecture")
        indices = [-1] * len(self.choices)
        for column, choice in enumerate(self.choices):
            if self._tree.active_in(column, indices):
                if reader.position:
                    reader.expect(",", f"',{choice.name}='")
                reader.expect(f"{choice.name}=")
                indices[column] = reader.one_of([str(option) for option in choice.options])
        reader.finish()
        return self._from_indices(indices)

    def parse_many(self, texts: Iterable[str]) -> np.ndarray:
        """Choice indices of shape (N, C) of canonical strings."""
        expected = "a list of canonical strings"
        return self.stack([self.parse(text) for text in as_list("texts", texts, expected, InvalidArchitecture)])

    def _from_indices(self, indices: Sequence[int]) -> Architecture:
        return Architecture(self, np.array(indices, np.int8).tobytes())

    def _one(self, choices: np.ndarray) -> Architecture:
        return Architecture(self, choices[0].tobytes())

    # In words

    def parts(self, architecture: Architecture) -> list[Part]:
        """The parts of an architecture, from its inputs on, with all active choices: what it is described and drawn by.

        Of a space from plain choices, a part for each active choice; a class of spaces of its own says what they are.
        """
        return [Part(name, (Block(str(option)),)) for name, option in self._own(architecture).options.items()]

    def describe(self, architecture: Architecture) -> list[tuple[str, str]]:
        """Each part's name and what it is in words.

        >>> from nasbench_evs.spaces import FFNSpace
        >>> space = FFNSpace(2)
        >>> space.describe(space.parse("32-144"))
        [('inputs', 'vector'), ('layer 1', '32 units'), ('layer 2', '144 units'), ('head', 'linear')]
        """
        return [(part.name, part.words) for part in self.parts(architecture)]

    def _own(self, architecture: Architecture) -> Architecture:
        """The same, or InvalidArchitecture if it is none of this space."""
        if not isinstance(architecture, Architecture) or architecture.space is not self:
            self.stack([architecture])
        return architecture

    # Costs

    def cost(self, architecture: Architecture, shape: Shape) -> Cost:
        """Exact parameters and FLOPs of the network on inputs of this shape: integers."""
        params, flops = self.cost_many(self.stack([architecture]), shape)
        return Cost(int(np.asarray(params)[0]), int(np.asarray(flops)[0]))

    def cost_many(self, choices: np.ndarray, shape: Shape) -> Cost:
        """Parameters and FLOPs, int64 arrays of shape (N,), of valid choice indices."""
        raise InvalidQuery(
            f"the space {self.name!r} has no cost formula: record costs in the table, or use {' or '.join(families.names())}"
        )


def check_space(value: object) -> None:
    """InvalidSpace if it is no search space."""
    if not isinstance(value, SearchSpace):
        raise InvalidSpace(f"{shown(value)} is no search space: make one with spaces.SearchSpace.from_choices(...)")


def _rebuild(cls: type[SearchSpace], name: str, parameters: Mapping[str, Any]) -> SearchSpace:
    return cls.from_parameters(name, parameters)


def generator_of(seed: Seed) -> np.random.Generator:
    """A new generator of this seed, or the one given; InvalidQuery for what is neither."""
    if isinstance(seed, np.random.Generator):
        return seed
    # Nothing else goes to numpy: of a list that holds itself, it ends the process.
    if seed is not None and (not is_int(seed) or seed < 0):
        raise InvalidQuery(f"seed {shown(seed)}: expected an integer of 0 or more, or a numpy Generator")
    return np.random.default_rng(seed)
