"""What an experiment writes, and what of it goes into surrogates' cards."""

import re
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from nasbench_evs import locations
from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.fidelity import read_fidelity, write_fidelity
from nasbench_evs.analysis.report import write_report
from nasbench_evs.benchmark import find_table
from nasbench_evs.cli import cli
from nasbench_evs.errors import OutputError
from nasbench_evs.surrogate.card import read_card, write_card


def test_the_command_writes_everything(file, tmp_path, in_this_process):
    answer = CliRunner().invoke(cli, ["experiment", str(file), "--processes", "1"], catch_exceptions=False)
    assert answer.exit_code == 0
    folder = tmp_path / "small"
    page = (folder / "results.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## Clean", "## Noisy", "## Transfer", "## Own seconds", "## Does a surrogate rank searchers as recorded trainings do?"
    ]  # fmt: skip
    verdict = page[page.index("**Verdict**") : page.index("Written by")].strip().splitlines()
    assert [re.match(r"(- \*\*.*\*\*|\w+)", line)[0] for line in verdict[2:] if line] == [
        text for regime in ("Clean", "Noisy", "Transfer")
        for text in (regime, "- **Best at the end**", "- **Told apart**", "- **Could have been found**")
    ]  # fmt: skip
    assert "| landscape:nk-1 | score | 0.8326 (exact) |" in page
    assert "Regret of what is recommended" in page
    assert re.search(r"\| age \| clean \| -?[\d.]+ \[-?[\d.]+, -?[\d.]+\] \| \d+ of \d+ \|", page)
    summary = pd.read_csv(folder / "summary.csv")
    rows = 3 * (3 * 2 + 2 * 2 + 2), 3 * (3 * 2 + 2 * 2), 3 * 3 * 2  # searchers and marks, of clean, noisy, transfer
    assert summary.groupby("regime").size().to_dict() == dict(zip(("clean", "noisy", "transfer"), rows, strict=True))
    assert (summary.normalized_regret * summary.scale).to_numpy() == pytest.approx(summary.regret.to_numpy(), abs=1e-5)
    for regime in ("clean", "noisy", "transfer"):
        for name in ("evaluations", "seconds", "pooled", "differences"):
            assert f"({regime}-{name}.svg)" in page
            assert (folder / f"{regime}-{name}.svg").read_text().lstrip().startswith("<?xml")
    # The report of a clone, which has no journal, is the same.
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".sqlite"}
    (folder / "journal.sqlite").unlink()
    again = CliRunner().invoke(cli, ["experiment", str(file), "--report-only"], catch_exceptions=False)
    assert again.exit_code == 0
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name for name in before | after if before.get(name) != after.get(name)} == set()


def test_the_order_in_which_runs_end_changes_nothing(file, tmp_path, in_this_process):
    experiment = read_experiment(file)
    runs = list(run_experiment(experiment, tmp_path / "out").values())
    seconds = (0.1, 0.2, 0.3)  # their mean depends on the order in which they are added
    assert np.mean(seconds) != np.mean(seconds[::-1])
    runs = [each._replace(own_seconds=seconds[each.seed]) for each in runs]
    folders = tmp_path / "forwards", tmp_path / "backwards"
    for folder, ordered in zip(folders, (runs, runs[::-1]), strict=True):
        write_report(experiment, ordered, folder, "command")
    written = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert {name for name in written[0] if written[0][name] != written[1][name]} == set()


def test_one_searcher_one_seed_and_one_of_ones_own(file, tmp_path, in_this_process, monkeypatch):
    (tmp_path / "ownsearch.py").write_text(
        "from nasbench_evs.search.random import RandomSearch\nclass Mine(RandomSearch):\n    pass\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    file.write_text('seeds = 1\nbudget = 5\nsearchers = ["ownsearch:Mine"]\n[[benchmark]]\nname = "landscape:nk-1"\n')
    assert CliRunner().invoke(cli, ["experiment", str(file), "--processes", "1"], catch_exceptions=False).exit_code == 0
    page = (tmp_path / "small" / "results.md").read_text()
    assert "- **Best at the end**: `ownsearch:Mine`, normalized regret" in page
    assert "Nothing is tested with one seed" in page
    assert "Against controls" not in page


def test_search_fidelity_goes_into_the_card(file, tmp_path, in_this_process, monkeypatch):
    folder = tmp_path / "small"
    shipped = locations.surrogate_of(find_table("age"))
    own = tmp_path / "surrogate"
    shutil.copytree(shipped, own)
    monkeypatch.setattr(locations, "surrogate_of", lambda path: own)
    missing = CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)])
    assert isinstance(missing.exception, OutputError)
    assert "nasbench-evs experiment writes it" in str(missing.exception)
    write_report(read_experiment(file), run_experiment(read_experiment(file), folder).values(), folder, "")
    assert CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)], catch_exceptions=False).exit_code == 0
    found, noisy = read_fidelity(folder / "search-fidelity.csv")
    assert (found.regime, noisy.regime) == ("clean", "noisy")
    assert (found.dataset, found.searchers, found.seeds) == ("age", 3, 3)
    assert -1 <= found.low <= found.tau <= found.high <= 1
    card = read_card(own)
    assert card["searches"]["tau"] == found.tau
    assert (
        "of 3 searchers on this surrogate and on the recorded trainings of the same dataset in the clean regime, 3 seeds each: "
        f"{found.tau:.2f}" in (own / "card.md").read_text()
    )
    assert {**card, "searches": None} == {**read_card(shipped), "searches": None}  # all else stays
    good = (folder / "search-fidelity.csv").read_text()
    for text in (
        "dataset,tau\nage,much\n",
        "",
        "hello world\n",
        good.replace("age,", "age,none,"),
        good[: good.index("age,")],
    ):
        (folder / "search-fidelity.csv").write_text(text)
        damaged = CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)])
        assert "does not say how searchers rank" in str(damaged.exception)
    write_card(own, {**card, "table_sha256": "0" * 64})
    (folder / "search-fidelity.csv").write_text(good)
    assert "is about another table" in str(CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)]).exception)
    (own / "card.json").unlink()
    write_fidelity([found], folder / "search-fidelity.csv")
    assert "has no card yet" in str(CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)]).exception)
