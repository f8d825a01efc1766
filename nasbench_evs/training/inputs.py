"""Inputs: a dataset as the networks of a space read it, on a device, batch by batch."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping

import numpy as np
import torch

from nasbench_evs.datasets import Dataset
from nasbench_evs.datasets.aggregate import vectors
from nasbench_evs.datasets.split import SPLITS, blocks, subset
from nasbench_evs.errors import InvalidArchitecture, InvalidQuery, InvalidSpace, RecipeError
from nasbench_evs.models.batch import PaddedBatch
from nasbench_evs.models.networks import spec_of
from nasbench_evs.spaces import SearchSpace, SequenceShape, VectorShape
from nasbench_evs.training.device import usable
from nasbench_evs.training.protocol import Protocol

TOP_CATEGORIES = 20  # of each field, whose shares an ffn network sees


class Inputs:
    """What is common to sequences and vectors.

    rows         positions of the sequences of each split
    curve_rows   those on which curves are evaluated, of each split that has a curve
    lengths      events of every sequence, int64 (S,), on the CPU
    labels       int64 (S,), on the device
    blocks       the block of every sequence (see split.blocks), int64 (S,), on the CPU
    shape        what cost formulas and networks need to know
    """

    shape: SequenceShape | VectorShape

    def __init__(
        self,
        dataset: Dataset,
        rows: Mapping[str, np.ndarray],
        lengths: np.ndarray,
        protocol: Protocol,
        device: torch.device,
    ) -> None:
        self.schema = dataset.schema
        self.device = device
        self.lengths = lengths
        self.rows = dict(rows)
        self.labels = _tensor(dataset.labels.astype(np.int64), device)
        self._kept: np.ndarray | None = None  # sequences that the device holds, in order; None: all
        self._place: np.ndarray | None = None  # of every sequence among them, -1 for others
        if device.type != "cpu":
            self._kept = np.unique(np.concatenate(list(self.rows.values())))
            self._place = np.full(len(dataset), -1)
            self._place[self._kept] = np.arange(len(self._kept))
        self.blocks = blocks(dataset.groups)
        for name, members in self.rows.items():
            self._check_classes(dataset, members, f"the {name} split of {len(members):,} sequences")
        size, available = protocol.epoch_size, len(self.rows["train"])
        if size is not None and size > available:
            raise RecipeError(
                f"protocol: epoch_size = {size:,} above the {available:,} training sequences of {dataset.schema.name}: "
                "expected at most as many"
            )
        self.curve_rows = self._curve_rows(dataset, protocol)

    def _curve_rows(self, dataset: Dataset, protocol: Protocol) -> dict[str, np.ndarray]:
        size = protocol.curve_rows
        if size is None:
            return {name: self.rows[name] for name in ("valid", "test")}
        found = {}
        for name in ("valid", "test") if protocol.test_curves else ("valid",):
            rows = self.rows[name]
            if size > len(rows):
                raise RecipeError(
                    f"protocol: curve_rows = {size:,} above the {len(rows):,} sequences of the {name} split of "
                    f"{dataset.schema.name}: expected at most as many, or leave it out for all"
                )
            found[name] = rows[subset(dataset.ids[rows], size)]
            self._check_classes(dataset, found[name], f"curve_rows = {size:,} of the {name} split")
        return found

    @staticmethod
    def _check_classes(dataset: Dataset, rows: np.ndarray, what: str) -> None:
        classes = dataset.schema.classes
        present = np.unique(dataset.labels[rows])
        if len(present) < len(classes):
            raise RecipeError(
                f"{dataset.schema.name}: {what} holds {len(present)} of {len(classes)} classes: take more of them"
            )

    def batch(self, rows: np.ndarray) -> PaddedBatch | torch.Tensor:
        """What a network is called with for these sequences, which must be of `rows` on other devices than a CPU."""
        raise NotImplementedError

    def _of_kept(self, columns: np.ndarray) -> torch.Tensor:
        """What the device holds of columns that have a row a sequence."""
        return _tensor(columns if self._kept is None else columns[self._kept], self.device)

    def _places(self, rows: np.ndarray) -> torch.Tensor:
        """Where the device holds these sequences: int64 (B,), on the device. InvalidQuery for those that it does not."""
        if self._place is not None:
            places = self._place[rows]
            if len(places) and places.min() < 0:
                raise InvalidQuery(
                    f"sequence {rows[places.argmin()]:,} of {self.schema.name} is in no split of this training, and not on "
                    f"{self.device}: expected sequences of `rows`"
                )
            rows = places
        return _tensor(rows, self.device)


class SequenceInputs(Inputs):
    """Event sequences; the fields of the profile are appended to every event.

    On a CPU the columns stay where the prepared dataset has them (mapped, shared between processes). To other devices each
    process copies those of the sequences in `rows` once; workers that share a device do not share the copy.
    """

    def __init__(
        self, dataset: Dataset, rows: Mapping[str, np.ndarray], protocol: Protocol, device: torch.device
    ) -> None:
        super().__init__(dataset, rows, dataset.lengths, protocol, device)
        schema = dataset.schema
        fields = (*schema.categorical, *schema.profile_categorical)
        self.shape = SequenceShape(
            categorical=tuple((field.cardinality, embedding_width(field.cardinality, protocol)) for field in fields),
            numerical=dataset.inputs.shape[1] + dataset.profile_inputs.shape[1],
            channels=protocol.channels,
            hidden=protocol.hidden,
            outputs=len(schema.classes),
            length=schema.max_length,
        )
        starts = dataset.offsets[:-1].astype(np.int64)
        events: np.ndarray | slice = slice(None)
        if self._kept is not None:
            lengths = self.lengths[self._kept]
            ends = np.cumsum(lengths)
            events = np.arange(ends[-1]) + np.repeat(starts[self._kept] - (ends - lengths), lengths)
            starts = np.zeros(len(dataset), np.int64)
            starts[self._kept] = ends - lengths
        self._time = _tensor(dataset.time[events], device)
        self._categorical = _tensor(dataset.categorical[events], device)
        self._inputs = _tensor(dataset.inputs[events], device)
        self._starts, self._lengths = self._of_kept(starts), self._of_kept(self.lengths)
        self._profile_categorical = self._of_kept(dataset.profile_categorical)
        self._profile_inputs = self._of_kept(dataset.profile_inputs)

    def batch(self, rows: np.ndarray) -> PaddedBatch:
        """These sequences, padded to the longest of them; behind the end its last event is repeated."""
        owner = self._places(rows)
        lengths = self._lengths[owner]
        steps = torch.arange(int(self.lengths[rows].max()), device=self.device)
        index = self._starts[owner][:, None] + torch.minimum(steps, lengths[:, None] - 1)
        shape = index.shape
        index = index.flatten()

        def fields(events: torch.Tensor, profile: torch.Tensor) -> torch.Tensor:
            of_events = events.index_select(0, index).unflatten(0, shape)
            if not profile.shape[1]:
                return of_events
            return torch.cat([of_events, profile[:, None].expand(-1, shape[1], -1)], dim=-1)

        time = self._time.index_select(0, index).unflatten(0, shape)
        profile_categorical = self._profile_categorical.index_select(0, owner)
        profile_numerical = self._profile_inputs.index_select(0, owner)
        return PaddedBatch(
            categorical=fields(self._categorical, profile_categorical),
            numerical=fields(self._inputs, profile_numerical),
            time=(time - time[:, :1]).float(),
            lengths=lengths,
            profile_categorical=profile_categorical,
            profile_numerical=profile_numerical,
        )


class VectorInputs(Inputs):
    """One vector a sequence: its aggregates, made ready for a network on the training rows.

    Of a `subset`, on the training rows of that subset; of a recipe's `train` rows, on the whole training split.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: Mapping[str, np.ndarray],
        protocol: Protocol,
        device: torch.device,
        subset_size: int | None = None,
    ) -> None:
        super().__init__(dataset, rows, np.ones(len(dataset), np.int64), protocol, device)
        part = dataset if subset_size is None else dataset.subset(subset_size)
        of_part, _ = vectors(part, TOP_CATEGORIES)
        if subset_size is None:
            features = of_part
        else:  # the part is in the order of its positions
            features = np.zeros((len(dataset), of_part.shape[1]), np.float32)
            features[subset(dataset.ids, subset_size)] = of_part
        self.shape = VectorShape(of_part.shape[1], len(dataset.schema.classes), protocol.norm)
        self._features = self._of_kept(features)

    def batch(self, rows: np.ndarray) -> torch.Tensor:
        """The features of these sequences, float32 (B, F)."""
        return self._features.index_select(0, self._places(rows))


