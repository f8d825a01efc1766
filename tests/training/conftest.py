"""The synthetic dataset, prepared, as the generators' tests have it, and the small recipe; what networks of seqnas read of it."""

import pytest

from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.training.inputs import prepare_inputs
from nasbench_evs.training.protocol import Protocol
from tests.generators.conftest import dataset, one_thread, recipe, values

__all__ = ["dataset", "one_thread", "recipe", "values"]

SPACE = SeqNASSpace()
PROTOCOL = Protocol(epochs=2, batch_size=64, embedding=4, channels=1, hidden=8)


def later(**changes):
    """PROTOCOL, changed."""
    return Protocol(**{**PROTOCOL.to_dict(), **changes})


@pytest.fixture(scope="session")
def inputs(dataset):
    return prepare_inputs(SPACE, dataset, 300, PROTOCOL)
