"""The same runs on a Ray cluster, which the test starts and stops."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from disturbed import COMMAND, start

from nasbench_evs.errors import RecipeError, TrainingError
from nasbench_evs.generators.generate import generate
from nasbench_evs.tables import read, verify
from nasbench_evs.training.recipe import Recipe
from tests.generators.test_generate import same, toml

pytest.importorskip("ray", reason="Ray is not installed: pip install 'nasbench-evs[cluster]'")


@pytest.fixture(scope="module")
def address(home, tmp_path_factory):
    """Of a cluster of two CPUs whose workers die on every training of one architecture, if a file says which."""
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("cluster")
    (folder / "sitecustomize.py").write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        f"victim = Path({str(folder / 'victim')!r})\n"
        "if 'default_worker' in ' '.join(sys.orig_argv) and victim.exists():\n"
        "    import nasbench_evs.training.train as t\n"
        "    before = t.train\n"
        "    def train(architecture, *a, **k):\n"
        "        print('a line of a worker', file=sys.stderr, flush=True)\n"
        "        os.kill(os.getpid(), 9) if architecture.rank == int(victim.read_text()) else None\n"
        "        return before(architecture, *a, **k)\n"
        "    t.train = train\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        patch.setenv("RAY_ADDRESS", "")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
        yield cluster.address, folder / "victim"
        cluster.shutdown()


@pytest.mark.slow
def test_a_cluster_records_what_a_machine_does(address, recipe, tmp_path):
    seen = []
    here = read(generate(recipe, tmp_path / "here"))
    there = generate(recipe, tmp_path / "there", workers=2, executor="ray", address=address[0], report=seen.append)
    same(here, read(there))
    assert (seen[-1].done, seen[-1].failed) == (20, 0)


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(address, values, tmp_path):
    values["plan"] = {"random": 4}
    recipe = Recipe.from_dict(values)
    whole = read(generate(recipe, tmp_path / "whole"))
    address[1].write_text(str(int(whole["rank"][2])))
    try:
        spoiled = read(generate(recipe, tmp_path / "spoiled", executor="ray", address=address[0]))
    finally:
        address[1].unlink()
    assert spoiled["status"].tolist() == [b"ok", b"ok", b"failed", b"ok"]
    assert b"the worker died" in spoiled["reason"][2]
    verify(spoiled)
    rest = np.arange(4) != 2
    assert np.array_equal(spoiled["valid_curve"][rest], whole["valid_curve"][rest])


@pytest.mark.slow
def test_a_cluster_keeps_its_own_log_to_itself(address, values, tmp_path):
    values["plan"] = {"random": 4}
    (tmp_path / "recipe.toml").write_text(toml(values))
    ranks = read(generate(Recipe.from_dict(values), tmp_path / "whole"))["rank"]
    address[1].write_text(str(int(ranks[2])))
    try:
        run = start(
            "generate",
            tmp_path / "recipe.toml",
            "--out",
            tmp_path / "run",
            "--executor",
            "ray",
            "--address",
            address[0],
        )
        _, errors = run.communicate(timeout=120)
    finally:
        address[1].unlink()
    assert run.returncode == 0, errors
    assert [line for line in errors.splitlines() if not re.match(r"\d/4 trained", line)] == []


@pytest.mark.slow
def test_a_driver_that_was_killed_goes_on(address, values, tmp_path):
    values["plan"] = {"random": 24}
    recipe = Recipe.from_dict(values)
    (tmp_path / "recipe.toml").write_text(toml(values))
    options = ("--executor", "ray", "--address", address[0], "--workers", "2")
    run = start("generate", tmp_path / "recipe.toml", "--out", tmp_path / "run", *options)
    journal = tmp_path / "run" / "journal.sqlite"
    while not (journal.exists() and journal.stat().st_size > 40_000):  # some trainings are done
        assert run.poll() is None
        time.sleep(0.2)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    run = start("generate", tmp_path / "recipe.toml", "--out", tmp_path / "run", *options)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors
    same(read(generate(recipe, tmp_path / "here")), read(tmp_path / "run" / "table.h5"))


def test_a_worker_that_finds_another_dataset_says_so(address, values, tmp_path, dataset, monkeypatch):
    monkeypatch.setattr("nasbench_evs.generators.generate.open_dataset", lambda name: dataset.subset(300))
    with pytest.raises(TrainingError, match="is not the dataset that the driver saw"):
        generate(Recipe.from_dict(values), tmp_path, executor="ray", address=address[0])


def test_what_a_cluster_cannot_do_is_said(address, recipe, tmp_path):
    for device, message in (("cuda:0", "one of cpu, cuda, xpu"), ("cpu,cpu", "one of cpu"), ("cuda", "has no GPU")):
        with pytest.raises(RecipeError, match=message):
            generate(recipe, tmp_path / "run", executor="ray", address=address[0], device=device)
    assert not (tmp_path / "run").exists()


def test_wrong_options_are_one_line(recipe, values, tmp_path):
    for options, message in (
        ({"executor": "slurm"}, "expected one of local, ray"),
        ({"address": "auto"}, "for the executor ray"),
        ({"per_device": 2}, "for the executor ray"),
        ({"per_device": 0, "executor": "ray"}, "expected at least 1"),
    ):
        with pytest.raises(RecipeError, match=message):
            generate(recipe, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
    (tmp_path / "recipe.toml").write_text(toml(values))
    command = [COMMAND, "generate", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "run")]
    nowhere = subprocess.run(
        [*command, "--executor", "ray", "--address", "127.0.0.1:1"], capture_output=True, text=True, timeout=120
    )
    assert nowhere.returncode == 1
    assert nowhere.stderr.splitlines()[-1].startswith("error: no Ray cluster at 127.0.0.1:1")
    assert "Traceback" not in nowhere.stderr
    assert not (tmp_path / "run").exists()


def test_without_ray_its_name_is_the_answer(recipe, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "nasbench_evs.generators.cluster", raising=False)
    with pytest.raises(RecipeError, match=r"pip install 'nasbench-evs\[cluster\]'"):
        generate(recipe, tmp_path / "run", executor="ray")


def test_the_line_that_says_why_is_shown():
    from nasbench_evs.generators.cluster import _cause

    error = RuntimeError("\x1b[36mray::f()\x1b[39m (pid=1)\n  at node 7\nThe node was low on memory.\n\n")
    assert _cause(error) == "The node was low on memory."
    error.cause = ModuleNotFoundError("No module named 'torch'")
    assert _cause(error) == "ModuleNotFoundError: No module named 'torch'"
