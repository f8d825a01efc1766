"""What all shards of a recipe share."""

from __future__ import annotations

from nasbench_evs.datasets import Dataset
from nasbench_evs.spaces import SearchSpace, SequenceShape, VectorShape, shape_to_dict
from nasbench_evs.tables import Header
from nasbench_evs.training.protocol import trainer_name
from nasbench_evs.training.recipe import Recipe


def header_of(recipe: Recipe, space: SearchSpace, dataset: Dataset, shape: SequenceShape | VectorShape) -> Header:
    """The header of every shard of the recipe."""
    return Header(
        space=space,
        dataset=recipe.dataset,
        fingerprint=dataset.fingerprint,
        protocol={
            "trainer": trainer_name(),
            "subset": recipe.subset,
            **({} if recipe.train is None else {"train": recipe.train}),
            **recipe.protocol.to_dict(),
            "shape": shape_to_dict(shape),
        },
        metric=dataset.schema.metric,
    )
