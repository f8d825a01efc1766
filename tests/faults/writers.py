"""Everything that writes files, to be tried by `harness.sweep`: each writes version 0 or 1 of something small."""

import contextlib
import hashlib
import io
import json
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np

from nasbench_evs import benchmark, files, locations, tables
from nasbench_evs.analysis import looks, predictors
from nasbench_evs.analysis.runs import JOURNAL, RESULTS, Point, Run, read_results, write_results
from nasbench_evs.analysis.runs import Journal as ExperimentJournal
from nasbench_evs.analysis.table_card import write_table_card
from nasbench_evs.cli import cli
from nasbench_evs.datasets import Dataset, prepare
from nasbench_evs.datasets.card import write_card as write_dataset_card
from nasbench_evs.datasets.sources.synthetic import SYNTHETIC, make
from nasbench_evs.generators import worker
from nasbench_evs.spaces import FFNSpace
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.surrogate.card import write_card
from nasbench_evs.surrogate.file import write_out_of_fold
from nasbench_evs.surrogate.reference import Reference, read_reference, write_reference
from nasbench_evs.training.journal import Journal
from nasbench_evs.training.record import Job, Record
from tests.conftest import make_end_table, make_header, make_table
from tests.faults.harness import Writer


def whole_files(*names):
    """Reads these files, whatever is in them."""

    def read(folder):
        return {name: _sha256(folder / name) for name in names if (folder / name).exists()}

    return read


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _command(*arguments):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        cli.main([str(each) for each in arguments], prog_name="nasbench-evs", standalone_mode=False)


# Text


def write_text(folder, version, done):
    files.write_text(folder / "new" / "file.txt", f"{version} " * 9000, force=True)


# Tables


@cache
def table(version, rows=40):
    scores = 0.5 + (np.arange(rows * 3).reshape(rows, 3) * (version + 1) % 17) / 100
    return make_table(np.arange(rows), scores=scores, header=make_header(FFNSpace(2, range(1, 9))))


def write_table(folder, version, done):
    tables.write(table(version), folder / "table.h5", force=True)


def read_table(path):
    """Its content, checked; None where there is none."""
    if not path.exists():
        return None
    found = tables.read(path)
    tables.verify(found)
    return found.content_sha256


def read_tables(*names):
    return lambda folder: {name: found for name in names if (found := read_table(folder / name)) is not None}


def write_release(folder, version, done):
    made = [make_table([0, 2, 5 + version], header=make_header(dataset=name)) for name in ("first", "second")]
    with mock.patch("nasbench_evs.tables.release.read_release", return_value=made):
        tables.import_release("archive.zip", folder, force=True)


@cache
def source(version):
    """A file of a table and, beside it, its surrogate."""
    path = Path(tempfile.mkdtemp(prefix="nasbench-evs-faults-")) / "table.h5"
    tables.write(table(version), path)
    surrogate(version).save(locations.surrogate_of(path))
    return path


def write_installed(folder, version, done):
    with mock.patch.dict("os.environ", {locations.HOME_VARIABLE: str(folder)}):
        benchmark.install(source(version), "mine", force=True)


def write_installed_alone(folder, version, done):
    """The new one has no surrogate: that of the old one goes."""
    with mock.patch.dict("os.environ", {locations.HOME_VARIABLE: str(folder)}):
        if version == 0:
            benchmark.install(source(0), "mine", force=True)
        else:
            alone = source(1).parent / "alone.h5"
            tables.write(table(1), alone, force=True)
            benchmark.install(alone, "mine", force=True)


def read_installed(folder):
    place = folder / "tables" / "mine" / "ffn-2.h5"
    found = {"table": read_table(place)}
    if locations.surrogate_of(place).exists():
        found["surrogate"] = Surrogate.load(locations.surrogate_of(place)).identity
    return {part: value for part, value in found.items() if value is not None}


def exporting(name, form):
    def write(folder, version, done):
        place = source(version)
        _command("table", "export", place, "--format", form, "--out", folder / name, "--force")

    return write


# Surrogates


@cache
def surrogate(version):
    return Surrogate.fit(table(version), seed=version, folds=2)


def set_up_surrogate(folder):
    surrogate(0).save(folder / "s")


def write_surrogate(folder, version, done):
    surrogate(version).save(folder / "s", force=True)


