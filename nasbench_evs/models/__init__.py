"""Networks: the architectures of each space as PyTorch modules, one file per space."""

from nasbench_evs.models.build import build

__all__ = ["build"]
