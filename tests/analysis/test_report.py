"""What an experiment writes, and what of it goes into surrogates' cards."""

import lzma
import re
import shutil

import numpy as np
import pandas as pd
from click.testing import CliRunner

from nasbench_evs import locations
from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.report import read_fidelity, write_fidelity, write_report
from nasbench_evs.analysis.runs import read_runs, tidy
from nasbench_evs.benchmark import find_table
from nasbench_evs.cli import cli
from nasbench_evs.errors import OutputError
from nasbench_evs.surrogate.card import read_card, write_card


def test_the_command_writes_everything(file, tmp_path, in_this_process):
    answer = CliRunner().invoke(cli, ["experiment", str(file), "--processes", "1"], catch_exceptions=False)
    assert answer.exit_code == 0
    folder = tmp_path / "small"
    page = (folder / "results.md").read_text()
    assert "| bpic2012 table | test |" in page
    assert "| age surrogate | valid |" in page  # it has no test scores
    assert "mean rank" in page
    assert "Regret of what is recommended" in page
    assert re.search(r"\| age \| -?[\d.]+ \[-?[\d.]+, -?[\d.]+\] \| \d+ of \d+ \|", page)  # surrogate against table
    frame = pd.read_csv(folder / "results.csv.xz")
    assert len(frame) == 3 * 3 * (12 + 12 + 8 + 8)
    kept = tidy(sorted(read_runs(read_experiment(file), folder), key=lambda run: run[:3]))
    pd.testing.assert_frame_equal(frame, kept, rtol=5.1e-5, check_dtype=False)
    summary = pd.read_csv(folder / "summary.csv")
    assert (summary.regret >= -1e-9).all()
    for name in ("regret-over-evaluations", "regret-over-seconds", "ranks"):
        assert (folder / f"{name}.svg").read_text().lstrip().startswith("<?xml")
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".sqlite"}
    again = CliRunner().invoke(cli, ["experiment", str(file), "--report-only"], catch_exceptions=False)
    assert again.exit_code == 0
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".sqlite"}
    assert {name for name in before if before[name] != after[name]} == set()
    with lzma.open(folder / "results.csv.xz", "rt") as lines:
        assert next(lines).startswith("benchmark,searcher,seed,evaluation,spent,seconds,rank,epoch,value,valid,test")


def test_the_order_in_which_runs_end_changes_nothing(file, tmp_path, in_this_process):
    experiment = read_experiment(file)
    runs = run_experiment(experiment, tmp_path / "out")
    seconds = (0.1, 0.2, 0.3)  # their mean depends on the order in which they are added
    assert np.mean(seconds) != np.mean(seconds[::-1])
    runs = [each._replace(own_seconds=seconds[each.seed]) for each in runs]
    folders = tmp_path / "forwards", tmp_path / "backwards"
    for folder, ordered in zip(folders, (runs, runs[::-1]), strict=True):
        regrets = write_report(experiment, ordered, folder, "command")
        assert regrets.own_seconds("random") == np.mean(np.tile(seconds, 4))
    written = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert {name for name in written[0] if written[0][name] != written[1][name]} == set()


def test_search_fidelity_goes_into_the_card(file, tmp_path, in_this_process, monkeypatch):
    folder = tmp_path / "small"
    shipped = locations.surrogate_of(find_table("age"))
    own = tmp_path / "surrogate"
    shutil.copytree(shipped, own)
    monkeypatch.setattr(locations, "surrogate_of", lambda path: own)
    missing = CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)])
    assert isinstance(missing.exception, OutputError)
    assert "nasbench-evs experiment writes it" in str(missing.exception)
    write_report(read_experiment(file), run_experiment(read_experiment(file), folder), folder, "")
    assert CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)], catch_exceptions=False).exit_code == 0
    (found,) = read_fidelity(folder / "search-fidelity.csv")
    assert (found.dataset, found.searchers, found.seeds) == ("age", 3, 3)
    assert -1 <= found.low <= found.tau <= found.high <= 1
    card = read_card(own)
    assert card["searches"]["tau"] == found.tau
    assert (
        f"of 3 searchers on this surrogate and on the recorded trainings of the same dataset, 3 seeds each: {found.tau:.2f}"
        in (own / "card.md").read_text()
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
    write_card(own, {**card, "table_sha256": "another"})
    (folder / "search-fidelity.csv").write_text(good)
    assert "is about another table" in str(CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)]).exception)
    (own / "card.json").unlink()
    write_fidelity([found], folder / "search-fidelity.csv")
    assert "has no card yet" in str(CliRunner().invoke(cli, ["surrogate", "fidelity", str(folder)]).exception)
