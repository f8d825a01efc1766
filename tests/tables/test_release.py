"""The importer: the real archive, and hostile ones."""

import json
import os
import random
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasbench_evs.errors import OutputError, ReleaseError
from nasbench_evs.tables import import_release, read, release, verify

MEMBER = "dataset/seqnas/AGE/epoch_25_arch_FlexibleTransformer_1801532_params_" + "e7" * 32 + ".json"


def make_arch():
    return {
        "stem.linear_prep.1": [0, 0, 1, 0],
        "stem.linear_prep.2": 1,
        "position_encoding": 1,
        "encoder": 1,
        "encoder.layer.layers": [1, 1, 0, 0],
        "encoder.layer.layers.ops.0": [1, 0, 0, 0, 0, 0, 0],
        "encoder.layer.layers.ops.0.ops.0.split_layer.layers.0.heads": [1, 1, 1, 1, 0, 0, 0, 0],
        "encoder.layer.layers.ops.1": [0, 0, 0, 0, 0, 1, 0],
        "decoder": 1,
        "decoder.layer.layers.repeated_layer": [1, 0],
        "decoder.layer.layers.repeated_layer.ops.0.self_attention.heads": [1, 1, 0, 0, 0, 0, 0, 0],
        "decoder.layer.layers.repeated_layer.ops.0.enc_attention.heads": [1] * 8,
        "head.layers.1": 1,
        "head.layers.2": [0, 1, 0],
    }


def make_record(**changes):
    avec = release._SEQNAS.parse("k5d.t.a4/gc.2x8.d-max").avec.tolist()
    return {"arch": make_arch(), "score": 0.6, "arch_code": avec, **changes}


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_damage_under_every_compression(tmp_path, compression):
    archive = make_zip(tmp_path / "r.zip", [(MEMBER, make_record())], compression)
    original = archive.read_bytes()
    refused = 0
    for at in range(0, len(original), 7):
        archive.write_bytes(original[:at] + bytes([original[at] ^ 0x55]) + original[at + 1 :])
        try:
            release.read_release(archive)
        except ReleaseError:
            refused += 1
    assert refused > 10


def make_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content if isinstance(content, str | bytes) else json.dumps(content))
    return path


@pytest.fixture
def archive(tmp_path):
    return make_zip(tmp_path / "release.zip", [(MEMBER, make_record())])


def refuse(archive, out, message):
    with pytest.raises(ReleaseError, match=message) as caught:
        import_release(archive, out)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800
    assert "nothing was written" in str(caught.value)
    assert not out.exists()


def test_the_real_archive(release, tmp_path):
    """The facts of design/data.md: 2,397 records, the three best of paper 000's table 2, architectures met twice."""
    tables = import_release(release, tmp_path)
    assert sorted(tables) == [f"{name}/seqnas.h5" for name in ("abank", "age", "amex", "rbchurn")]
    assert sum(map(len, tables.values())) == 2397
    opened = {name.split("/")[0]: read(tmp_path / name) for name in tables}
    for name, table in opened.items():
        verify(table)
        assert table.results_sha256 == tables[f"{name}/seqnas.h5"].results_sha256
    for name, mean in (("abank", 0.7963), ("age", 0.6445), ("amex", 0.7911)):
        best = np.sort(opened[name]["valid_score"][opened[name]["sampler"] == b"seqnas"])[-3:]
        assert round(float(best.mean()), 4) == mean
    twice = {name: len(table) - len(np.unique(table["rank"])) for name, table in opened.items()}
    assert twice == {"abank": 100, "age": 0, "amex": 0, "rbchurn": 101}


def test_shipped_tables_are_the_imported_ones(release, tmp_path):
    from nasbench_evs import locations

    for name, table in import_release(release, tmp_path).items():
        assert read(locations.shipped("datasets") / name).results_sha256 == table.results_sha256


def test_every_avec_of_the_archive_is_recomputed(release, tmp_path):
    """One flipped bit anywhere in any arch_code is refused: a random record, a random bit, twenty times."""
    chooser = random.Random(0)
    with zipfile.ZipFile(release) as source:
        names = [name for name in source.namelist() if name.endswith(".json")]
        for i in range(20):
            name = chooser.choice(names)
            record = json.loads(source.read(name))
            bit = chooser.randrange(122)
            record["arch_code"][bit] ^= 1
            refuse(make_zip(tmp_path / f"{i}.zip", [(name, record)]), tmp_path / "out", f"bit {bit} is")


def test_a_made_archive(archive, tmp_path):
    (table,) = import_release(archive, tmp_path / "out").values()
    assert table.to_frame().architecture.tolist() == ["k5d.t.a4/gc.2x8.d-max"]
    assert table.header.metric.name == "accuracy"
    assert table["epochs_run"].tolist() == [25]


