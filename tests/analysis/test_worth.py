"""Whether the best recorded architecture is better than what a user would take otherwise."""

import json

import numpy as np
import pytest

from nasbench_evs.analysis.table_card import write_table_card
from nasbench_evs.analysis.worth import best_against, worth_section
from nasbench_evs.metrics import block_error, lead
from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.tables import write
from tests.analysis.test_table_card import BASELINE
from tests.conftest import make_end_table, make_table
from tests.test_cli import fails, run


@pytest.fixture
def table():
    """Eight architectures with two trainings, and the best score of all in the only training of a ninth."""
    ranks = [rank for rank in range(9) for _ in (0, 1) if rank != 3] + [3]
    seeds = [0, 1] * 8 + [0]
    rng = np.random.default_rng(0)
    blocks = 0.6 + rng.normal(0, 0.01, (len(ranks), 10))
    return make_end_table(ranks, seeds, space=SeqNASSpace(), test_blocks=blocks)


def baseline(test, spread=0.0, **other):
    blocks = test + spread * np.array([1, -1] * 5)
    return {**BASELINE, "test_mean": test, "valid_blocks": [0.6] * 10, "test_blocks": blocks.tolist(), **other}


def test_the_best_of_those_with_two_trainings_is_compared_by_means(table):
    frame = table.to_frame()
    means = frame.groupby("architecture")[["valid_score", "test_score"]].mean()[
        frame.groupby("architecture").size() > 1
    ]
    name = means["valid_score"].idxmax()
    found = best_against(table, [baseline(0.31), baseline(0.2, network="boosting")])
    assert (found.architecture, found.trainings, found.among) == (name, 2, 8)
    assert (found.valid, found.test) == (
        pytest.approx(means["valid_score"][name]),
        pytest.approx(means["test_score"][name]),
    )
    assert [each.name for each in found.rivals] == ["a training of the 8, mean", "boosting on counts", "tuned GRU"]
    assert [each.lead.difference for each in found.rivals] == pytest.approx(
        [found.test - means["test_score"].mean(), found.test - 0.2, found.test - 0.31]
    )


def test_the_interval_is_over_blocks(table):
    best = best_against(table, [baseline(0.3)])
    mine = table["test_blocks"][np.array(table.to_frame()["architecture"] == best.architecture)].mean(0)
    found = best.rivals[-1].lead
    assert (found.high - found.low) / 2 == pytest.approx(2.262 * block_error(mine - 0.3))


@pytest.mark.parametrize(
    ("difference", "spread", "verdict"),
    [(0.1, 0.001, "above"), (-0.1, 0.001, "below"), (0.001, 0.1, "not told apart")],
)
def test_a_lead_is_one_where_its_interval_leaves_out_nothing(difference, spread, verdict):
    assert lead(difference, difference + spread * np.array([1, -1] * 5)).verdict == verdict


def test_nothing_is_said_without_blocks_of_both(table, tmp_path):
    assert worth_section(table, [BASELINE]) == []
    assert worth_section(make_table([0, 0, 1, 1], [0, 1, 0, 1]), [baseline(0.3)]) == []
    assert worth_section(make_end_table([0, 1]), [baseline(0.3)]) == []
    write_table_card(table, "made", tmp_path, None, [baseline(0.3)])
    text = (tmp_path / "made.md").read_text()
    assert "## Does the architecture matter to a user?" in text
    assert "| tuned GRU | 0.6100 | 0.3000 | +" in text


def test_a_card_with_boosting_among_its_baselines_fits_none(table, tmp_path, monkeypatch, capsys):
    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr("nasbench_evs.datasets.boosting.boosting", never)
    monkeypatch.setattr("nasbench_evs.datasets.store.prepared", lambda: {"made"})
    write(table, tmp_path / "made.h5")
    (tmp_path / "baselines.json").write_text(json.dumps([baseline(0.3, network="boosting", trials=1)]))
    run(capsys, "table", "card", str(tmp_path / "made.h5"), "--out", str(tmp_path))
    assert "| boosting on counts | 0.6100 ± 0.0100 |" in (tmp_path / "made.md").read_text()
    (tmp_path / "baselines.json").write_text("[1]")
    fails(capsys, "expected what", "table", "card", str(tmp_path / "made.h5"), "--out", str(tmp_path))
