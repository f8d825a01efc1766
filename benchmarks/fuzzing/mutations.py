"""Changes to bytes, to JSON or TOML and to text cells, by a seeded generator; each says in a word what it did."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

HOSTILE = (
    None, True, False, 0, -1, 1, 5, 2**31, 2**63, 2**64, -(2**70), 10**400, 0.5, -0.0, 1e-320, 1e308, -1e308, float("nan"),
    float("inf"), float("-inf"), "", "x", "0", "nan", "\0", "é" * 100, "x" * 100_000, "../../etc/passwd", "/dev/zero", "\ud800",
    [], {}, [None], [[]], {"": None}, [0] * 1000, [1e308] * 3,
)  # fmt: skip
TEXTS = (
    "", "nan", "inf", "-inf", "-1", "0", "1e400", "1e308", "99999999999999999999999", "0x10", "1_000", " 7 ", "True", "None", "é",
    "\0", '"', ",", "=1+1", "x" * 100_000, "1.5", "-0.0",
)  # fmt: skip


def nested(depth: int = 20_000) -> str:
    """JSON that is nested too deep for whoever recurses."""
    return "[" * depth + "]" * depth


def as_toml(value: Any) -> str:
    """TOML of such values, all tables inline; None, which it has not, is an empty text."""
    if isinstance(value, dict):
        return "\n".join(f"{json.dumps(key)} = {_inline(each)}" for key, each in value.items()) + "\n"
    return f"x = {_inline(value)}\n"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if value is None or isinstance(value, str):
        return json.dumps(value or "")
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)


def damaged(content: bytes, generator: random.Random) -> tuple[bytes, str]:
    """Other bytes than these."""
    how = generator.choice(["flip", "flip", "flip", "cut", "zero", "insert", "repeat", "swap", "empty"])
    at, length = generator.randrange(len(content)), 1 + int(generator.expovariate(1 / 64))
    mutable = bytearray(content)
    if how == "flip":
        for _ in range(generator.choice([1, 1, 2, 8])):
            mutable[generator.randrange(len(mutable))] ^= 1 << generator.randrange(8)
    elif how == "cut":
        del mutable[at:]
    elif how == "zero":
        mutable[at : at + length] = bytes(len(mutable[at : at + length]))
    elif how == "insert":
        mutable[at:at] = generator.randbytes(length)
    elif how == "repeat":
        mutable[at:at] = mutable[at : at + length]
    elif how == "swap":
        other = generator.randrange(len(content))
        mutable[at : at + length], mutable[other : other + length] = (
            content[other : other + length],
            content[at : at + length],
        )
    else:
        mutable = bytearray()
    return bytes(mutable), how


def damage_file(path: Path, generator: random.Random) -> str:
    """Change the bytes of a file, or of one file in a folder; sometimes remove it, or put a folder in its place."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    file = generator.choice(files)
    how = generator.random()
    if how < 0.02:
        file.unlink()
        return f"{file.name} removed"
    if how < 0.04:
        file.unlink()
        file.mkdir()
        return f"{file.name} is a folder"
    content, word = damaged(file.read_bytes(), generator)
    file.write_bytes(content)
    return f"{file.name} {word}"


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += _places(each, (*path, key))
    return found


def forged(value: Any, generator: random.Random) -> tuple[Any, str]:
    """JSON in which one thing, at any depth, is another, is missing, or has another name."""
    value = copy.deepcopy(value)
    places = [place for place in _places(value) if place]
    depth = generator.randint(1, max(map(len, places), default=1))  # what lies deep is most, and alike
    place = generator.choice([each for each in places if len(each) <= depth] or [()])
    if not place:
        return generator.choice(HOSTILE), "all"
    *where, last = place
    parent = value
    for key in where:
        parent = parent[key]
    name = ".".join(map(str, place))
    how = generator.choice(["hostile"] * 5 + ["near"] * 3 + ["remove", "rename", "wrap"])
    if how == "near" and isinstance(parent[last], int | float) and not isinstance(parent[last], bool):
        parent[last] = generator.choice([-parent[last], parent[last] + 1, parent[last] * 1e6, parent[last] / 3])
    elif how == "remove":
        del parent[last]
    elif how == "rename" and isinstance(parent, dict):
        parent[generator.choice(["", "x", last + last])] = parent.pop(last)
    elif how == "wrap":
        parent[last] = [parent[last]]
    else:
        parent[last] = generator.choice(HOSTILE)
    return value, f"{name} {how}"


def hostile_number(dtype: np.dtype, generator: random.Random) -> Any:
    """A value of that type, or a text where it is one of bytes, that few columns may have."""
    if dtype.kind == "f":
        return generator.choice([np.nan, np.inf, -np.inf, -1.0, 0.0, 1.0, 1e30, 0.5, 1.0000001])
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        return generator.choice([ends.min, ends.max, 0, 1, 2, 3, ends.max // 2])
    return generator.choice([b"", b"\xff\xfe", b"ok", b"failed", b"diverged", b"1 2", b"-1", b"{", b"\xc3"])
