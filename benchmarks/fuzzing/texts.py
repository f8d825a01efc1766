"""Formats that are text, sound ones and forged ones: results and trainings as CSV in xz, recipes and experiments in TOML."""

from __future__ import annotations

import hashlib
import lzma
import random
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzzing.mutations import TEXTS, as_toml, forged, nested
from nasbench_evs.analysis import runs
from nasbench_evs.analysis.config import read_experiment as read_experiment_file
from nasbench_evs.analysis.experiment import check
from nasbench_evs.analysis.live import read_trainings as read_trainings_file
from nasbench_evs.datasets import Dataset, prepare
from nasbench_evs.datasets.sources import synthetic
from nasbench_evs.errors import OutputError
from nasbench_evs.generators.plan import Planner
from nasbench_evs.models import networks
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.recipe import Recipe

ROOT = Path(__file__).parents[2]


# Results of experiments


def make_results(path: Path) -> Path:
    found = runs.read_results(ROOT / "analysis" / "development" / runs.RESULTS)
    path = path.with_suffix(".csv.xz")
    runs.write_results(found[:: len(found) // 40], path)
    return path


def read_results(path: Path) -> Any:
    if not path.exists():
        raise OutputError("no file: that is no results, which an experiment begins with")
    found = runs.read_results(path)
    for run in found:
        assert run.points, "a search without a point"
        assert run.regime in ("clean", "noisy"), f"the regime {run.regime}"
    return hashlib.sha256(repr(found).encode()).hexdigest()


def forge_cells(path: Path, generator: random.Random) -> str:
    """Of a CSV in xz."""
    lines = lzma.decompress(path.read_bytes()).decode().splitlines()
    at = generator.randrange(len(lines))
    how = generator.choice([*["cell"] * 6, "twice", "gone", "short", "long", "name", "bomb"])
    cells = lines[at].split(",")
    if how == "cell":
        cells[generator.randrange(len(cells))] = generator.choice(TEXTS)
        lines[at] = ",".join(cells)
    elif how == "twice":
        lines.insert(at, lines[at])
    elif how == "gone":
        del lines[at]
    elif how == "name":
        lines[0] = lines[0].replace(generator.choice(lines[0].split(",")), "x")
    else:
        lines[at] = ",".join(cells[:-1] if how == "short" else [*cells, "0"])
    content = ("\n".join(lines) + "\n").encode(errors="surrogatepass")
    path.write_bytes(lzma.compress(content + b"," * (300 << 20) if how == "bomb" else content, preset=0))
    return f"line {at + 1} {how}"


# Trainings of experiments


def make_trainings(path: Path) -> Path:
    rows = ["benchmark,searcher,seed,settings,evaluation,rank,distilled,valid,test,seconds,real_seconds"]
    rows += [
        f"digits,{searcher},{seed},0123456789ab,{i + 1},{i * 97 % 8000},{i % 2},0.{900 + i},0.{890 + i},{i}.25,12.5"
        for searcher in ("evolution", '"random, twice"')
        for seed in range(2)
        for i in range(12)
    ]
    path = path.with_suffix(".csv.xz")
    path.write_bytes(lzma.compress(("\n".join(rows) + "\n").encode()))
    return path


def read_trainings(path: Path) -> Any:
    frame = read_trainings_file(path)
    for (_, _, seed, _), part in frame.groupby(["benchmark", "searcher", "seed", "settings"]):
        assert seed >= 0, f"the seed {seed}"
        assert part["evaluation"].tolist() == list(range(1, len(part) + 1)), "evaluations that are not all there"
    numbers = frame[["valid", "test", "seconds", "real_seconds"]].to_numpy()
    assert not np.isinf(numbers).any(), "a number without end"
    return [len(frame), hashlib.sha256(frame.to_csv().encode(errors="surrogatepass")).hexdigest()]


# What people write: recipes and experiments in TOML

_SEARCH = """
dataset = "synthetic"
train = 36
space = "seqnas"
[protocol]
epochs = 2
batch_size = 64
learning_rate = 0.003
class_weights = "none"
embedding_std = 0.5
test_curves = true
curve_rows = 10
score_at = "end"
[plan]
random = 50
sample_seed = 3
[plan.search]
searcher = "evolution"
architectures = 40
batch = 4
start = 10
parameters = {population = 8, tournament = 4}
constraint = {params = 100_000, flops = 1e7}
"""
_LISTED = """
dataset = "synthetic"
subset = 50
space = "ffn-3"
protocol = {epochs = 3, norm = "layer"}
plan = {architectures = "architectures.txt", repeated = 2, seeds = 3}
"""
_EXPERIMENT = """
title = "A landscape and a table"
question = "Which?"
against = "population"
version = 2
seeds = 3
workers = 2
budget = 40
marks = [10, 20]
regimes = ["clean", "noisy"]
searchers = ["random"]
[[searcher]]
name = "evolution"
label = "small"
population = 5
[[searcher]]
name = "evolution"
label = "large"
seeds = 2
population = 10
[[benchmark]]
name = "landscape:nk-1"
label = "nk"
regime = "clean"
budget = 60
[[benchmark]]
name = "digits"
source = "table"
params = 300_000
marks = [5]
restrict = {"layer.0" = [16, 32, 64]}
"""


def make_recipes(path: Path) -> Path:
    path.mkdir()
    for name, text in (
        ("search.toml", _SEARCH),
        ("listed.toml", _LISTED),
        ("architectures.txt", "# three\n32-144-24\n16-16-16 # small\n512-512-512\n"),
    ):
        (path / name).write_text(text)
    return path


@cache
def _dataset() -> Dataset:
    return prepare(synthetic.make(60), synthetic.SYNTHETIC.rules)


def read_recipes(path: Path) -> Any:
    found = []
    for name in ("search.toml", "listed.toml"):
        recipe = Recipe.read(path / name)
        space = recipe.search_space(_dataset())
        assert Protocol.from_dict(recipe.protocol.to_dict()) == recipe.protocol, "a protocol that it does not say"
        plan = recipe.plan
        jobs = []
        if (
            plan.random * plan.seeds_of_all + (plan.repeated + 3) * plan.seeds <= 10_000
        ):  # else many, as it was asked for
            planner = Planner(recipe, space, shape=networks.typical_shape(space))
            jobs = [planner.total, *map(repr, planner.first)]
        found.append([recipe.dataset, repr(recipe.protocol), plan.identity, space.label, jobs])
    return found


def make_experiment(path: Path) -> Path:
    path = path.with_suffix(".toml")
    path.write_text(_EXPERIMENT)
    return path


def read_experiment(path: Path) -> Any:
    experiment = read_experiment_file(path)
    labels = [each.label for each in (*experiment.searchers, *experiment.benchmarks)]
    assert all(label.isprintable() for label in labels), "a label that no page can show"
    for benchmark in experiment.benchmarks:
        check(benchmark, experiment)
    return [repr(experiment), len(runs.tasks(experiment))]


def forge_toml(path: Path, generator: random.Random) -> str:
    files = [path] if path.is_file() else sorted(path.iterdir())
    file = generator.choice(files)
    if file.suffix != ".toml":
        lines = file.read_text().splitlines()
        lines[generator.randrange(len(lines))] = generator.choice([*TEXTS, *lines])
        file.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
        return f"{file.name} line"
    values, did = forged(tomllib.loads(file.read_text()), generator)
    text = f"x = {nested()}" if generator.random() < 0.03 else as_toml(values)
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    return f"{file.name} {did}"
