"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from cmgems import files
from cmgems.errors import CmgemsError, DiskError


def test_writers(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "new" / "a.bin", b"\0\1")
    files.write_text(tmp_path / "a.txt", "é")
    files.write_json(tmp_path / "a.json", {"b": [1]})
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"\0\1"
    assert (tmp_path / "a.txt").read_bytes() == "é".encode()
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": [1]}
    assert not list(tmp_path.rglob(f"{files.PARTIAL_PREFIX}*"))


def fail(*_: object) -> None:
    raise RuntimeError


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.write_text(target, "old")
    with pytest.raises(RuntimeError), files.atomic_path(target) as partial:
        fail(partial.write_text("half"))
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_folders_appear_whole(tmp_path: Path) -> None:
    target = tmp_path / "store"
    with files.atomic_folder(target) as partial:
        (partial / "sub").mkdir()
        (partial / "sub" / "a").write_text("a")
        assert not target.exists()
    assert (target / "sub" / "a").read_text() == "a"
    with pytest.raises(RuntimeError), files.atomic_folder(tmp_path / "other") as partial:
        fail(partial)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_an_existing_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "mine").write_text("mine")
    with pytest.raises(CmgemsError, match="cannot write"), files.atomic_folder(tmp_path / "store") as partial:
        (partial / "new").write_text("new")
    assert (tmp_path / "store" / "mine").read_text() == "mine"


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_folder_is_replaced_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    target, original = tmp_path / "store", getattr(os, call)
    target.mkdir()
    (target / "a").write_text("old")

    def fail_with_the_new_one(*arguments: object) -> None:
        if call == "fsync" or arguments[0] == tmp_path / f"{files.PARTIAL_PREFIX}{os.getpid()}-store":
            raise error
        original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail_with_the_new_one)
        with (
            pytest.raises((DiskError, KeyboardInterrupt)),
            files.atomic_folder(target, replace=True) as partial,
        ):
            (partial / "a").write_text("new")
    assert (target / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    with files.atomic_folder(target, replace=True) as partial:
        (partial / "a").write_text("new")
    assert (target / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize("path", [".", "..", "/"])
def test_a_path_must_have_a_name(path: str) -> None:
    for writer in (files.atomic_path, files.atomic_folder):
        with pytest.raises(CmgemsError, match="does not end in a name"), writer(Path(path)):
            pass


def test_errors_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CmgemsError, match="cannot write"):
        files.write_text(tmp_path / "file" / "a.txt", "a")
    with pytest.raises(DiskError, match="no space left"), files.atomic_path(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_an_existing_output_is_refused_unless_it_may_be_replaced(tmp_path: Path) -> None:
    files.check_new(tmp_path / "new")
    files.check_new(tmp_path, force=True)
    with pytest.raises(CmgemsError, match=r"^output exists in .*; remove it, or write to another path$"):
        files.check_new(tmp_path)
    with pytest.raises(CmgemsError, match=r"; replace it with --force, or write to another path$"):
        files.check_new(tmp_path, force=False)
