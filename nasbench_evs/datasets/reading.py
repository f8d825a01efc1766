"""Reading raw files as publishers ship them (plain, .gz, .zip, .tar.*), with errors that name file, row and column."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, gzip.BadGzipFile)
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


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn whatever reading a damaged or unreadable file raises into one line."""
    try:
        yield
    except DAMAGE as error:
        raise DatasetError(
            f"{path} is damaged ({' '.join(str(error).split()) or type(error).__name__}): fetch it again"
        ) from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path} is no text: expected the file as its publisher ships it") from None
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror or error}") from None


def read_csv(path: Path, columns: Sequence[str], *, content: bytes | None = None, **options: Any) -> pd.DataFrame:
    """These columns of a CSV file, as text unless `dtype` says otherwise; `content` is read instead if it is given.

    DatasetError names the columns that are missing and those that are there.
    """
    import pandas as pd

    options = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig", **options}

    def source() -> Any:
        return path if content is None else io.BytesIO(content)

    with damage(path):
        try:
            header = pd.read_csv(source(), nrows=0, encoding=options["encoding"])
            missing = [name for name in columns if name not in header.columns]
            if missing:
                raise DatasetError(
                    f"{path} has no column {missing[0]!r}; its columns are {', '.join(map(str, header.columns[:30]))}"
                )
            # All columns, because with a selection pandas accepts rows that have too many fields.
            return pd.read_csv(source(), **options)[list(columns)]
        except UnicodeDecodeError:
            raise
        except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise DatasetError(f"{path} is no table of comma-separated values: {reason}") from None


def unzip(path: Path, *endings: str) -> bytes:
    """The content of the one member whose name ends so; each further ending looks inside the zip found before."""
    with damage(path):
        content = path.read_bytes()
        for ending in endings:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                names = [name for name in archive.namelist() if name.endswith(ending)]
                if len(names) != 1:
                    raise DatasetError(f"{path} holds {len(names)} files named *{ending}: expected one")
                content = archive.read(names[0])
    return content


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """These columns of a Parquet file."""
    import pandas as pd

    with damage(path):
        try:
            frame = pd.read_parquet(path)
        except ImportError:
            raise DatasetError(f"reading {path} needs pyarrow: pip install 'nasbench-evs[parquet]'") from None
        except ValueError as error:  # pyarrow's ArrowInvalid is one
            raise DatasetError(f"{path} is no Parquet file: {' '.join(str(error).split())}") from None
    missing = [name for name in columns or () if name not in frame.columns]
    if missing:
        raise DatasetError(
            f"{path} has no column {missing[0]!r}; its columns are {', '.join(map(str, frame.columns[:30]))}"
        )
    return frame[list(columns)] if columns is not None else frame


def tar_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every file in a tar archive, whatever its compression, without extracting it."""
    with damage(path), tarfile.open(path, "r|*") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                content = file.read()
                if len(content) < member.size:
                    raise EOFError(f"{member.name} is cut short")
                yield member.name, content


@contextmanager
def open_binary(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a plain or gzipped file."""
    with damage(path), gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        yield stream  # type: ignore[misc]


def numbers(values: pd.Series, path: Path, *, missing: bool = False) -> np.ndarray:
    """A column of text as float64; with `missing`, empty text is NaN. DatasetError names row and column."""
    import pandas as pd

    if values.dtype.kind in "iuf":
        parsed = values.to_numpy(np.float64)
        wrong = np.isinf(parsed) | (np.isnan(parsed) & (not missing))
    else:
        text = values.astype(str).str.strip()
        empty = text.str.lower().isin(["", "nan", "na", "null", "none"]).to_numpy()
        parsed = pd.to_numeric(text.where(~empty, "nan"), errors="coerce").to_numpy(np.float64)
        wrong = ~np.isfinite(parsed) & ~(empty & missing)
    if wrong.any():
        raise _wrong(values, wrong, path, "a number")
    return parsed


def times(values: pd.Series, path: Path, form: str) -> pd.Series:
    """A column of text as time stamps in this format ("ISO8601", "mixed", or strptime's). DatasetError names row and column."""
    import pandas as pd

    parsed = pd.to_datetime(values, format=form, errors="coerce")
    wrong = parsed.isna().to_numpy()
    if wrong.any():
        raise _wrong(values, wrong, path, f"a time ({form})")
    return parsed


def _wrong(values: pd.Series, wrong: np.ndarray, path: Path, expected: str) -> DatasetError:
    row = int(np.flatnonzero(wrong)[0])
    return DatasetError(
        f"{path}, row {row + 1:,}, column {values.name}: {str(values.iloc[row])[:60]!r} is not {expected}"
        + (f"; {int(wrong.sum()):,} rows are affected" if wrong.sum() > 1 else "")
    )


def days(stamps: pd.Series, origin: Any) -> np.ndarray:
    """Days, float64, from `origin` to each time stamp."""
    return (stamps - origin).dt.total_seconds().to_numpy(np.float64) / 86400
