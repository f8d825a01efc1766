"""What is mutated: for each format a sound file, its forging behind checksums, and what a user reads of it.

A `read` returns what JSON can hold of an answer, and raises AssertionError where the answer is not what the file itself says,
or is nothing that the format allows.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import nasbench_evs as nb
from benchmarks.fuzzing import beside, prepared, texts
from benchmarks.fuzzing.mutations import HOSTILE, damage_file, forged, hostile_number, nested
from nasbench_evs.benchmark import SurrogateBenchmark, TableBenchmark
from nasbench_evs.errors import OutputError
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.surrogate.card import page, read_card
from nasbench_evs.tables import Header, import_release, read, release
from nasbench_evs.tables.format import COLUMNS, HARDWARE, to_json
from nasbench_evs.training import journal
from nasbench_evs.training.record import Job, Record, records_of, table_of
from tests.tables.forging import forge, replace_column
from tests.tables.test_release import make_arch, make_zip

ROOT = Path(__file__).parents[2]
_SIZES = (1, 50)  # of golden files, and how many records of a shipped one


@dataclass(frozen=True)
class Format:
    """`make` writes a sound file at a path and returns it, `forge` changes one and makes its checksums right again.

    `summed`: it has checksums; what people write has none, and other bytes may be another file that is right.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    forge: Callable[[Path, random.Random], str]
    damage: Callable[[Path, random.Random], str] = damage_file
    summed: bool = True


# Tables


def _table(name: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        return Path(shutil.copy(ROOT / name, path.with_suffix(".h5")))

    return make


def _read_table(path: Path) -> Any:
    """Every architecture's mean, every column, as a benchmark and as a frame; compared with the file's own numbers."""
    bench = nb.load(path, source="table")
    assert isinstance(bench, TableBenchmark)
    table, metric = bench.table, bench.metric
    scores = bench.query_many(bench.pool[bench.holds(bench.pool, False)])
    frame = table.to_frame(curves=True)
    value = scores.value[~np.isnan(scores.value)]
    assert ((value >= metric.low) & (value <= metric.high)).all(), "a mean outside of the metric's range"
    ranks = table["rank"]
    for i, rank in enumerate(np.unique(ranks)):
        rows = np.flatnonzero(ranks == rank)
        architecture = bench.space.unrank(int(rank))
        said = table.scores("valid")[rows]
        said = said[(table["distilled"][rows] != 1) & ~np.isnan(said)]
        answer = bench.query(architecture).value if (table["distilled"][rows] != 1).any() else np.nan
        assert np.isclose(answer, said.mean() if len(said) else np.nan, equal_nan=True), f"query of rank {rank}"
        assert str(architecture) == frame.architecture[rows[0]], f"architecture of rank {rank}"
        if i == _SIZES[1]:
            break
    for text in frame.select_dtypes(object):
        assert all(isinstance(each, str) for each in frame[text]), f"{text} is no text"
    digest = hashlib.sha256(frame.to_csv().encode()).hexdigest()
    return [len(frame), digest, scores.value.tolist(), scores.seconds.tolist(), table.header.identity]


def _forge_table(path: Path, generator: random.Random) -> str:
    did = []

    def change(file: h5py.File) -> None:
        for _ in range(generator.choice([1, 1, 2])):
            did.append(
                _change_attribute(file, generator) if generator.random() < 0.3 else _change_column(file, generator)
            )

    try:
        forge(path, change)
    except Exception as error:  # what it holds now cannot be hashed
        did.append(f"not sealed, {type(error).__name__}")
    return ", ".join(did)


def _change_attribute(file: h5py.File, generator: random.Random) -> str:
    name = generator.choice(sorted(file.attrs))
    value = file.attrs[name]
    if name.endswith("_json") and generator.random() < 0.8:
        changed, how = forged(json.loads(value), generator)
        text = nested() if generator.random() < 0.05 else json.dumps(changed)
    else:
        text, how = (
            generator.choice(["", "x", "0", "\0x", "1e400", "min", "max", "accuracy", "best", "epochs", "end"]),
            "text",
        )
    del file.attrs[name]
    if generator.random() < 0.1:
        file.attrs[name] = generator.choice([0, -1, 2**40, 1.5, [1, 2]])
    else:
        data = text.encode(errors="surrogatepass") or b"\0"
        file.attrs.create(name, np.bytes_(data), dtype=h5py.string_dtype("utf-8", len(data)))
    return f"{name} {how}"


def _change_column(file: h5py.File, generator: random.Random) -> str:
    there = [column.path for column in (*COLUMNS.values(), *HARDWARE.values()) if column.path in file]
    path = generator.choice(there)
    values = file[path][()]
    how = generator.choice(["value", "value", "value", "value", "all", "order", "rows", "type", "width", "missing"])
    if how == "missing" or not values.size:
        del file[path]
    elif how in ("value", "all"):
        values = values.astype(f"S{max(8, values.dtype.itemsize)}") if values.dtype.kind == "S" else values
        at = tuple(generator.randrange(n) for n in values.shape) if how == "value" else ...
        values[at] = hostile_number(values.dtype, generator)
        replace_column(file, path, values)
    elif how == "order":
        replace_column(file, path, np.random.default_rng(generator.randrange(99)).permutation(values))
    elif how == "rows":
        replace_column(
            file,
            path,
            values[: generator.randrange(len(values))] if generator.random() < 0.5 else np.repeat(values, 3, 0),
        )
    elif how == "type":
        replace_column(
            file,
            path,
            values.astype(generator.choice(["f8", "i2", "u1", "S9", "f2"]))
            if values.dtype.kind != "S"
            else np.arange(len(values)),
        )
    else:
        replace_column(
            file, path, values[..., None] if values.ndim == 1 else values[:, : generator.randrange(values.shape[1])]
        )
    return f"{path} {how}"


# Surrogates and their cards


def _make_surrogate(path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "surrogate" / "age" / "seqnas", path))


