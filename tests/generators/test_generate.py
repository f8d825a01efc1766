"""Runs: whatever happens to their processes, the table is the same."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from disturbed import CLOCKED, Kind, Tally, disturb, records, start

from nasbench_evs.errors import NasbenchError, OutputError, RecipeError, TrainingError
from nasbench_evs.generators.executor import Executor, Handle, Received
from nasbench_evs.generators.generate import generate
from nasbench_evs.generators.messages import Died, Failed, Ready, Trained
from nasbench_evs.spaces.subspaces import subspace_ranks
from nasbench_evs.tables import merge, read, verify, write
from nasbench_evs.training.journal import Journal
from nasbench_evs.training.machine import Machine
from nasbench_evs.training.recipe import Recipe
from nasbench_evs.training.record import Record, records_of
from tests.generators.conftest import SMALL


def same(a, b):
    """Equal record for record, but for what is measured with a clock."""
    assert len(a) == len(b)
    for name in a.columns:
        if name not in CLOCKED:
            assert np.array_equal(a[name], b[name], equal_nan=a[name].dtype.kind == "f"), name
    assert a.header.identity == b.header.identity


def toml(values):
    """The small recipe as a file has it."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, dict)]
    for name in ("protocol", "plan"):
        plain = {key: value for key, value in values[name].items() if not isinstance(value, dict)}
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in plain.items())]
    if "search" in values["plan"]:
        search = values["plan"]["search"]
        plain = {key: value for key, value in search.items() if not isinstance(value, dict)}
        lines += ["[plan.search]", *(f"{key} = {json.dumps(value)}" for key, value in plain.items())]
        lines += ["[plan.search.parameters]", *(f"{k} = {json.dumps(v)}" for k, v in search["parameters"].items())]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def undisturbed(home, tmp_path_factory):
    """The table of the small recipe."""
    return read(generate(Recipe.from_dict(SMALL), tmp_path_factory.mktemp("run")))


def test_a_run_records_its_plan(undisturbed):
    verify(undisturbed)
    assert len(undisturbed) == 20
    assert set(undisturbed["status"]) == {b"ok"}
    assert set(undisturbed["sampler"]) == {b"random", b"bananas-paper"}
    assert undisturbed["distilled"].sum() == 4
    assert (undisturbed["epochs_run"] == 2).all()
    assert (undisturbed["params"] > 0).all()
    for name in (*CLOCKED, "valid_curve", "test_curve", "train_loss", "valid_loss_curve", "test_loss_curve"):
        assert not np.isnan(undisturbed[name]).any()
    assert undisturbed.header.protocol["subset"] == 200
    assert undisturbed.hardware["threads"].tolist() == [1]


def test_two_workers_record_the_same(undisturbed, recipe, tmp_path):
    seen = []
    same(undisturbed, read(generate(recipe, tmp_path, workers=2, report=seen.append)))
    assert (seen[-1].done, seen[-1].total, seen[-1].failed) == (20, 20, 0)
    assert seen[-1].best == pytest.approx(float(np.nanmax(undisturbed["valid_score"])))


@pytest.mark.slow
def test_shards_merge_into_the_undivided_run(undisturbed, recipe, tmp_path):
    shards = [read(generate(recipe, tmp_path / str(i), shard=(i, 4))) for i in range(1, 5)]
    assert all(len(shard) < len(undisturbed) for shard in shards)
    same(undisturbed, merge(shards))


def test_a_finished_run_trains_nothing_again(undisturbed, recipe, tmp_path):
    first = read(generate(recipe, tmp_path))
    second = read(generate(recipe, tmp_path))
    same(undisturbed, first)
    assert first.content_sha256 == second.content_sha256  # the clock's figures too


def test_a_longer_plan_goes_on_from_a_table(undisturbed, values, tmp_path):
    values["plan"]["random"] = 11
    longer = read(generate(Recipe.from_dict(values), tmp_path / "on", known=undisturbed))
    same(longer, read(generate(Recipe.from_dict(values), tmp_path / "new")))
    key = list(zip(undisturbed["rank"], undisturbed["seed"], undisturbed["distilled"], strict=True))
    kept = [i for i, k in enumerate(zip(longer["rank"], longer["seed"], longer["distilled"], strict=True)) if k in key]
    assert np.array_equal(longer["train_seconds"][kept], undisturbed["train_seconds"])
    values["protocol"]["epochs"] = 3
    with pytest.raises(RecipeError, match="another protocol"):
        generate(Recipe.from_dict(values), tmp_path / "other", known=undisturbed)


