"""generators/record: what it refuses before it does anything, and what it would carry out."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FROZEN = json.loads((ROOT / "generators" / "frozen.json").read_text(encoding="utf-8"))


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_a_recipe_that_is_not_frozen_is_refused_in_one_line(tmp_path):
    command = [sys.executable, str(ROOT / "generators" / "record"), "credit-default"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: credit-default is not frozen: expected one of tafeng-churn")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_recipes_are_what_they_were(name):
    """A frozen protocol and order never change; how many seeds and architectures come on top may."""
    from nasbench_evs.training.recipe import Recipe

    if git("cat-file", "-e", FROZEN[name]).returncode:
        pytest.skip("the frozen commit is not in this clone (a shallow one, or no checkout)")
    then = Recipe.from_dict(tomllib.loads(git("show", f"{FROZEN[name]}:generators/{name}.toml").stdout))
    now = Recipe.read(ROOT / "generators" / f"{name}.toml")
    assert (now.dataset, now.space, now.train, now.subset) == (then.dataset, then.space, then.train, then.subset)
    assert now.protocol.to_dict() == then.protocol.to_dict()
    assert now.plan.architectures == then.plan.architectures
    order = git("show", f"{FROZEN[name]}:nasbench_evs/spaces/seqnas-s.txt").stdout
    assert order == (ROOT / "nasbench_evs" / "spaces" / "seqnas-s.txt").read_text(encoding="utf-8")