def _read_surrogate(path: Path) -> Any:
    """Predictions of forty architectures and what was out of fold, in the metric's range, and what is said of certainty."""
    surrogate = Surrogate.load(path)
    bench = SurrogateBenchmark(surrogate)
    scores = bench.query_many(bench.space.sample_many(40, 0))
    metric = surrogate.metric
    assert ((scores.value >= metric.low) & (scores.value <= metric.high)).all(), "a prediction outside of the range"
    for name in ("noise_std", "epistemic_std"):
        spread = np.asarray(getattr(scores, name))
        assert (np.isnan(spread) | ((spread >= 0) & np.isfinite(spread))).all(), f"{name} is no spread"
    judged = bench.true_values(bench.space.sample_many(10, 1), regime="noisy")
    return [
        scores.value.tolist(),
        scores.noise_std.tolist(),
        np.asarray(judged).tolist(),
        to_json(surrogate.space.spec),
    ]


def _damage_surrogate(path: Path, generator: random.Random) -> str:
    read_files = [
        each for each in sorted(path.iterdir()) if each.suffix in (".cbm", ".npy") or each.name == "surrogate.json"
    ]
    return damage_file(generator.choice(read_files), generator)


def _forge_surrogate(path: Path, generator: random.Random) -> str:
    sidecar = json.loads((path / "surrogate.json").read_text(encoding="utf-8"))
    how = generator.random()
    if how < 0.4:
        sidecar, did = forged({name: value for name, value in sidecar.items() if name != "sha256"}, generator)
        if not isinstance(sidecar, dict):
            sidecar = {"format": sidecar}
    else:
        file = generator.choice(sorted(each for each in path.iterdir() if each.suffix in (".cbm", ".npy")))
        old = hashlib.sha256(file.read_bytes()).hexdigest()
        did = damage_file(file, generator)
        if file.is_file():
            sidecar = json.loads(json.dumps(sidecar).replace(old, hashlib.sha256(file.read_bytes()).hexdigest()))
    sidecar.pop("sha256", None)
    try:
        sidecar["sha256"] = hashlib.sha256(to_json(sidecar).encode()).hexdigest()
    except (ValueError, UnicodeEncodeError):
        did += ", not sealed"
    (path / "surrogate.json").write_text(json.dumps(sidecar), encoding="utf-8")
    return did


def _read_surrogate_card(path: Path) -> Any:
    card = read_card(path)
    if card is None:
        raise OutputError("no file: a surrogate that was not judged has no card")
    return page(card)


def _damage_card(path: Path, generator: random.Random) -> str:
    return damage_file(path / "card.json", generator)


def _forge_card(path: Path, generator: random.Random) -> str:
    card = json.loads((path / "card.json").read_text(encoding="utf-8"))
    card.pop("sha256", None)
    card, did = forged(card, generator)
    if isinstance(card, dict):
        try:
            card["sha256"] = hashlib.sha256(to_json(card).encode()).hexdigest()
        except (ValueError, UnicodeEncodeError):
            did += ", not sealed"
    text = nested() if generator.random() < 0.03 else json.dumps(card)
    (path / "card.json").write_text(text, encoding="utf-8")
    return did


# Journals of recordings


def _recorded() -> tuple[Header, dict[Job, Record]]:
    """What is journalled: the first trainings of a table."""
    table = read(ROOT / "datasets" / "football-next" / "seqnas.h5").select(np.arange(8))
    return table.header, records_of(table)


def _make_journal(path: Path) -> Path:
    _, known = _recorded()
    jobs = list(known)
    with journal.Journal(path) as opened:
        opened.start({"table": {"a": 1}}, jobs, {job: known[job] for job in jobs[:2]})
        for i, job in enumerate(jobs[2:-1], 3):
            opened.claim([i])
            opened.finish(i, known[job])
    return path


def _read_journal(path: Path) -> Any:
    header, known = _recorded()
    with journal.Journal(path) as opened:
        entries = opened.start({"table": {"a": 1}}, list(known), {})
    table = table_of(header, {entry.job: entry.record for entry in entries if entry.record is not None})
    return [[entry.state for entry in entries], table.content_sha256]


