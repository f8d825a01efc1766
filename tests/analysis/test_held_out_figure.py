"""Predicted against recorded scores, in a surrogate's card."""

import shutil

from click.testing import CliRunner

from nasbench_evs import locations
from nasbench_evs.benchmark import find_table
from nasbench_evs.cli import cli
from nasbench_evs.errors import SurrogateError
from nasbench_evs.surrogate.card import read_card


def test_the_card_shows_the_figure(tmp_path, monkeypatch):
    table = find_table("bpic2012")
    own = tmp_path / "surrogate"
    shutil.copytree(locations.surrogate_of(table), own)
    monkeypatch.setattr(locations, "surrogate_of", lambda path: own)
    before = read_card(own)
    assert CliRunner().invoke(cli, ["surrogate", "figure", str(table)], catch_exceptions=False).exit_code == 0
    drawn = (own / "held-out.svg").read_text()
    assert "noise ceiling 0.62 [0.50, 0.70]" in drawn
    assert read_card(own) == {**before, "figure": "held-out.svg"}
    assert "](held-out.svg)" in (own / "card.md").read_text()
    (own / "card.json").unlink()
    missing = CliRunner().invoke(cli, ["surrogate", "figure", str(table)])
    assert isinstance(missing.exception, SurrogateError)
    assert "nasbench-evs surrogate evaluate" in str(missing.exception)
