"""Reading raw files as publishers ship them (plain, .gz, .zip, .tar.*), with errors that name file, row and column."""

from __future__ import annotations

import contextlib
import csv
import io
import tarfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.datasets.unpacking import damage, unpacked, unzip, without_nuls
from nasbench_evs.errors import DatasetError, one_line
from nasbench_evs.reader import MOST_EXPANSION

if TYPE_CHECKING:
    import pandas as pd

_MOST_COLUMNS, _MOST_LETTERS, _MOST_ROWS = 10_000, 10_000, 10_000_000  # of a table, a cell, and of a small Parquet file
_ZONE = r"\d(?:Z|[+-]\d\d:?\d\d)$"
_LARGEST = 1e30  # beyond it, float32 has no room for what is computed from a number
_SUFFIXES = ("", ".gz", ".zip", ".bz2", ".xz")


def find(folder: Path, *names: str) -> Path:
    """The first of these files that exists in `folder`, plain or compressed; `folder` may be the file itself."""
    if not folder.exists():
        raise DatasetError(f"{folder} does not exist: expected a folder with {' or '.join(names)}")
    wanted = [name + suffix for name in names for suffix in _SUFFIXES]
    if folder.is_file():
        return folder
    for name in wanted:
        if (folder / name).is_file():
            return folder / name
    raise DatasetError(f"{folder} holds no {' or '.join(names)} (plain, .gz, .zip, .bz2 or .xz)")


def read_csv(
    path: Path, columns: Sequence[str] | None, *, content: bytes | None = None, **options: Any
) -> pd.DataFrame:
    """These columns of a CSV file (all, if None), as text unless `dtype` says otherwise.

    `content` is read in place of the file if it is given (a member of an archive, say).
    DatasetError names the columns that are missing and those that are there.
    """
    import pandas as pd

    options = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig", **options}

    @contextlib.contextmanager
    def source() -> Iterator[IO[bytes]]:
        with open_binary(path) if content is None else contextlib.nullcontext(io.BytesIO(content)) as stream:
            yield without_nuls(stream, path)

    with damage(path):
        try:
            with source() as stream:
                lines = csv.reader(io.TextIOWrapper(stream, options["encoding"], newline=""))
                names = [name for name in next(filter(None, lines), []) if name]
            if len(names) > _MOST_COLUMNS:
                raise DatasetError(f"{path} has {len(names):,} columns: expected at most {_MOST_COLUMNS:,}")
            require(names, path, columns or ())
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
                # All columns, because with a selection pandas accepts rows that have too many fields.
                with source() as stream:
                    frame = pd.read_csv(stream, index_col=False, **options)
            return frame if columns is None else frame[list(columns)]
        except UnicodeDecodeError:
            raise
        except (
            csv.Error,
            pd.errors.ParserError,
            pd.errors.ParserWarning,
            pd.errors.EmptyDataError,
            ValueError,
        ) as error:
            reason = one_line(error)[:200]
            raise DatasetError(f"{path} is no table of comma-separated values: {reason}") from None


def require(names: Sequence[str], path: Path, columns: Sequence[str]) -> None:
    """DatasetError unless every one of `columns` is among the file's column names, and none occurs twice."""
    for name in columns:
        if name not in names:
            raise DatasetError(f"{path} has no column {name!r}; its columns are {', '.join(names[:30])[:500]}")
    for name, count in Counter(names).items():
        if count > 1:
            raise DatasetError(f"{path} has the column {name[:60]!r} twice: rename one of them")


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """These columns of a Parquet file (all, if None)."""
    import pandas as pd

    with damage(path):
        try:
            from pyarrow import parquet

            found = parquet.read_metadata(path)
            names = list(map(str, found.schema.to_arrow_schema().names))
            require(names, path, columns or ())
            most = MOST_EXPANSION * path.stat().st_size + _MOST_ROWS
            if found.num_rows * max(found.num_columns, 1) > most or len(names) > _MOST_COLUMNS:
                raise DatasetError(
                    f"{path} claims {found.num_rows:,} rows of {found.num_columns:,} columns: that is more than a file of "
                    f"its size is made of"
                )
            return pd.read_parquet(path, columns=None if columns is None else list(columns))
        except ImportError:
            raise DatasetError(f"reading {path} needs pyarrow: pip install 'nasbench-evs[parquet]'") from None
        except (
            ValueError,
            NotImplementedError,
            KeyError,
            TypeError,
            OverflowError,
            MemoryError,
        ) as error:  # pyarrow's too
            raise DatasetError(f"{path} is no Parquet file: {one_line(error)[:200]}") from None