def _forge_journal(path: Path, generator: random.Random) -> str:
    db = sqlite3.connect(path / journal.NAME)
    columns = journal._COLUMNS
    rows = [journal._Row(*row) for row in db.execute(f"SELECT {columns} FROM jobs ORDER BY id")]
    at = generator.randrange(len(rows))
    field = generator.choice([*["record"] * 6, "rank", "seed", "state", "deaths", "teachers", "sampler"])
    if field == "record" and rows[at].record:
        value, did = forged(json.loads(rows[at].record), generator)
        text = nested() if generator.random() < 0.05 else json.dumps(value)
        rows[at] = rows[at]._replace(record=text)
    else:
        value = generator.choice([each for each in HOSTILE if isinstance(each, str | int | float | None)])
        value = value if not isinstance(value, int) or abs(value) < 2**63 else str(value)
        if isinstance(value, str):
            value = value.encode(errors="replace").decode()
        rows[at], did = rows[at]._replace(**{field: value}), "value"
    try:
        db.execute("DELETE FROM jobs")
        statement = f"INSERT INTO jobs ({columns}, sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        db.executemany(statement, [(*row, row.sha256) for row in rows])
        run = sorted(db.execute("SELECT key, value FROM run").fetchall(), key=repr)
        db.execute("UPDATE tally SET sha256 = ?", (journal._sum(journal._sha256(run), *(row.sha256 for row in rows)),))
        db.commit()
    except sqlite3.Error as error:
        did += f", not stored: {error}"
    db.close()
    return f"job {at + 1} {field} {did}"


# Archives of published records


def _make_archive(path: Path) -> Path:
    name = "dataset/seqnas/AGE/epoch_25_arch_FlexibleTransformer_1801532_params_{}.json"
    members = []
    for i in range(12):
        arch = make_arch() | {
            "head.layers.1": i % 2,
            "position_encoding": i // 2 % 2,
            "head.layers.2": np.eye(3, dtype=int)[i // 4].tolist(),
        }
        avec = release._SEQNAS.from_options(release._options(arch)[1]).avec.tolist()
        members.append((name.format(f"{i:02x}" * 32), {"arch": arch, "score": 0.5 + i / 100, "arch_code": avec}))
    return Path(make_zip(path.with_suffix(".zip"), members))


def _read_archive(path: Path) -> Any:
    tables = import_release(path, path.parent / "imported", force=True)
    return [[name, read(path.parent / "imported" / name).content_sha256] for name in sorted(tables)]


def _forge_archive(path: Path, generator: random.Random) -> str:
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = generator.randrange(len(members))
    name, content = members[at]
    how = generator.choice([*["json"] * 6, "name", "twice", "nested", "bomb"])
    did = ""
    if how == "json":
        value, did = forged(json.loads(content), generator)
        content = json.dumps(value).encode()
    elif how == "name":
        name = generator.choice(
            ["../x.json", "/etc/x", name.replace("25", "99999999999999999999"), name.upper(), "a" * 60_000]
        )
    elif how == "nested":
        content = nested().encode()
    elif how == "bomb":
        content = b" " * (200 << 20)
    members[at] = (name, content)
    if how == "twice":
        members.append(members[at])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a name is there twice
        make_zip(path, members)
    return f"member {at + 1} {how} {did}"


FORMATS = {
    "table 1": Format(_table("tests/tables/format-1.h5"), _read_table, _forge_table),
    "table 1, shipped": Format(_table("datasets/age/seqnas.h5"), _read_table, _forge_table),
    "table 2": Format(_table("tests/tables/format-2.h5"), _read_table, _forge_table),
    "table 2, shipped": Format(_table("datasets/football-next/seqnas.h5"), _read_table, _forge_table),
    "surrogate": Format(_make_surrogate, _read_surrogate, _forge_surrogate, _damage_surrogate),
    "card": Format(_make_surrogate, _read_surrogate_card, _forge_card, _damage_card),
    "journal": Format(_make_journal, _read_journal, _forge_journal),
    "results": Format(texts.make_results, texts.read_results, texts.forge_cells),
    "trainings": Format(texts.make_trainings, texts.read_trainings, texts.forge_cells),
    "dataset": Format(prepared.make_dataset, prepared.read_dataset, prepared.forge_dataset),
    "recipe": Format(texts.make_recipes, texts.read_recipes, texts.forge_toml, summed=False),
    "experiment": Format(texts.make_experiment, texts.read_experiment, texts.forge_toml, summed=False),
    "baselines": Format(
        beside.copy_of("datasets/tafeng-churn/baselines.json"), beside.read_baselines, beside.forge_json, summed=False
    ),
    "pilot": Format(
        beside.copy_of("datasets/tafeng-churn/seqnas.pilot.json"), beside.read_a_pilot, beside.forge_json, summed=False
    ),
    "portfolios": Format(
        beside.copy_of(beside.PORTFOLIOS), beside.read_recommendations, beside.forge_json, summed=False
    ),
    "archive": Format(_make_archive, _read_archive, _forge_archive),
}
