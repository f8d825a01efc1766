"""The comparison of performance predictors: fair, resumable, reported as it came out."""

import numpy as np
import pytest

from nasbench_evs.analysis import predictors as analysis
from nasbench_evs.analysis.predictors import Result, compare, page, read_results
from nasbench_evs.cli import cli
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.tables import write


def test_a_stopped_comparison_goes_on(seqnas_table, tmp_path):
    tables = [("made/seqnas", seqnas_table)]
    whole = compare(tables, tmp_path / "whole", predictors=["catboost", "mlp"], sizes=[25, 50, 400], seeds=2)
    assert {each[:4] for each in whole} == {
        ("made/seqnas", name, size, seed) for name in ("catboost", "mlp") for size in (25, 50) for seed in (0, 1)
    }
    compare(tables, tmp_path / "part", predictors=["catboost", "mlp"], sizes=[25, 50], seeds=1)
    file = tmp_path / "part" / analysis.RESULTS
    file.write_text(file.read_text() + "made/seqnas,mlp,2")  # killed while it wrote a line
    steps = []
    rest = compare(
        tables,
        tmp_path / "part",
        predictors=["catboost", "mlp"],
        sizes=[25, 50],
        seeds=2,
        progress=lambda *s: steps.append(s),
    )
    assert [each[:5] for each in rest] == [each[:5] for each in whole]
    assert steps[0] == (4, 8)
    assert steps[-1] == (8, 8)
    assert [each[:5] for each in read_results(tmp_path / "part")] == [each[:5] for each in rest]


def test_what_cannot_be_compared(seqnas_table, tmp_path):
    tables = [("made/seqnas", seqnas_table)]
    with pytest.raises(InvalidQuery, match="unknown predictor 'forest'"):
        compare(tables, tmp_path, predictors=["forest"])
    with pytest.raises(InvalidQuery, match=r"nothing to compare: 200 architectures, sizes 400"):
        compare(tables, tmp_path, sizes=[400])
    (tmp_path / analysis.RESULTS).write_text("a,b\n1,2\n")
    with pytest.raises(InvalidQuery, match="holds no comparison of predictors"):
        read_results(tmp_path)
    (tmp_path / analysis.RESULTS).write_text(",".join(Result._fields) + "\na,mlp,x,0,0.1,1\n")
    with pytest.raises(InvalidQuery, match=r"line 2: 'a,mlp,x,0,0.1,1' is no result"):
        read_results(tmp_path)


def test_the_page_marks_what_is_not_worse_than_the_best():
    generator = np.random.default_rng(0)
    results = []
    for seed in range(10):
        luck = generator.normal(0, 0.1)  # shared by all predictors: a paired difference is what counts
        for name, tau in (("catboost", 0.5), ("xgboost", 0.499), ("mlp", 0.45)):
            results.append(Result("d/seqnas", name, 50, seed, tau + luck + generator.normal(0, 0.005), 1.0))
    text = page(results, "the command")
    assert "10 seeds" in text
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    assert "**" in rows["catboost"]
    assert "**" in rows["xgboost"]
    assert "**" not in rows["mlp"]


def test_the_command(seqnas_table, tmp_path):
    (tmp_path / "made").mkdir()
    path = tmp_path / "made" / "seqnas.h5"
    write(seqnas_table, path)
    arguments = ["surrogate", "predictors", str(path), "--out", str(tmp_path / "out"), "--seeds", "1"]
    cli.main([*arguments, "--predictor", "xgboost"], standalone_mode=False)
    assert "| xgboost |" in (tmp_path / "out" / "README.md").read_text()
    assert (tmp_path / "out" / "predictors.svg").read_text().startswith("<?xml")
    with pytest.raises(InvalidQuery, match="--seeds 0"):
        cli.main([*arguments[:-1], "0"], standalone_mode=False)
