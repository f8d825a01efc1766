"""What a prepared dataset looks like: statistics (paper 000, table 1), histograms of lengths and time gaps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from nasbench_evs.datasets.dataset import Dataset
from nasbench_evs.datasets.split import SPLITS

_BARS = 40
_BINS = 12


def statistics(dataset: Dataset) -> dict[str, Any]:
    """Numbers and texts, in the order in which they are shown. Lengths are those before the cut to max_length."""
    schema, lengths = dataset.schema, np.asarray(dataset.full_lengths)
    shares = np.bincount(dataset.labels, minlength=len(schema.classes)) / len(dataset)
    groups = len(np.unique(dataset.groups))
    return {
        "sequences": len(dataset),
        "owners": groups,
        "events": int(lengths.sum()),
        "events per sequence, mean": round(float(lengths.mean()), 2),
        "events per sequence, std": round(float(lengths.std()), 2),
        "events per sequence, median": round(float(np.median(lengths)), 1),
        "events per sequence, 95 %": round(float(np.quantile(lengths, 0.95)), 1),
        "events per sequence, largest": int(lengths.max()),
        "events kept": f"{len(dataset.time):,} (at most {schema.max_length} per sequence, the last ones)",
        "classes": ", ".join(f"{name} {share:.1%}" for name, share in zip(schema.classes, shares, strict=True)),
        "score": schema.metric.name,
        "split": ", ".join(f"{name} {int((dataset.split == i).sum()):,}" for i, name in enumerate(SPLITS)),
        "categorical fields": _listed(f"{field.name} ({field.cardinality})" for field in schema.categorical),
        "real-valued fields": _listed(field.name for field in schema.numerical),
        "profile fields": _listed(schema.profile),
        "scenarios": len(dataset.scenario_names) if len(dataset.scenario_names) > 1 else "none",
        "time": f"in {schema.time_unit}, {dataset.time.min():.4g} to {dataset.time.max():.4g}",
        "synthetic": "yes" if schema.synthetic else "no",
        "fingerprint": dataset.fingerprint,
    }


def gaps(dataset: Dataset) -> np.ndarray:
    """Times between neighbouring events of a sequence, in the dataset's time unit: shape (events - sequences,)."""
    inner = np.ones(len(dataset.time), bool)
    inner[dataset.offsets[:-1]] = False
    return np.diff(dataset.time, prepend=0.0)[inner]


def histogram(values: np.ndarray, unit: str) -> list[str]:
    """A histogram as text, on bins that grow by a constant factor: one line per bin.

    Few distinct whole numbers get a bin each; zeros are counted apart.
    """
    values = np.asarray(values, np.float64)
    distinct = np.unique(values)
    if len(distinct) <= _BINS and (distinct == np.round(distinct)).all():
        rows = [(f"{value:.0f}", int((values == value).sum())) for value in distinct]
    else:
        positive = values[values > 0]
        low, high = max(np.quantile(positive, 0.001), 1e-12), positive.max()
        edges = np.geomspace(low, high, _BINS + 1) if high > low * 1.05 else np.array([low * 0.99, high * 1.01])
        counts, _ = np.histogram(np.clip(positive, edges[0], edges[-1]), edges)
        rows = [("0", int((values == 0).sum()))] if (values == 0).any() else []
        rows += [(f"{a:.3g} - {b:.3g}", int(n)) for (a, b), n in zip(pairwise(edges), counts, strict=True)]
    largest = max((count for _, count in rows), default=1)
    lines = []
    for label, count in rows:
        bar = "#" * max(int(count > 0), round(_BARS * count / largest))
        lines.append(f"{label:>19} {unit:<6} {count:>9,} {bar}".rstrip())
    return lines


def _listed(names: Any) -> str:
    names = list(names)
    return f"{len(names)}: {', '.join(names)}" if names else "none"
