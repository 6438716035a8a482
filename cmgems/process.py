"""A process and the system around it: its streams, the signals that end it, the cores it may use."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn, TextIO

from cmgems.errors import disk_error

# What batch systems and terminals send before they kill a process.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)


class _Outlet(io.TextIOWrapper):
    """stdout or stderr. Once its reader has gone, or an error was raised, what is written goes nowhere.

    Only text passes through Python here: a signal between two lines of Python below the buffer would write it twice.

    Args:
        stream: The stream before; its file descriptor stays open.
        results: Whether results are written there, so that any other error than a lost reader counts, a full disk say.
    """

    def __init__(self, stream: TextIO, *, results: bool) -> None:
        file = io.FileIO(stream.fileno(), "wb", closefd=False)
        os.set_blocking(file.fileno(), True)  # another process may have changed the terminal
        terminal = file.isatty()
        super().__init__(
            io.BufferedWriter(file),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=not results or terminal,
        )
        self._results = results
        # EIO is a closed terminal; on a disk it is a fault.
        self._reader_gone = {errno.EPIPE, errno.ECONNRESET} | ({errno.EIO} if terminal else set())

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        if self._results and error.errno not in self._reader_gone:
            raise disk_error(error, "standard output") from error


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
        return _Outlet(stream, results=results)
    except (OSError, ValueError):  # a stream of Python's own, as a notebook has
        return stream


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
