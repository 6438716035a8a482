"""The errors a user sees: what is wrong, in what, why, and what to do about it.

The command line prints one line, ``error: <what> in <where>: <why>; <what to do>``, and exits with
``exit_code``. Any other exception is a bug in cmgems and exits with 1.
"""

from __future__ import annotations

import errno
from pathlib import Path

EXIT_OURS = 1
EXIT_USER = 2
EXIT_INTERRUPTED = 130


class CmgemsError(Exception):
    """Something the user can fix.

    Args:
        what: What is wrong, in a few words ("unknown key").
        where: A file, ``file:line``, contig or config key.
        why: What was found there.
        fix: What to do about it.
    """

    exit_code = EXIT_USER

    def __init__(self, what: str, *, where: object = "", why: str = "", fix: str = "") -> None:
        self.what, self.where, self.why, self.fix = what, str(where), why, fix
        super().__init__(self.line())

    def line(self) -> str:
        """The error as one line of text."""
        text = self.what
        if self.where:
            text += f" in {self.where}"
        if self.why:
            text += f": {self.why}"
        if self.fix:
            text += f"; {self.fix}"
        return " ".join(line.strip() for line in text.splitlines())


class ConfigError(CmgemsError):
    """A config, override or component name is wrong. Has every problem found, not only the first."""

    def __init__(self, problems: list[CmgemsError]) -> None:
        self.problems = problems
        first = problems[0]
        super().__init__(first.what, where=first.where, why=first.why, fix=first.fix)


class DataError(CmgemsError):
    """Input data (FASTA, labels, a table) cannot be used as it is."""


class RecordError(DataError):
    """One record of many cannot be used as it is; the others can."""


class CheckpointError(CmgemsError):
    """A checkpoint or run folder is missing, damaged or of another model."""


class DiskError(CmgemsError):
    """A write failed because of the machine, not the user: exit code 1."""

    exit_code = EXIT_OURS


def disk_error(error: OSError, where: Path | str) -> CmgemsError:
    """The error a user sees for an ``OSError`` while writing ``where``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskError("no space left", where=where, fix="free some space and run the same command again")
    return CmgemsError(
        "cannot write",
        where=where,
        why=error.strerror or str(error),
        fix="check the path and its permissions",
    )


def unreadable(error: OSError, where: Path | str) -> CheckpointError:
    """The error a user sees for an ``OSError`` while reading a run or model: not being read, it may be whole."""
    return CheckpointError(
        "cannot read",
        where=where,
        why=error.strerror or str(error),
        fix="mount its disk or correct its permissions, then run the same command again",
    )


def few(names: list[str], count: int = 4) -> str:
    """The first ``count`` names and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(sorted(names)[:count]) + more
