"""Models that crash CatBoost or predict something else, behind hashes that are right."""

import hashlib
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from nasbench_evs.errors import SurrogateError
from nasbench_evs.locations import shipped
from nasbench_evs.spaces import FFNSpace
from nasbench_evs.surrogate import Surrogate, check
from nasbench_evs.surrogate.check import PINNED, model_sums, probe_rows, read_model
from tests.conftest import make_header, make_table
from tests.surrogate.hostile import replace_file, rewrite

DIGITS = shipped("surrogate") / "digits" / "ffn-3"


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of shipped files, in a home where nothing passed yet."""
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(check, "_passed", set())
    return shutil.copytree(DIGITS, tmp_path / "s")


@pytest.fixture
def processes(monkeypatch):
    """The processes that were started to check models."""
    started = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: started.append(a) or run(*a, **k))
    return started


def forge(folder, name, position, content):
    whole = bytearray((folder / name).read_bytes())
    whole[position : position + len(content)] = content
    replace_file(folder, name, bytes(whole))


def test_the_hashes_of_shipped_models_are_those_that_the_package_lists():
    found = {hashlib.sha256(path.read_bytes()).hexdigest() for path in shipped("surrogate").glob("*/*/*.cbm")}
    assert set(PINNED.read_text().split()) == found, "stale: surrogate/README.md has the command that lists them again"


def test_shipped_models_are_known_wherever_they_lie(copy, processes):
    Surrogate.load(copy)
    assert not processes


@pytest.mark.parametrize(
    ("name", "position", "content"),
    CRASHES := [
        ("valid.cbm", 389630, "20"),
        ("valid.noise.cbm", 31987, "9c7500883ce4377e"),
    ],
)
def test_a_model_that_crashes_catboost_is_one_line(copy, name, position, content):
    forge(copy, name, position, bytes.fromhex(content))
    with pytest.raises(
        SurrogateError, match=rf"^\S*{name} (is no model|does not predict|predicts)[^\n]*fit the surrogate again$"
    ):
        Surrogate.load(copy)


def test_a_leaf_that_no_reference_architecture_reaches(copy):
    leaves = read_model(copy, {"file": "valid.cbm", "sha256": _sha256(copy / "valid.cbm")}, "RMSE").get_leaf_values()
    content = (copy / "valid.cbm").read_bytes()
    leaf = 9_000
    position = content.index(leaves[:4].tobytes()) + 8 * leaf
    forge(copy, "valid.cbm", position, np.float64(leaves[leaf] + 0.01).tobytes())
    with pytest.raises(SurrogateError, match=r"valid.cbm does not predict what it did when it was saved"):
        Surrogate.load(copy)
    replace_file(copy, "valid.cbm", content)
    Surrogate.load(copy)


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_probe_rows_take_every_branch(copy):
    model = read_model(copy, {"file": "valid.cbm", "sha256": _sha256(copy / "valid.cbm")}, "RMSE")
    rows = probe_rows(model)
    assert rows.shape == (4096, len(model.feature_names_))
    for feature, borders in model.get_borders().items():
        for border in borders:
            assert 0 < (rows[:, feature] > np.float32(border)).sum() < 4096
    assert model_sums(model) == Surrogate.load(copy)._sidecar["sums"]["valid.cbm"]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A surrogate of a user's own."""
    folder = tmp_path_factory.mktemp("own") / "s"
    table = make_table(range(60), header=make_header(FFNSpace(2, range(1, 11))))
    Surrogate.fit(table, folds=2).save(folder)
    return folder


def test_what_was_saved_here_needs_no_check(own, processes):
    Surrogate.load(own)
    assert not processes


def test_a_file_that_passed_is_remembered(own, processes, tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(check, "_passed", set())
    Surrogate.load(own)
    assert len(processes) == 1
    monkeypatch.setattr(check, "_passed", set())  # as another process would
    Surrogate.load(own)
    assert len(processes) == 1


def test_a_memory_that_cannot_be_kept(own, processes, tmp_path, monkeypatch):
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(check, "_passed", set())
    for _ in range(2):  # within a process it is known nevertheless
        Surrogate.load(own)
    assert len(processes) == 1


def test_surrogates_of_earlier_versions_have_no_sums(own, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "_passed", set())
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path / "home"))
    folder = shutil.copytree(own, tmp_path / "s")
    rewrite(folder, lambda sidecar: sidecar.pop("sums"))
    choices = FFNSpace(2, range(1, 11)).sample_many(5, 0)
    assert np.array_equal(Surrogate.load(folder).predict(choices), Surrogate.load(own).predict(choices))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os.abort()", r"cannot check .*: a process of its own cannot load CatBoost"),
        (
            "print('started', flush=True); import os; os.abort()",
            r"valid.cbm is no model that CatBoost can read: it ended",
        ),
        ("print('started', flush=True); import time; time.sleep(60)", r"it was not read within 1 seconds"),
    ],
)
def test_whatever_becomes_of_the_process(own, tmp_path, monkeypatch, code, message):
    run = subprocess.run
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(check, "_passed", set())
    monkeypatch.setattr(check, "_SECONDS", 1)
    monkeypatch.setattr(subprocess, "run", lambda args, **k: run([*args[:-1], code], **k))
    start = time.monotonic()
    with pytest.raises(SurrogateError, match=message):
        Surrogate.load(own)
    assert time.monotonic() - start < 10


def test_without_an_interpreter(own, tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(check, "_passed", set())
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(SurrogateError, match="there is no Python interpreter"):
        Surrogate.load(own)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(SurrogateError, match="in a process of its own: No such file"):
        Surrogate.load(own)
