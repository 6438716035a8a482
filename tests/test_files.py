"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
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


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    files.write_text(tmp_path / "o", os.fsdecode(b"caf\xe9.tsv:3"))
    assert (tmp_path / "o").read_text(encoding="utf-8") == r"caf\udce9.tsv:3"


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


def test_a_folder_in_the_way_is_found_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(CmgemsError, match=r"cannot write in .*: Is a directory"), files.atomic_path(tmp_path):
        pytest.fail("the work was begun")


def test_errors_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CmgemsError, match="cannot write"):
        files.write_text(tmp_path / "file" / "a.txt", "a")
    with pytest.raises(DiskError, match="no space left"), files.atomic_path(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    disk, here = tmp_path / "disk", tmp_path / "here"
    disk.mkdir()
    here.mkdir()
    (here / "file").symlink_to("../disk/file")
    (here / "again").symlink_to(here / "file")
    (here / "folder").symlink_to(disk / "folder")
    for text in ("dangling", "there"):
        files.write_text(here / "again", text)
        assert (disk / "file").read_text() == text
        with files.atomic_folder(here / "folder", replace=text == "there") as partial:
            (partial / "a").write_text(text)
        assert (disk / "folder" / "a").read_text() == text
    assert all(path.is_symlink() for path in here.iterdir())
    assert sorted(path.name for path in disk.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("writer", [files.atomic_path, files.atomic_folder])
@pytest.mark.parametrize("target", ["link", "not_mounted/a"])
def test_a_link_that_leads_nowhere_stays(tmp_path: Path, writer: Callable[..., Any], target: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(CmgemsError, match=r"cannot write in .*link"), writer(tmp_path / "link") as partial:
        partial.write_text("a")
    assert [path.name for path in tmp_path.iterdir()] == ["link"]
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_stays_and_its_reader_gets_the_whole_file(tmp_path: Path, linked: bool) -> None:
    fifo = out = tmp_path / "fifo"
    os.mkfifo(fifo)
    if linked:
        out = tmp_path / "link"
        out.symlink_to(fifo)
    files.check_new(out, force=False, file=True)
    with ThreadPoolExecutor() as pool:
        got = pool.submit(fifo.read_bytes)
        with files.atomic_path(out) as partial:
            np.save(partial.open("wb"), np.arange(3))  # goes back in its file
        assert np.load(io.BytesIO(got.result(10))).tolist() == [0, 1, 2]
    assert fifo.is_fifo()
    assert sorted(tmp_path.iterdir()) == sorted({fifo, out})


def test_a_failure_writes_nothing_into_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(RuntimeError), files.atomic_path(tmp_path / "fifo") as partial:
        fail(partial.write_text("half"))
    assert os.read(reader, 10) == b""
    os.close(reader)


def test_a_device() -> None:
    files.write_text(Path("/dev/null"), "a")
    assert Path("/dev/null").is_char_device()
    if Path("/dev/full").exists():
        with pytest.raises(DiskError, match="no space left in /dev/full"):
            files.write_text(Path("/dev/full"), "a")


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
@pytest.mark.parametrize("mode", ["wb", "ab"])
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_an_open_file_goes_on_where_it_stands(tmp_path: Path, name: str, mode: str) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    (tmp_path / "log").write_text("old\n")
    code = "import sys; from pathlib import Path; from cmgems import files; out = Path(sys.argv[1]); print('before');"
    code += "files.write_text(out, 'result\\n'); assert files.is_stdout(out); print('after')"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with open(tmp_path / "log", mode) as log:
        command = [sys.executable, "-c", code, name]
        assert subprocess.run(command, stdout=log, cwd=tmp_path, env=environment).returncode == 0
    assert (tmp_path / "log").read_text() == ("old\n" if mode == "ab" else "") + "before\nresult\nafter\n"


def test_a_folder_does_not_take_the_place_of_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(CmgemsError, match="output exists"):
        files.check_new(tmp_path / "fifo")
    with pytest.raises(CmgemsError, match="Not a directory"), files.atomic_folder(tmp_path / "fifo"):
        pytest.fail("the work began")
    assert (tmp_path / "fifo").is_fifo()


@pytest.mark.parametrize(
    "code", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF, errno.EIO, errno.EACCES]
)
@pytest.mark.parametrize("what", ["file", "folder"])
def test_disks_that_cannot_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, what: str
) -> None:
    """A folder need not be; a file that the disk could not take is an error."""
    fsync = os.fsync

    def refuse(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode) == (what == "folder"):
            raise OSError(code, os.strerror(code))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    failed = what == "file" and code in (errno.EBADF, errno.EIO, errno.EACCES)
    for writer in (files.atomic_path, files.atomic_folder):
        target = tmp_path / writer.__name__
        with (
            pytest.raises(CmgemsError, match="cannot write") if failed else nullcontext(),
            writer(target) as partial,
        ):
            (partial / "a" if partial.is_dir() else partial).write_text("a")
        assert target.exists() != failed


def test_an_existing_output_is_refused_unless_it_may_be_replaced(tmp_path: Path) -> None:
    files.check_new(tmp_path / "new")
    files.check_new(tmp_path, force=True)
    with pytest.raises(CmgemsError, match=r"^output exists in .*; remove it, or write to another path$"):
        files.check_new(tmp_path)
    with pytest.raises(CmgemsError, match=r"; replace it with --force, or write to another path$"):
        files.check_new(tmp_path, force=False)
