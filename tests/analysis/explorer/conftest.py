"""A page about two shipped tables, a hostile one and a small experiment, and a browser to open it in."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.explorer.data import find_tables, table_data
from nasbench_evs.analysis.explorer.leaderboard import leaderboard
from nasbench_evs.analysis.explorer.page import write_page
from nasbench_evs.analysis.one_search import search_once
from nasbench_evs.analysis.runs import RESULTS, tasks, write_results
from nasbench_evs.tables import write
from tests.conftest import IN_CI, make_header, make_table

HOSTILE = "</script><img src=x onerror=\"document.title='ran'\">"
EXPERIMENT = f"""
title = "A small one"
seeds = 3
budget = 12
marks = [4]
regimes = ["clean", "noisy"]
searchers = ["random", "evolution"]
[[searcher]]
name = "local"
label = '''{HOSTILE}'''
[[benchmark]]
name = "digits"
source = "table"
[[benchmark]]
name = "landscape:nk-1"
regime = "clean"
"""
CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    """The folder of a small experiment, with its file beside it."""
    folder = tmp_path_factory.mktemp("experiment") / "small"
    folder.mkdir()
    file = folder.with_suffix(".toml")
    file.write_text(EXPERIMENT)
    runs = [search_once(task, key[0], 1, "cpu") for key, task in tasks(read_experiment(file)).items()]
    write_results(runs, folder / RESULTS)
    return folder


@pytest.fixture(scope="session")
def hostile_table(tmp_path_factory) -> Path:
    """A table whose dataset has a hostile name, with a hostile card beside it."""
    path = tmp_path_factory.mktemp("tables") / "own.h5"
    write(make_table([0, 1, 2, 3, 4, 8], header=make_header(dataset=HOSTILE)), path)
    path.with_suffix(".md").write_text(f"# Own\n\n{HOSTILE}\n\n[here](javascript:document.title='ran') [there](x.md)\n")
    return path


@pytest.fixture(scope="session")
def explored(results, hostile_table, tmp_path_factory):
    """The page, and what it should show: tables by name, and the leaderboard."""
    names = ["digits", "physionet2012", str(hostile_table)]
    path = tmp_path_factory.mktemp("page") / "page.html"
    assert write_page(names, results, path) == []
    tables = {name: table_data(name, file) for name, file in find_tables(names).items()}
    return SimpleNamespace(path=path, tables=tables, board=leaderboard(results))


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """A headless Chromium that selenium drives; its tests skip where there is none, but never in CI."""
    if not (Path(CHROMIUM).exists() and Path(DRIVER).exists()):
        assert not IN_CI, "CI must have chromium and chromedriver (.ci/run installs them)"
        pytest.skip("needs Debian's chromium and chromium-driver: apt-get install chromium chromium-driver")
    if not IN_CI:
        pytest.importorskip("selenium")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "force-device-scale-factor=1", f"user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield found
    found.quit()
    shutil.rmtree(profile, ignore_errors=True)


def number(text: str) -> float:
    """What a cell shows, as a number; NaN for none."""
    return np.nan if text == "–" else float(text.replace(",", "").replace("−", "-"))