def test_a_dataset_without_real_valued_fields_is_of_the_other_variant(tmp_path):
    arch = {key: value for key, value in make_arch().items() if not key.startswith("stem")}
    record = make_record(arch=arch)
    record["arch_code"] = record["arch_code"][5:]
    make_zip(tmp_path / "r.zip", [(MEMBER.replace("AGE", "TaoBao"), record)])
    (table,) = import_release(tmp_path / "r.zip", tmp_path / "out").values()
    assert table.header.space.avec_bits == 117
    assert table.header.dataset == "taobao"


def _arch(**changes):
    arch = make_arch()
    for key, value in changes.items():
        key = key.replace("__", ".")
        if value is None:
            del arch[key]
        else:
            arch[key] = value
    return make_record(arch=arch)


HEADS = "encoder.layer.layers.ops.0.ops.0.split_layer.layers.0.heads"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (make_record(score=float("nan")), "score nan"),
        (make_record(score=float("inf")), "score inf"),
        (make_record(score=1.5), "score 1.5, expected a number between 0 and 1"),
        (make_record(score="0.5"), "score '0.5'"),
        (make_record(score=None), "score None"),
        (make_record(score=True), "score True"),
        (make_record(more=1), "expected the keys arch, arch_code and score"),
        ({"arch": make_arch(), "score": 0.5}, "expected the keys"),
        ([1, 2], "expected the keys"),
        ("{", "no JSON"),
        (json.dumps(make_record())[:-1] + ', "score": 0.9}', "a key occurs twice"),
        (make_record(score=10**400), "score inf"),
        (make_record(arch={**make_arch(), **{f"extra{i}": 1 for i in range(3000)}}), "unknown"),
        (make_record(arch={**make_arch(), "encoder": "x" * 50_000}), "encoder = 'xxx"),
        (b"\xff\xfe\x00", "no JSON"),
        ("[" * 50_000, "no JSON"),
        (make_record(arch=[]), "expected an object"),
        (make_record(arch_code=[1, 0]), "no list of 122 bits"),
        (make_record(arch_code="x" * 122), "no list of 122 bits"),
        (make_record(arch_code=[bool(b) for b in make_record()["arch_code"]]), "arch_code"),
        (_arch(position_encoding=None), "the key 'position_encoding' is missing"),
        (_arch(encoder=2), "encoder = 2, expected 0 or 1"),
        (_arch(encoder=0), "the option 'encoder.layer.layers' is unknown"),
        (_arch(extra=1), "the option 'extra' is unknown"),
        (_arch(encoder__layer__layers=[1, 1, 1, 0]), "expected the first 1 or 2 or 4 bits set"),
        (_arch(encoder__layer__layers=[0, 1, 0, 0]), "expected the first"),
        (_arch(encoder__layer__layers__ops__0=[1, 1, 0, 0, 0, 0, 0]), "exactly one bit set"),
        (_arch(encoder__layer__layers__ops__0=[0, 0, 0, 0, 0, 0, 0, 1]), "expected 7 bits"),
        (_arch(**{HEADS: [1, 1, 1, 0, 0, 0, 0, 0]}), "expected the first 1 or 2 or 4 or 8 bits set"),
        (_arch(**{HEADS: None}), "is missing"),
        (_arch(**{"head.layers.2": [0, 0, 0]}), "exactly one bit"),
    ],
)
def test_records_that_are_not_sound(tmp_path, record, message):
    refuse(make_zip(tmp_path / "r.zip", [(MEMBER, record)]), tmp_path / "out", message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../../x", "unexpected member '../../x'"),
        ("dataset/seqnas/../../../x.json", "unexpected member"),
        ("/etc/passwd", "unexpected member"),
        (MEMBER.replace("seqnas", ".."), "unexpected member"),
        ("README.md", "unexpected member"),
        (MEMBER.replace("/", "\\"), "unexpected member"),
        (MEMBER.replace("seqnas", "guessing"), "unknown method 'guessing', expected one of random_sampling, seqnas"),
        (MEMBER.replace("AGE", "Mine"), "unknown dataset 'Mine', expected one of ABank, AGE"),
        (MEMBER.replace("epoch_25", "epoch_0"), "unexpected member"),
    ],
)
def test_members_that_do_not_belong(tmp_path, name, message):
    members = [(MEMBER, make_record()), (name, make_record())]
    refuse(make_zip(tmp_path / "r.zip", members), tmp_path / "out", message)


