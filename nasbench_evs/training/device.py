"""The device on which something is trained: whether it can be used, and how a GPU is made to compute the same twice."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from nasbench_evs.errors import RecipeError, one_line

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_WORKSPACES = (
    ":4096:8",
    ":16:8",
)  # with which cuBLAS computes the same twice, as PyTorch's notes on reproducibility say
# Their backward passes are deterministic where deterministic algorithms are asked for; cuDNN's attention is left out.
_ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def usable(device: str | torch.device) -> torch.device:
    """The torch device of that name; RecipeError if there is none here.

    This is where CUDA starts, and what cuBLAS reads only then is set before: call it before anything else is done on a GPU.
    """
    try:
        found = torch.device(device)
        if found.type == "mps":
            raise RuntimeError("nobody has tested training there")
        if found.type not in ("cpu", "cuda", "xpu"):
            raise RuntimeError("nothing is computed there")
        if found.type == "cuda":
            _fix_workspace()
        torch.zeros(1, device=found).item()
    except (
        RuntimeError,
        AssertionError,
        NotImplementedError,
        TypeError,
    ) as error:  # torch is not of one mind about these
        reason = one_line(error).split(". ")[0][:120]
        raise RecipeError(
            f"device {str(device)!r} cannot be used: {reason}; expected cpu, or a GPU such as cuda:0"
        ) from None
    return found


def _fix_workspace() -> None:
    """Have cuBLAS compute the same twice; child processes inherit it. RecipeError where that can no longer be had."""
    known = os.environ.get(_WORKSPACE)
    if known is None and not torch.cuda.is_initialized():
        os.environ[_WORKSPACE] = _WORKSPACES[0]
    elif known not in _WORKSPACES:
        what = "is not set and CUDA has started already" if known is None else f"is {known!r}"
        raise RecipeError(
            f"the environment variable {_WORKSPACE} {what}: expected {' or '.join(_WORKSPACES)}, set before this process "
            f"uses a GPU, or trainings would not come out again"
        )


@contextlib.contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Within it a GPU computes in full float32 and the same each time, or raises; a CPU does so anyway.

    cuDNN's convolutions and cuBLAS' products round their inputs to ten bits by default or if somebody allows it. All is
    afterwards as it was before.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled, precision = memory.fill_uninitialized_memory, torch.get_float32_matmul_precision()
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False  # a kernel for each new tensor, and nothing here reads it
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
            sdpa_kernel(_ATTENTION),
        ):
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = filled
        torch.set_float32_matmul_precision(precision)
