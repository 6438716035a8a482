"""Write files so that no final name ever holds a half-written file, and tell what is there from what cannot be read.

Write beside, fsync, rename: a reader sees the whole old file or the whole new one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cmgems.errors import CmgemsError, DataError, disk_error, unreadable

PARTIAL_PREFIX = ".partial-"


def check_new(path: Path, *, force: bool | None = None, file: bool = False) -> None:
    """Refuse an output path that exists.

    Args:
        path: File or folder to be made.
        force: Whether the user allows to replace it; None if the caller never replaces anything.
        file: Whether it is a file, which may go into a pipe or device: that stays.

    Raises:
        CmgemsError: if something is there and ``force`` is not True.
    """
    if force or not path.exists() or (file and _is_stream(path)):
        return
    fix = "remove it, or write to another path"
    if force is not None:
        fix = "replace it with --force, or write to another path"
    raise CmgemsError("output exists", where=path, fix=fix)


def check_file(path: Path) -> None:
    """Refuse, before the work, an output path that is or can be no file.

    Raises:
        CmgemsError: if it is a folder, or does not end in a name.
    """
    if path.is_dir():
        raise CmgemsError("not a file", where=path, why="it is a folder", fix="name a file")
    _beside(path)


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
    """The sha256 of a file, in hexadecimal.

    Raises:
        OSError: if it cannot be read.
    """
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is fsynced and renamed to ``path``, which is no folder.

    A link stays, and what it leads to is replaced. Into a pipe, a device or /dev/stdout the whole file is copied.

    Raises:
        CmgemsError: if the file cannot be written (exit 2), or the disk is full (exit 1).
    """
    if _is_stream(path):
        with _spooled(path) as partial:
            yield partial
        return
    target = _followed(path)
    partial = _beside(target)
    try:
        if target.is_dir():  # before the work, not after it
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target is path:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _fsync(partial)
        os.replace(partial, target)
        _fsync_folder(target.parent)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        with suppress(OSError):  # do not hide an error from above
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it is fsynced and renamed to ``path``.

    A link stays, and the folder that it leads to is made or replaced.

    Args:
        path: The folder to make; it must not exist yet.
        replace: It exists, and stays until the new one takes its place.

    Raises:
        CmgemsError: as for ``atomic_path``.
    """
    target = _followed(path)
    partial, replaced = _beside(target), _beside(target, "replaced-")
    try:
        if target.exists() and not target.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=target is path)
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                _fsync(file)
        _fsync_folder(partial)
        try:
            if replace:
                os.replace(target, replaced)
            os.replace(partial, target)
        finally:
            if replace and not target.exists():  # the second rename failed
                os.replace(replaced, target)
        _fsync_folder(target.parent)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if replace and target.exists():
            shutil.rmtree(replaced, ignore_errors=True)


def _beside(path: Path, prefix: str = "") -> Path:
    if path.name in ("", ".."):
        raise CmgemsError(
            "cannot write",
            where=path,
            why="the path does not end in a name",
            fix="give a file or folder by its name",
        )
    if path.name == "-":
        raise CmgemsError("cannot write", where=path, why="it is no name", fix="give one, or /dev/stdout")
    return path.with_name(f"{PARTIAL_PREFIX}{os.getpid()}-{prefix}{path.name}")


def _followed(path: Path) -> Path:
    """What a link leads to, which need not exist; ``path`` itself if it is none."""
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise disk_error(OSError(errno.ELOOP, os.strerror(errno.ELOOP)), path)
    return target


def _fsync(file: Path) -> None:
    """Make what is in ``file`` survive a power cut, on disks that can."""
    with open(file, "rb") as handle:
        try:
            os.fsync(handle.fileno())
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise


def _fsync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` survive a power cut, on disks that can; what is in it has its name anyway."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _is_stream(path: Path) -> bool:
    """Whether ``path`` is a pipe, a device, or an open file of this process such as /dev/stdout."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or _open_file(path) is not None


def is_stdout(path: Path) -> bool:
    """Whether ``path`` is this process's stdout, or what that goes into."""
    try:
        return os.path.samestat(path.stat(), os.fstat(1))
    except OSError:
        return False


def _open_file(path: Path) -> int | None:
    """The descriptor that a path such as /dev/stdout or /dev/fd/63 names; None for any other."""
    while path.is_symlink():
        if path.parent.resolve() == Path(f"/proc/{os.getpid()}/fd"):
            return int(path.name)
        path = path.parent / path.readlink()
    return None


@contextmanager
def _spooled(path: Path) -> Iterator[Path]:
    """Yield a temporary path elsewhere; on success what is there is copied into the stream ``path``."""
    try:
        with tempfile.TemporaryDirectory(prefix="cmgems-") as folder:
            partial = Path(folder, path.name)
            yield partial
            if is_stdout(path):
                print(end="", flush=True)
            fd = _open_file(path)
            # An open file goes on where it stands: opened by its name it would be written from its start.
            with open(partial, "rb") as whole, open(path if fd is None else os.dup(fd), "wb") as stream:
                shutil.copyfileobj(whole, stream)
    except OSError as error:
        raise disk_error(error, path) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all."""
    with atomic_path(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all; bytes of a file's name that are none as ``\\udce9``."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file.

    Raises:
        DataError: if there is none.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError("cannot read the results", where=path, why=str(error)) from error
    if not isinstance(values, dict):
        raise DataError("cannot read the results", where=path, why="the file does not hold a mapping")
    return values


def without_nan(value: Any) -> Any:
    """JSON values with null for every NaN."""
    if isinstance(value, dict):
        return {key: without_nan(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
