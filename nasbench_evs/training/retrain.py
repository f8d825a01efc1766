"""Train what a table's header describes, as its records were trained: for live queries, and to check records."""

from __future__ import annotations

from nasbench_evs.datasets import Dataset
from nasbench_evs.datasets.store import open_dataset
from nasbench_evs.errors import DatasetError
from nasbench_evs.spaces import Architecture
from nasbench_evs.tables import Header, Table
from nasbench_evs.training.inputs import prepare_inputs
from nasbench_evs.training.machine import Machine
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.record import Job, record_of, table_of
from nasbench_evs.training.train import train


def dataset_of(header: Header) -> Dataset:
    """The dataset that a table's records were trained on; DatasetError if it is not prepared here or is another one."""
    dataset = open_dataset(header.dataset)
    if dataset.fingerprint != header.fingerprint:
        raise DatasetError(
            f"the prepared {header.dataset} is not the one of the table: fingerprint {dataset.fingerprint[:12]}..., the "
            f"table has {header.fingerprint[:12]}...; prepare it again with nasbench-evs data add"
        )
    return dataset


class Retrainer:
    """Trains architectures by a table's protocol on its dataset, which must be prepared here."""

    def __init__(self, header: Header, device: str = "cpu") -> None:
        """RecipeError if another trainer made the table, DatasetError if its dataset is not here or is another one."""
        self.header = header
        self.protocol = Protocol.recorded(header.protocol)
        dataset = dataset_of(header)
        values = header.protocol
        self.inputs = prepare_inputs(
            header.space, dataset, values.get("subset"), self.protocol, device, train=values.get("train")
        )
        self.machine = Machine.here(device)

    def train(self, architecture: Architecture, seed: int) -> Table:
        """The record of one training without teachers, as a table."""
        result = train(architecture, seed, self.protocol, self.inputs)
        job = Job(architecture.rank, seed, "train")
        return table_of(self.header, {job: record_of(result, self.machine)})
