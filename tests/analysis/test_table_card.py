import json

import numpy as np
import pytest

from nasbench_evs.analysis.table_card import distillation, write_table_card
from nasbench_evs.cli import cli
from nasbench_evs.errors import InvalidQuery, NotRecorded
from nasbench_evs.locations import shipped_tables
from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.tables import Table, read, write
from tests.conftest import make_end_table, make_header, make_table

BASELINE = {
    "network": "gru", "dataset": "made", "subset": None, "metric": "roc_auc", "trials": 3, "seeds": 2,
    "valid_mean": 0.61, "valid_std": 0.01, "test_mean": 0.6, "test_std": 0.02, "valid_curves": [[0.5, 0.6], [0.5, 0.61]],
}  # fmt: skip


LATER = {
    **{name: value for name, value in BASELINE.items() if name != "seeds"},
    "network": "lstm",
    "best": 3,
    "trials": 30,
}
MINIROCKET = {**BASELINE, "network": "minirocket", "kernels": 10_000, "valid_curves": []}


@pytest.fixture
def table():
    """Ten random architectures with two seeds, the same with teachers, which add .01, and three found ones."""
    space = SeqNASSpace()
    ranks = space.rank_many(np.unique(space.sample_many(200, 0), axis=0)[:13])
    rows = [(rank, seed, taught, b"random") for rank in ranks[:10] for seed in (0, 1) for taught in (0, 1)]
    rows += [(rank, 0, 1, b"bananas") for rank in ranks[10:]]
    generator = np.random.default_rng(0)
    base = dict(zip(ranks.tolist(), generator.normal(0.7, 0.02, len(ranks)), strict=True))
    scores = [base[int(rank)] + 0.003 * seed + 0.01 * taught for rank, seed, taught, _ in rows]
    return make_table(
        [row[0] for row in rows],
        [row[1] for row in rows],
        scores=np.repeat(np.array(scores)[:, None], 3, axis=1),
        distilled=[row[2] for row in rows],
        sampler=[row[3].decode() for row in rows],
        header=make_header(space, protocol={"epochs": 3}),
    )


def test_teachers_are_compared_on_the_same_architectures_and_seeds(table):
    for split in ("valid", "test"):
        found = distillation(table, split)
        assert (found.architectures, found.seeds) == (10, 2)
        assert found.difference == pytest.approx(0.01, abs=1e-6)
        assert found.error == pytest.approx(0, abs=1e-6)
        assert found.best_distilled - found.best_plain == pytest.approx(0.01, abs=1e-6)
    assert distillation(table.select(table["distilled"] == 0), "valid") is None


def test_what_was_trained_exhaustively_counts_as_drawn_too(table):
    """Every architecture of a small space: no search chose among them."""
    exhaustive = np.where(table["sampler"] == b"random", b"exhaustive", table["sampler"])
    same = Table(table.header, {**table.columns, "sampler": exhaustive}, table.hardware)
    for split in ("valid", "test"):
        assert distillation(same, split) == distillation(table, split)
    searched = Table(table.header, {**table.columns, "sampler": np.full(len(table), b"bananas")}, table.hardware)
    assert distillation(searched, "valid") is None


def test_a_failed_training_is_not_compared(table, tmp_path):
    """Nor shown as the best of the table."""
    scores = np.array(table["valid_curve"])
    failed = (table["rank"] == table["rank"][0]) & (table["distilled"] == 1)
    scores[failed] = 0.99
    columns = {**table.columns, "valid_curve": scores, "status": np.where(failed, b"failed", table["status"])}
    broken = Table(table.header, columns, table.hardware)
    found = distillation(broken, "valid")
    assert found.architectures == 9
    assert found.difference == pytest.approx(0.01, abs=1e-6)
    write_table_card(broken, "seqnas", tmp_path, None, [])
    assert "0.9900" not in (tmp_path / "seqnas.md").read_text()


def test_what_people_say_of_a_protocol_is_in_the_card(table, tmp_path):
    (tmp_path / "seqnas.notes.md").write_text("Why it is so.\n")
    write_table_card(table, "seqnas", tmp_path, None, [])
    assert "\nWhy it is so.\n" in (tmp_path / "seqnas.md").read_text()


def test_the_card_says_what_was_recorded(table, tmp_path):
    write_table_card(table, "seqnas", tmp_path, {"valid": 0.6, "test": 0.59}, [BASELINE])
    text = (tmp_path / "seqnas.md").read_text()
    assert "43 trainings of 13 architectures" in text
    assert "| tuned GRU | 0.6100 ± 0.0100 |" in text
    assert "| random: mean of 10 |" in text
    assert "| bananas, with teachers: mean of 3 |" in text
    assert "The same 10 random architectures" in text
    assert "validation and test scores of" not in text  # ten are too few
    assert " nan" not in text
    assert (tmp_path / "seqnas.png").stat().st_size > 5000


