"""Every code name in the glossary exists, and every term stands there once."""

import importlib
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "glossary.md").read_text(encoding="utf-8")
NAMES = sorted(set(re.findall(r"`(nasbench_evs[\w.]*)`", TEXT)))
TERMS = re.findall(r"^- \*\*(.+?)\*\*", TEXT, re.MULTILINE)


def find(name):
    """The module, class, function, attribute or field of that dotted name."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            fields = getattr(found, "__dataclass_fields__", {})
            found = fields[part] if part in fields else getattr(found, part)
        return found
    raise AttributeError(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_code_name_exists(name):
    find(name)


def test_names_that_do_not_exist_are_noticed():
    for name in ("nasbench_evs.nowhere", "nasbench_evs.tables.Tables", "nasbench_evs.benchmark.Score.value_of"):
        with pytest.raises(AttributeError):
            find(name)


def test_terms_stand_there_once_and_are_entries():
    assert len(TERMS) == len(set(TERMS)) > 30
    entries = [line for line in TEXT.splitlines() if line.startswith("-")]
    assert len(entries) == len(TERMS)
    for line in entries:
        assert re.match(r"- \*\*[^*]+\*\*( \(`nasbench_evs[\w.]*`\))?: \S", line), line
