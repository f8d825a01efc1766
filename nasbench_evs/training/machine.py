"""What a machine is called in a table."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs import locations
from nasbench_evs.tables.format import MISSING
from nasbench_evs.training.protocol import ROUNDING, TRAINER
from nasbench_evs.version import __version__

# Names and flags of /proc/cpuinfo, the widest first.
_INSTRUCTION_SETS = {
    "avx512": "avx512f", "avx2": "avx2", "avx": "avx", "sse4": "sse4_2", "sve": "sve", "neon": "asimd",
}  # fmt: skip


def cpu_name() -> str:
    """The processor's model, as the operating system calls it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def cpu_details() -> dict[str, str]:
    """What a processor's name leaves open: its family, its model, and its widest vector instructions ("" if unknown)."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    facts: dict[str, str] = {}
    for line in lines:  # of the first core
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", facts.get("Features", "")).split()
    widest = next((name for name, flag in _INSTRUCTION_SETS.items() if flag in flags), platform.machine())
    return {"family": facts.get("cpu family", ""), "model": facts.get("model", ""), "instruction_set": widest}


@cache
def code_commit() -> str:
    """The commit of the package's checkout, "+" behind it if its files differ; the version where there is no checkout."""
    package = locations.PACKAGE.resolve()

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # an installed copy may lie within somebody else's checkout
        commit, changed = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return __version__
    return commit + ("+" if changed else "")


@dataclass(frozen=True)
class Machine:
    """Where something was trained, as tables.format.HARDWARE has it: what is "" (`threads`: MISSING) was not recorded."""

    cpu: str = ""
    gpu: str = ""
    threads: int = MISSING
    versions: str = ""  # of libraries, JSON
    family: str = ""
    model: str = ""
    instruction_set: str = ""

    @classmethod
    def here(cls, device: str) -> Machine:
        """This machine, for trainings on this torch device."""
        import torch

        gpu = torch.cuda.get_device_name(torch.device(device)) if torch.device(device).type == "cuda" else ""
        versions = {"torch": torch.__version__, "numpy": np.__version__, "nasbench-evs": __version__}
        versions |= {"python": platform.python_version(), "trainer": f"{TRAINER}.{ROUNDING}"}
        return cls(cpu_name(), gpu, 1, json.dumps(versions, sort_keys=True), **cpu_details())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as journals and other JSON files have them."""
        return asdict(self)