def read_surrogate(folder):
    if not (folder / "s").exists():
        return {}
    found = Surrogate.load(folder / "s")
    held = found.out_of_fold(table(0)["choices"])
    return {"models": found.identity, "out of fold": held.tobytes()}


def add_out_of_fold(folder, version, done):
    held = surrogate(0)._read_out_of_fold().copy()
    held["valid"] = 0.5 + held["valid"] / (3 + version)
    write_out_of_fold(folder / "s", held)


@cache
def saved():
    """The surrogate of `set_up_surrogate`, with its identity."""
    return Surrogate.load(locations.surrogate_of(source(0)))


@cache
def reference(version):
    choices = saved().space.unrank_many(np.array([version], np.uint64))
    value, name = float(saved().predict_mean(choices, "valid")[0]), saved().space.format_many(choices)[0]
    return Reference(value, name, "exact", 64, "enumeration of the space")


def add_reference(folder, version, done):
    write_reference(folder / "s", saved(), {"valid": reference(version)})


def read_with_reference(folder):
    return {"models": read_surrogate(folder), **read_reference(folder / "s", Surrogate.load(folder / "s"))}


def write_surrogate_card(folder, version, done):
    card = json.loads((locations.shipped("surrogate") / "digits" / "ffn-3" / "card.json").read_text(encoding="utf-8"))
    write_card(folder, card | {"dataset": f"made-{version}"})


# Data sets


@cache
def dataset(version):
    return prepare(make(120 + 40 * version), SYNTHETIC.rules)


def write_dataset(folder, version, done):
    dataset(version).save(folder / "d", force=True)


def read_dataset(folder):
    return {"dataset": Dataset.open(folder / "d").fingerprint} if (folder / "d").exists() else {}


def write_described(folder, version, done):
    figures = {"metric": "roc_auc", "test": 0.7, "valid": 0.7, "test_accuracy": 0.7, "most_important": ["gap"]}
    baseline = figures | {"train": len(dataset(version).rows("train"))}
    write_dataset_card(dataset(version), SYNTHETIC, folder, [baseline])


def write_recorded(folder, version, done):
    made = make_end_table(np.arange(60 + version), space=FFNSpace(2, range(1, 9)), epochs=3)
    write_table_card(made, "ffn-2", folder, None, [])


# Journals


UNDONE = "journal.sqlite-journal"  # SQLite's, by which the next run takes back what was not committed
JOBS = [Job(1000 + i, i % 2, "random") for i in range(4)]


def record(i):
    return Record("ok", curves={"valid_score": [0.1 * (i + 1)] * 200})


def write_journal(folder, version, done):
    """Version 0 is the first two trainings; version 1 all of them, one of which is planned later."""
    with Journal(folder) as journal:
        entries = journal.start({"plan": "made"}, JOBS[:3], {})
        if version and len(entries) == 3:
            entries += journal.add(JOBS[3:])
        for entry in entries[: 4 if version else 2]:
            if entry.record is None:
                journal.claim([entry.id])
                journal.finish(entry.id, record(entry.id))
            done(entry.id)


def read_journal(folder):
    if not (folder / "journal.sqlite").exists():
        return {}
    with Journal(folder) as journal:
        return {each.id: each.record for each in journal.start({"plan": "made"}, JOBS[:3], {}) if each.record}


def run(seed):
    points = [Point(float(i), 2.0 * i, i, 0.5, 0.5 + seed / 100, 0.5, 0.5) for i in range(1, 30)]
    return Run("digits", "random", "noisy", seed, "0123456789ab", 0.5, points)


def write_searches(folder, version, done):
    with ExperimentJournal(folder / JOURNAL) as journal:
        known = {each.seed for each in journal.read()}
        for seed in range(2 + 2 * version):
            if seed not in known:
                journal.write(run(seed))
            done(seed)


def read_searches(folder):
    if not (folder / JOURNAL).exists():
        return {}
    with ExperimentJournal(folder / JOURNAL) as journal:
        return {each.seed: each for each in journal.read()}


# What is made of them


def write_runs(folder, version, done):
    write_results([run(seed) for seed in range(2 + version)], folder / RESULTS)


def read_runs(folder):
    return {"runs": found} if (found := read_results(folder / RESULTS)) else {}


