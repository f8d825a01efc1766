"""Installing a table of one's own: from then on it is found by name, as the shipped ones are."""

from __future__ import annotations

import re
import shutil
from contextlib import ExitStack
from pathlib import Path

from nasbench_evs import locations
from nasbench_evs.benchmark.load import find_table
from nasbench_evs.errors import InvalidQuery, NasbenchError, OutputError, shown
from nasbench_evs.files import remove, replacing
from nasbench_evs.surrogate.sidecar import SIDECAR
from nasbench_evs.tables import read, verify

_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"


def install(table: str | Path, name: str | None = None, *, force: bool = False) -> locations.KnownTable:
    """Copy a table, and the surrogate beside it if there is one, to where `load` finds it by `name` (its dataset's, left out).

    The file is verified (see `tables.verify`) and the surrogate checked to be this table's before anything is written.
    `force` replaces a table of yours of that name. InvalidQuery for a name that is none, or that a shipped table or one of
    another package has; OutputError if yours exists; TableFormatError, SurrogateError for damaged files.
    """
    path = Path(table)
    if path.suffix not in (".h5", ".hdf5"):
        raise InvalidQuery(f"{path} is no table: expected the path of a file *.h5, such as run/table.h5")
    path = find_table(path)
    opened = read(path)
    name = opened.header.dataset if name is None else name
    for what, value in (("name", name), ("space", opened.header.space.label)):
        if not re.fullmatch(_NAME, value):
            raise InvalidQuery(
                f"{path}: {what} {shown(value)}: expected letters, digits, hyphens and underscores (--name)"
            )
    place = locations.KnownTable(
        name, opened.header.space.label, _place(name, opened.header.space.label), locations.OWN
    )
    for other in locations.known_tables():
        if (other.dataset, other.space) == (place.dataset, place.space) and other.origin != locations.OWN:
            raise InvalidQuery(
                f"{place.dataset} {place.space} is the name of a table that is {other.origin} ({other.path}): choose another "
                "(--name)"
            )
    if place.path.exists() and not force:
        raise OutputError(
            f"{place.path} exists already: choose another --name, or replace it with --force (force=True)"
        )
    try:
        verify(opened)
    except NasbenchError as error:
        raise type(error)(f"{path}: {error}") from None
    fitted, target = locations.surrogate_of(path), locations.surrogate_of(place.path)
    if fitted.is_dir():
        from nasbench_evs.surrogate import Surrogate

        Surrogate.load(fitted).check_belongs_to(opened.reference_sha256, path)
    alone = not place.path.exists()  # a surrogate that is there is left from an installation that was killed
    with ExitStack() as pending:  # both are complete before the first one, the surrogate, is renamed
        shutil.copyfile(path, pending.enter_context(replacing(place.path, force=force)))
        if fitted.is_dir():
            copy = pending.enter_context(replacing(target, force=force or alone, marker=SIDECAR))
            shutil.copytree(fitted, copy)
    if not fitted.is_dir():  # of a table that stood here before
        remove(target)
    return place


def _place(name: str, space: str) -> Path:
    return locations.own_tables() / name / f"{space}.h5"
