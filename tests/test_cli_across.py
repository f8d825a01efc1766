"""`nasbench-evs across` and `nasbench-evs recommend`: what they print and write, and one line for a mistake."""

import csv
import io
import json

import pytest

from nasbench_evs import locations
from nasbench_evs.analysis import correlations
from nasbench_evs.analysis.recommend import read_portfolios
from nasbench_evs.tables import write
from nasbench_evs.training.recipe import Recipe
from tests.analysis.test_across import RANKS, recorded, truth
from tests.conftest import make_table
from tests.test_cli import fails, run


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """The current folder, with tables of two datasets that share architectures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(correlations, "_RESAMPLED", 20)
    for i, name in enumerate(("one", "two")):
        write(recorded(truth(i), 0.003, dataset=name), tmp_path / f"{name}.h5")
    return tmp_path


def test_a_comparison_is_written_and_the_same_again(capsys, shared):
    code, out, err = run(capsys, "across", "one.h5", "two.h5", "--out", "found", "--seeds", "2")
    assert (code, out) == (0, "found/README.md\n")
    assert "written to found" in err
    names = {"README.md", "portfolios.json", "correlations.csv", "worth.csv", "across.svg"}
    first = {each.name: each.read_bytes() for each in (shared / "found").iterdir()}
    assert set(first) == names
    assert "nasbench-evs across one.h5 two.h5 --seeds 2\n" in first["README.md"].decode()
    (row,) = csv.DictReader(io.StringIO(first["correlations.csv"].decode()))
    assert (row["a"], row["b"], row["architectures"]) == ("one", "two", str(len(RANKS)))
    assert {each["dataset"] for each in csv.DictReader(io.StringIO(first["worth.csv"].decode()))} == {"one", "two"}
    (compared,) = read_portfolios(shared / "found" / "portfolios.json")
    assert compared.names == ["one", "two"]
    run(capsys, "across", "one.h5", "two.h5", "--out", "found", "--seeds", "2")
    assert {each.name: each.read_bytes() for each in (shared / "found").iterdir()} == first


def test_what_cannot_be_compared_is_one_line_and_leaves_nothing(capsys, shared):
    write(recorded(truth(0), dataset="one"), shared / "again.h5")
    write(make_table([0, 2, 5]), shared / "ffn.h5")
    fails(capsys, "share too few architectures", "across", "one.h5", "--out", "found")
    fails(capsys, "again.h5 is a second table of one", "across", "one.h5", "again.h5", "--out", "found")
    fails(capsys, "ffn.h5 is of the space ffn-2: expected tables of seqnas", "across", "ffn.h5", "--out", "found")
    fails(capsys, "--seeds 1: expected 2 or more", "across", "--seeds", "1")
    fails(capsys, "one.h5 is a file", "across", "one.h5", "two.h5", "--out", "one.h5")
    (shared / "baselines.json").write_text("{}")
    fails(capsys, "baselines.json: Expected `array`", "across", "one.h5", "two.h5", "--out", "found")
    assert not (shared / "found").exists()


def test_a_new_dataset_gets_a_portfolio_and_what_such_ones_were_worth(capsys):
    code, out, err = run(capsys, "recommend", "new-data")
    assert code == 0
    assert all(line.startswith("warning: the table of ") for line in err.splitlines())  # one that is being recorded
    assert out.startswith("new-data was never recorded.\n5 architectures of seqnas-s, chosen on ")
    (compared,) = [each for each in shipped() if each.space == "seqnas-s"]
    for member in compared.portfolios[0].members:
        assert member.architecture in out
    for each in compared.datasets:
        assert f"Protocol on {each.dataset}: {each.protocol}." in out
    assert f"{len(compared.names)} datasets are cases, not a law" in out


def test_a_recorded_dataset_gets_what_the_others_recommend(capsys):
    code, out, _ = run(capsys, "recommend", "tafeng-churn", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    _, out, _ = run(capsys, "recommend", "tafeng-churn", "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert found["portfolio"]["left_out"] == "tafeng-churn"
    assert [each["architecture"] for each in rows] == [each["architecture"] for each in found["portfolio"]["members"]]
    assert rows[0]["tafeng-churn place"] == str(found["portfolio"]["members"][0]["places"]["tafeng-churn"])
    assert {each["dataset"] for each in found["worth"]} == {"tafeng-churn"}
    _, out, _ = run(capsys, "recommend", "tafeng-churn")
    assert "tafeng-churn (left out)" in out
    assert "One dataset is a case, not a law" in out


def test_the_file_of_strings_is_a_plan(capsys, tmp_path):
    target = tmp_path / "portfolio.txt"
    run(capsys, "recommend", "new-data", "--out", target)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('dataset = "new-data"\n[protocol]\nepochs = 1\n[plan]\narchitectures = "portfolio.txt"\n')
    assert len(Recipe.read(recipe).plan.listed) == 5
    fails(capsys, "exists already", "recommend", "new-data", "--out", target)
    assert run(capsys, "recommend", "new-data", "--out", target, "--force")[0] == 0


def test_mistakes_are_one_line(capsys):
    fails(capsys, "expected the name of a dataset, recorded or not", "recommend", "folder/table.h5")
    fails(capsys, "no portfolios of the space 'ffn-3'", "recommend", "new-data", "--space", "ffn-3")


def test_a_table_that_has_changed_since_is_said(capsys, monkeypatch, tmp_path):
    changed = tmp_path / "seqnas.h5"
    write(recorded(truth(0)), changed)
    tables = {**locations.shipped_tables(), ("tafeng-churn", "seqnas"): changed}
    monkeypatch.setattr(locations, "shipped_tables", lambda: tables)
    code, _, err = run(capsys, "recommend", "new-data")
    assert code == 0
    assert "warning: the table of tafeng-churn has changed since" in err


def shipped():
    return read_portfolios(locations.shipped("analysis") / "across" / "portfolios.json")
