"""The data card of an exported table says what its columns and rows are."""

import re
from pathlib import Path

import pytest

from nasbench_evs import spaces
from nasbench_evs.spaces.subspaces import subspace
from nasbench_evs.tables import read
from nasbench_evs.tables.data_card import COLUMN_TEXTS, PAPERS, data_card
from tests.conftest import make_header, make_table

ROOT = Path(__file__).resolve().parents[2]
TABLES = sorted((ROOT / "datasets").glob("*/*.h5"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_column_of_every_table_is_described(path):
    table = read(path)
    frame = table.to_frame(curves=True)
    card = data_card(table, frame, "it.parquet", source=["- a line"])
    rows = re.findall(r"^\| (`.+`) \| (.*) \| (.+) \|$", card, re.MULTILINE)
    named = {name for names, _, _ in rows for name in re.findall(r"`([^`]+)`", names)}
    assert {name.partition(".")[0] for name in named} == {name.partition(".")[0] for name in frame.columns}
    for names, _, _ in rows:  # where a range is named, its ends are columns
        assert set(re.findall(r"`([^`]+)`", names)) <= set(frame.columns)
    assert f"{len(frame):,} trainings" in card
    assert str(table.header.fingerprint) in card
    assert "- a line" in card


def test_its_head_is_yaml_that_names_the_file():
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    table = read(ROOT / "datasets" / "digits" / "ffn-3.h5")
    card = data_card(table, table.to_frame(), 'a "quoted": name.parquet')
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["configs"] == [{"config_name": "default", "data_files": 'a "quoted": name.parquet'}]
    assert head["size_categories"] == ["n<1K"]


def card(dataset, space, **sources):
    table = read(ROOT / "datasets" / dataset / f"{space}.h5")
    return data_card(table, table.to_frame(curves=True), "it.parquet", **sources)


def test_it_cites_what_the_rows_are_of():
    digits, released = card("digits", "ffn-3"), card("abank", "seqnas", cite="whose the sequences are")
    assert "C. Yang et al." in digits
    assert "SeqNAS" not in digits
    assert "doi 10.1109/ACCESS.2024.3349497" in released
    assert "- whose the sequences are\n" in released


def test_a_part_of_a_space_and_a_space_of_ones_own_are_cited_as_they_should():
    whole = read(ROOT / "datasets" / "bpic2012" / "seqnas.h5")
    part = whole.view(subspace("seqnas-s", whole.header.space))
    assert PAPERS["seqnas"] in data_card(part, part.to_frame(), "it.parquet")
    own = make_table([0, 1], header=make_header(spaces.SearchSpace.from_choices({"a": [1, 2, 3]})))
    assert "The search space:" not in data_card(own, own.to_frame(), "it.parquet")


def test_licences_are_of_whoever_made_the_records():
    assert "The tables that come with nasbench-evs are under its licence, Apache-2.0" in card("digits", "ffn-3")
    released = card("abank", "seqnas")
    assert "records released by the authors of SeqNAS" in released
    assert "under its licence" not in released


def test_rows_refer_to_machines_that_it_names():
    table = read(ROOT / "datasets" / "digits" / "ffn-3.h5")
    found = re.findall(r"^- Machine (\d+): (.+)$", card("digits", "ffn-3"), re.MULTILINE)
    assert [int(number) for number, _ in found] == sorted(set(table["hardware"].tolist()))
    assert found[0][1].startswith("cpu AMD EPYC, threads 1, ")


def test_one_column_is_no_range():
    assert "`valid_curve.1` |" in card("abank", "seqnas")
    assert "`valid_curve.1` to `valid_curve.20` |" in card("digits", "ffn-3")


def test_texts_are_of_columns_that_there_are():
    frames = [read(path).to_frame(curves=True) for path in TABLES]
    assert set(COLUMN_TEXTS) == {name.partition(".")[0] for frame in frames for name in frame.columns}
