"""What is renamed into place lasts."""

import os
import stat

import pytest

from nasbench_evs.errors import OutputError
from nasbench_evs.files import replacing


@pytest.fixture
def calls(monkeypatch):
    """Names of what was flushed and renamed, in order."""
    seen = []
    opened = {}
    fsync, replace, open_ = os.fsync, os.replace, os.open

    def opening(path, *rest, **options):
        descriptor = open_(path, *rest, **options)
        opened[descriptor] = os.path.basename(path)
        return descriptor

    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(opened[descriptor]) or fsync(descriptor))
    monkeypatch.setattr(os, "replace", lambda a, b: seen.append("renamed") or replace(a, b))
    return seen


def test_a_file_is_flushed_before_its_renaming_and_the_folders_that_name_it_after(tmp_path, calls):
    target = tmp_path / "new" / "folder" / "file"
    with replacing(target) as scratch:
        scratch.write_text("x")
    assert calls[:2] == ["file", "renamed"]
    assert sorted(calls[2:]) == sorted(["folder", "new", tmp_path.name])
    assert target.read_text() == "x"


def test_a_folder_is_flushed_with_its_files(tmp_path, calls):
    with replacing(tmp_path / "folder", marker="file") as scratch:
        scratch.mkdir()
        (scratch / "file").write_text("x")
    assert calls == ["file", "folder", "renamed", tmp_path.name]


def test_a_file_system_that_cannot_flush_folders_is_no_error(tmp_path, monkeypatch):
    fsync = os.fsync

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    with replacing(tmp_path / "file") as scratch:
        scratch.write_text("x")
    assert (tmp_path / "file").read_text() == "x"


def test_a_file_that_cannot_be_flushed_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("before")

    def refuse(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError, match="Input/output error"), replacing(tmp_path / "file", force=True) as scratch:
        scratch.write_text("after")
    assert (tmp_path / "file").read_text() == "before"
