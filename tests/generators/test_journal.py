import json
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from nasbench_evs.errors import OutputError, TrainingError
from nasbench_evs.generators.journal import DEATHS, NAME, Journal
from nasbench_evs.generators.plan import Job

JOBS = [Job(2**63 + 5, 0, "random"), Job(7, 0, "random"), Job(7, 1, "bananas", (3, 2**64 - 1))]


def test_what_was_committed_is_there_again(tmp_path):
    with Journal(tmp_path) as journal:
        journal.start({"table": {"a": 1}}, JOBS[:2], {})
        journal.add(JOBS[2:])
        assert [entry.job for entry in journal.entries()] == JOBS
        journal.claim([1, 2])
        journal.finish(2, {"status": "ok", "curves": {"valid_score": [0.1, float("nan")]}})
    with Journal(tmp_path) as journal:
        journal.start({"table": {"a": 1}}, [], {})
        states = [entry.state for entry in journal.entries()]
        assert states == ["planned", "finished", "planned"]  # the claim died with its run
        assert journal.entries()[1].record["curves"]["valid_score"][0] == 0.1


def test_records_known_from_elsewhere_are_finished_when_planned(tmp_path):
    with Journal(tmp_path) as journal:
        journal.start({}, JOBS[:1], {JOBS[0]: {"status": "ok"}, JOBS[2]: {"status": "diverged"}})
        journal.add(JOBS[1:])
        assert [entry.state for entry in journal.entries()] == ["finished", "planned", "finished"]


def test_a_folder_of_another_run_is_refused_by_name(tmp_path):
    with Journal(tmp_path) as journal:
        journal.start({"plan": "a", "shard": [1, 2]}, JOBS, {})
    with Journal(tmp_path) as journal, pytest.raises(TrainingError, match=r"shard is \[1, 2\] there and \[2, 2\] here"):
        journal.start({"plan": "a", "shard": [2, 2]}, JOBS, {})


def test_jobs_are_planned_all_or_none(tmp_path):
    with Journal(tmp_path) as journal:
        journal.start({}, JOBS[:1], {})
        with pytest.raises(OutputError):
            journal.add([JOBS[1], JOBS[0]])  # the second is there already
        assert len(journal.entries()) == 1


def test_three_deaths_make_a_training_failed(tmp_path):
    with Journal(tmp_path) as journal:
        journal.start({}, JOBS, {})
        died = [journal.died(1, "signal SIGKILL", {"curves": {}}) for _ in range(DEATHS)]
        assert died == [None] * (DEATHS - 1) + [journal.entries()[0]]
        assert journal.entries()[0].state == "failed"
        assert journal.entries()[0].record["reason"] == "signal SIGKILL, 3 times"


def test_a_second_run_on_the_same_folder_is_refused(tmp_path):
    with Journal(tmp_path) as journal:
        journal.start({}, JOBS, {})
        code = f"""
            from nasbench_evs.generators.journal import Journal
            Journal({str(tmp_path)!r})
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
        )
        assert "is in use by another run" in done.stderr
        journal.add([Job(1, 0, "random")])


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\x00" * 4000])
def test_a_damaged_journal_is_one_clear_line_and_left_alone(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(OutputError, match=NAME) as caught:
        Journal(tmp_path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / NAME).read_bytes() == content


def test_a_database_of_something_else_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("CREATE TABLE jobs (x)")
    db.close()
    with pytest.raises(OutputError, match="not the journal of a run"):
        Journal(tmp_path)


def test_a_path_that_cannot_be_a_folder_is_an_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        Journal(tmp_path / "file" / "run")


def test_a_full_disk_loses_nothing_that_was_finished(tmp_path):
    """SQLite's own page limit stands in for the disk: the same error, from the same place."""
    with Journal(tmp_path) as journal:
        journal.start({}, JOBS, {})
        journal.finish(1, {"status": "ok"})
        (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
        journal._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OutputError, match="what was finished is kept"):
            journal.finish(2, {"status": "ok", "text": "x" * 100_000})
    with Journal(tmp_path) as journal:
        assert [entry.state for entry in journal.entries()] == ["finished", "planned", "planned"]
        assert json.dumps(journal.entries()[0].record) == '{"status": "ok"}'


def test_a_record_that_was_cut_off_is_one_clear_line(tmp_path):
    with Journal(tmp_path) as journal:
        journal.start({}, JOBS, {})
        journal.finish(1, {"status": "ok"})
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("UPDATE jobs SET record = substr(record, 1, 5)")
    db.close()
    with Journal(tmp_path) as journal, pytest.raises(OutputError, match="is damaged"):
        journal.entries()
