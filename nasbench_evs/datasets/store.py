"""Where prepared datasets are kept: one folder each in the user's cache directory."""

import re
from pathlib import Path

from nasbench_evs.datasets.dataset import MANIFEST, Dataset
from nasbench_evs.datasets.sources import SOURCES
from nasbench_evs.errors import DatasetError, did_you_mean, shown
from nasbench_evs.locations import home


def folder(name: str) -> Path:
    """Where the prepared dataset of that name is, or would be."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", name):
        raise DatasetError(f"{shown(name)} is no name for a dataset: expected letters, digits, hyphens and underscores")
    return home() / "datasets" / name


def open_dataset(name: str) -> Dataset:
    """The prepared dataset of that name; DatasetError says how to get one that is not here."""
    place = folder(name)
    if place.is_dir():
        return Dataset.open(place)
    if name in SOURCES:
        raise DatasetError(
            f"{name} has no prepared data here. {SOURCES[name].get}; then run: nasbench-evs data add {name} --from DIR"
        )
    known = sorted({*SOURCES, *prepared()})
    raise DatasetError(f"no dataset {shown(name)}: expected one of {', '.join(known)}{did_you_mean(name, known)}")


def prepared() -> list[str]:
    """Names of the datasets that are prepared, in order."""
    return sorted(manifest.parent.name for manifest in (home() / "datasets").glob(f"[!.]*/{MANIFEST}"))
