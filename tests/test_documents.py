"""Figures in documents are those of the files they speak of."""

import json
import re
from pathlib import Path

from nasbench_evs.analysis.recommend import read_portfolios, verdict
from nasbench_evs.benchmark import list_benchmarks
from nasbench_evs.datasets.sources import SOURCES
from nasbench_evs.surrogate.card import page, summary
from nasbench_evs.training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]


def test_the_table_of_benchmarks():
    text = (ROOT / "README.md").read_text()
    shown = re.findall(r"^\| `([\w-]+)` \| ([\w-]+) \| ([\d,]+) \| ([\d,]+|growing) \|", text, re.MULTILINE)
    growing = {row[:2] for row in shown if row[3] == "growing"}  # by generators/record, which commits tables alone
    listed = [
        (r["dataset"], r["space"], f"{r['size']:,}", f"{r['records']:,}")
        if (r["dataset"], r["space"]) not in growing
        else (r["dataset"], r["space"], f"{r['size']:,}", "growing")
        for r in list_benchmarks()
    ]
    assert sorted(shown) == sorted(listed)
    for dataset, _ in growing:
        assert (ROOT / "generators" / f"{dataset}.toml").exists()


def candidate_row(path):
    found = json.loads(path.read_text(encoding="utf-8"))
    cells = [path.stem, f"{found['cpu_seconds']:.1f}", f"{found['r_all']:.2f}", f"{found['r_half']:.2f}"]
    cells += [f"{found['signal']:.4f} / {found['noise']:.4f}", f"{found['tau_half']:.2f}"]
    return "| " + " | ".join([*cells, f"{found['mean']:.4f}, {found['best']:.4f}"]) + " |"


def test_the_table_of_candidates():
    text = (ROOT / "generators" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "generators" / "candidates").glob("*.json"):
        assert candidate_row(path) in text
        recipe = path.with_suffix(".toml")
        recipe = recipe if recipe.exists() else ROOT / "generators" / recipe.name
        assert Recipe.read(recipe).protocol.to_dict() == json.loads(path.read_text(encoding="utf-8"))["protocol"]


def test_the_table_of_surrogates():
    text = (ROOT / "surrogate" / "README.md").read_text()
    expected = []
    for path in sorted((ROOT / "surrogate").glob("*/*/surrogate.json")):
        card = json.loads((path.parent / "card.json").read_text())
        assert card["table_sha256"] == json.loads(path.read_text())["table_sha256"]
        assert (path.parent / "card.md").read_text() == page(card)
        expected += summary(card)
    assert expected == re.findall(r"^\| [\w-]+/[\w-]+ \| (?:valid|test) \| .*$", text, re.MULTILINE)


def test_the_page_across_datasets_has_the_portfolios_that_ship():
    folder = ROOT / "analysis" / "across"
    text = (folder / "README.md").read_text(encoding="utf-8")
    for compared in read_portfolios(folder / "portfolios.json"):
        assert f"the {compared.architectures} that " in text
        for portfolio in compared.portfolios:
            places = [member.places.get(portfolio.left_out) for member in portfolio.members]
            for member, place in zip(portfolio.members, places, strict=True):
                assert (f"`{member.architecture}` ({place})" if place else f"| `{member.architecture}` |") in text
        for regime in ("noisy", "transfer"):
            assert verdict(compared.worth, regime) in text


def test_every_dataset_has_a_card():
    for name in SOURCES:
        card = (ROOT / "datasets" / name / "README.md").read_text()
        assert card.startswith(f"# {name}\n")
        assert "Licence" in card or "Apache-2.0" in card
