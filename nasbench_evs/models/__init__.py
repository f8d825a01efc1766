"""Networks: the architectures of each space as PyTorch modules, one file per space, and the table of them."""

from nasbench_evs.models.networks import NetworkSpec, build, register

__all__ = ["NetworkSpec", "build", "register"]
