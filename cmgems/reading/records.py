"""Records that cannot be used: the first one stops the work, or they are left out by name."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from cmgems.errors import RecordError
from cmgems.files import write_text

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Invalid:
    """What to do about records that cannot be used.

    Args:
        option: How the user asks to leave them out ("--skip-invalid"), for the message.
        skip: Whether the user has asked.

    Attributes:
        skipped: Where each record left out stands, and why it was.
    """

    option: str
    skip: bool = False
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def judge(self, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What ``make`` returns; None if it finds the record unusable and such records are left out.

        Raises:
            RecordError: what ``make`` raised, with the option added.
        """
        try:
            return make(*args, **kwargs)
        except RecordError as error:
            fix = error.fix or "correct it"
            if not self.skip:
                fix = f"{fix}; {self.option} leaves such records out"
                raise RecordError(error.what, where=error.where, why=error.why, fix=fix) from error
            self.skipped.append((error.where, f"{error.what}: {error.why}" if error.why else error.what))
            return None

    def report(self, path: Path) -> str:
        """Name the records left out in a CSV file (``where,reason``), whole or not at all; none makes no file.

        Returns:
            How many there were and where they are named, in words; "" if there were none.

        Raises:
            CmgemsError: if the file cannot be written.
        """
        if not self.skipped:
            path.unlink(missing_ok=True)
            return ""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("where", "reason"), *self.skipped])
        write_text(path, text.getvalue())
        count = len(self.skipped)
        return f"{count:,} {'record' if count == 1 else 'records'} skipped, named in {path}"


def skipped_path(out: Path) -> Path:
    """The file beside an output that names the records left out: ``p.csv`` has ``p.skipped.csv``."""
    return out.with_suffix(".skipped.csv")
