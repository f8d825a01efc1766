"""benchmarks/soak.py at a small size."""

import pytest
import soak


def use(memory, files=5, threads=1):
    return soak.Use(memory, files, threads)


@pytest.mark.parametrize(
    ("late", "flat"),
    [
        (use(0), True),
        (use(soak.GROWTH), True),
        (use(soak.GROWTH + 1), False),
        (use(0, files=6), False),
        (use(0, threads=2), False),
    ],
)
def test_what_is_flat(late, flat):
    assert soak.Part("work", 1.0, use(0), late, True).flat == flat


@pytest.mark.slow
@pytest.mark.parametrize(("work", "n"), [(soak.readers, 8), (soak.queries, 40_000), (soak.searches, 72)])
def test_nothing_grows_and_answers_stay_the_same(work, n):
    part = work(n)
    assert part.same
    assert part.flat, part
