"""Every module that has a way of its own to write is in the registry of writers."""

import ast
from pathlib import Path

import pytest

import nasbench_evs
from tests.faults.writers import WRITERS

PACKAGE = Path(nasbench_evs.__file__).parent
WRITING = {
    "replacing", "save_array", "write_bytes", "savefig", "save_model", "to_parquet", "copyfile", "copytree", "rmtree", "unlink",
    "rename",
}  # fmt: skip
ELSEWHERE = {"analysis.report"}  # it only removes a file, by files.remove


def writes(tree):
    """Whether there is a call that writes, a database, or a file that is opened for writing.

    Calls of functions that are in the registry, such as files.write_text and tables.write, are none.
    """
    return any(_writes(node) for node in ast.walk(tree))


def _writes(node):
    if isinstance(node, ast.ClassDef):
        return any(getattr(base, "id", "") == "ExclusiveDatabase" for base in node.bases)
    if not isinstance(node, ast.Call):
        return False
    method = isinstance(node.func, ast.Attribute)
    name = node.func.attr if method else getattr(node.func, "id", "")
    if name == "open":
        values = [
            each.value for each in (*node.args, *(k.value for k in node.keywords)) if isinstance(each, ast.Constant)
        ]
        return any(isinstance(each, str) and len(each) < 4 and set(each) & set("wax+") for each in values)
    return name in WRITING or (name == "write_text" and method) or (name == "remove" and not method)


def test_every_module_that_writes_has_a_writer():
    writing = set()
    for path in PACKAGE.rglob("*.py"):
        if writes(ast.parse(path.read_text(encoding="utf-8"))):
            writing.add(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    assert writing - ELSEWHERE == {module for writer in WRITERS.values() for module in writer.modules} - {"database"}


@pytest.mark.parametrize(
    "source",
    [
        "with replacing(target) as scratch: pass",
        "class Journal(ExclusiveDatabase): pass",
        "path.open('a', encoding='utf-8')",
        "open(path, mode='wb')",
        "path.write_text('x')",
        "figure.savefig(path)",
        "shutil.rmtree(path)",
    ],
)
def test_writing_is_noticed(source):
    assert writes(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    ["write_text(path, 'x')", "path.open()", "open(path, 'rb')", "frame.to_csv(index=False)", "tables.write(t, p)"],
)
def test_what_writes_nothing_by_itself(source):
    assert not writes(ast.parse(source))
