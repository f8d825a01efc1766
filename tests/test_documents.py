"""Figures in documents are those of the files they speak of."""

import json
import re
from pathlib import Path

from nasbench_evs.benchmark import list_benchmarks
from nasbench_evs.datasets.sources import SOURCES
from nasbench_evs.surrogate.card import page, summary

ROOT = Path(__file__).resolve().parents[1]


def test_the_table_of_benchmarks():
    text = (ROOT / "README.md").read_text()
    shown = re.findall(r"^\| `([\w-]+)` \| ([\w-]+) \| ([\d,]+) \| ([\d,]+) \|", text, re.MULTILINE)
    listed = [(r["dataset"], r["space"], f"{r['size']:,}", f"{r['records']:,}") for r in list_benchmarks()]
    assert sorted(shown) == sorted(listed)


def test_the_table_of_surrogates():
    text = (ROOT / "surrogate" / "README.md").read_text()
    expected = []
    for path in sorted((ROOT / "surrogate").glob("*/*/surrogate.json")):
        card = json.loads((path.parent / "card.json").read_text())
        assert card["table_sha256"] == json.loads(path.read_text())["table_sha256"]
        assert (path.parent / "card.md").read_text() == page(card)
        expected += summary(card)
    assert expected == re.findall(r"^\| [\w-]+/[\w-]+ \| (?:valid|test) \| .*$", text, re.MULTILINE)


def test_every_dataset_has_a_card():
    for name in SOURCES:
        card = (ROOT / "datasets" / name / "README.md").read_text()
        assert card.startswith(f"# {name}\n")
        assert "Licence" in card or "Apache-2.0" in card
