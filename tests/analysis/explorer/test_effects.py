"""Marginal effects of options."""

import numpy as np
import pytest
from scipy import stats

from nasbench_evs.analysis.explorer.effects import marginal_effects
from nasbench_evs.benchmark import find_table
from nasbench_evs.tables import read


def test_means_of_random_architectures_alone_with_student_intervals():
    table = read(find_table("bpic2012"))
    found = marginal_effects(table)
    frame = table.to_frame()
    frame = frame[(frame.sampler == "random") & (frame.distilled == 0)]
    assert found["samplers"] == ["random"]
    assert found["chosen"] is False
    for split in ("valid", "test"):
        means = frame.groupby("architecture")[f"{split}_score"].mean()
        assert found[split]["architectures"] == len(means)
        waits = {text: table.header.space.parse(text)["time_encoding"] for text in means.index}
        on = np.array([means[text] for text, option in waits.items() if option])
        column = table.header.space.column("time_encoding")
        n, value, low, high = found[split]["choices"][column][1]
        half = stats.t.ppf(0.975, len(on) - 1) * on.std(ddof=1) / len(on) ** 0.5
        assert (n, value) == (len(on), pytest.approx(on.mean(), abs=1e-5))
        assert (low, high) == pytest.approx((on.mean() - half, on.mean() + half), abs=1e-5)


def test_where_a_search_chose_everything_it_is_said():
    table = read(find_table("age"))
    found = marginal_effects(table)
    assert (found["chosen"], found["samplers"], found["test"]) == (True, ["seqnas"], None)
    assert found["valid"]["architectures"] == 397


def test_options_that_nobody_or_one_has(small_table):
    found = marginal_effects(small_table)["valid"]["choices"]
    counts = [[option[0] for option in choice] for choice in found]
    assert counts == [[2, 1, 1], [1, 0, 3]]
    assert found[1][1] == [0, None, None, None]
    assert found[0][1][2:] == [None, None]
