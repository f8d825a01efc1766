"""Layers, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import nasbench_evs

PACKAGE = Path(nasbench_evs.__file__).parent

# Lowest first ; a module imports only from its own or a lower layer.
LAYERS = [
    ("errors", "metrics", "files", "locations"),
    ("spaces",),
    ("tables",),
    ("datasets",),
    ("models",),
    ("training",),
    ("surrogate",),
    ("benchmark",),
    ("search",),
    ("generators",),
    ("analysis",),
    ("cli",),
    ("testing",),
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = ("torch", "catboost", "matplotlib", "pandas", "scipy", "sklearn", "rich", "h5py", "numpy")


def imported(path):
    """Dotted names of what a module imports from this package, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            inside = node.module == "nasbench_evs"
            names = [f"nasbench_evs.{alias.name}" for alias in node.names] if inside else [node.module]
        else:
            continue
        yield from (name for name in names if name.startswith("nasbench_evs."))


def test_layers_import_downwards_only():
    checked = 0
    for path in PACKAGE.rglob("*.py"):
        layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if layer == "__init__":
            continue
        for name in imported(path):
            other = name.split(".")[1]
            assert LEVEL[other] <= LEVEL[layer], f"{path.relative_to(PACKAGE)} ({layer}) imports {name}"
            checked += 1
    assert checked > 30


def modules_after(code):
    script = f"import sys\n{code}\nprint(*sorted(m for m in sys.modules if m in {HEAVY!r}))"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


def test_importing_the_package_loads_nothing_heavy():
    assert modules_after("import nasbench_evs") == []
    assert modules_after("from nasbench_evs import spaces") == ["numpy"]


def test_a_tabular_query_needs_numpy_and_h5py_only():
    code = """
import nasbench_evs as nb
bench = nb.load("digits", source="table")
bench.query(bench.space.architectures(bench.pool[:1])[0])
"""
    assert modules_after(code) == ["h5py", "numpy"]


def test_a_surrogate_query_needs_neither_torch_nor_matplotlib():
    code = """
import nasbench_evs as nb
bench = nb.load("digits", source="surrogate")
bench.query(bench.space.sample(seed=0))
"""
    loaded = modules_after(code)
    assert "catboost" in loaded
    assert not {"torch", "matplotlib", "sklearn"} & set(loaded)


def test_everything_public_is_there():
    assert set(nasbench_evs.__all__) <= set(dir(nasbench_evs))
    for name in nasbench_evs.__all__:
        assert getattr(nasbench_evs, name) is not None
