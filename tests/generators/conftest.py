"""A home with the synthetic dataset prepared, and a recipe small enough to carry out in seconds."""

import copy

import pytest
import torch

from nasbench_evs.datasets import store
from nasbench_evs.training.recipe import Recipe

SMALL = {
    "dataset": "synthetic",
    "subset": 200,
    "space": "seqnas",
    "protocol": {
        "epochs": 2,
        "batch_size": 64,
        "embedding": 3,
        "channels": 1,
        "hidden": 4,
        "teach_after": 4,
        "teachers": 2,
    },
    "plan": {
        "random": 9,
        "repeated": 3,
        "seeds": 2,
        "distilled": 2,
        "search": {
            "searcher": "bananas-paper",
            "architectures": 4,
            "start": 5,
            "batch": 2,
            "parameters": {"initial": 5, "batch": 2, "pool_size": 10},
        },
    },
}


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dataset(home):
    return store.open_dataset("synthetic")


@pytest.fixture
def values():
    """The small recipe as plain values, to change."""
    return copy.deepcopy(SMALL)


@pytest.fixture
def recipe(values):
    return Recipe.from_dict(values)
