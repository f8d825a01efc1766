import contextlib
import os
import sqlite3
import subprocess
import sys
import textwrap

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasbench_evs.errors import NasbenchError, OutputError, TrainingError
from nasbench_evs.training.journal import _COLUMNS, DEATHS, NAME, Journal, _Row, _sum
from nasbench_evs.training.machine import Machine
from nasbench_evs.training.record import Job, Record

JOBS = [Job(2**63 + 5, 0, "random"), Job(7, 0, "random"), Job(7, 1, "bananas", (3, 2**64 - 1))]


def test_what_was_committed_is_there_again(tmp_path):
    with Journal(tmp_path) as journal:
        journal.start({"table": {"a": 1}}, JOBS[:2], {})
        journal.add(JOBS[2:])
        assert [entry.job for entry in journal.entries()] == JOBS
        journal.claim([1, 2])
        journal.finish(2, Record("ok", curves={"valid_score": [0.1, float("nan")]}))
    with Journal(tmp_path) as journal:
        journal.start({"table": {"a": 1}}, [], {})
        states = [entry.state for entry in journal.entries()]
        assert states == ["planned", "finished", "planned"]  # the claim died with its run
        assert journal.entries()[1].record.curves["valid_score"][0] == 0.1


def test_records_known_from_elsewhere_are_finished_when_planned(tmp_path):
    with Journal(tmp_path) as journal:
        journal.start({}, JOBS[:1], {JOBS[0]: Record("ok"), JOBS[2]: Record("diverged")})
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
        died = [journal.died(1, "signal SIGKILL", Machine("one")) for _ in range(DEATHS)]
        assert died == [None] * (DEATHS - 1) + [journal.entries()[0]]
        assert journal.entries()[0].state == "failed"
        assert journal.entries()[0].record == Record("failed", "signal SIGKILL, 3 times", machine=Machine("one"))


def test_a_second_run_on_the_same_folder_is_refused(tmp_path):
    with Journal(tmp_path) as journal:
        journal.start({}, JOBS, {})
        code = f"""
            from nasbench_evs.training.journal import Journal
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
        journal.finish(1, Record("ok"))
        (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
        journal._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OutputError, match="what was finished is kept"):
            journal.finish(2, Record("ok", "x" * 100_000))
    with Journal(tmp_path) as journal:
        assert [entry.state for entry in journal.entries()] == ["finished", "planned", "planned"]
        assert journal.entries()[0].record == Record("ok")


PLAN = [Job(1000 + i, i % 2, "random") for i in range(12)]
IDENTITY = {"table": {"dataset": "made"}, "plan": "Plan(random=12)"}


def curve(i):
    names = ("train_loss", "valid_score", "test_score")
    return Record("ok", curves={name: [0.1234567 * (i + 1) / (e + 1) for e in range(9)] for name in names})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a journal with a finished record for most of its jobs, and the entries that it holds."""
    folder = tmp_path_factory.mktemp("whole")
    with Journal(folder) as journal:
        journal.start(IDENTITY, PLAN, {})
        journal.add(JOBS)
        for i in range(1, 11):
            journal.claim([i])
            journal.finish(i, curve(i))
        for _ in range(DEATHS):
            journal.died(11, "signal SIGKILL", Machine("one"))
        journal.claim([12])
        journal.finish(15, curve(15))
    with Journal(folder) as journal:
        return (folder / NAME).read_bytes(), journal.start(IDENTITY, PLAN, {})


@pytest.fixture
def change(whole, tmp_path):
    """Carry out an SQL statement on that journal; what it says of it when it is opened again."""

    def changed(statement, *values):
        (tmp_path / NAME).write_bytes(whole[0])
        with sqlite3.connect(tmp_path / NAME) as db:
            assert db.execute(statement, values).rowcount > 0
        db.close()
        return refusal(tmp_path)

    return changed


