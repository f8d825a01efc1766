"""Packed files as publishers ship them, unpacked in memory up to what an honest one of their size holds."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from nasbench_evs.errors import DatasetError, one_line
from nasbench_evs.reader import MIB, MOST_EXPANSION, check_ordinary

DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, RuntimeError,
)  # fmt: skip
_LEAST = 16 * MIB  # that a file may unpack to, however small it is
_RAW = "the file as its publisher ships it"
_SUFFIXES: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_MAGIC: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn whatever reading a damaged or unreadable file raises into one line; pipes and devices may never end."""
    check_ordinary(path, DatasetError, _RAW)
    try:
        yield
    except DAMAGE as error:
        raise DatasetError(f"{path} is damaged ({one_line(error) or type(error).__name__}): fetch it again") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path} is no text: expected {_RAW}") from None
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror or one_line(error)[:200]}") from None


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if it is packed with gzip, bzip2 or xz; DatasetError where they are far too many."""
    opener = _SUFFIXES.get(path.suffix.lower())
    if opener is None:  # of a tar archive, whatever its name
        with path.open("rb") as file:
            start = file.read(6)
        opener = next((each for magic, each in _MAGIC.items() if start.startswith(magic)), None)
    if opener is None:
        with path.open("rb") as stream:
            yield stream
        return
    with opener(path, "rb") as stream:
        yield io.BufferedReader(_Bounded(stream, path, _most(path.stat().st_size)), 1 << 16)


def unzip(path: Path, *endings: str) -> bytes:
    """The content of the one member whose name ends so; each further ending looks inside the zip found before."""
    with damage(path):
        content = path.read_bytes()
        most = _most(len(content))
        for ending in endings:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                found = [member for member in archive.infolist() if member.filename.endswith(ending)]
                if len(found) != 1:
                    raise DatasetError(f"{path} holds {len(found)} files named *{ending}: expected one")
                if found[0].file_size > most:  # it says so itself, and it is read no further than it says
                    raise _too_much(path, most)
                with archive.open(found[0]) as stream:
                    content = stream.read(most)
    return content


class _Bounded(io.RawIOBase):
    """A stream that ends with DatasetError where it has given more than `most` bytes."""

    def __init__(self, stream: IO[bytes], path: Path, most: int) -> None:
        self._stream, self._path, self._most, self._given = stream, path, most, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._stream.read(len(buffer))
        self._given += len(found)
        if self._given > self._most:
            raise _too_much(self._path, self._most)
        buffer[: len(found)] = found
        return len(found)


class _WithoutNuls(io.RawIOBase):
    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path = stream, path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._stream.read(len(buffer))
        if b"\0" in found:
            raise DatasetError(f"{self._path} is no text: expected {_RAW}")
        buffer[: len(found)] = found
        return len(found)


def without_nuls(stream: IO[bytes], path: Path) -> IO[bytes]:
    """The stream, in which a NUL is DatasetError: parsers of text end cells at it."""
    return io.BufferedReader(_WithoutNuls(stream, path), 1 << 16)


def _most(size: int) -> int:
    return MOST_EXPANSION * size + _LEAST


def _too_much(path: Path, most: int) -> DatasetError:
    return DatasetError(f"{path} unpacks to more than {most:,} bytes: no file of its size does; fetch it again")
