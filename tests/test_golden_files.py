"""Files that were written once and are read for good: what is in them never changes."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from nasbench_evs.analysis.runs import Point, read_results
from nasbench_evs.locations import shipped
from nasbench_evs.surrogate import Surrogate
from tests.surrogate.hostile import rewrite

DIGITS = shipped("surrogate") / "digits" / "ffn-3"


def test_a_surrogate_of_format_2():
    surrogate = Surrogate.load(DIGITS)
    choices = surrogate.space.unrank_many(np.array([0, 777, 7999], np.uint64))
    expected = {
        "valid": [
            [0.8648324885, 0.9635497364, 0.9785326372],
            [0.0227623868, 0.0048095887, 0.0025530023],
            [0.0921857708, 0.0013231146, 0.0027377037],
        ],
        "test": [
            [0.8542028265, 0.9433438223, 0.9656531800],
            [0.0228281074, 0.0065596380, 0.0085140255],
            [0.0353359099, 0.0032764695, 0.0104022481],
        ],
    }
    for split, values in expected.items():
        assert np.allclose(surrogate.predict(choices, split), values, atol=1e-8)
    assert np.allclose(surrogate.predict(choices, epoch=3).mean, [0.1573721015, 0.8420356618, 0.9592601797], atol=1e-8)
    assert np.allclose(surrogate.predict_seconds(choices), [0.1755526110, 0.7455566340, 2.8645169783])
    recorded = surrogate.space.unrank_many(surrogate._read_out_of_fold()["rank"][:2])
    assert np.allclose(surrogate.out_of_fold(recorded), [0.8936658502, 0.8857941031])
    assert surrogate.references["valid"].architecture == "512-384-512"
    assert surrogate.references["valid"].value == pytest.approx(0.9786532969)
    assert surrogate.card["evaluated"]["valid"]["kendall_tau"]["mean"] == pytest.approx(0.6241475174)


def test_a_surrogate_of_format_2_as_0_1_0_wrote_it(tmp_path):
    """Without the sums of what its models predict."""
    folder = shutil.copytree(DIGITS, tmp_path / "s")
    rewrite(folder, lambda sidecar: sidecar.pop("sums"))
    choices = Surrogate.load(DIGITS).space.sample_many(20, 0)
    assert np.array_equal(Surrogate.load(folder).predict(choices), Surrogate.load(DIGITS).predict(choices))
    assert Surrogate.load(folder).references == Surrogate.load(DIGITS).references


def test_results():
    runs = read_results(Path(__file__).parent / "analysis" / "results.csv.xz")
    assert [run.regime for run in runs] == ["clean", "noisy"]
    first = runs[0]
    assert first[:6] == ("abank surrogate", "bananas", "clean", 0, "e90a71a19cc9", 1.7075)
    assert repr(first.answer) == repr(
        Point(150.0, float("nan"), 62884460, 0.7926785, 0.7926785, float("nan"), float("nan"))
    )
