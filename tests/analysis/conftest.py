"""A small experiment, and running one without processes."""

import pytest

from nasbench_evs.analysis import experiment

FILE = """
title = "A small one"
seeds = 3
budget = 12
marks = [4, 10]
regimes = ["clean", "noisy"]
searchers = ["random", "evolution"]
[[searcher]]
name = "evolution"
label = "young"
population = 4
tournament = 2
[[benchmark]]
name = "bpic2012"
source = "table"
[[benchmark]]
name = "digits"
source = "table"
params = 20000
[[benchmark]]
name = "age"
source = "surrogate"
budget = 8
[[benchmark]]
name = "age"
source = "table"
budget = 8
[[benchmark]]
name = "landscape:nk-1"
regime = "clean"
budget = 8
marks = [3]
"""
RUNS = 3 * 3 * (4 * 2 + 1)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(FILE)
    return path


@pytest.fixture
def in_this_process(monkeypatch):
    """No processes: quick, and code can be put in their way."""

    class Now:
        def __init__(self, *args, **kwargs):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *args):
            pass

        def submit(self, work, *arguments):
            from concurrent.futures import Future

            job = Future()
            try:
                job.set_result(work(*arguments))
            except BaseException as error:
                job.set_exception(error)
            return job

        def shutdown(self, **kwargs):
            pass

    monkeypatch.setattr(experiment, "ProcessPoolExecutor", Now)
