"""Write files so that no final name ever holds a half-written file, and tell what is there from what cannot be read.

Write beside, fsync, rename: a reader sees the whole old file or the whole new one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cmgems.errors import CmgemsError, disk_error, unreadable

PARTIAL_PREFIX = ".partial-"


def check_new(path: Path, *, force: bool | None = None) -> None:
    """Refuse an output path that exists.

    Args:
        path: File or folder to be made.
        force: Whether the user allows to replace it; None if the caller never replaces anything.

    Raises:
        CmgemsError: if something is there and ``force`` is not True.
    """
    if force or not path.exists():
        return
    fix = "remove it, or write to another path"
    if force is not None:
        fix = "replace it with --force, or write to another path"
    raise CmgemsError("output exists", where=path, fix=fix)


def is_there(path: Path) -> bool:
    """Whether there is a file or folder of this name.

    ``Path.exists`` says no to a link whose disk is not mounted as well, and a run would begin anew over its results.

    Raises:
        CheckpointError: if nobody can tell, as on a disk that is not mounted or that fails.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        for place in (path, *path.parents):
            if place.is_symlink() and not place.exists():
                raise unreadable(OSError(errno.ENOENT, "a link to what is not there"), place) from None
        return False
    except OSError as error:
        raise unreadable(error, path) from error
    return True


def sha256_of(path: Path) -> str:
    """The sha256 of a file, or of the names and files of a folder, in hexadecimal.

    Raises:
        OSError: if it cannot be read.
    """
    if not path.is_dir():
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    files = sorted(file for file in path.rglob("*") if not file.is_dir())
    lines = (f"{sha256_of(file)} {file.relative_to(path)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fsync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _beside(path: Path, prefix: str = "") -> Path:
    if path.name in ("", ".."):
        raise CmgemsError(
            "cannot write",
            where=path,
            why="the path does not end in a name",
            fix="give a file or folder by its name",
        )
    return path.with_name(f"{PARTIAL_PREFIX}{os.getpid()}-{prefix}{path.name}")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is fsynced and renamed to ``path``.

    Raises:
        CmgemsError: if the file cannot be written (exit 2), or the disk is full (exit 1).
    """
    partial = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with open(partial, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(partial, path)
        fsync_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        with suppress(OSError):  # do not hide an error from above
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it is fsynced and renamed to ``path``.

    Args:
        path: The folder to make; it must not exist yet.
        replace: It exists, and stays until the new one takes its place.

    Raises:
        CmgemsError: as for ``atomic_path``.
    """
    partial, replaced = _beside(path), _beside(path, "replaced-")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                with open(file, "rb") as handle:
                    os.fsync(handle.fileno())
        fsync_folder(partial)
        try:
            if replace:
                os.replace(path, replaced)
            os.replace(partial, path)
        finally:
            if replace and not path.exists():  # the second rename failed
                os.replace(replaced, path)
        fsync_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if replace and path.exists():
            shutil.rmtree(replaced, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all."""
    with atomic_path(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")