def test_a_folder_of_another_recipe_is_refused(recipe, values, tmp_path, home):
    generate(recipe, tmp_path)
    values["plan"]["random"] = 12
    with pytest.raises(TrainingError, match="holds another run: plan is"):
        generate(Recipe.from_dict(values), tmp_path)


@pytest.mark.parametrize(
    ("shard", "message"), [((0, 2), "shard 0/2"), ((3, 2), "shard 3/2"), ((99, 100), "take fewer")]
)
def test_impossible_shards_are_refused(recipe, tmp_path, home, shard, message):
    with pytest.raises(RecipeError, match=message):
        generate(recipe, tmp_path, shard=shard)


@pytest.mark.slow
def test_a_training_that_kills_its_worker_three_times_is_a_failed_record(values, tmp_path, home, monkeypatch):
    """A worker is told to die on every training of one architecture, as one that needs too much memory would."""
    values["plan"] = {"random": 4}
    recipe = Recipe.from_dict(values)
    whole = read(generate(recipe, tmp_path / "whole"))
    victim = int(whole["rank"][2])
    spoiler = tmp_path / "sitecustomize.py"
    spoiler.write_text(
        "import os, sys\n"
        "if 'spawn_main' in ' '.join(sys.orig_argv):\n"
        "    import nasbench_evs.training.train as t\n"
        "    before = t.train\n"
        "    def train(architecture, *a, **k):\n"
        f"        os.kill(os.getpid(), 9) if architecture.rank == {victim} else None\n"
        "        return before(architecture, *a, **k)\n"
        "    t.train = train\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    spoiled = read(generate(recipe, tmp_path / "spoiled"))
    assert spoiled["status"].tolist() == [b"ok", b"ok", b"failed", b"ok"]
    assert b"SIGKILL" in spoiled["reason"][2]
    assert np.isnan(spoiled["valid_curve"][2]).all()
    verify(spoiled)
    rest = np.arange(4) != 2
    assert np.array_equal(spoiled["valid_curve"][rest], whole["valid_curve"][rest])


def test_a_protocol_under_which_everything_fails_stops_the_run(values, tmp_path, home, monkeypatch):
    values["plan"] = {"random": 9}
    spoiler = tmp_path / "sitecustomize.py"
    spoiler.write_text(
        "import sys\n"
        "if 'spawn_main' in ' '.join(sys.orig_argv):\n"
        "    import nasbench_evs.training.train as t\n"
        "    def train(*a, **k):\n"
        "        raise RuntimeError('no such kernel')\n"
        "    t.train = train\n"
    )
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        for _ in range(2):  # again, and not a table full of failures
            with pytest.raises(TrainingError, match="every training fails: RuntimeError: no such kernel"):
                generate(Recipe.from_dict(values), tmp_path / "run")
    # Mended, the same run trains everything.
    assert set(read(generate(Recipe.from_dict(values), tmp_path / "run"))["status"]) == {b"ok"}


@pytest.mark.parametrize("journal", ["none", "empty"])
def test_a_table_that_the_run_did_not_write_is_left_alone(recipe, undisturbed, tmp_path, journal):
    write(undisturbed, tmp_path / "table.h5")
    if journal == "empty":
        (tmp_path / "journal.sqlite").touch()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OutputError, match="go on from it with --from"):
        generate(recipe, tmp_path)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["delete", "spoil"])
def test_lost_or_damaged_logits_are_made_again(undisturbed, recipe, tmp_path, damage):
    generate(recipe, tmp_path)
    with Journal(tmp_path) as journal:
        journal.plan_again([entry.id for entry in journal.entries() if entry.job.teachers])
    for file in (tmp_path / "logits").iterdir():
        file.unlink() if damage == "delete" else file.write_bytes(b"xx")
    same(undisturbed, read(generate(recipe, tmp_path)))


def test_too_few_teachers_is_said_when_all_the_rest_is_trained(values, tmp_path, home):
    values["protocol"].update(learning_rate=1000.0, optimiser="sgd", clip=0.0, batch_size=4)
    values["plan"] = {"random": 7, "distilled": 2, "seeds": 1}
    with pytest.raises(RecipeError, match="too few for 2 teachers"):
        generate(Recipe.from_dict(values), tmp_path)
    assert len(read(tmp_path / "table.h5")) == 7


