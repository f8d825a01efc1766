"""Families: names that files know, who may have them, and where they come from."""

import pickle
import subprocess
import sys

import pytest

from nasbench_evs import spaces
from nasbench_evs.errors import InvalidSpace
from nasbench_evs.spaces import Choice, FFNSpace, SearchSpace, families

MODULE = """
from nasbench_evs.spaces import Choice, SearchSpace, families

class Installed(SearchSpace):
    def __init__(self, n=3):
        super().__init__([Choice("a", tuple(range(n)))], name="installed", parameters={"n": n})

families.register("installed", Installed, %s)
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A function that installs a package with an entry point, by its module's text, for this process."""

    def install(text, name="installed"):
        (tmp_path / f"{name}_package.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(families, "_FAMILIES", dict(families._FAMILIES))
        monkeypatch.setattr(families, "_entry_points", lambda: {name: f"{name}_package"})
        return tmp_path

    yield install
    sys.modules.pop("installed_package", None)


def test_a_file_s_space_is_found_in_an_installed_package(installed):
    folder = installed(MODULE % 2)
    spec = {"name": "installed", "version": 2, "parameters": {"n": 4}}
    assert spaces.from_spec(spec).size == 4
    with pytest.raises(InvalidSpace, match="version 1; this nasbench-evs knows version 2"):
        spaces.from_spec({**spec, "version": 1})
    with pytest.raises(InvalidSpace, match="'installed' does not have the parameters"):
        spaces.from_spec({**spec, "parameters": {"m": 4}})
    # Another process, which knows nothing of the package, finds it by the class, in a view too.
    for space in (spaces.from_spec(spec), spaces.from_spec(spec).restrict({"a": [0, 1]})):
        script = "import pickle, sys; print(pickle.load(sys.stdin.buffer).size)"
        found = subprocess.run(
            [sys.executable, "-c", script], input=pickle.dumps(space), capture_output=True, check=True, cwd=folder
        )
        assert int(found.stdout) == space.size


def test_a_package_that_cannot_be_imported_is_named(installed):
    installed("import nothing_of_this_name")
    with pytest.raises(
        InvalidSpace, match=r"in installed_package, which cannot be imported: ModuleNotFoundError: No mod"
    ):
        spaces.from_spec({"name": "installed", "version": 1, "parameters": {}})


def test_a_name_belongs_to_one_class():
    class Other(SearchSpace):
        def __init__(self):
            super().__init__([Choice("a", (1, 2))], name="ffn")

    with pytest.raises(InvalidSpace, match="'ffn' cannot name the spaces of .*Other: it names those of FFNSpace"):
        families.register("ffn", Other)
    with pytest.raises(InvalidSpace, match="'ffn' cannot name a space of Other"):
        Other()
    families.register("ffn", FFNSpace)  # its own place again
    assert families.names()[:2] == ["seqnas", "ffn"]


def test_labels():
    assert [space.label for space in (spaces.SeqNASSpace(False), FFNSpace(3), FFNSpace(3).restrict({}, name="v"))] == [
        "seqnas", "ffn-3", "v",
    ]  # fmt: skip
