"""Importing the records that the authors of SeqNAS (paper 000, appendix C) released: a zip of JSON files.

`dataset/<method>/<dataset>/epoch_<E>_arch_FlexibleTransformer_<P>_params_<hash>.json`, each with `arch` (choices
under the authors' names), `score` (validation score of the best epoch) and `arch_code` (AVec). Members are read in
memory and never extracted; everything is checked before anything is written.
"""

import json
import math
import os
import re
import struct
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from lzma import LZMAError
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nasbench_evs.errors import NasbenchError, ReleaseError
from nasbench_evs.files import replacing
from nasbench_evs.metrics import metric
from nasbench_evs.reader import check_ordinary
from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.spaces.seqnas import DECODER_DEPTHS, ENCODER_DEPTHS, HEADS, KERNELS, OPS, POOLS
from nasbench_evs.tables.build import build
from nasbench_evs.tables.hdf5 import write
from nasbench_evs.tables.header import Header
from nasbench_evs.tables.table import Table

# The published datasets: our names and their metrics (paper 000, table 2).
DATASETS = {
    "ABank": ("abank", "roc_auc"),
    "AGE": ("age", "accuracy"),
    "Amex": ("amex", "amex"),
    "RBchurn": ("rbchurn", "roc_auc"),
    "TaoBao": ("taobao", "roc_auc"),
    "VBank": ("vbank", "roc_auc"),
}
METHODS = {"random_sampling": "random", "seqnas": "seqnas"}

_END_RECORD = 22  # bytes, and the archive's comment behind them
MAX_MEMBERS = 100_000
MAX_MEMBER_BYTES = 64 * 1024  # the largest published record has 1,600
MAX_TOTAL_BYTES = 256 * 1024 * 1024

_MEMBER = re.compile(
    r"dataset/(?P<method>\w+)/(?P<dataset>\w+)/"
    r"epoch_(?P<epochs>[1-9]\d{0,3})_arch_FlexibleTransformer_\d+_params_[0-9a-f]{64}\.json",
    re.ASCII,
)
_FOLDER = re.compile(r"dataset/(\w+/){0,2}", re.ASCII)

_SEQNAS = SeqNASSpace()
_SEQNAS_WITHOUT_STEM = SeqNASSpace(numerical=False)


class _Record(NamedTuple):
    member: str
    method: str
    dataset: str
    epochs: int
    numerical: bool
    indices: tuple[int, ...]
    score: float


def import_release(archive: str | Path, out: str | Path, *, force: bool = False) -> dict[str, Table]:
    """Turn the released archive into one table per dataset, written to `out`/<dataset>/seqnas.h5.

    Returns the tables by path relative to `out`. Nothing is written unless every record is sound: ReleaseError names
    the first member that is not, OutputError an output that exists already or cannot be written.
    """
    tables = {f"{table.header.dataset}/seqnas.h5": table for table in read_release(archive)}
    out = Path(out)
    with ExitStack() as pending:  # all files are complete before the first one is renamed
        for name, table in tables.items():
            write(table, pending.enter_context(replacing(out / name, force=force)))
    return tables


def read_release(archive: str | Path) -> list[Table]:
    """The tables of a released archive, one per dataset in order of name, without writing anything."""
    archive = Path(archive)
    by_dataset: dict[str, list[_Record]] = defaultdict(list)
    try:
        for member, content in _members(archive):
            record = _record(member, content)
            by_dataset[record.dataset].append(record)
    except ReleaseError as error:
        raise ReleaseError(f"{archive}: {error}; nothing was written") from None
    if not by_dataset:
        raise ReleaseError(f"{archive}: it holds no records of the SeqNAS release; nothing was written")
    return [_table(dataset, by_dataset[dataset], archive) for dataset in sorted(by_dataset)]


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    if archive.exists():
        check_ordinary(archive, ReleaseError, "the archive of the SeqNAS release")
    try:
        with zipfile.ZipFile(archive) as file:
            members = file.infolist()
            if len(members) != _said(archive, file):
                raise ReleaseError("not a sound zip archive (its directory is damaged): fetch it again")
            if len(members) > MAX_MEMBERS:
                raise ReleaseError(f"it has {len(members):,} members: expected at most {MAX_MEMBERS:,}")
            total = 0
            seen = set()
            for info in members:
                name = info.orig_filename
                if info.is_dir() and _FOLDER.fullmatch(name):
                    continue
                if not _MEMBER.fullmatch(name):
                    raise ReleaseError(
                        f"unexpected member {name[:200]!r}: expected dataset/<method>/<dataset>/"
                        "epoch_<E>_arch_FlexibleTransformer_<P>_params_<hash>.json"
                    )
                if name in seen:
                    raise ReleaseError(f"the member {name!r} occurs twice")
                seen.add(name)
                with file.open(info) as stream:
                    content = stream.read(MAX_MEMBER_BYTES + 1)
                total += len(content)
                if len(content) > MAX_MEMBER_BYTES or total > MAX_TOTAL_BYTES:
                    raise ReleaseError(
                        f"member {name!r} unpacks to more than a record can be (limits: {MAX_MEMBER_BYTES:,} bytes "
                        f"each, {MAX_TOTAL_BYTES:,} in all): this looks like a zip bomb"
                    )
                yield name, content
    except FileNotFoundError:
        raise ReleaseError("no such file: get nas-bench-event-sequences.zip from the authors' repository") from None
    except OSError as error:
        raise ReleaseError(f"cannot be read: {error.strerror or error}") from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        LZMAError,
        EOFError,
        RuntimeError,
        NotImplementedError,
        ValueError,
        MemoryError,
        OverflowError,
    ) as error:
        raise ReleaseError(f"not a sound zip archive ({_short(error, 200)}): fetch it again") from None


