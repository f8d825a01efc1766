"""The wheel: small, complete, and nothing more. Builds it, so these are slow."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nasbench_evs.version import __version__

ROOT = Path(__file__).resolve().parents[1]
MIB = 1 << 20
WHEEL = 20 * MIB
# Of each file, packed. A table that is past its budget is to be recorded with fewer columns, or to be fetched.
BUDGETS = {
    r"nasbench_evs/shipped/datasets/[^/]+/[^/]+\.h5": 4 * MIB,
    r"nasbench_evs/shipped/datasets/[^/]+/[^/]+\.md": MIB // 32,
    r"nasbench_evs/shipped/surrogate/[^/]+/[^/]+/[^/]+\.cbm": 2 * MIB,
    r"nasbench_evs/shipped/surrogate/[^/]+/[^/]+/(surrogate|reference|card)\.json": MIB,
    r"nasbench_evs/shipped/surrogate/[^/]+/[^/]+/out_of_fold\.npy": MIB,
    r"nasbench_evs/shipped/generators/[^/]+\.toml": MIB // 64,
    r"nasbench_evs/shipped/analysis/[^/]+\.toml": MIB // 64,
    r"nasbench_evs/shipped/analysis/[^/]+/results\.csv\.xz": 2 * MIB,
    r"nasbench_evs/shipped/analysis/across/portfolios\.json": MIB // 8,
    r"nasbench_evs/analysis/explorer/assets/(page|js/[a-z]+)\.(html|css|js)": MIB // 32,
    r"nasbench_evs/analysis/explorer/assets/vendor/[a-z0-9]+(\.umd)?\.min\.js": MIB // 2,
    r"nasbench_evs/(?!shipped/).+\.(py|txt)": MIB // 8,
    r"nasbench_evs/py\.typed": 64,
    r"nasbench_evs-[^/]+\.dist-info/.+": MIB // 8,
}

pytestmark = pytest.mark.slow
pytest.importorskip("build", reason="pip install 'nasbench-evs[release]'")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that is built of the files that git knows: what lies about in a checkout is not to be in it."""
    clone, out = tmp_path_factory.mktemp("clone") / "clone", tmp_path_factory.mktemp("dist")
    clone.mkdir()
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(clone)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def members(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {each.filename: each.compress_size for each in archive.infolist()}


def test_it_is_small(wheel):
    assert wheel.stat().st_size < WHEEL
    assert wheel.name.startswith(f"nasbench_evs-{__version__}-py3-none-any")


def test_every_file_has_a_kind_and_keeps_to_its_budget(members):
    for name, size in members.items():
        budgets = [budget for pattern, budget in BUDGETS.items() if re.fullmatch(pattern, name)]
        assert len(budgets) == 1, f"{name} is of no kind that belongs into a wheel"
        assert size <= budgets[0], f"{name} takes {size:,} bytes of at most {budgets[0]:,}"


def test_it_carries_every_module_and_table_and_surrogate(members):
    for path in (ROOT / "nasbench_evs").rglob("*.py"):
        assert path.relative_to(ROOT).as_posix() in members
    for path in (ROOT / "nasbench_evs" / "analysis" / "explorer" / "assets").rglob("*.*"):
        assert path.relative_to(ROOT).as_posix() in members
    shipped = (
        "datasets/*/*.h5", "datasets/*/*.md", "surrogate/*/*/*.cbm", "surrogate/*/*/*.json", "generators/*.toml",
        "analysis/suite-1.toml", "analysis/suite-1/results.csv.xz", "analysis/development.toml",
        "analysis/development/results.csv.xz", "analysis/across/portfolios.json",
    )  # fmt: skip
    for path in (each for pattern in shipped for each in ROOT.glob(pattern)):
        assert f"nasbench_evs/shipped/{path.relative_to(ROOT).as_posix()}" in members
    assert "nasbench_evs/py.typed" in members


def test_twine_finds_nothing_wrong(wheel):
    pytest.importorskip("twine", reason="pip install 'nasbench-evs[release]'")
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", str(wheel)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