def test_a_member_twice(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        make_zip(tmp_path / "r.zip", [(MEMBER, make_record()), (MEMBER, make_record())])
    refuse(tmp_path / "r.zip", tmp_path / "out", "occurs twice")


def test_records_of_other_lengths_of_training_do_not_mix(tmp_path):
    members = [(MEMBER, make_record()), (MEMBER.replace("epoch_25", "epoch_5"), make_record())]
    refuse(make_zip(tmp_path / "r.zip", members), tmp_path / "out", "differ in epochs")


def test_one_architecture_twice_under_one_method(tmp_path):
    members = [(MEMBER, make_record()), (MEMBER.replace("e7", "e8"), make_record(score=0.5))]
    refuse(
        make_zip(tmp_path / "r.zip", members), tmp_path / "out", "two records of one training: k5d.t.a4/gc.2x8.d-max"
    )


def test_zip_bombs(tmp_path, monkeypatch):
    bomb = make_zip(tmp_path / "one.zip", [(MEMBER, b" " * 50_000_000)])
    assert bomb.stat().st_size < 100_000
    refuse(bomb, tmp_path / "out", "zip bomb")
    monkeypatch.setattr(release, "MAX_MEMBERS", 3)
    many = make_zip(tmp_path / "many.zip", [(MEMBER.replace("e7", f"e{i}"), make_record()) for i in range(4)])
    refuse(many, tmp_path / "out", "expected at most 3")
    monkeypatch.setattr(release, "MAX_MEMBERS", 10)
    monkeypatch.setattr(release, "MAX_TOTAL_BYTES", 2000)
    refuse(many, tmp_path / "out", "zip bomb")


def test_encrypted_members_are_refused(archive, tmp_path):
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # the flag in the local header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    archive.write_bytes(content)
    refuse(archive, tmp_path / "out", "not a sound zip archive")


@pytest.mark.parametrize("keep", [0, 1, 100, -30, -1])
def test_truncated_archives(archive, tmp_path, keep):
    content = archive.read_bytes()
    archive.write_bytes(content[:keep])
    refuse(archive, tmp_path / "out", "not a sound zip archive|no records")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_archive(archive, tmp_path, at, bit):
    """Refused in one line, or harmless: the same record comes out."""
    original = archive.read_bytes()
    at %= len(original)
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(original[:at] + bytes([original[at] ^ (1 << bit)]) + original[at + 1 :])
    try:
        (table,) = release.read_release(damaged)
    except ReleaseError as error:
        assert "nothing was written" in str(error)
    else:
        assert table.to_frame().architecture.tolist() == ["k5d.t.a4/gc.2x8.d-max"]
        assert table["valid_score"].tolist() == [np.float32(0.6)]


def test_a_directory_that_hides_members(tmp_path):
    """The comment of a member takes in those that follow it: what zipfile reads then is one member."""
    name = "dataset/seqnas/AGE/epoch_25_arch_FlexibleTransformer_1801532_params_{}.json"
    path = make_zip(tmp_path / "archive.zip", [(name.format(f"{i:02x}" * 32), make_record()) for i in range(3)])
    content = bytearray(path.read_bytes())
    first = content.index(b"PK\x01\x02")
    size = len(content) - 22 - first  # of the directory
    content[first + 32 : first + 34] = (size * 2 // 3).to_bytes(2, "little")
    path.write_bytes(content)
    refuse(path, tmp_path / "out", "its directory is damaged")


def test_no_such_file_and_no_zip(tmp_path):
    refuse(tmp_path / "none.zip", tmp_path / "out", "no such file: get nas-bench")
    (tmp_path / "text").write_text("hello")
    refuse(tmp_path / "text", tmp_path / "out", "not a sound zip")
    refuse(make_zip(tmp_path / "empty.zip", []), tmp_path / "out", "no records")


def test_existing_tables_are_kept_unless_forced(archive, tmp_path):
    import_release(archive, tmp_path / "out")
    before = (tmp_path / "out/age/seqnas.h5").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        import_release(archive, tmp_path / "out")
    assert (tmp_path / "out/age/seqnas.h5").read_bytes() == before
    import_release(archive, tmp_path / "out", force=True)
    assert os.listdir(tmp_path / "out/age") == ["seqnas.h5"]


def test_all_tables_or_none(tmp_path):
    members = [(MEMBER, make_record()), (MEMBER.replace("AGE", "ABank"), make_record())]
    archive = make_zip(tmp_path / "two.zip", members)
    (tmp_path / "out" / "age" / "seqnas.h5").mkdir(parents=True)
    for force in (False, True):
        with pytest.raises(OutputError):
            import_release(archive, tmp_path / "out", force=force)
        assert os.listdir(tmp_path / "out") == ["age"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "age").write_text("a file")
    with pytest.raises(OutputError):
        import_release(archive, tmp_path / "other")
    assert os.listdir(tmp_path / "other") == ["age"]


def test_an_output_that_cannot_be_written(archive, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="cannot write"):
        import_release(archive, tmp_path / "out")
