"""Where tables lie: the one place that knows a checkout from an installed wheel, other packages and the user's own folder.

In a checkout, `datasets/`, `surrogate/`, `generators/` and `analysis/` stand beside the package; a wheel carries the same
folders inside it. Tables of your own lie in `own_tables()`, `DATASET/SPACE.h5` each, where `nasbench-evs table install` puts
them. Another package ships some by an entry point of the group "nasbench_evs.benchmarks" whose value is one of its packages:
in the folder of that package lie `DATASET/SPACE.h5`. Both have their surrogate beside them, `SPACE.surrogate`.
"""

import os
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent
HOME_VARIABLE = "NASBENCH_EVS_HOME"
ENTRY_POINTS = "nasbench_evs.benchmarks"
SHIPPED, OWN = "shipped", "own"


class KnownTable(NamedTuple):
    """A table with a name. `origin` is "shipped", "own" or the name of the package that brings it."""

    dataset: str
    space: str
    path: Path
    origin: str


def home() -> Path:
    """The folder of everything that can be made again: $NASBENCH_EVS_HOME, by default the platform's cache directory."""
    if configured := os.environ.get(HOME_VARIABLE):
        return Path(configured)
    from platformdirs import user_cache_path

    return user_cache_path("nasbench-evs")


def own_tables() -> Path:
    """The folder of the user's own tables: in $NASBENCH_EVS_HOME, by default in the platform's data directory.

    They are no cache: nobody but their owner can record them again.
    """
    if configured := os.environ.get(HOME_VARIABLE):
        return Path(configured) / "tables"
    from platformdirs import user_data_path

    return user_data_path("nasbench-evs") / "tables"


def shipped(folder: str) -> Path:
    """The folder of shipped content of that name ("datasets", "surrogate", "generators" or "analysis"); it need not exist."""
    inside = PACKAGE / "shipped" / folder
    return inside if inside.is_dir() else PACKAGE.parent / folder


def shipped_tables() -> dict[tuple[str, str], Path]:
    """All shipped tables by (dataset, name of the space), for example ("digits", "ffn-3")."""
    return {(each.dataset, each.space): each.path for each in _tables_in(shipped("datasets"), SHIPPED)}


def known_tables() -> list[KnownTable]:
    """All tables that have a name: shipped ones, those of other packages, the user's own, in this order.

    Packages whose folder is not there bring none; `missing_packages` says which.
    """
    found = _tables_in(shipped("datasets"), SHIPPED)
    for origin in _packages():
        for folder in _folders(origin):
            found += _tables_in(folder, origin)
    return found + _tables_in(own_tables(), OWN)


def missing_packages() -> list[str]:
    """What to say of each package that should bring tables and whose folder cannot be found."""
    return [
        f"the tables of {origin} are to be found in {value}, which is no package here: install it again, or uninstall it"
        for origin, value in _packages().items()
        if not _folders(origin)
    ]


def shipped_suites() -> dict[str, Path]:
    """The files of all shipped experiments by name ("suite-1"); the results of one are in the folder beside it."""
    return {path.stem: path for path in sorted(shipped("analysis").glob("*.toml"))}


def surrogate_of(table: Path) -> Path:
    """Where the surrogate fitted from this table is kept: shipped ones in `surrogate/`, others beside the table."""
    table = table.resolve()
    if table.parent.parent == shipped("datasets").resolve():
        return shipped("surrogate") / table.parent.name / table.stem
    return table.with_suffix(".surrogate")


def _tables_in(folder: Path, origin: str) -> list[KnownTable]:
    paths = sorted(folder.glob("[!.]*/[!.]*.h5"))
    return [KnownTable(path.parent.name, path.stem, path, origin) for path in paths]


@cache
def _packages() -> dict[str, str]:
    """What other packages bring: the name of each entry point, and the package in whose folder its tables lie."""
    return {each.name: each.value for each in entry_points(group=ENTRY_POINTS)}


def _folders(origin: str) -> list[Path]:
    try:
        found = find_spec(_packages()[origin])
    except Exception:  # whatever the packages around it do when they are imported
        found = None
    return [Path(folder) for folder in (found and found.submodule_search_locations) or ()]