def prepare_inputs(
    space: SearchSpace,
    dataset: Dataset,
    subset_size: int | None,
    protocol: Protocol,
    device: str | torch.device = "cpu",
    *,
    train: int | None = None,
) -> Inputs:
    """The dataset as networks of this space read it: all of it; a subset of all splits; or `train` training sequences.

    `train` are those with the smallest hashes of the training split; validation and test split stay whole, and so does
    what everything is fitted to. RecipeError if the space has no networks, or does not fit the dataset.
    """
    rows = _rows(dataset, subset_size, train)
    device = usable(device)
    whole = space.whole
    try:
        spec = spec_of(whole)
    except InvalidSpace as error:
        raise RecipeError(str(error)) from None
    if callable(spec.inputs):
        inputs: Inputs = spec.inputs(dataset, rows, protocol, device)
    elif spec.inputs == "vectors":
        inputs = VectorInputs(dataset, rows, protocol, device, subset_size)
    else:
        inputs = SequenceInputs(dataset, rows, protocol, device)
    try:
        whole.cost(whole.unrank(0), inputs.shape)
    except InvalidArchitecture as error:
        fitting = spec.make(whole.label, dataset.schema)
        parameters = ", ".join(f"{name} = {json.dumps(value)}" for name, value in fitting.parameters.items())
        raise RecipeError(
            f"{dataset.schema.name}: {error}; expected the space {fitting.name} with {parameters or 'no parameters'}"
        ) from None
    return inputs


def _rows(dataset: Dataset, subset_size: int | None, train: int | None) -> dict[str, np.ndarray]:
    """Positions of the sequences of each split that a training uses, in order."""
    if subset_size is not None and not 1 <= subset_size <= len(dataset):
        raise RecipeError(f"a subset of {subset_size} sequences of {dataset.schema.name}: expected 1 to {len(dataset)}")
    chosen = np.arange(len(dataset)) if subset_size is None else subset(dataset.ids, subset_size)
    rows = {name: chosen[dataset.split[chosen] == code] for code, name in enumerate(SPLITS)}
    if train is not None:
        available = len(rows["train"])
        if not 1 <= train <= available:
            raise RecipeError(
                f"train = {train:,}: {dataset.schema.name} has {available:,} training sequences; expected 1 to {available:,}"
            )
        rows["train"] = rows["train"][subset(dataset.ids[rows["train"]], train)]
    return rows


def embedding_width(codes: int, protocol: Protocol) -> int:
    """The width of the embedding of a categorical field with that many codes."""
    return protocol.embedding or min(600, round(1.6 * codes**0.56))


def _tensor(array: np.ndarray, device: torch.device) -> torch.Tensor:
    with warnings.catch_warnings():
        # The columns of a prepared dataset are mapped read-only, which torch does not know; nobody writes to them.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)