def test_the_card_of_scores_at_the_end(tmp_path):
    """Without test curves, and with what the last evaluation costs."""
    table = make_end_table(range(60), failing=[7], space=SeqNASSpace(), protocol={"train": 6000})
    write_table_card(table, "seqnas", tmp_path, None, [BASELINE])
    text = (tmp_path / "seqnas.md").read_text()
    valid, test = table["valid_score"], table["test_score"]
    assert f"| seqnas-s: mean of 59 | {np.nanmean(valid):.4f} | {np.nanmean(test):.4f} | seed 0 |" in text
    assert "| tuned GRU | 0.6100 ± 0.0100 |" in text
    assert "of the 59 architectures that no search chose is 1.00" in text
    assert "CPU seconds per training on one thread (one): median 14.0, mean 13.8, largest 14.0" in text
    assert "Outcomes: 1 diverged, 59 ok" in text
    assert "All trained on the same 6,000 sequences and scored on the whole" in text
    assert "score_at end" in text
    assert " nan" not in text
    assert (tmp_path / "seqnas.png").stat().st_size > 5000


def test_the_card_says_whether_the_splits_agree(tmp_path):
    table = make_table(range(60), header=make_header(SeqNASSpace()))  # test scores are validation scores less 0.01
    write_table_card(table, "seqnas", tmp_path, None, [])
    text = (tmp_path / "seqnas.md").read_text()
    assert (
        "of the 60 architectures that no search chose is 1.00; among the 15 with the best validation scores, 1.00"
        in text
    )


def test_tables_without_curves_or_scores_have_no_card(table, tmp_path):
    with pytest.raises(NotRecorded, match="best epochs only"):
        write_table_card(read(shipped_tables()["abank", "seqnas"]), "seqnas", tmp_path, None, [])
    nothing = make_table([0, 1], scores=np.full((2, 3), np.nan), status="failed")
    with pytest.raises(NotRecorded, match="no record has a score"):
        write_table_card(nothing, "made", tmp_path, None, [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, "expected what nasbench-evs baselines writes"),
        ([1], "expected what"),
        (None, "expected what"),
        ([{"network": "gru"}], "expected what"),
        ([{**BASELINE, "valid_mean": "x"}], "Expected `float`, got `str` - at `\\$\\[0\\].valid_mean`"),
        ([{**BASELINE, "test_blocks": [0.5] * 9}], "of length >= 10"),
        ([{**BASELINE, "pool": "\ud800"}], "surrogates not allowed"),
        ([{**BASELINE, "best": 3}], "of gru it is not said over what its mean is"),
        ([{**BASELINE, "network": "minirocket"}], "of minirocket it is not said"),
        ([{**BASELINE, "dataset": "abank"}], "has dataset = abank, expected made"),
        ([{**BASELINE, "subset": 7}], "has subset = 7, expected None"),
        ([{**BASELINE, "train": 7}], "has train = 7, expected None"),
    ],
)
def test_baselines_of_something_else_are_refused(table, tmp_path, content, message):
    write(table, tmp_path / "seqnas.h5")
    (tmp_path / "baselines.json").write_text(json.dumps(content))
    with pytest.raises(InvalidQuery, match=message):
        cli.main(["table", "card", str(tmp_path / "seqnas.h5"), "--out", str(tmp_path)], standalone_mode=False)
    (tmp_path / "baselines.json").write_text(json.dumps([BASELINE]))
    cli.main(["table", "card", str(tmp_path / "seqnas.h5"), "--out", str(tmp_path)], standalone_mode=False)


def test_what_is_said_of_baselines_is_how_they_were_made(table, tmp_path):
    """Also where an older one was not made as the paper's were."""
    (tmp_path / "baselines.json").write_text(json.dumps([BASELINE, LATER, MINIROCKET]))
    write(table, tmp_path / "made.h5")
    cli.main(["table", "card", str(tmp_path / "made.h5"), "--out", str(tmp_path)], standalone_mode=False)
    lines = {line.split(" | ")[0]: line.split(" | ")[-1] for line in (tmp_path / "made.md").read_text().splitlines()}
    assert lines["| tuned GRU"].startswith("the best of 3 settings, sd over 2 seeds; unlike paper 000's: kernel 1")
    assert lines["| tuned LSTM"] == "the best 3 of 30 settings, sd over them |"
    assert lines["| MiniRocket"] == "ridge on 10,000 random kernels over a regular grid, sd over 2 draws |"