def test_data_prepared_anew_during_a_run_is_noticed(values, tmp_path, dataset, monkeypatch):
    """The workers find another dataset than the driver did."""
    monkeypatch.setattr("nasbench_evs.generators.generate.open_dataset", lambda name: dataset.subset(300))
    values["plan"] = {"random": 2}
    with pytest.raises(TrainingError, match="is not the dataset that the driver saw"):
        generate(Recipe.from_dict(values), tmp_path)


@pytest.mark.parametrize("device", ["xyz", "cuda:99", "meta", "cpu,nonsense", ""])
def test_a_device_that_is_not_there_is_named(recipe, tmp_path, device):
    with pytest.raises(RecipeError, match="cannot be used") as caught:
        generate(recipe, tmp_path / "run", device=device)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_dataset_that_is_not_here_is_said_before_anything_is_written(values, tmp_path, home):
    values["dataset"] = "bpic2012"
    with pytest.raises(NasbenchError, match="nasbench-evs data add bpic2012"):
        generate(Recipe.from_dict(values), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which not even root may write")
def test_a_read_only_folder_is_one_clear_line(recipe, home):
    with pytest.raises(OutputError, match="cannot write /proc/run"):
        generate(recipe, "/proc/run")


def test_sigterm_leaves_a_shard_of_what_is_finished(values, tmp_path, home):
    values["plan"] = {"random": 500}
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(toml(values))
    run = start("generate", recipe, "--out", tmp_path / "run")
    journal = tmp_path / "run" / "journal.sqlite"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (journal.exists() and journal.read_bytes().count(b'"status": "ok"') > 1):
        time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 143
    assert "error: interrupted" in errors
    assert "Traceback" not in errors
    assert 0 < len(read(tmp_path / "run" / "table.h5")) < 500


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds worker processes in /proc")
def test_killed_at_twenty_random_moments(undisturbed, values, tmp_path):
    """kill -9 of the driver, of a worker, of both: after resuming, the table is that of an undisturbed run.

    No finished record is lost or made again: its seconds, which no second training repeats, stay what they were.
    """
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(toml(values))
    kind = Kind(
        "generate",
        lambda out: ("generate", recipe, "--out", out, "--workers", "2"),
        lambda out: records(out / "table.h5"),
    )
    write(undisturbed, tmp_path / "undisturbed.h5")
    chance, tally = random.Random(0), Tally()
    while sum(tally.kills.values()) < 20:
        disturb(kind, tmp_path, records(tmp_path / "undisturbed.h5"), 20, chance, tally)
    assert tally.said == []
    assert (tally.lost, tally.wrong, tally.unreadable) == (0, 0, 0)
    assert tally.records == len(undisturbed) * tally.runs


def test_the_journal_survives_the_driver_at_any_commit(recipe, tmp_path, home):
    """What the journal says finished is in the table, with the very record that was written down."""
    generate(recipe, tmp_path)
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        records = [json.loads(text) for (text,) in db.execute("SELECT record FROM jobs")]
    table = read(tmp_path / "table.h5")
    scores = sorted(record["curves"]["valid_score"][-1] for record in records)
    assert np.allclose(sorted(table["valid_curve"][:, -1]), scores, atol=1e-7)


class Stub(Executor):
    """Workers that say what a test has written for them; "record" is that of their request."""

    def __init__(self, scripts, records=()):
        super().__init__()
        self.scripts, self.records = scripts, records
        self.started, self.requests, self.closed = [], [], 0

    def start(self):
        self.started.append(Handle())
        self.workers.append(self.started[-1])

    def send(self, handle, request):
        self.requests.append(request)
        script = self.scripts[self.started.index(handle)]
        if script[:1] == ["record"]:
            script[0] = Trained(self.records[request.rank])

    def receive(self, seconds):
        said = [Received(handle, self.scripts[i].pop(0)) for i, handle in enumerate(self.started) if self.scripts[i]]
        for each in said:
            if isinstance(each.message, Died):
                self.workers.remove(each.handle)
        return said

    def close(self):
        self.closed += 1


def test_what_failed_is_recorded_with_the_machine_of_its_worker(values, tmp_path, home, monkeypatch):
    """The driver knows nothing of where its workers are."""
    machine = Machine("far away", "H900", 1, "{}")
    values["plan"] = {"random": 1}
    stub = Stub([[Ready(machine), *[Failed("no such kernel")] * 3], []])
    monkeypatch.setattr("nasbench_evs.generators.generate._executor", lambda *_: stub)
    with pytest.raises(TrainingError, match="every training fails: no such kernel"):
        generate(Recipe.from_dict(values), tmp_path)
    assert len(stub.requests) == 3
    assert stub.closed


def test_a_worker_that_dies_at_its_start_stops_no_run_that_goes_on(values, tmp_path, home, monkeypatch):
    values["plan"] = {"random": 2}
    whole = read(generate(Recipe.from_dict(values), tmp_path / "whole"))
    records = {job.rank: record for job, record in records_of(whole).items()}
    machine = next(iter(records.values())).machine
    stub = Stub([[Ready(machine), "record", "record"], [Died("lost")], []], records)
    monkeypatch.setattr("nasbench_evs.generators.generate._executor", lambda *_: stub)
    same(whole, read(generate(Recipe.from_dict(values), tmp_path / "run", workers=2)))
    stub = Stub([[Died("no torch here")]])
    with pytest.raises(TrainingError, match=r"the worker died \(no torch here\) before it trained anything"):
        generate(Recipe.from_dict(values), tmp_path / "none")


def resumed(recipe, folder, content, monkeypatch, records=()):
    """Take a run up from these bytes of its journal, with a worker that has these records."""
    folder.mkdir()
    (folder / "journal.sqlite").write_bytes(content)
    machine = Machine("one", "", 1, "{}")
    stub = Stub([[Ready(machine), *["record"] * 20]], dict(records))
    monkeypatch.setattr("nasbench_evs.generators.generate._executor", lambda *_: stub)
    return generate(recipe, folder)


@pytest.fixture
def interrupted(values, tmp_path, home, undisturbed, monkeypatch):
    """A recipe, the bytes of the journal of its run, of which some is left to do, its table, and all records."""
    values["plan"] = {"random": 9, "repeated": 3, "seeds": 1}
    recipe = Recipe.from_dict(values)
    known = records_of(undisturbed)
    whole = read(generate(recipe, tmp_path / "whole", known=undisturbed))
    with Journal(tmp_path / "whole") as journal:
        journal.plan_again([2, 9])
    records = {job.rank: record for job, record in known.items() if job.seed == 0 and not job.teachers}
    return recipe, (tmp_path / "whole" / "journal.sqlite").read_bytes(), whole, records


def test_a_run_is_taken_up_from_its_journal(interrupted, tmp_path, monkeypatch):
    recipe, content, whole, records = interrupted
    same(whole, read(resumed(recipe, tmp_path / "run", content, monkeypatch, records)))


def test_a_run_that_an_earlier_version_began_goes_on(values, tmp_path, home, monkeypatch):
    """journal.sqlite was made, and its driver killed, by the last version whose records were plain dicts.

    The two trainings of its [plan.bananas], which had not begun, were taken out: that section is no more.
    """
    del values["plan"]["search"]
    values["protocol"] |= {"score_at": "end", "curve_rows": 20}
    earlier = Path(__file__).with_name("journal.sqlite").read_bytes()
    (tmp_path / "journal.sqlite").write_bytes(earlier)
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        rows = db.execute("SELECT rank, seed, state, record FROM jobs WHERE record IS NOT NULL").fetchall()
    assert [state for _, _, state, _ in rows].count("failed") == 1
    made_now = Record.from_dict(json.loads(rows[0][3]))
    stub = Stub([[Ready(Machine("one")), *["record"] * 20]], defaultdict(lambda: made_now))
    monkeypatch.setattr("nasbench_evs.generators.generate._executor", lambda *_: stub)
    table = read(generate(Recipe.from_dict(values), tmp_path))
    verify(table)
    assert (len(rows), len(stub.requests), len(table)) == (11, 5, 16)
    for rank, seed, _, text in rows:
        record = json.loads(text)
        (row,) = np.flatnonzero((table["rank"] == int(rank)) & (table["seed"] == seed) & (table["distilled"] == 0))
        assert table["status"][row].decode() == record["status"]
        assert table["reason"][row].decode() == record["reason"]
        assert table["code_commit"][row].decode() == record.get("code_commit", "")
        machine = {name: column[table["hardware"][row]] for name, column in table.hardware.items()}
        assert machine == {name: v.encode() if isinstance(v, str) else v for name, v in record["machine"].items()}
        for name in ("train_loss", "train_seconds", "eval_seconds", "cpu_seconds"):
            expected = record["curves"].get(name, [np.nan] * 2)
            assert np.array_equal(table[name][row], np.array(expected, np.float32), equal_nan=True)
        for name, value in record.get("final", {}).items():
            column = f"final_{name}" if name.endswith("seconds") else name
            assert np.array_equal(table[column][row], np.array(value, table[column].dtype)), name


def test_no_changed_byte_of_a_journal_becomes_a_sealed_score(interrupted, tmp_path, monkeypatch):
    recipe, content, whole, records = interrupted
    chance = random.Random(0)
    refused = 0
    for i in range(40):
        damaged = bytearray(content)
        for at in chance.sample([at for at, byte in enumerate(content) if byte], 1 + i % 3):
            damaged[at] = chance.randrange(256)
        folder = tmp_path / str(i)
        try:
            same(whole, read(resumed(recipe, folder, damaged, monkeypatch, records)))
        except NasbenchError as error:
            assert "\n" not in str(error)
            assert not (folder / "table.h5").exists()
            refused += 1
    assert refused > 20


def test_a_journal_that_loses_a_job_during_the_run_seals_nothing(interrupted, tmp_path, monkeypatch):
    recipe, content, _, records = interrupted
    claim = Journal.claim

    def spoil(journal, ids):
        claim(journal, ids)
        journal._db.execute("DELETE FROM jobs WHERE id = 4")

    monkeypatch.setattr(Journal, "claim", spoil)
    with pytest.raises(OutputError, match="1 of 9 jobs are lost: architecture"):
        resumed(recipe, tmp_path / "run", content, monkeypatch, records)
    assert not (tmp_path / "run" / "table.h5").exists()


def test_a_journal_that_is_set_back_during_the_run_seals_nothing(interrupted, tmp_path, monkeypatch):
    """As a copy put back over it would: whole in itself, but less than the run knows."""
    recipe, content, _, records = interrupted
    entries, seen = Journal.entries, []

    def set_back(journal):
        seen.append(entries(journal))
        return seen[0]

    monkeypatch.setattr(Journal, "entries", set_back)
    with pytest.raises(OutputError, match="has lost 2 records and 0 jobs during this run"):
        resumed(recipe, tmp_path / "run", content, monkeypatch, records)
    assert not (tmp_path / "run" / "table.h5").exists()


def test_what_is_recorded_is_parsed_once(recipe, tmp_path, home, monkeypatch):
    """When the run starts and before it is sealed, and not for every batch and every shard between."""
    read_at = []
    entries = Journal.entries
    monkeypatch.setattr(Journal, "entries", lambda journal: read_at.append(1) or entries(journal))
    monkeypatch.setattr("nasbench_evs.generators.driver.SHARD_EVERY", 0.0)
    generate(recipe, tmp_path)
    assert len(read_at) == 1
    generate(recipe, tmp_path)
    assert len(read_at) == 3


def test_the_score_at_the_end_leads_where_the_protocol_says_so(values, tmp_path, home):
    values["plan"] = {"random": 3}
    values["protocol"] |= {"score_at": "end", "curve_rows": 20}
    seen = []
    table = read(generate(Recipe.from_dict(values), tmp_path, report=seen.append))
    assert seen[-1].best == table["valid_score"].max()
    assert seen[-1].best == table.columns["valid_score"].max()  # as stored, not of the curves
    assert np.array_equal(table["valid_score"].argmax(), table["valid_blocks"].mean(axis=1).argmax())
    assert "test_curve" not in table.columns


def test_a_plan_of_a_sub_space_goes_on_from_its_pilot(values, tmp_path, home):
    """The first architectures with their seeds, then all: nothing is trained twice, and the order is the frozen one."""
    values["protocol"] |= {"score_at": "end", "epochs": 1}
    first = {"architectures": "seqnas-s", "first": 3, "repeated": 3, "seeds": 2}
    pilot = read(generate(Recipe.from_dict(values | {"plan": first}), tmp_path / "pilot"))
    longer = first | {"first": 5, "repeated": 3, "seeds": 2}
    done = []
    table = read(
        generate(Recipe.from_dict(values | {"plan": longer}), tmp_path / "all", known=pilot, report=done.append)
    )
    assert done[0].done == len(pilot) == 6
    assert len(table) == 8
    order = subspace_ranks("seqnas-s", table.header.space)
    assert set(table["rank"].tolist()) == set(order[:5])
    assert merge([table, pilot]).results_sha256 == table.results_sha256
