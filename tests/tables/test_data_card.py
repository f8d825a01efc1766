"""The data card of an exported table says what its columns and rows are."""

import re
from pathlib import Path

import pytest

from nasbench_evs.tables import read
from nasbench_evs.tables.data_card import COLUMN_TEXTS, data_card

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


def test_texts_are_of_columns_that_there_are():
    frames = [read(path).to_frame(curves=True) for path in TABLES]
    assert set(COLUMN_TEXTS) == {name.partition(".")[0] for frame in frames for name in frame.columns}
