import pickle
import shutil

import numpy as np
import pytest

import nasbench_evs as nb
from nasbench_evs.benchmark import TrainingBenchmark
from nasbench_evs.cli import cli
from nasbench_evs.errors import (
    DatasetError,
    InvalidArchitecture,
    InvalidQuery,
    NotRecorded,
    RecipeError,
    TableFormatError,
)
from nasbench_evs.generators.generate import generate
from nasbench_evs.generators.verify import TOLERANCE, verify_sample
from nasbench_evs.locations import shipped_tables
from nasbench_evs.tables import Table, merge, read, verify, write
from nasbench_evs.tables.format import FINAL
from nasbench_evs.testing.benchmark import BenchmarkContract
from nasbench_evs.training.machine import code_commit
from tests.conftest import with_protocol
from tests.generators.conftest import SMALL


@pytest.fixture(scope="module")
def path(home, tmp_path_factory):
    from nasbench_evs.training.recipe import Recipe

    values = {**SMALL, "plan": {"random": 6, "repeated": 4, "seeds": 2, "distilled": 2}}
    return generate(Recipe.from_dict(values), tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def table(path):
    return read(path)


def changed(table, **columns):
    """The table with other columns, as if it had been recorded so."""
    return Table(table.header, {**table.columns, **columns}, table.hardware)


@pytest.fixture(scope="module")
def bench(path):
    return nb.load(path, source="train")


class TestTrainingBenchmark(BenchmarkContract):
    objective = False

    def known(self, bench):
        return bench.space.architectures(bench.space.sample_many(4, 0))


def test_live_answers_are_the_recorded_ones(path, table):
    live, recorded = nb.load(path, source="train"), nb.load(path, source="table")
    architecture = next(a for a in table.header.space.architectures(recorded.pool) if recorded.seeds(a) == (0, 1))
    for question in ({"seed": 1}, {"seed": 0, "split": "test"}, {"seed": 1, "epoch": 1}):
        a, b = live.query(architecture, **question), recorded.query(architecture, **question)
        assert (a.value, a.split, a.epoch, a.trainings) == (b.value, b.split, b.epoch, b.trainings)
        assert (a.source, b.source) == ("train", "table")
    assert live.seeds(architecture) == (0, 1)
    assert len(live.records(architecture)) == 2
    assert live.cost(architecture) == recorded.cost(architecture)
    assert isinstance(live, TrainingBenchmark)


def test_live_training_through_a_view(path, table):
    live, recorded = nb.load(path, source="train"), nb.load(path, source="table")
    architecture = recorded.space.architectures(recorded.pool)[0]
    space = live.space.restrict({name: [option] for name, option in architecture.options.items()}, name="one")
    one = live.view(space)
    assert one.query(space.unrank(0), seed=0).value == recorded.query(architecture, seed=0).value
    assert one.seeds(space.unrank(0)) == (0,)
    assert one.records(space.unrank(0))["architecture"].tolist() == [str(architecture)]
    assert one.cost(space.unrank(0)) == recorded.cost(architecture)
    assert pickle.loads(pickle.dumps(one)).space == space
    assert live.seeds(architecture) == ()  # each keeps its own trainings
    with pytest.raises(InvalidArchitecture, match="expected one of one"):
        one.query(architecture)


def test_what_live_training_cannot_do_is_said(path):
    live = nb.load(path, source="train")
    architecture = live.space.sample(0)
    with pytest.raises(NotRecorded, match="no teachers"):
        live.query(architecture, distilled=True)
    with pytest.raises(NotRecorded, match="trained for 2 epochs"):
        live.query(architecture, epoch=3)
    with pytest.raises(NotRecorded, match="not trained yet"):
        live.records(architecture)


def test_a_table_of_another_trainer_cannot_be_trained_again(table, tmp_path):
    write(with_protocol(table, trainer="somebody's"), tmp_path / "other.h5")
    with pytest.raises(RecipeError, match='by "somebody\'s"'):
        nb.load(tmp_path / "other.h5", source="train")


def test_records_come_out_exactly(table):
    checks = verify_sample(table, 3)
    assert len(checks) == 3
    assert all(check.passed and check.same_machine and check.difference == 0 for check in checks)


@pytest.fixture(scope="module")
def end_path(home, tmp_path_factory):
    """Three trainings whose score is measured at the end, curves on a part of the validation split only."""
    from nasbench_evs.training.recipe import Recipe

    changes = {"score_at": "end", "test_curves": False, "curve_rows": 30}
    values = {**SMALL, "protocol": {**SMALL["protocol"], **changes}, "plan": {"random": 3}}
    return generate(Recipe.from_dict(values), tmp_path_factory.mktemp("end"))


def test_scores_at_the_end_are_recorded(end_path):
    table = read(end_path)
    verify(table)
    assert table.header.score_at == "end"
    for name in (*FINAL, "cpu_seconds", "valid_curve"):
        assert not np.isnan(table[name]).any(), name
    assert "test_curve" not in table.columns
    assert (table["final_valid_cpu_seconds"] < table["final_cpu_seconds"]).all()
    assert table["code_commit"].tolist() == [code_commit().encode()] * 3
    assert table.hardware["instruction_set"][0]
    recorded = nb.load(end_path, source="table")
    architecture = recorded.space.architectures(recorded.pool[:1])[0]
    live = nb.load(end_path, source="train")
    for question in ({}, {"split": "test"}, {"epoch": 2}):
        assert live.query(architecture, **question).value == recorded.query(architecture, **question).value
    with pytest.raises(NotRecorded, match="no test scores of single epochs: leave epoch out"):
        live.query(architecture, split="test", epoch=2)


def test_scores_at_the_end_come_out_exactly(end_path):
    table = read(end_path)
    checks = verify_sample(changed(table, code_commit=np.array([b"another"] * 3)), 2)
    assert all(check.passed and check.same_machine and check.difference == 0 for check in checks)
    for name in ("valid_score", "test_loss", "test_blocks", "valid_loss_curve"):
        wrong = changed(table, **{name: table[name] + table[name].dtype.type(1e-6)})
        assert not any(check.passed for check in verify_sample(wrong, 1)), name
    other = Table(table.header, table.columns, {**table.hardware, "model": np.array([b"another"])})
    checks = verify_sample(other, 1)
    assert all(check.passed and not check.same_machine for check in checks)
    assert checks[0].recorded == pytest.approx(float(checks[0].repeated))
    shifted = changed(other, valid_score=np.clip(other["valid_score"] - 0.5, 0, 1))
    assert not any(check.passed for check in verify_sample(shifted, 1))


def test_records_that_name_a_processor_only_are_of_the_same_machine(table):
    blank = {name: np.array([b""]) for name in ("family", "model", "instruction_set")}
    checks = verify_sample(Table(table.header, table.columns, {**table.hardware, **blank}), 1)
    assert all(check.passed and check.same_machine for check in checks)


def test_a_record_that_was_changed_is_found(table):
    wrong = changed(table, test_loss_curve=table["test_loss_curve"] + np.float32(1e-6))
    checks = verify_sample(wrong, 2)
    assert not any(check.passed for check in checks)


def test_elsewhere_scores_count_within_the_tolerance(table):
    other = Table(table.header, table.columns, {**table.hardware, "cpu": np.array([b"another"])})
    checks = verify_sample(other, 2)
    tolerance = checks[0].tolerance
    assert tolerance > 0
    assert all(check.passed and not check.same_machine for check in checks)
    shifted = Table(
        table.header,
        {**table.columns, "valid_curve": np.clip(table["valid_curve"] - np.float32(2 * tolerance), 0, 1)},
        other.hardware,
    )
    assert not any(check.passed for check in verify_sample(shifted, 2))


def test_another_rounding_gives_other_digits_but_no_other_curves(table, monkeypatch):
    """A trainer that computes the same function in another order; one that computes another begins elsewhere."""
    monkeypatch.setattr("nasbench_evs.training.machine.ROUNDING", 0)
    checks = verify_sample(table, 2)
    assert all(check.passed and not check.same_machine for check in checks)
    other = changed(table, train_loss=table["train_loss"] + np.float32(0.01))
    assert not any(check.passed for check in verify_sample(other, 2))
    elsewhere = Table(other.header, other.columns, {**other.hardware, "cpu": np.array([b"another"])})
    assert all(check.passed for check in verify_sample(elsewhere, 2))  # where the score alone counts


def test_without_repeats_the_tolerance_is_stated(table):
    single = table.select(table["seed"] == 0)
    elsewhere = Table(single.header, single.columns, {**single.hardware, "cpu": np.array([b"another"])})
    assert verify_sample(elsewhere, 1)[0].tolerance == TOLERANCE


def test_records_with_teachers_are_left_out(table):
    taught = table.select(table["distilled"] == 1)
    with pytest.raises(NotRecorded, match="all have teachers"):
        verify_sample(taught, 1)
    with pytest.raises(InvalidQuery, match="sample 0"):
        verify_sample(table, 0)


def test_another_dataset_is_noticed(table, home):
    from dataclasses import replace

    other = Table(replace(table.header, fingerprint="f" * 64), table.columns, table.hardware)
    with pytest.raises(DatasetError, match="is not the one of the table"):
        verify_sample(other, 1)


def test_the_command_says_what_came_out(path, table, tmp_path, capsys):
    cli.main(["table", "verify", str(path), "--sample", "1"], standalone_mode=False)
    assert "every loss and score comes out exactly" in capsys.readouterr().out
    write(changed(table, test_loss_curve=table["test_loss_curve"] + np.float32(1e-6)), tmp_path / "wrong.h5")
    with pytest.raises(TableFormatError, match="1 of 1 records do not come out again"):
        cli.main(["table", "verify", str(tmp_path / "wrong.h5"), "--sample", "1"], standalone_mode=False)
    assert "NO  " in capsys.readouterr().out


def test_a_table_says_which_machines_verified_it(end_path, tmp_path, capsys):
    write(read(end_path), tmp_path / "t.h5")
    command = ["table", "verify", str(tmp_path / "t.h5"), "--sample", "1", "--here"]
    cli.main(command, standalone_mode=False)
    stated = read(tmp_path / "t.h5")
    assert len(stated.header.verified) == 1
    assert "1 records trained again, exactly, on" in stated.header.verified[0]
    assert stated.content_sha256 == read(end_path).content_sha256
    assert merge([stated, read(end_path)]).header.verified == stated.header.verified
    capsys.readouterr()
    cli.main(["table", "info", str(tmp_path / "t.h5")], standalone_mode=False)
    assert stated.header.verified[0] in capsys.readouterr().out
    elsewhere = Table(stated.header, stated.columns, {**stated.hardware, "model": np.array([b"another"])})
    write(elsewhere, tmp_path / "t.h5", force=True)
    with pytest.raises(NotRecorded, match="verify without --here"):
        cli.main(command, standalone_mode=False)
    with pytest.raises(InvalidQuery, match="--here goes with --sample"):
        cli.main([*command[:3], "--here"], standalone_mode=False)


def test_tables_of_format_1_are_never_rewritten(tmp_path):
    """Their surrogates refer to them by the hash of that format."""
    path = tmp_path / "t.h5"
    shutil.copy(shipped_tables()["bpic2012", "seqnas"], path)
    before = path.read_bytes()
    with pytest.raises(InvalidQuery, match="is of format 1, which cannot say what was verified: leave --here out"):
        cli.main(["table", "verify", str(path), "--sample", "1", "--here"], standalone_mode=False)
    assert path.read_bytes() == before


def test_an_architecture_that_diverges_answers_as_its_record_would(home, tmp_path):
    from nasbench_evs.training.recipe import Recipe

    wild = {"epochs": 2, "batch_size": 16, "learning_rate": 1000.0, "optimiser": "sgd", "clip": 0.0}
    values = {**SMALL, "space": "ffn-2", "protocol": wild, "plan": {"random": 4}}
    path = generate(Recipe.from_dict(values), tmp_path)
    live, recorded = (nb.load(path, source=source) for source in ("train", "table"))
    assert set(recorded.table["status"]) == {b"diverged"}
    for split in ("valid", "test"):
        answers = [bench.query_many(recorded.pool, split=split).value for bench in (live, recorded)]
        assert np.array_equal(*answers, equal_nan=True)


def test_questions_that_make_no_sense_are_refused(bench):
    with pytest.raises(InvalidQuery, match="seed 9223372036854775808"):
        bench.query(bench.space.sample(0), seed=2**63)
    for method in (bench.seeds, bench.records):
        with pytest.raises(InvalidArchitecture):
            method("k3")


@pytest.mark.slow
def test_shipped_records_come_out_again(shared, tmp_path, monkeypatch):
    """On the machine type that recorded them exactly, elsewhere within the stated tolerance."""
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path))
    raw = shared / "data" / "raw" / "credit-default"
    cli.main(["data", "add", "credit-default", "--from", str(raw)], standalone_mode=False)
    for (dataset, _), path in shipped_tables().items():
        if dataset == "credit-default":
            checks = verify_sample(read(path), 3)
            assert all(check.passed for check in checks), checks