def _said(archive: Path, file: zipfile.ZipFile) -> int:
    """How many members the record at the end of the archive says it has: zipfile itself takes for all what it could read."""
    with archive.open("rb") as content:
        content.seek(-_END_RECORD - len(file.comment), os.SEEK_END)
        (entries,) = struct.unpack_from("<H", content.read(_END_RECORD), 10)
    return int(entries) if entries != 0xFFFF else len(file.infolist())  # that of more members stands elsewhere


def _record(member: str, content: bytes) -> _Record:
    match = _MEMBER.fullmatch(member)
    if match is None:
        raise ReleaseError(f"unexpected member {member!r}")
    method, dataset = match["method"], match["dataset"]
    if method not in METHODS:
        raise ReleaseError(f"{member}: unknown method {method!r}, expected one of {', '.join(METHODS)}")
    if dataset not in DATASETS:
        raise ReleaseError(f"{member}: unknown dataset {dataset!r}, expected one of {', '.join(DATASETS)}")
    try:
        record = json.loads(content, object_pairs_hook=_no_key_twice)
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"{member}: no JSON ({_short(error)})") from None
    if not isinstance(record, dict) or set(record) != {"arch", "score", "arch_code"}:
        keys = sorted(record) if isinstance(record, dict) else type(record).__name__
        raise ReleaseError(f"{member}: has {_short(keys)}, expected the keys arch, arch_code and score")
    score = record["score"]
    if isinstance(score, int) and abs(score) > 10:
        score = math.inf  # an integer of hundreds of digits fits no float
    low, high = metric(DATASETS[dataset][1])[2:]
    if (
        isinstance(score, bool)
        or not isinstance(score, int | float)
        or not math.isfinite(score)
        or not low <= score <= high
    ):
        raise ReleaseError(f"{member}: score {_short(score)}, expected a number between {low:g} and {high:g}")
    try:
        numerical, options = _options(record["arch"])
        space = _SEQNAS if numerical else _SEQNAS_WITHOUT_STEM
        architecture = space.from_options(options)
    except (NasbenchError, ValueError) as error:
        raise ReleaseError(f"{member}: arch is no seqnas architecture: {_short(error, 300)}") from None
    published, ours = record["arch_code"], architecture.avec.tolist()
    if published != ours or any(type(bit) is not int for bit in published):
        raise ReleaseError(f"{member}: arch_code {_first_difference(published, ours)}")
    return _Record(member, method, dataset, int(match["epochs"]), numerical, architecture.indices, float(score))


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a key occurs twice")
    return record


def _short(value: object, limit: int = 80) -> str:
    text = str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= limit else text[:limit] + "..."


def _first_difference(published: Any, ours: list[int]) -> str:
    if not isinstance(published, list) or len(published) != len(ours):
        return f"is no list of {len(ours)} bits"
    at = next(i for i, (a, b) in enumerate(zip(published, ours, strict=True)) if a != b or type(a) is not int)
    return f"does not belong to arch: bit {at} is {_short(published[at])}, arch gives {ours[at]}"


