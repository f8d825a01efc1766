"""Where shipped content lies: the one place that knows a checkout from an installed wheel.

In a checkout, `datasets/`, `surrogate/`, `generators/` and `analysis/` stand beside the package; a wheel carries the
same folders inside it.
"""

from pathlib import Path

PACKAGE = Path(__file__).parent


def shipped(folder: str) -> Path:
    """The folder of shipped content of that name ("datasets", "surrogate", "generators" or "analysis"); it need not exist."""
    inside = PACKAGE / "shipped" / folder
    return inside if inside.is_dir() else PACKAGE.parent / folder


def shipped_tables() -> dict[tuple[str, str], Path]:
    """All shipped tables by (dataset, name of the space), for example ("digits", "ffn-3")."""
    paths = sorted(shipped("datasets").glob("*/*.h5"))
    return {(path.parent.name, path.stem): path for path in paths}


def shipped_suites() -> dict[str, Path]:
    """The files of all shipped experiments by name ("suite-1"); the results of one are in the folder beside it."""
    return {path.stem: path for path in sorted(shipped("analysis").glob("*.toml"))}


def surrogate_of(table: Path) -> Path:
    """Where the surrogate fitted from this table is kept: shipped ones in `surrogate/`, others beside the table."""
    table = table.resolve()
    if table.parent.parent == shipped("datasets").resolve():
        return shipped("surrogate") / table.parent.name / table.stem
    return table.with_suffix(".surrogate")
