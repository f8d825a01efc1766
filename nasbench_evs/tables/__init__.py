"""Tables: HDF5 files of records; reading, writing, merging, checking, and importing the published ones."""

from nasbench_evs.tables.build import build
from nasbench_evs.tables.hdf5 import read, write
from nasbench_evs.tables.header import Header
from nasbench_evs.tables.merge import merge
from nasbench_evs.tables.release import import_release
from nasbench_evs.tables.table import Table
from nasbench_evs.tables.verify import verify

__all__ = ["Header", "Table", "build", "import_release", "merge", "read", "verify", "write"]