def refusal(folder, error=OutputError):
    with pytest.raises(error) as caught, Journal(folder) as journal:
        journal.start(IDENTITY, PLAN, {})
    assert "\n" not in str(caught.value)
    assert NAME in str(caught.value)
    return str(caught.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_ten_changed_digits_in_records_are_refused_by_the_name_of_their_job(whole, tmp_path, data):
    content, entries = whole
    (tmp_path / NAME).write_bytes(content)
    with sqlite3.connect(tmp_path / NAME) as db:
        records = dict(db.execute("SELECT id, record FROM jobs WHERE record IS NOT NULL"))
        places = [(i, at) for i, text in records.items() for at, letter in enumerate(text) if letter.isdigit()]
        chosen = data.draw(st.lists(st.sampled_from(places), min_size=10, max_size=10, unique=True))
        for i, at in chosen:
            other = (int(records[i][at]) + data.draw(st.integers(1, 9))) % 10
            records[i] = f"{records[i][:at]}{other}{records[i][at + 1 :]}"
        db.executemany("UPDATE jobs SET record = ? WHERE id = ?", [(text, i) for i, text in records.items()])
    db.close()
    said = refusal(tmp_path)
    jobs = [entries[i - 1].job for i in sorted({i for i, _ in chosen})]
    for job in jobs[:3]:
        assert f"architecture {job.rank} with seed {job.seed}" in said
    assert ("..." in said) == (len(jobs) > 3)
    assert said.endswith("choose another --out")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE jobs SET rank = '9' || rank WHERE id = 3",
        "UPDATE jobs SET seed = 7 WHERE id = 3",
        "UPDATE jobs SET sampler = 'bananas' WHERE id = 3",
        "UPDATE jobs SET teachers = '4' WHERE id = 3",
        "UPDATE jobs SET state = 'planned' WHERE id = 3",
        "UPDATE jobs SET state = 'failed' WHERE id = 3",
        "UPDATE jobs SET deaths = 2 WHERE id = 3",
        "UPDATE jobs SET record = NULL WHERE id = 3",
        "UPDATE jobs SET record = substr(record, 1, 5) WHERE id = 3",
        "UPDATE jobs SET record = CAST(record AS BLOB) WHERE id = 3",
        "UPDATE jobs SET sha256 = '0' || substr(sha256, 2) || ' ' WHERE id = 3",
        "UPDATE jobs SET (record, sha256) = (SELECT record, sha256 FROM jobs WHERE id = 4) WHERE id = 3",
    ],
)
def test_whatever_is_changed_of_a_job_names_it_as_the_plan_does(change, statement):
    assert "architecture 1002 with seed 0" in change(statement)


def test_a_change_of_a_job_that_is_not_in_the_plan_names_it_as_its_row_does(change):
    said = change("UPDATE jobs SET state = 'planned' WHERE id = 15")
    assert "architecture 7 with seed 1" in said


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("DELETE FROM jobs WHERE id = 2", "1 of 15 jobs are lost: architecture 1001 with seed 1"),
        ("DELETE FROM jobs WHERE id = 15", "1 of 15 jobs are lost: job 15"),
        ("DELETE FROM jobs WHERE id IN (12, 15)", "2 of 15 jobs are lost: architecture 1011 with seed 1, job 15"),
        ("DELETE FROM jobs", "15 of 15 jobs are lost: architecture 1000 with seed 0"),
        ("UPDATE tally SET jobs = 14", "not those that its tally counts"),
        ("UPDATE tally SET jobs = 4000000000000000000", "are lost"),
        ("UPDATE tally SET jobs = 'x'", "its tally of jobs cannot be read"),
        ("UPDATE tally SET sha256 = sha256 || 'x'", "its tally of jobs cannot be read"),
        ("DELETE FROM tally", "its tally of jobs cannot be read"),
        ("DELETE FROM run", "not those that its tally counts"),
        ("UPDATE run SET value = replace(value, '12', '13')", "not those that its tally counts"),
    ],
)
def test_lost_jobs_are_counted(change, statement, lost):
    assert lost in change(statement)


def test_a_row_set_back_to_what_it_once_was_is_noticed(whole, change, tmp_path):
    """Its hash is right: it was planned once."""
    with Journal(tmp_path / "early") as journal:
        journal.start(IDENTITY, PLAN, {})
    with sqlite3.connect(tmp_path / "early" / NAME) as db:
        ((sha256,),) = db.execute("SELECT sha256 FROM jobs WHERE id = 3")
    db.close()
    said = change("UPDATE jobs SET state = 'planned', record = NULL, sha256 = ? WHERE id = 3", sha256)
    assert "not those that its tally counts" in said


def test_a_damaged_journal_names_the_table_to_go_on_from(change, tmp_path):
    (tmp_path / "table.h5").touch()
    said = change("DELETE FROM jobs WHERE id = 2")
    assert said.endswith(f"choose another --out, and go on from {tmp_path / 'table.h5'} with --from")


def test_a_plan_whose_jobs_were_never_written_down_is_refused(whole, tmp_path):
    (tmp_path / NAME).write_bytes(whole[0])
    with (
        Journal(tmp_path) as journal,
        pytest.raises(TrainingError, match="does not hold 1 of the 13 trainings") as caught,
    ):
        journal.start(IDENTITY, [*PLAN, Job(5, 0, "random")], {})
    assert "architecture 5 with seed 0" in str(caught.value)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_bytes_anywhere_are_refused_or_change_nothing(whole, tmp_path, data):
    """Also while the run goes on: what is sealed in the end is what was recorded, or nothing is."""
    content, entries = whole
    damaged = bytearray(content)
    used = [at for at, byte in enumerate(content) if byte]  # most bytes of a page belong to nothing
    place = st.one_of(st.integers(0, len(content) - 1), st.sampled_from(used), st.integers(0, 200))
    for at, byte in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=10)):
        damaged[at] = byte
    for file in tmp_path.iterdir():
        file.unlink()
    (tmp_path / NAME).write_bytes(damaged)
    more = [Job(70, 0, "random"), Job(71, 1, "random", (1, 2))]
    try:
        with Journal(tmp_path) as journal:
            there = journal.start(IDENTITY, PLAN, {})
            assert there == entries
            added = journal.add(more)
            for entry in [*there, *added]:
                if entry.state == "planned":
                    journal.claim([entry.id])
                    journal.finish(entry.id, curve(entry.id))
            sealed = journal.entries()
    except NasbenchError as error:
        assert "\n" not in str(error)
        return
    assert [entry.job for entry in sealed] == [*PLAN, *JOBS, *more]
    assert all(entry.state == "finished" and entry.record == curve(entry.id) for entry in sealed if entry.id != 11)
    assert sealed[10] == entries[10]


