"""`nasbench-evs data ...` as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nasbench_evs.datasets import boosting, open_dataset
from nasbench_evs.datasets.sources import SOURCES
from tests.datasets.test_custom import SCHEMA, make_frames
from tests.test_cli import fails, run


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def own(tmp_path):
    events, labels = make_frames()
    events.to_csv(tmp_path / "events.csv.gz", index=False)
    labels.to_csv(tmp_path / "labels.csv", index=False)
    (tmp_path / "schema.toml").write_text(SCHEMA)
    return [
        "--from",
        tmp_path / "events.csv.gz",
        "--labels",
        tmp_path / "labels.csv",
        "--schema",
        tmp_path / "schema.toml",
    ]


def test_add_list_describe_where(capsys, home, own):
    code, out, err = run(capsys, "data", "add", "my-data", *own)
    assert code == 0
    assert "my-data: 60 sequences, 240 events" in out
    assert str(home / "datasets" / "my-data") in err
    assert run(capsys, "data", "where", "my-data")[1].strip() == str(home / "datasets" / "my-data")
    assert run(capsys, "data", "where")[1].strip() == str(home / "datasets")
    rows = {row["dataset"]: row for row in json.loads(run(capsys, "data", "list", "--format", "json")[1])}
    assert (rows["my-data"]["prepared"], rows["my-data"]["sequences"]) == (True, 60)
    assert (rows["oulad"]["prepared"], rows["oulad"]["sequences"]) == (False, None)
    code, out, _ = run(capsys, "data", "describe", "my-data")
    assert "time between events" in out
    assert json.loads(run(capsys, "data", "describe", "my-data", "--format", "json")[1])["sequences"] == 60
    assert run(capsys, "data", "list")[1].count("\n") == len(SOURCES) + 2


def test_a_prepared_dataset_is_kept_unless_forced(capsys, home, own):
    run(capsys, "data", "add", "my-data", *own)
    fails(capsys, "my-data is prepared already, in", "data", "add", "my-data", *own)
    assert run(capsys, "data", "add", "my-data", *own, "--force")[0] == 0
    assert os.listdir(home / "datasets") == ["my-data"]


def test_the_synthetic_dataset_needs_no_files_and_says_what_it_is(capsys):
    assert run(capsys, "data", "add", "synthetic")[0] == 0
    assert json.loads(run(capsys, "data", "describe", "synthetic", "--format", "json")[1])["synthetic"] == "yes"


def test_a_card_and_a_baseline(capsys, tmp_path):
    run(capsys, "data", "add", "synthetic")
    code, out, _ = run(capsys, "data", "baseline", "synthetic", "--format", "json")
    assert code == 0
    (row,) = json.loads(out)
    assert row["metric"] == "roc_auc"
    assert run(capsys, "data", "card", "synthetic", "--out", tmp_path / "card")[0] == 0
    card = (tmp_path / "card" / "README.md").read_text()
    assert f"**{row['test']:.3f}** on the test split" in card
    assert "SYNTHETIC" in card
    assert "shuffled" not in card
    assert (tmp_path / "card" / "figure.png").read_bytes()[:4] == b"\x89PNG"


def test_forms_of_the_baseline(capsys, home, monkeypatch):
    few = boosting._THOROUGH._replace(models=1, trees=5)  # what is printed is tested, not what boosting learns
    monkeypatch.setattr(boosting, "_THOROUGH", few)
    run(capsys, "data", "add", "synthetic")
    options = ("--form", "last-events", "--train", "300", "--threads", "1")
    (row,) = json.loads(run(capsys, "data", "baseline", "synthetic", *options, "--format", "json")[1])
    assert (row["form"], row["shuffled"], row["train"], len(row["test_blocks"])) == ("last events", False, 300, 10)
    assert "blocks" not in run(capsys, "data", "baseline", "synthetic", *options, "--shuffled")[1]
    assert run(capsys, "data", "baseline", "synthetic", *options, "--format", "csv")[1].count("\n") == 2
    assert run(capsys, "data", "card", "synthetic", "--out", home / "card", "--forms", "--train", "300")[0] == 0
    card = (home / "card" / "README.md").read_text()
    assert f"| the last events one by one as well | {row['valid']:.3f} | {row['test']:.3f} |" in card
    assert "trained on 300 of 1,200 sequences, reaches" in card
    training = len(open_dataset("synthetic").rows("train"))
    for n in (0, training + 1):
        fails(
            capsys,
            f"train = {n:,} of synthetic: expected 1 to {training:,}",
            *("data", "baseline", "synthetic", "--train", str(n)),
        )


def test_mistakes_give_one_line_and_leave_nothing(capsys, home, own, tmp_path):
    events = tmp_path / "events.csv.gz"
    for message, arguments in (
        ("no dataset 'physionet': expected one of tafeng-churn", ("add", "physionet", "--from", tmp_path)),
        ("physionet2012 needs its raw files. download set-a", ("add", "physionet2012")),
        ("is no folder: expected set-a", ("add", "physionet2012", "--from", tmp_path / "none")),
        ("holds no Outcomes-a.txt", ("add", "physionet2012", "--from", tmp_path)),
        ("holds no UCI_Credit_Card.csv", ("add", "credit-default", "--from", tmp_path)),
        (
            "takes all three: --from EVENTS --labels LABELS --schema",
            ("add", "my-data", "--from", events, "--labels", events),
        ),
        ("'oulad' is the name of a built-in dataset", ("add", "oulad", *own)),
        ("'../x' is no name for a dataset", ("add", "../x", *own)),
        ("oulad has no prepared data here. download the Open University", ("describe", "oulad")),
        ("no dataset 'nothing': expected one of", ("describe", "nothing")),
        ("oulad has no prepared data here", ("where", "oulad")),
        ("credit-default has no prepared data here", ("baseline", "credit-default")),
    ):
        fails(capsys, message, "data", *arguments)
        assert not (home / "datasets").exists()


def test_cards_of_own_data_are_ones_own(capsys, own, tmp_path):
    run(capsys, "data", "add", "my-data", *own)
    fails(capsys, "my-data is your own data", "data", "card", "my-data", "--out", tmp_path / "card")


def test_one_damaged_dataset_does_not_hide_the_others(capsys, home, own):
    run(capsys, "data", "add", "my-data", *own)
    run(capsys, "data", "add", "synthetic")
    (home / "datasets" / "my-data" / "labels.npy").write_bytes(b"")
    code, out, err = run(capsys, "data", "list", "--format", "json")
    rows = {row["dataset"]: row for row in json.loads(out)}
    assert (code, rows["my-data"]["prepared"], rows["synthetic"]["prepared"]) == (0, "damaged", True)
    assert "my-data/labels.npy: it is" in err
    assert "prepare it again with nasbench-evs data add" in err


def test_a_home_that_cannot_be_written(capsys, tmp_path, monkeypatch, own):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path / "file"))
    code, _, err = run(capsys, "data", "add", "my-data", *own)
    assert code == 1
    assert "cannot write" in err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_interrupted_while_preparing(home, shared, sent, code):
    """Whenever it is stopped, nothing half-prepared is left where a dataset would be."""
    command = [str(Path(sys.executable).parent / "nasbench-evs"), "data", "add", "bpic2012"]
    command += ["--from", str(shared / "data" / "raw" / "bpic2012")]
    # A shell that runs tests in the background ignores SIGINT, and its children would too.
    adding = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(2.0)
    adding.send_signal(sent)
    out, err = adding.communicate()
    assert adding.returncode == code
    assert out == ""
    assert "Traceback" not in err
    if sent == signal.SIGINT:
        assert err.strip().endswith("error: interrupted")
    assert not (home / "datasets" / "bpic2012").exists()
