"""A synthetic marked point process whose classes differ in dynamics, not in how much happens; always labelled so."""

from pathlib import Path

import numpy as np

from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.sources.source import Source

_MARKS = 6
_NAMES = np.array([f"m{i}" for i in range(_MARKS)])


def make(n: int = 2000, seed: int = 0) -> Raw:
    """n sequences on the time window [0, 30] days.

    Both classes have the same number of events on average, at the same times, and the same marks equally often; values
    and the profile are noise. Marks walk round a ring, forwards in class 1 and backwards in class 0: only the order of
    events tells the classes apart.
    """
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(n) % 2)
    counts = 3 + generator.poisson(15, n)
    owner = np.repeat(np.arange(n), counts)
    time = generator.uniform(0, 30, len(owner))
    order = np.lexsort((time, owner))
    time = time[order]
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    direction = np.where(labels == 1, 1, -1)[owner]
    # A step along the ring with probability .7, anywhere else otherwise.
    steps = np.where(generator.random(len(owner)) < 0.7, direction, generator.integers(_MARKS, size=len(owner)))
    steps[first] = generator.integers(_MARKS, size=n)
    total = np.cumsum(steps)
    marks = (total - np.repeat(total[first] - steps[first], counts)) % _MARKS
    return Raw(
        ids=np.array([f"s{i:06d}" for i in range(n)]),
        labels=labels,
        owner=owner,
        time=time,
        categorical={"mark": _NAMES[marks]},
        numerical={"value": generator.normal(size=len(owner))},
        profile_numerical={"noise": generator.normal(size=n)},
        cut=30.0,
    )


def _read(path: Path) -> Raw:
    return make()


SYNTHETIC = Source(
    rules=Rules("synthetic", ("backwards", "forwards"), "roc_auc", max_length=32, synthetic=True),
    read=_read,
    what="SYNTHETIC. A seeded marked point process; only the order of events tells its two classes apart.",
    get="nothing to download: nasbench-evs data add synthetic",
    leakage="Made, not observed.",
    licence="Apache-2.0, as the code",
    citation="this repository",
)
