"""What a release is made of agrees with itself."""

import re
import tomllib
from pathlib import Path

from nasbench_evs.version import __version__

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION = r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?"


def cited(key):
    return re.search(rf'^{key}: "?(.*?)"?$', CITATION, re.MULTILINE)[1]


def test_version_changelog_and_citation_agree():
    assert re.fullmatch(VERSION, __version__)
    assert cited("version") == __version__
    released = re.findall(rf"^## \[({VERSION})\] - \d{{4}}-\d\d-\d\d$", CHANGELOG, re.MULTILINE)
    coming = re.search(rf"^## \[Unreleased\]\n\nWhat will be .*?({VERSION})\.$", CHANGELOG, re.MULTILINE)
    assert __version__ in released[:1] + ([coming[1]] if coming else [])
    assert released == sorted(released, key=lambda v: [int(n) for n in re.findall(r"\d+", v)], reverse=True)


def test_the_changelog_has_the_form_it_names():
    headings = re.findall(r"^(##+) (.*)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == ("##", "[Unreleased]")
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for level, text in headings:
        assert text in kinds if level == "###" else re.fullmatch(rf"\[(Unreleased|{VERSION})\](?: - \S+)?", text)


def test_the_citation_says_what_the_project_says():
    assert cited("title").startswith(PROJECT["name"])
    assert cited("license") == PROJECT["license"]
    assert re.findall(r"^  - (.*)$", CITATION.split("keywords:")[1].split("references:")[0], re.MULTILINE) == list(
        PROJECT["keywords"]
    )
    assert re.search(r"doi: (\S+)", CITATION)[1] in (ROOT / "README.md").read_text(encoding="utf-8")


def test_bibtex_names_this_version():
    text = (ROOT / "docs" / "citing.md").read_text(encoding="utf-8")
    assert re.search(r"@software\{.*?version = \{(.*?)\}", text, re.DOTALL)[1] == __version__
    assert cited("title") in text
