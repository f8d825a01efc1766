"""Event-sequence datasets: raw files in, one canonical form out, with splits, preprocessing and padded batches."""

from nasbench_evs.datasets.custom import add
from nasbench_evs.datasets.dataset import Batch, Dataset
from nasbench_evs.datasets.prepare import Raw, Rules, prepare
from nasbench_evs.datasets.schema import Categorical, Numerical, Schema
from nasbench_evs.datasets.store import open_dataset

__all__ = ["Batch", "Categorical", "Dataset", "Numerical", "Raw", "Rules", "Schema", "add", "open_dataset", "prepare"]
