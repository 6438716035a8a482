"""A process and the system around it: its streams, the signals that end it, the cores it may use."""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn, TextIO

from cmgems.errors import disk_error

# What batch systems and terminals send before they kill a process.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)


class _Outlet(io.FileIO):
    """stdout or stderr. Once its reader has gone, or the first error was raised, what is written goes nowhere.

    Args:
        fd: The file descriptor; it stays open.
        results: Whether results are written there, so that any other error than a lost reader counts, a full disk say.
    """

    def __init__(self, fd: int, *, results: bool) -> None:
        super().__init__(fd, "wb", closefd=False)
        self._results, self._lost = results, False
        # EIO is a closed terminal; on a disk it is a fault.
        self._reader_gone = {errno.EPIPE, errno.ECONNRESET} | ({errno.EIO} if self.isatty() else set())

    def write(self, data: Any, /) -> int:
        if self._lost:
            return len(data)
        try:
            while (
                written := super().write(data)
            ) is None:  # another process has made the terminal non-blocking
                select.select([], [self], [])
        except OSError as error:
            self._lost = True
            if self._results and error.errno not in self._reader_gone:
                raise disk_error(error, "standard output") from error
            return len(data)
        return written


def outlive_readers() -> None:
    """Let this process finish its work whatever becomes of those who read its output: `tee`, `head`, a terminal.

    Streams that are closed lead nowhere: else the next file that is opened would get their number, and what is said
    would be written into it. Characters that a stream's encoding lacks are written as escapes.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), fd)
            os.set_inheritable(fd, True)
    sys.stdout = _outliving(sys.stdout, 1, results=True)
    sys.stderr = _outliving(sys.stderr, 2, results=False)


def _outliving(stream: TextIO | None, fd: int, *, results: bool) -> TextIO:
    if stream is None:
        return open(fd, "w", encoding="utf-8", closefd=False)
    try:
        outlet = _Outlet(stream.fileno(), results=results)
    except (OSError, ValueError):  # a stream of Python's own, as a notebook has
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(outlet),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=not results or outlet.isatty(),
    )


def write_now(text: str) -> None:
    """Write a line to stderr past Python's buffers: a signal handler may have interrupted a write to them."""
    if sys.__stderr__ is not None:  # else it was closed at the start, and 2 may be any file
        with suppress(OSError):
            os.write(2, f"{text}\n".encode())


def tidy_before_leaving() -> None:
    """Let the signals that would kill this process raise SystemExit(128 + n): half-written files are removed first.

    Those that are ignored, as under nohup, stay ignored. The same signal again kills at once.
    """
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    write_now(f"stopped by {signal.Signals(number).name}")
    raise SystemExit(128 + number)


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS
