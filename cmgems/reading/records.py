"""Records that cannot be used: the first one stops the work, or they are left out by name."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from cmgems.errors import DataError, RecordError
from cmgems.files import write_text

P = ParamSpec("P")
T = TypeVar("T")

COLUMNS = ("where", "reason")  # of the file that names the records left out


@dataclass
class Invalid:
    """What to do about records that cannot be used.

    Args:
        option: How the user asks to leave them out ("--skip-invalid"), for the message; "" where it cannot be asked.
        skip: Whether the user has asked.

    Attributes:
        skipped: Where each record left out stands, and why it was.
    """

    option: str = ""
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
            if self.skip:
                self.skipped.append((error.where, f"{error.what}: {error.why}" if error.why else error.what))
                return None
            if not self.option:
                raise
            fix = f"{error.fix or 'correct it'}; {self.option} leaves such records out"
            raise RecordError(error.what, where=error.where, why=error.why, fix=fix) from error

    def none_left(self, noun: str, where: object) -> DataError:
        """The error about a source of which no record can be used.

        Args:
            noun: What is missing ("sequences").
            where: The file.
        """
        if not self.skipped:
            return DataError(f"no {noun}", where=where, fix="give at least one")
        place, reason = self.skipped[0]
        why = f"all {len(self.skipped):,} were left out, the first, {place}, for this: {reason}"
        return DataError(f"no {noun} left", where=where, why=why, fix="give at least one that can be used")

    def report(self, path: Path) -> str:
        """Name the records left out in a CSV file (``where,reason``), whole or not at all; none makes no file.

        Returns:
            How many there were and where they are named, in words; "" if there were none.

        Raises:
            CmgemsError: if the file cannot be written.
        """
        if not self.skipped:
            header = f"{','.join(COLUMNS)}\n".encode()
            if path.is_file() and path.read_bytes().startswith(header):  # of an earlier run
                path.unlink()
            return ""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *self.skipped])
        write_text(path, text.getvalue())
        count = len(self.skipped)
        return f"{count:,} {'record' if count == 1 else 'records'} skipped, named in {path}"


def skipped_path(out: Path) -> Path:
    """The file beside an output that names the records left out: ``p.csv`` has ``p.skipped.csv``.

    Other endings stay, so that no two outputs share one.
    """
    return out.with_name(out.name.removesuffix(".csv") + ".skipped.csv")
