"""Reading a file that may be anything: only ordinary files, only so large, and one line for whatever is wrong.

Every format that this library reads goes through here; what a format means is checked by its own module.
"""

from __future__ import annotations

import io
import json
import lzma
import math
import os
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from nasbench_evs.errors import NasbenchError, one_line

MIB = 1 << 20
# What text is packed to, tables of numbers above all, is a fifth to a fiftieth; more than this is made to unpack.
MOST_EXPANSION = 200

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """One file to be read.

    error   the class of what is raised
    what    what the file is expected to be, such as "a recipe in TOML"
    advice  what to do if it is not, such as "fit the surrogate again"; "" if the message says enough
    limit   bytes that it may have, and that it may unpack to
    """

    path: Path
    error: type[NasbenchError]
    what: str
    advice: str = ""
    limit: int = 64 * MIB

    def refusal(self, problem: str, *, place: str = "") -> NasbenchError:
        """The error that names the file, the place in it, the problem, and what to do next; on one line."""
        advice = f"; {self.advice}" if self.advice else ""
        return self.error(f"{self.path}{f', {place}' if place else ''}: {' '.join(problem.split())[:300]}{advice}")

    def content(self) -> bytes:
        """All its bytes."""
        size = check_ordinary(self.path, self.error, self.what)
        if size > self.limit:
            raise self.refusal(f"it has {size:,} bytes, {self.what} has at most {self.limit:,}")
        try:
            with self.path.open("rb") as file:
                return file.read(size)  # not the limit: as much as is asked for would be allocated
        except OSError as error:
            raise self.error(f"cannot read {self.path}: {error.strerror or error}") from None

    def text(self) -> str:
        """Its text, which is UTF-8 (with or without a mark at the beginning)."""
        try:
            return self.content().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.refusal(f"it is no UTF-8 text (byte {error.start}), expected {self.what}") from None

    def unpacked(self) -> bytes:
        """What is packed in it with xz, all of it."""
        packed = self.content()
        limit = min(self.limit, MOST_EXPANSION * len(packed) + MIB)
        try:
            unpacker = lzma.LZMADecompressor(memlimit=256 * MIB)
            content = unpacker.decompress(packed, limit + 1)
            if len(content) > limit:
                raise self.refusal(f"it unpacks to more than {limit:,} bytes, expected {self.what}")
            if not unpacker.eof or unpacker.unused_data:
                raise EOFError("it is cut short" if not unpacker.eof else "something follows it")
        except (lzma.LZMAError, EOFError, MemoryError) as error:
            raise self.refusal(f"it is damaged ({one_line(error)}), expected {self.what}") from None
        return content

    def json(self, kind: type[T], content: bytes | str | None = None, *, nan: bool = False) -> T:
        """Its JSON as a value of this type; `content` is taken for the file's if it is given.

        The type is what msgspec understands: builtins, dataclasses, Annotated with bounds. `nan`: NaN is a number too.
        """
        import msgspec

        try:
            if nan:
                value = json.loads(self.content() if content is None else content)
                json.dumps(value, ensure_ascii=False).encode()  # half a character, which could not be written again
                return msgspec.convert(value, kind)
            return msgspec.json.decode(self.content() if content is None else content, type=kind)
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:  # a ValidationError is one
            raise self.refusal(f"{one_line(error)}, expected {self.what}") from None

    def array(self, content: bytes | None = None) -> np.ndarray:
        """Its array, of an .npy file: what the header claims is compared with what there is before anything is made of it."""
        content = self.content() if content is None else content
        dtype, shape, start = array_header(io.BytesIO(content), len(content), self)
        return np.frombuffer(content, dtype, offset=start).reshape(shape)

    def toml(self, text: str | None = None) -> dict[str, Any]:
        """Its TOML; `text` is taken for the file's if it is given."""
        try:
            return tomllib.loads(self.text() if text is None else text)
        except (ValueError, RecursionError) as error:  # tomllib's own error, and what its parser trips over
            raise self.refusal(f"it is no TOML: {one_line(error)[:200]}") from None


def check_ordinary(path: Path, error: type[NasbenchError], what: str) -> int:
    """Its size in bytes; an error if there is no such file, or if it is a folder, pipe or device, which may never end."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as failure:  # ValueError: a name with a NUL
        raise error(f"cannot open {path}: {getattr(failure, 'strerror', None) or failure}; expected {what}") from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise error(f"cannot open {path}: it is {kind}, expected a file, {what}")
    return status.st_size


def array_header(file: BinaryIO, size: int, source: Source) -> tuple[np.dtype, tuple[int, ...], int]:
    """dtype, shape and where the numbers begin in an open .npy file of so many bytes; `source.refusal` of anything else."""
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = read(file)
        if dtype.hasobject or fortran or any(length < 0 for length in shape):
            raise ValueError(f"it has {dtype} in the shape {shape}, expected plain numbers in C order")
    except (ValueError, KeyError, TypeError, EOFError, OverflowError, MemoryError, RecursionError) as error:
        raise source.refusal(f"it is no array ({one_line(error)[:100]}), expected {source.what}") from None
    start = file.tell()
    if math.prod(shape) * dtype.itemsize != size - start:
        raise source.refusal(f"it has {size - start:,} bytes of numbers, expected {dtype} in the shape {shape}")
    return dtype, shape, start
