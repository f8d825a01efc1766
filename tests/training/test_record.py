"""Records, tables and back; and what a record says of the code and the machine."""

import json
import subprocess

import numpy as np
import pytest

from nasbench_evs import locations
from nasbench_evs.errors import TrainingError
from nasbench_evs.locations import shipped_tables
from nasbench_evs.spaces import shape_to_dict
from nasbench_evs.tables import read
from nasbench_evs.tables.format import COLUMNS, HARDWARE
from nasbench_evs.training import machine
from nasbench_evs.training.record import Final, Job, Record, record_of, records_of, score_of, table_of
from nasbench_evs.training.train import Training
from nasbench_evs.version import __version__
from tests.conftest import SHAPE, make_end_table, make_header, make_table

MACHINE = {"cpu": "one", "threads": 1, "family": "25", "model": "1", "instruction_set": "avx2"}
WITH_SHAPE = {"epochs": 3, "shape": shape_to_dict(SHAPE)}


def through_a_journal(records):
    return {job: Record.from_dict(json.loads(json.dumps(record.to_dict()))) for job, record in records.items()}


def assert_same(a, b):
    for name in COLUMNS:
        assert np.array_equal(a[name], b[name], equal_nan=a[name].dtype.kind == "f"), name
    for name in HARDWARE:
        assert a.hardware[name].tolist() == b.hardware[name].tolist()
    assert a.content_sha256 == b.content_sha256


def priced(table, make, ranks, seeds, **columns):
    """The table with the costs that `table_of` gives it."""
    cost = table.header.space.cost_many(table["choices"], SHAPE)
    return make(ranks, seeds, params=cost.params, flops=cost.flops, **columns)


def test_records_of_scores_at_the_end_make_the_same_table():
    arguments = ([0, 2, 2, 5], [0, 0, 1, 0])
    columns = {"failing": [2], "protocol": WITH_SHAPE, "machines": [MACHINE]}
    table = priced(make_end_table(*arguments, **columns), make_end_table, *arguments, **columns)
    records = records_of(table)
    assert_same(table_of(table.header, through_a_journal(records)), table)
    record = records[Job(0, 0, "seqnas-s")]
    assert set(record.curves) == {
        "train_loss", "valid_loss", "valid_score", "train_seconds", "eval_seconds", "cpu_seconds"
    }  # fmt: skip
    assert record.final.valid_score == table["valid_score"][0]
    assert len(record.final.test_blocks) == 10
    assert record.machine.instruction_set == "avx2"
    assert record.latency_ms_b1 is None
    assert records[Job(2, 1, "seqnas-s")].final is None


def test_records_of_the_best_epoch_make_the_same_table():
    header = make_header(protocol=WITH_SHAPE)
    arguments = ([0, 2, 5], [0, 1, 0])
    columns = {"header": header, "machines": [MACHINE], "hardware": 0, "latency_ms_b1": [0.5, np.nan, 0.25]}
    table = priced(make_table(*arguments, **columns), make_table, *arguments, **columns)
    records = records_of(table)
    assert_same(table_of(header, through_a_journal(records)), table)
    assert all(record.final is None for record in records.values())
    assert records[Job(0, 0, "random")].latency_ms_b1 == 0.5
    assert records[Job(2, 1, "random")].latency_ms_b1 is None


def test_records_of_a_table_of_format_1_have_its_results():
    table = read(shipped_tables()["bpic2012", "seqnas"])
    again = table_of(table.header, through_a_journal(records_of(table)))
    assert again.results_sha256 == table.results_sha256


def test_a_record_without_a_machine_is_not_given_another_ones():
    columns = {"header": make_header(protocol=WITH_SHAPE), "machines": [MACHINE], "hardware": [-1, 0]}
    table = priced(make_table([0, 2], **columns), make_table, [0, 2], 0, **columns)
    records = records_of(table)
    assert records[Job(0, 0, "random")].machine == machine.Machine()
    assert records[Job(2, 0, "random")].machine.cpu == "one"
    assert_same(table_of(table.header, through_a_journal(records)), table)


def test_a_record_of_a_later_version_is_refused():
    for values in ({"status": "ok", "watts": 3}, {"status": "ok", "machine": {"cpu": "one", "watts": 3}}):
        with pytest.raises(TrainingError, match="a record has watts, expected some of .* later version"):
            Record.from_dict(values)


def test_the_score_of_a_record():
    end, best = make_end_table([0]).header, make_header()
    curves = {"valid_score": [0.5, 0.7, float("nan")]}
    assert score_of(Record("ok", curves=curves), best) == float(np.float32(0.7))
    assert score_of(Record("ok", curves=curves, final=Final(valid_score=0.6)), end) == 0.6
    for record in (Record("failed"), Record("diverged", curves={"valid_score": [float("nan")]})):
        assert np.isnan(score_of(record, best))
        assert np.isnan(score_of(record, end))


def test_a_record_says_which_code_trained():
    result = Training(curves={"train_loss": [0.5]})
    here = machine.Machine(**MACHINE)
    record = record_of(result, here)
    assert record.code_commit == machine.code_commit()
    assert record.machine == here
    assert set(record.to_dict()) == {"status", "reason", "curves", "code_commit", "machine"}
    result.final = {"valid_score": 0.5}
    assert record_of(result, here).final == Final(valid_score=0.5)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of a package of one file, in the package's place."""
    package = tmp_path / "checkout" / "nasbench_evs"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(locations, "PACKAGE", package)
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    machine.code_commit.cache_clear()
    yield package
    machine.code_commit.cache_clear()


def git(package, *arguments):
    named = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    command = ["git", *named, "-C", str(package.parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_of_a_checkout(checkout):
    git(checkout, "init", "-q")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "first")
    commit = git(checkout, "rev-parse", "HEAD")
    (checkout / "new.txt").write_text("not tracked")
    (checkout.parent / "elsewhere.txt").write_text("")
    assert machine.code_commit() == commit
    (checkout / "__init__.py").write_text("changed = True")
    assert machine.code_commit() == commit  # what was imported
    machine.code_commit.cache_clear()
    assert machine.code_commit() == commit + "+"


def test_without_a_checkout_the_version_names_the_code(checkout, monkeypatch):
    assert machine.code_commit() == __version__
    git(checkout, "init", "-q")  # a checkout around it that does not hold it
    machine.code_commit.cache_clear()
    assert machine.code_commit() == __version__
    monkeypatch.setenv("PATH", "")
    machine.code_commit.cache_clear()
    assert machine.code_commit() == __version__


def test_a_machine_is_more_than_its_name():
    found = machine.Machine.here("cpu")
    assert list(found.to_dict()) == list(HARDWARE)
    assert found.instruction_set
    assert all(isinstance(getattr(found, name), str) for name in ("cpu", "family", "model", "instruction_set"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("cpu family\t: 6\nmodel\t\t: 167\nflags\t\t: sse4_2 avx avx2 avx512f\n", ("6", "167", "avx512")),
        ("cpu family\t: 25\nmodel\t: 1\nflags\t: sse4_2 avx2\n\ncpu family : 7\n", ("25", "1", "avx2")),
        ("Features\t: fp asimd\n", ("", "", "neon")),
        ("", ("", "", None)),
    ],
)
def test_details_of_processors(content, expected, monkeypatch):
    monkeypatch.setattr(machine.Path, "read_text", lambda *_, **__: content)
    found = machine.cpu_details()
    assert (found["family"], found["model"]) == expected[:2]
    assert found["instruction_set"] == (expected[2] or machine.platform.machine())
