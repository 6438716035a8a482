"""What the command line prints when something goes wrong, and the exit code."""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Any, cast

import typer

from cmgems.cli import launch
from cmgems.errors import EXIT_OURS, EXIT_USER, CmgemsError, ConfigError, disk_error

# The error for a wrong option or argument. Newer typers carry click inside and no longer depend on it.
_UsageError = cast(type[Exception], typer.BadParameter.__base__)

# A path is wrong, not the program.
_PATH_ERRORS = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EROFS)


def report(error: Exception, *, with_traceback: bool = False) -> int:
    """Print an error, one line for each problem, and return the exit code.

    Args:
        error: What a command raised.
        with_traceback: Print the traceback first, unless an option or argument was wrong.
    """
    if with_traceback and not isinstance(error, _UsageError):
        traceback.print_exc()
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        error = disk_error(error, error.filename or "the output")
    if isinstance(error, OSError) and error.errno in _PATH_ERRORS and error.filename is not None:
        error = CmgemsError(
            "cannot use the path",
            where=error.filename,
            why=error.strerror or str(error),
            fix="check it and its permissions",
        )
    error = _of_the_machine(error) or error
    if isinstance(error, CmgemsError):
        for problem in error.problems if isinstance(error, ConfigError) else [error]:
            tell(f"error: {problem.line()}")
        return error.exit_code
    if isinstance(error, _UsageError):
        return _report_usage(error)
    text = " ".join(f"{type(error).__name__}: {error}".split())
    tell(f"error: internal: {text}; run again with --debug and report it")
    return EXIT_OURS


def _of_the_machine(error: Exception) -> CmgemsError | None:
    """What memory or compiler lacks, in our words; None for any other error."""
    kinds = {kind.__name__ for kind in type(error).__mro__}  # torch's too, without importing it
    why = str(error).partition("\n")[0]
    if kinds & {"MemoryError", "OutOfMemoryError"}:
        return CmgemsError("out of memory", why=why, fix="use smaller batches, or a machine with more")
    if "RecursionError" in kinds:
        return CmgemsError(
            "nested too deeply", why=why, fix="simplify the input; --debug shows where it was read"
        )
    if "TorchDynamoException" in kinds:
        fix = "set compute.compile=off, or install a C++ compiler (g++) if there is none"
        return CmgemsError("torch.compile failed", where="compute.compile", why=why, fix=fix)
    return None


def _report_usage(error: Any) -> int:
    context = error.ctx
    message = error.format_message().strip()
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message)
        return EXIT_USER
    command = context.command_path if context is not None else "cmgems"
    tell(f"error: {' '.join(message.split()).rstrip('.')}; see {command} -h")
    return EXIT_USER


def tell(line: str) -> None:
    """Print a line to stderr, or let the launcher of several processes print it once."""
    if not launch.tell_launcher(line):
        print(line, file=sys.stderr, flush=True)