def tar_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every file in a tar archive, whatever its compression, without extracting it."""
    with damage(path), unpacked(path) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isfile() else None
                    if file is not None:
                        content = file.read()
                        if len(content) < member.size:
                            raise EOFError(f"{member.name[:100]} is cut short")
                        yield member.name, content
        except (
            ValueError,
            OverflowError,
            RecursionError,
            MemoryError,
        ) as error:  # tarfile's parsers, on claims that are none
            raise DatasetError(f"{path} is damaged ({one_line(error)[:200]}): fetch it again") from None


@contextmanager
def open_binary(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a plain or compressed file."""
    with damage(path):
        if path.suffix.lower() == ".zip":
            yield io.BytesIO(unzip(path, ""))
        else:
            with unpacked(path) as stream:
                yield stream


def numbers(values: pd.Series, path: Path, *, missing: bool = False) -> np.ndarray:
    """A column of text as float64; with `missing`, empty text is NaN. DatasetError names row and column."""
    import pandas as pd

    if getattr(values.dtype, "kind", "O") in "iuf":
        parsed = values.to_numpy(np.float64, na_value=np.nan)
        wrong = np.isinf(parsed) | (np.isnan(parsed) & (not missing)) | (np.abs(parsed) > _LARGEST)
    else:
        written = pd.Series(text(values), dtype=object).str.strip()
        empty = written.str.lower().isin(["", "nan", "na", "null", "none"]).to_numpy()
        parsed = pd.to_numeric(written.where(~empty, "nan"), errors="coerce").to_numpy(np.float64)
        wrong = (~np.isfinite(parsed) & ~(empty & missing)) | (np.abs(parsed) > _LARGEST)
    if wrong.any():
        raise odd(values, wrong, path, "is not a number")
    return parsed


def text(values: pd.Series | pd.Index) -> np.ndarray:
    """A column as text, shape (N,), "" where it is missing. DatasetError names row and column of what is no text for an array."""
    missing = np.asarray(values.isna())
    found = ["" if gone else str(value) for value, gone in zip(values, missing, strict=True)]
    for row, value in enumerate(found):  # an array gives every text the room of the longest, and drops NULs at the end
        if len(value) > _MOST_LETTERS or "\0" in value or not (value.isascii() or _is_utf8(value)):
            raise DatasetError(
                f"row {row + 1:,}, column {values.name}: {value[:60]!r} has {len(value):,} letters, or some that are none: "
                f"expected at most {_MOST_LETTERS:,} that UTF-8 has"
            )
    return np.array(found, dtype=str)


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def labels(values: pd.Series, path: Path, classes: int) -> np.ndarray:
    """A column of labels 0 ... classes - 1 as int64. DatasetError names row and column of another."""
    parsed = numbers(values, path)
    wrong = ~np.isin(parsed, np.arange(classes))
    if wrong.any():
        raise odd(values, wrong, path, f"is not a label, 0 to {classes - 1}")
    return parsed.astype(np.int64)


def times(values: pd.Series, path: Path, form: str) -> pd.Series:
    """A column of text as time stamps in this format ("ISO8601", "mixed", or strptime's). DatasetError names row and column."""
    import pandas as pd

    written = pd.Series(text(values), index=values.index, name=values.name, dtype=object)
    zoned = written.str.contains(_ZONE, regex=True).to_numpy(bool)
    if zoned.any() and not zoned.all():
        raise odd(values, ~zoned, path, "is not a time with a UTC offset, which others have")
    parsed = pd.to_datetime(written, format=form, errors="coerce", utc=True).dt.tz_localize(None)
    wrong = parsed.isna().to_numpy() | written.str.lower().isin(["now", "today"]).to_numpy()
    if wrong.any():
        raise odd(values, wrong, path, f"is not a time ({form})")
    return parsed


def odd(values: pd.Series, wrong: np.ndarray | pd.Series, path: Path, what: str) -> DatasetError:
    """The error for the first of the `wrong` cells of a column: file, row, column, the cell, `what` about it."""
    row, count = int(np.flatnonzero(wrong)[0]), int(np.sum(wrong))
    return DatasetError(
        f"{path}, row {row + 1:,}, column {values.name}: {str(values.iloc[row])[:60]!r} {what}"
        + (f"; {count:,} rows are affected" if count > 1 else "")
    )


def days(stamps: pd.Series, origin: Any) -> np.ndarray:
    """Days, float64, from `origin` to each time stamp."""
    return (stamps - origin).dt.total_seconds().to_numpy(np.float64) / 86400
