"""How figures look, and that the same results give the same file."""

from xml.etree import ElementTree

import numpy as np
import pytest

from nasbench_evs.analysis import looks, plots
from nasbench_evs.analysis.config import read_experiment
from nasbench_evs.analysis.experiment import run_experiment
from nasbench_evs.analysis.outcome import Outcome
from nasbench_evs.analysis.regrets import Regrets

SVG = "{http://www.w3.org/2000/svg}"
FILE = """
seeds = 4
budget = 12
searchers = ["random", "evolution", "local"]
[[benchmark]]
name = "landscape:nk-1"
[[benchmark]]
name = "landscape:layers"
"""


@pytest.fixture
def outcome(tmp_path, in_this_process):
    (tmp_path / "few.toml").write_text(FILE)
    experiment = read_experiment(tmp_path / "few.toml")
    return Outcome(Regrets(experiment, list(run_experiment(experiment, tmp_path / "out").values()), "clean"))


def texts(path):
    return {"".join(each.itertext()).strip() for each in ElementTree.parse(path).iter(f"{SVG}text")}


def test_twenty_lines_differ_in_color_and_in_dashes_with_marker():
    looked = [looks.style(i) for i in range(20)]
    assert len({each["color"] for each in looked}) == 20
    assert len({(str(each["linestyle"]), each["marker"]) for each in looked}) == 20


def test_figures_hold_their_words_as_text_and_are_the_same_each_time(outcome, tmp_path):
    draw = {
        "pooled": lambda path: plots.pooled(outcome, path),
        "differences": lambda path: plots.differences(outcome, path),
        "anytime": lambda path: plots.anytime(outcome.regrets, path),
    }
    for name, figure in draw.items():
        paths = [tmp_path / f"{name}-{i}.svg" for i in range(2)]
        for path in paths:
            figure(path)
        assert paths[0].read_bytes() == paths[1].read_bytes()
        assert {"evolution", "local"} <= texts(paths[0])
        assert len(paths[0].read_bytes()) < 150_000
    assert {"landscape:nk-1", "landscape:layers"} <= texts(tmp_path / "differences-0.svg")
    assert {"random", "% of the budget", "mean rank (1 is best)"} <= texts(tmp_path / "pooled-0.svg")


def test_curves_end_at_the_final_values(outcome):
    regrets, ranks = outcome.curves(np.array([0.5, 1.0]))
    for curve, end in ((regrets, outcome.final), (ranks, outcome.ranks)):
        for values, last in zip(curve, end, strict=True):
            assert values.shape == (3, 2)
            assert values[:, -1] == pytest.approx(last)


def test_a_lead_is_the_difference_of_means(outcome):
    lead = outcome.lead(0, 1)
    assert lead.value[0] == pytest.approx(outcome.final.value[0] - outcome.final.value[1])
    assert lead.low[0] <= lead.value[0] <= lead.high[0]


def test_without_a_control_there_are_no_differences(outcome, tmp_path, monkeypatch):
    monkeypatch.setattr("nasbench_evs.analysis.outcome.CONTROLS", ("nobody",))
    assert not plots.differences(outcome, tmp_path / "none.svg")
    assert not (tmp_path / "none.svg").exists()


@pytest.mark.parametrize(
    ("values", "scale"),
    [([[0.5, 0.1], [0.4, 0.2]], "log"), ([[0.5, 0.0], [0.4, 0.2]], "symlog"), ([[0.0, 0.0]], "linear")],
)
def test_the_axis_is_linear_around_0_only_where_regret_reaches_it(values, scale):
    figure, axis = looks.pyplot().subplots()
    looks.scale_regret(axis, np.array(values))
    assert axis.get_yscale() == scale
    looks.pyplot().close(figure)


def test_a_bad_start_does_not_take_the_axis():
    figure, axis = looks.pyplot().subplots()
    looks.scale_regret(axis, np.array([[10.0, 0.2, 0.1]]), early=1)
    assert axis.get_ylim()[1] == pytest.approx(0.3)
    looks.pyplot().close(figure)


def test_the_legend_covers_no_panel(tmp_path):
    figure, axes = looks.pyplot().subplots(1, 2, layout="constrained")
    for axis in axes:
        for i in range(20):
            looks.line(axis, i, np.arange(3), np.arange(3) * i, f"searcher {i}")
    looks.legend(figure, axes)
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert all(not box.overlaps(axis.get_window_extent()) for axis in axes)
    looks.pyplot().close(figure)