def write_trajectory(folder, version, done):
    out = folder / "search.csv.gz"
    _command("search", "random", "digits", "--source", "table", "--budget", 3 + version, "--out", out, "--force")


def read_trajectory(folder):
    import pandas as pd

    path = folder / "search.csv.gz"
    return {"rows": pd.read_csv(path)["value"].tolist()} if path.exists() else {}


def write_figure(folder, version, done):
    figure = looks.pyplot().figure()
    figure.text(0.5, 0.5, f"version {version}")
    looks.save(figure, folder / "figure.svg")


def compare_predictors(folder, version, done):
    """Version 0 compares one seed, version 1 goes on with a second one."""

    def result(name, choices, scores, each, size, seed, table):
        return predictors.Result(name, each, size, seed, 0.5 + seed / 10, 1.0)

    with mock.patch.object(predictors, "_result", result):
        predictors.compare([("made", table(0))], folder, predictors=["catboost"], sizes=(8, 16), seeds=1 + version)


def read_compared(folder):
    return {each[:4]: each for each in predictors.read_results(folder)}


def draw_predictors(folder, version, done):
    predictors.figure([predictors.Result("made", "catboost", 8, 0, 0.5 + version / 10, 1.0)], folder / "figure.svg")


def write_logits(folder, version, done):
    _trained(folder, np.full((50, 2), float(version), np.float32))


def _trained(folder, logits):
    here = object.__new__(worker.Worker)
    here.config = SimpleNamespace(space=SimpleNamespace(unrank=int), protocol=None, logits=folder)
    here.inputs = SimpleNamespace(rows={"train": range(50)}, shape=SimpleNamespace(outputs=2))
    if logits is not None:
        with mock.patch("nasbench_evs.training.train.train", return_value=SimpleNamespace(logits=logits)):
            here._train(worker.TrainingRequest(7, 0, (), True, {}))
    return here


def read_logits(folder):
    found = _trained(folder, None)._load(7)
    return {} if found is None else {"logits": found.tobytes()}


WRITERS = {
    each.name: each
    for each in (
        Writer("text", ("files",), write_text, whole_files("new/file.txt")),
        Writer("table", ("tables.hdf5",), write_table, read_tables("table.h5")),
        Writer(
            "release", ("tables.release",), write_release, read_tables("first/seqnas.h5", "second/seqnas.h5")
        ),
        Writer("installed", ("benchmark.install",), write_installed, read_installed),
        Writer("installed alone", ("benchmark.install",), write_installed_alone, read_installed),
        Writer("exported as CSV", ("cli.tables",), exporting("t.csv", "csv"), whole_files("t.csv")),
        Writer("exported as Parquet", ("cli.tables",), exporting("t.parquet", "parquet"), whole_files("t.parquet", "t.md")),
        Writer("surrogate", ("surrogate.file", "surrogate.sidecar"), write_surrogate, read_surrogate),
        Writer("out of fold", ("surrogate.file",), add_out_of_fold, read_surrogate, set_up_surrogate),
        Writer("reference", (), add_reference, read_with_reference, set_up_surrogate),
        Writer("card of a surrogate", (), write_surrogate_card, whole_files("card.json", "card.md")),
        Writer("dataset", ("datasets.dataset",), write_dataset, read_dataset),
        Writer("card of a dataset", ("datasets.card",), write_described, whole_files("README.md", "figure.png")),
        Writer("card of a table", ("analysis.table_card",), write_recorded, whole_files("ffn-2.md", "ffn-2.png")),
        Writer("journal of a run", ("database", "training.journal"), write_journal, read_journal, leaves=UNDONE),
        Writer("journal of an experiment", ("database", "analysis.runs"), write_searches, read_searches, leaves=UNDONE),
        Writer("results", ("analysis.runs",), write_runs, read_runs),
        Writer("trajectory", ("cli.search",), write_trajectory, read_trajectory),
        Writer("figure", ("analysis.looks",), write_figure, whole_files("figure.svg")),
        Writer("predictors", ("analysis.predictors",), compare_predictors, read_compared),
        Writer("figure of predictors", ("analysis.predictors",), draw_predictors, whole_files("figure.svg")),
        Writer("logits", ("generators.worker",), write_logits, read_logits),
    )
}  # fmt: skip
