"""The part of a card that says whether searchers can be told apart, and the pilot's file that it reads."""

import json

import pytest
from click.testing import CliRunner

from nasbench_evs.analysis.gate import gate_section, pilot_section
from nasbench_evs.cli import cli
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.locations import shipped_tables
from nasbench_evs.tables import read
from tests.generators.test_verdict import made

TAFENG = shipped_tables()["tafeng-churn", "seqnas"]


def test_a_shipped_table_is_judged_by_its_first_two_hundred():
    pilot = json.loads(TAFENG.with_suffix(".pilot.json").read_text(encoding="utf-8"))
    lines = gate_section(read(TAFENG), pilot)
    text = "\n".join(lines)
    assert lines[0] == "## Can searchers be told apart?"
    assert "From 200 architectures of the first 200 of seqnas-s" in text
    assert f"Verdict: **{pilot['verdict']}**, k = {pilot['k']}" in text
    for rival in pilot["baselines"]:
        assert f"| {rival['name']} | {rival['valid']:.4f} | {rival['test']:.4f} |" in text


def test_the_terminal_says_of_a_pilot_what_the_card_says():
    pilot = json.loads(TAFENG.with_suffix(".pilot.json").read_text(encoding="utf-8"))
    lines = pilot_section(pilot)
    assert "\n".join(lines) in "\n".join(gate_section(made(0.02, 0.005, n=39), pilot))
    text = "\n".join(lines)
    for name, shown in (("top quarter", "best quarter"), ("transfer, all", "all, transfer")):
        part = pilot["reliability"][name]
        low, _, _, high = part["quantiles"]["R_2"]
        row = next(line for line in lines if line.startswith(f"| {shown} |"))
        assert f"{part['R_2']:.2f} ({low:.2f} to {high:.2f})" in row
    cost, longer = pilot["cost"], pilot["twice the steps"]
    assert (
        f"the {cost['trainings of the plan']:,} trainings of the plan {cost['core hours of the plan']:.1f} core" in text
    )
    assert f"{longer['median gain, test']:+.4f} on test" in text
    undecided = "\n".join(pilot_section({**pilot, "verdict": "fail", "k": None}))
    assert "Verdict: **fail**; in the best quarter the 10 % quantile of R_4 is" in undecided


def test_without_enough_seeds_and_a_pilot_nothing_is_said():
    assert gate_section(made(0.02, 0.005, n=39), None) == []
    assert len(gate_section(made(0.02, 0.005, n=40), None)) > 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "expected what nasbench-evs pilot writes"),
        ("{", "expected what nasbench-evs pilot writes"),
        (None, "is of another dataset or protocol than the table"),
    ],
)
def test_a_pilot_of_something_else_is_refused_in_one_line(tmp_path, monkeypatch, content, message):
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path / "home"))
    table = tmp_path / "seqnas.h5"
    table.write_bytes(TAFENG.read_bytes())
    if content is None:
        found = json.loads(TAFENG.with_suffix(".pilot.json").read_text(encoding="utf-8"))
        content = json.dumps(found | {"train": 7})
    (tmp_path / "seqnas.pilot.json").write_text(content)
    done = CliRunner().invoke(cli, ["table", "card", str(table), "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, InvalidQuery)
    assert message in str(done.exception)
    assert not (tmp_path / "out").exists()
