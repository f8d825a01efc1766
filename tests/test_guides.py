"""Every code block of the guides in docs/ runs, those of one guide in their order and in one folder."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
GUIDES = {
    path.stem: re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    for path in DOCS.glob("*.md")
}
NEEDS = {"ConfigSpace": "configspace", "syne_tune": "syne-tune", "optuna": "optuna"}


@pytest.mark.parametrize("block", [pytest.param(text, id=f"{i}") for i, text in enumerate(GUIDES["adapters"])])
def test_adapters(block, tmp_path):
    for module, extra in NEEDS.items():
        if re.search(rf"\b{module}\b", block) and importlib.util.find_spec(module) is None:
            pytest.skip(f"needs the extra {extra}")
    environment = {**os.environ, "SYNETUNE_FOLDER": str(tmp_path)}
    subprocess.run([sys.executable, "-c", block], check=True, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
