"""What is renamed into place lasts."""

import os
import shutil
import stat

import numpy as np
import pytest

from nasbench_evs import files
from nasbench_evs.errors import OutputError
from nasbench_evs.files import remove, replacing, save_array, write_text


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


def folder_of(text, target):
    with replacing(target, force=True, marker="file") as scratch:
        scratch.mkdir()
        (scratch / "file").write_text(text)


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_is_replaced_whether_or_not_the_system_can_exchange_two(swaps, tmp_path, monkeypatch):
    if not swaps:
        monkeypatch.setattr(files, "_swap", lambda one, other: False)
    folder_of("before", tmp_path / "folder")
    folder_of("after", tmp_path / "folder")
    assert (tmp_path / "folder" / "file").read_text() == "after"
    assert os.listdir(tmp_path) == ["folder"]


def test_a_text_is_written_whole(tmp_path):
    write_text(tmp_path / "new" / "file", "größer")
    assert (tmp_path / "new" / "file").read_text(encoding="utf-8") == "größer"
    with pytest.raises(OutputError, match="exists already"):
        write_text(tmp_path / "new" / "file", "x")


@pytest.mark.parametrize(
    "array", [np.arange(7.0), np.array(["a", "bc"]), np.zeros((0, 3), np.int8), np.ones((2, 3), order="F")]
)
def test_an_array_is_read_again(array, tmp_path):
    save_array(tmp_path / "a.npy", array)
    found = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")
def test_an_array_that_the_disk_refuses_is_an_error(tmp_path):
    (tmp_path / "a.npy").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        save_array(tmp_path / "a.npy", np.arange(7.0))


def test_what_is_removed_is_gone(tmp_path):
    folder_of("x", tmp_path / "folder")
    (tmp_path / "file").write_text("x")
    for name in ("folder", "file", "nothing"):
        remove(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_removed_is_one_line(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(5, "Input/output error")

    folder_of("x", tmp_path / "folder")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError, match="cannot remove .*folder: Input/output error"):
        remove(tmp_path / "folder")
    assert (tmp_path / "folder" / "file").read_text() == "x"
    assert os.listdir(tmp_path) == ["folder"]


def test_what_cannot_be_copied_into_it_is_one_line(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "link").symlink_to("nothing")
    no = pytest.raises(OutputError, match=r"cannot write .*folder: \[Errno 2\] No such file")
    with no as raised, replacing(tmp_path / "folder") as scratch:
        shutil.copytree(tmp_path / "source", scratch)
    assert "[(" not in str(raised.value)
