"""What a command would fail with at its end, it fails with before the work."""

import importlib.util
import sys

import pytest

import nasbench_evs.analysis.across
import nasbench_evs.analysis.experiment
import nasbench_evs.analysis.predictors
import nasbench_evs.datasets.boosting
import nasbench_evs.datasets.custom
import nasbench_evs.generators.baselines
import nasbench_evs.generators.driver
import nasbench_evs.search.run
from nasbench_evs.cli import output
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.tables import write
from tests.conftest import make_table
from tests.test_cli import DIGITS, fails, run

RECIPE = 'dataset = "synthetic"\nsubset = 300\nspace = "seqnas"\n[protocol]\nepochs = 1\n[plan]\nrandom = 1\n'
EXPERIMENT = 'question = "?"\nseeds = 1\nbudget = 3\nsearchers = ["random"]\n[[benchmark]]\nname = "digits"\n'


pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, with a file where a folder is to be; whatever takes long fails the test."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a file")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    (tmp_path / "predictors").mkdir()
    write(make_table([0, 2, 5, 8]), tmp_path / "table.h5")

    def worked(*_, **__):
        pytest.fail("it worked before it checked")

    monkeypatch.setattr(Surrogate, "fit", worked)
    monkeypatch.setattr(nasbench_evs.datasets.boosting, "boosting", worked)
    monkeypatch.setattr(nasbench_evs.datasets.custom, "read", worked)
    monkeypatch.setattr(nasbench_evs.generators.baselines, "tune", worked)
    monkeypatch.setattr(nasbench_evs.generators.driver.Driver, "go", worked)
    monkeypatch.setattr(nasbench_evs.analysis.experiment, "run_experiment", worked)
    monkeypatch.setattr(nasbench_evs.analysis.predictors, "compare", worked)
    monkeypatch.setattr(nasbench_evs.analysis.across, "compare_datasets", worked)
    monkeypatch.setattr(sys.modules["nasbench_evs.search.run"], "run_with", worked)  # `search.run` is a function
    return tmp_path


OWN = ("--from", "e.csv", "--labels", "l.csv", "--schema", "s.toml")


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate", "recipe.toml", "--out", "file/run"),
        ("surrogate", "fit", "table.h5", "--out", "file/surrogate"),
        ("surrogate", "predictors", "table.h5", "--out", "file/predictors"),
        ("across", "--out", "file/across"),
        ("table", "card", "table.h5", "--out", "file/cards"),
        ("data", "card", "synthetic", "--out", "file/cards"),
        ("experiment", "experiment.toml", "--out", "file/results"),
        ("search", "random", "digits", "--out", "file/search.csv"),
        ("baselines", "recipe.toml", "--out", "file/baselines.json"),
    ],
)
def test_a_folder_that_cannot_be(capsys, folder, arguments):
    before = sorted(folder.rglob("*"))
    fails(capsys, "file", *arguments)
    assert sorted(folder.rglob("*")) == before


def test_a_home_that_cannot_be(capsys, folder, monkeypatch):
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(folder / "file" / "home"))
    fails(capsys, "file is a file, expected a folder", "data", "add", "mine", *OWN)
    fails(capsys, "cannot write", "table", "install", "table.h5")


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("matplotlib", ("table", "card", "table.h5", "--out", "cards")),
        ("matplotlib", ("data", "card", "synthetic", "--out", "cards")),
        ("matplotlib", ("experiment", "experiment.toml")),
        ("matplotlib", ("across",)),
        ("matplotlib", ("surrogate", "predictors", "table.h5", "--out", "p")),
        ("aeon", ("baselines", "recipe.toml", "--network", "gru", "--network", "minirocket")),
    ],
)
def test_an_extra_that_is_not_installed(capsys, folder, monkeypatch, module, arguments):
    found = importlib.util.find_spec
    monkeypatch.setattr(output, "find_spec", lambda name: None if name == module else found(name))
    extra = {"matplotlib": "plots", "aeon": "rocket"}[module]
    fails(capsys, f"{module} is not installed: pip install 'nasbench-evs[{extra}]'", *arguments)


def test_a_card_that_would_be_of_another_protocols_baselines(capsys, folder):
    (folder / "table.pilot.json").write_text("{}")
    fails(capsys, "expected what nasbench-evs pilot writes", "table", "card", "table.h5", "--out", "cards")
    fails(capsys, "holds best epochs only", "table", "card", "age", "--out", "cards")


def test_a_surrogate_is_not_written_over(capsys, folder):
    fails(capsys, "exists already", "surrogate", "fit", DIGITS)
    fails(capsys, "holds something else", "surrogate", "fit", DIGITS, "--out", "predictors", "--force")


def test_own_data_with_a_wrong_name(capsys, folder):
    fails(capsys, "'my data' is no name for a dataset", "data", "add", "my data", *OWN)
    fails(capsys, "'synthetic' is the name of a built-in dataset", "data", "add", "synthetic", *OWN)
    fails(capsys, "takes all three", "data", "add", "mine", *OWN[:4])


def test_a_command_that_is_right_gets_to_work(capsys, folder):
    """That the tests above notice work at all."""
    with pytest.raises(pytest.fail.Exception, match="before it checked"):
        run(capsys, "surrogate", "fit", "table.h5")
