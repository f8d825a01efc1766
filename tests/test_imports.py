"""Layers, import circles, and what importing costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nasbench_evs

PACKAGE = Path(nasbench_evs.__file__).parent

# Lowest first; a module imports only from its own or a lower layer.
LAYERS = [
    ("errors", "arguments", "metrics", "files", "reader", "locations", "database", "processes", "progress", "version"),
    ("spaces",),
    ("tables",),
    ("datasets",),
    ("models",),
    ("training",),
    ("surrogate",),
    ("benchmark",),
    ("search",),
    ("oneshot",),
    ("scenarios",),
    ("generators",),
    ("analysis",),
    ("adapters",),
    ("testing",),
    ("cli",),
    ("testing",),
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = ("torch", "catboost", "matplotlib", "pandas", "scipy", "sklearn", "rich", "h5py", "numpy")

# An architecture belongs to a space, and a space makes architectures.
CIRCLES = [{f"nasbench_evs.spaces.{name}" for name in ("architecture", "space")}]
ENTRY_POINTS = ("nasbench_evs.spaces", "nasbench_evs.benchmarks")  # groups of entry points, which are no modules
_BY_NAME = re.compile(r"(nasbench_evs(?:\.\w+)+)(?::\w+)?")  # "nasbench_evs.search.random:RandomSearch"


def modules():
    """The path of every module by its dotted name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(("nasbench_evs", *parts)).removesuffix(".__init__")] = path
    return found


def imported(source, everything=True):
    """Dotted names from this package that a module imports, also inside functions, and those that it has as strings.

    `from a import b` gives "a.b", whatever b is. Of a string that is put together ("nasbench_evs.search." and a name) it is
    what stands first: enough for its layer. `everything=False` leaves out those, and what only a type checker imports.
    """
    tree = ast.parse(source)
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and not everything and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped |= {id(each) for part in node.body for each in ast.walk(part)}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # documentation
            skipped.add(id(node.value))
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module}"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = _BY_NAME.fullmatch(node.value.removesuffix(".") if everything else node.value)
            names = [named[1]] if named and node.value not in ENTRY_POINTS else []
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "nasbench_evs")


def test_layers_import_downwards_only():
    checked = 0
    for module, path in modules().items():
        if module == "nasbench_evs":
            continue
        layer = module.split(".")[1]
        for name in imported(path.read_text(encoding="utf-8")):
            assert name != "nasbench_evs", f"{module} imports the package, whose __init__ is above everything"
            other = name.split(".")[1]
            assert LEVEL.get(other, len(LAYERS)) <= LEVEL[layer], f"{module} ({layer}) imports {name}"
            checked += 1
    assert checked > 300


def graph(sources):
    """For each module, those that it imports: the longest part of each name that is a module."""
    edges = {}
    for module, source in sources.items():
        edges[module] = set()
        for name in imported(source, everything=False):
            while name not in sources:
                name = name.rpartition(".")[0]
            edges[module].add(name)
    return edges


def circles(edges):
    """Strongly connected components of more than one module (Tarjan 1972), and modules that import themselves."""
    index, low, stack, found = {}, {}, [], []

    def visit(module):
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in edges[module]:
            if other not in index:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == index[module]:
            start = stack.index(module)
            component = set(stack[start:])
            del stack[start:]
            if len(component) > 1 or module in edges[module]:
                found.append(component)

    for module in edges:
        if module not in index:
            visit(module)
    return found


def test_the_only_import_circle_is_the_one_by_nature():
    edges = graph({module: path.read_text(encoding="utf-8") for module, path in modules().items()})
    wrong = [component for component in circles(edges) if not any(component <= allowed for allowed in CIRCLES)]
    lines = [f"{each} -> {', '.join(sorted(edges[each] & part))}" for part in wrong for each in sorted(part)]
    assert not wrong, "import circles:\n" + "\n".join(lines)


@pytest.mark.parametrize(
    "back",
    [
        "from nasbench_evs.a import thing",
        "from nasbench_evs import a",
        "def f():\n    import nasbench_evs.a",
        "import_module('nasbench_evs.a')",
        "HOMES = {'thing': 'nasbench_evs.a:Thing'}",
        "HOMES = {'thing': 'nasbench_evs.a.Thing'}",
    ],
)
def test_a_circle_is_found_however_it_is_closed(back):
    others = {"nasbench_evs": "", "nasbench_evs.a": "from nasbench_evs.b import x", "nasbench_evs.c": ""}
    assert circles(graph({**others, "nasbench_evs.b": back})) == [{"nasbench_evs.a", "nasbench_evs.b"}]


@pytest.mark.parametrize(
    "back",
    [
        "import nasbench_evs.c",
        "'nasbench_evs.a'",
        "if TYPE_CHECKING:\n    from nasbench_evs.a import A\nelse:\n    import nasbench_evs.c",
        "MESSAGE = 'nasbench_evs.a is below'",
        "import_module(f'nasbench_evs.{name}')",
    ],
)
def test_what_closes_no_circle(back):
    others = {"nasbench_evs": "", "nasbench_evs.a": "from nasbench_evs.b import x", "nasbench_evs.c": ""}
    assert circles(graph({**others, "nasbench_evs.b": back})) == []


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


def test_a_recommendation_reads_what_ships_and_loads_nothing_heavy():
    assert modules_after("from nasbench_evs.analysis.recommend import recommend; recommend('new-data')") == ["numpy"]


def test_everything_public_is_there():
    assert set(nasbench_evs.__all__) <= set(dir(nasbench_evs))
    for name in nasbench_evs.__all__:
        assert getattr(nasbench_evs, name) is not None
