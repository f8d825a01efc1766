"""benchmarks/calls.py: what it calls, what it accepts, and a short run of it."""

import calls
import pytest

from nasbench_evs.errors import InvalidQuery, NasbenchError


def test_a_few_calls_of_everything_public_answer_or_refuse_clearly():
    counts, findings = calls.run(400, seed=5, first=10_000)  # the first are one of each, in order
    assert not findings, findings
    assert counts.total() == 400
    kinds = {kind for kind, _ in counts}
    assert {"SearchSpace", "Benchmark", "Table", "Searcher", "functions and classes"} <= kinds
    assert sum(number for (_, what), number in counts.items() if what == "answer") > 100
    assert sum(number for (_, what), number in counts.items() if what == "refusal") > 100


def test_new_public_functions_are_called(monkeypatch):
    import nasbench_evs.search as package

    monkeypatch.setattr(package, "brand_new", lambda budget: budget, raising=False)
    monkeypatch.setattr(package, "__all__", [*package.__all__, "brand_new"])
    assert "nasbench_evs.search.brand_new" in calls.public()


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (InvalidQuery("k = 0: expected an integer of 1 or more"), None),
        (KeyError("k"), "KeyError"),
        (MemoryError(), "MemoryError"),
        (InvalidQuery("k = 0"), "does not say what to do"),
        (InvalidQuery("expected " + "x" * 600), "characters"),
        (InvalidQuery("expected no Traceback"), "of no use"),
    ],
)
def test_what_is_a_clear_error(error, what):
    try:
        raise error
    except (NasbenchError, KeyError, MemoryError) as raised:
        found = calls.judge(raised)
    assert found is None if what is None else what in found


def test_the_same_number_is_the_same_call():
    everything = calls.callables()
    for number in (3, 40, 1700):
        first, again = (calls.make(number, everything, 0) for _ in range(2))
        assert (first[0].name, first[1]) == (again[0].name, again[1])
