"""What a machine is called in a table."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np

import nasbench_evs
from nasbench_evs.generators.protocol import ROUNDING, TRAINER


def cpu_name() -> str:
    """The processor's model, as the operating system calls it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def machine(device: str) -> dict[str, Any]:
    """The machine of a training on this torch device: cpu, gpu, threads, versions (JSON)."""
    import torch

    gpu = torch.cuda.get_device_name(torch.device(device)) if torch.device(device).type == "cuda" else ""
    versions = {"torch": torch.__version__, "numpy": np.__version__, "nasbench-evs": nasbench_evs.__version__}
    versions |= {"python": platform.python_version(), "trainer": f"{TRAINER}.{ROUNDING}"}
    return {"cpu": cpu_name(), "gpu": gpu, "threads": 1, "versions": json.dumps(versions, sort_keys=True)}