def _options(arch: Any) -> tuple[bool, dict[str, Any]]:
    """Our options of the authors' `arch`; ValueError with what is missing, unknown or not readable."""
    if not isinstance(arch, dict):
        raise ValueError(f"it is a {type(arch).__name__}, expected an object")
    reader = _Arch(arch)
    options: dict[str, Any] = {}
    numerical = "stem.linear_prep.1" in arch or "stem.linear_prep.2" in arch
    if numerical:
        options["stem.kernel"] = reader.one_hot("stem.linear_prep.1", KERNELS)
        options["stem.dropout"] = reader.flag("stem.linear_prep.2")
    options["time_encoding"] = reader.flag("position_encoding")
    options["encoder.depth"] = 0
    if reader.flag("encoder"):
        depth = options["encoder.depth"] = reader.thermometer("encoder.layer.layers", 4, ENCODER_DEPTHS[1:])
        for i in range(depth):
            layer = f"encoder.layer.layers.ops.{i}"
            ops = options[f"encoder.{i}.ops"] = reader.one_hot(layer, OPS)
            if "attention" in ops:
                key = f"{layer}.ops.{OPS.index(ops)}.split_layer.layers.0.heads"
                options[f"encoder.{i}.heads"] = reader.thermometer(key, 8, HEADS)
    options["decoder.depth"] = 0
    if reader.flag("decoder"):
        key = "decoder.layer.layers.repeated_layer"
        depth = options["decoder.depth"] = reader.thermometer(key, 2, DECODER_DEPTHS[1:])
        for i in range(depth):
            for ours, theirs in (("self", "self_attention"), ("cross", "enc_attention")):
                options[f"decoder.{i}.{ours}_heads"] = reader.thermometer(f"{key}.ops.{i}.{theirs}.heads", 8, HEADS)
    options["head.dropout"] = reader.flag("head.layers.1")
    options["head.pool"] = reader.one_hot("head.layers.2", POOLS)
    unknown = sorted(set(arch) - reader.used)
    if unknown:
        raise ValueError(f"the option {unknown[0]!r} is unknown or does not belong to this architecture")
    return numerical, options


class _Arch:
    """Reads the authors' entries strictly and remembers which were used."""

    def __init__(self, arch: dict[str, Any]) -> None:
        self.arch = arch
        self.used: set[str] = set()

    def _get(self, key: str) -> Any:
        if key not in self.arch:
            raise ValueError(f"the key {key!r} is missing")
        self.used.add(key)
        return self.arch[key]

    def flag(self, key: str) -> bool:
        value = self._get(key)
        if type(value) is not int or value not in (0, 1):
            raise ValueError(f"{key} = {_short(value)}, expected 0 or 1")
        return bool(value)

    def _bits(self, key: str, length: int) -> list[int]:
        value = self._get(key)
        if (
            not isinstance(value, list)
            or len(value) != length
            or any(type(b) is not int or b not in (0, 1) for b in value)
        ):
            raise ValueError(f"{key} = {_short(value)}, expected {length} bits")
        return value

    def one_hot(self, key: str, options: tuple[Any, ...]) -> Any:
        bits = self._bits(key, len(options))
        if sum(bits) != 1:
            raise ValueError(f"{key} = {bits}, expected exactly one bit set")
        return options[bits.index(1)]

    def thermometer(self, key: str, length: int, counts: Iterable[int]) -> int:
        bits = self._bits(key, length)
        count = sum(bits)
        if count not in counts or bits != [1] * count + [0] * (length - count):
            raise ValueError(f"{key} = {bits}, expected the first {' or '.join(map(str, counts))} bits set")
        return count


def _table(dataset: str, records: list[_Record], archive: Path) -> Table:
    for field in ("epochs", "numerical"):
        values = {getattr(record, field) for record in records}
        if len(values) > 1:
            raise ReleaseError(f"{archive}: the records of {dataset} differ in {field}; nothing was written")
    name, score = DATASETS[dataset]
    header = Header(
        space=_SEQNAS if records[0].numerical else _SEQNAS_WITHOUT_STEM,
        dataset=name,
        fingerprint="not published",
        protocol={
            "imported_from": "records released by the authors of SeqNAS (Udovichenko et al., IEEE Access 2024)",
            "epochs": records[0].epochs,
        },
        metric=metric(score),
        curves="best",
        code="not published",
    )
    try:
        return build(
            header,
            choices=np.array([record.indices for record in records], np.int8),
            sampler=[METHODS[record.method] for record in records],
            valid_curve=np.array([[record.score] for record in records]),
            epochs_run=records[0].epochs,
        )
    except NasbenchError as error:
        raise ReleaseError(f"{archive}: {dataset}: {error}; nothing was written") from None