def test_a_journal_without_hashes_is_one_clear_line_and_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        db.execute(
            "CREATE TABLE jobs (id INTEGER PRIMARY KEY, rank TEXT NOT NULL, seed INTEGER NOT NULL, sampler TEXT NOT NULL, "
            "teachers TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'planned', deaths INTEGER NOT NULL DEFAULT 0, record TEXT, "
            "UNIQUE (rank, seed, teachers))"
        )
    db.close()
    before = (tmp_path / NAME).read_bytes()
    said = refusal(tmp_path)
    assert "begun by an older version" in said
    assert "finish it with that version, or choose another --out" in said
    assert (tmp_path / NAME).read_bytes() == before


def test_what_is_committed_is_in_the_one_file(tmp_path):
    """A copy of it, taken as a loss of power would, holds every record."""
    with Journal(tmp_path) as journal:
        journal.start(IDENTITY, PLAN, {})
        for i in range(1, 6):
            journal.finish(i, curve(i))
            (tmp_path / "copy").mkdir(exist_ok=True)
            (tmp_path / "copy" / NAME).write_bytes((tmp_path / NAME).read_bytes())
            with Journal(tmp_path / "copy") as copy:
                assert copy.start(IDENTITY, PLAN, {}) == journal.entries()


DEEP = "[" * 10_000 + "]" * 10_000


@pytest.mark.parametrize(
    "record",
    [
        "null", "5", "[]", '""', "nothing", "", "{}", DEEP, '{"status": ' + DEEP + "}", '{"status": "fine"}', '{"status": null}',
        '{"status": "ok", "reason": 5}', '{"status": "ok", "curves": []}', '{"status": "ok", "curves": {"valid_score": 5}}',
        '{"status": "ok", "curves": {"valid_score": ["a"]}}', '{"status": "ok", "curves": {"a": [1.0]}}',
        '{"status": "ok", "curves": {"valid_score": [0.5], "train_loss": [0.5, 0.6]}}', '{"status": "ok", "machine": null}',
        '{"status": "ok", "machine": {"cpu": 5}}', '{"status": "ok", "machine": {"cpus": ""}}', '{"status": "ok", "final": []}',
        '{"status": "ok", "final": {"valid_blocks": [1.0]}}', '{"status": "ok", "final": {"valid_score": "1"}}',
        '{"status": "ok", "latency_ms_b1": -1}', '{"status": "ok", "latency_ms_b1": NaN}', '{"status": "ok", "later": 1}',
        '{"status": "ok", "final": {"valid_score": 1' + "0" * 400 + "}}",
        '{"status": "ok", "reason": "' + "9" * 5000 + '", "code_commit": 1}',
    ],
    ids=range(28),
)  # fmt: skip
def test_a_record_that_is_none_behind_hashes_that_are_right(whole, tmp_path, record):
    assert "architecture 1002 with seed 0" in rewritten(whole, tmp_path, record=record)


@pytest.mark.parametrize(
    "values",
    [
        {"rank": "x"}, {"rank": ""}, {"rank": "-1"}, {"rank": "9" * 5000}, {"rank": b"7"}, {"seed": "x"}, {"seed": -1},
        {"seed": 0.5},
        {"sampler": b"r"}, {"teachers": "3,4"}, {"teachers": "3  4"}, {"teachers": b"3"}, {"state": "done"}, {"deaths": "x"},
        {"state": "planned"}, {"record": None}, {"record": b"{}"},
    ],
    ids=str,
)  # fmt: skip
def test_a_row_that_is_none_behind_hashes_that_are_right(whole, tmp_path, values):
    said = rewritten(whole, tmp_path, **values)
    assert "is damaged" in said
    assert len(said) < 1000


def rewritten(whole, folder, **values):
    """What a journal says whose third job has these values, and hashes that are right."""
    (folder / NAME).write_bytes(whole[0])
    with contextlib.closing(sqlite3.connect(folder / NAME)) as db:
        found = _Row(*db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = 3").fetchone())
        changed = found._replace(**values)
        [(total,)] = db.execute("SELECT sha256 FROM tally").fetchall()
        db.execute("UPDATE tally SET sha256 = ?", (_sum(total, found.sha256, changed.sha256),))
        for name, value in {**values, "sha256": changed.sha256}.items():
            db.execute(f"UPDATE jobs SET {name} = ? WHERE id = 3", (value,))
        db.commit()
    return refusal(folder)


def test_pipes_folders_and_devices(tmp_path):
    for make in (os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)):
        folder = tmp_path / make.__name__.strip("<>")
        folder.mkdir()
        make(folder / NAME)
        with pytest.raises(
            OutputError, match="cannot open .*: it is a (folder|pipe or a device), expected a file, the journal"
        ):
            Journal(folder)
