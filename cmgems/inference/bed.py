"""Reading BED: contig, start, end, and of the columns behind them name and strand."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmgems.errors import RecordError
from cmgems.reading import FOR_BROWSERS, Invalid, Line, bed_lines, text_kind, whole_number

STRANDS = ("+", "-", ".")
STRAND_COLUMN = 6
FIX = "write contig, start, end, separated by tabs"


@dataclass(frozen=True)
class Interval:
    """One record.

    Attributes:
        contig: Name of the contig.
        start: First base, from 0 (bp).
        end: One past the last base (bp), above ``start``; not checked against the contig.
        name: Fourth column, empty if there is none or a dot.
        strand: "+", "-", or "." for none.
        where: File and line, for messages.
    """

    contig: str
    start: int
    end: int
    name: str
    strand: str
    where: str


def read_bed(path: Path, invalid: Invalid | None = None, *, quiet: bool = False) -> Iterator[Interval]:
    """Read the intervals of a BED file, plain or compressed (told by content), one by one.

    Warns at its end if a column in front of the sixth seems to hold the strand, which is then not used.

    Args:
        path: The file. Blank lines, comments, `track` and `browser` lines are passed over.
        invalid: What to do about a record that cannot be used; None to stop there.
        quiet: Do not warn.

    Raises:
        DataError: if it is missing or no text.
        RecordError: if a line is not an interval.
    """
    invalid = invalid or Invalid()
    strandless = _Strandless()
    for line in bed_lines(path, errors="replace"):
        cells = line.text.split("\t")
        if interval := invalid.judge(_interval, line, cells):
            if interval.strand == ".":
                strandless.add(cells)
            yield interval
    if not quiet:
        strandless.warn(path)


def looks_like_bed(first_line: str) -> bool:
    """Whether the first line of a file may be BED: a contig and two positions, or a line for a browser."""
    positions = first_line.split("\t")[1:3]
    return first_line.startswith(FOR_BROWSERS) or (
        len(positions) == 2 and None not in map(whole_number, positions)
    )


def _interval(line: Line, cells: Sequence[str]) -> Interval:
    if len(cells) < 3:
        kind, _ = text_kind(line.text)
        spaces = "the columns are separated by spaces" if len(line.text.split()) >= 3 else ""
        why = spaces or (f"it is {kind}" if kind else f"it has {len(cells)} columns")
        raise RecordError("not a BED line", where=line.where, why=f"{line.text[:60]!r}, {why}", fix=FIX)
    contig, start, end = cells[0], whole_number(cells[1]), whole_number(cells[2])
    name = cells[3] if len(cells) > 3 and cells[3] != "." else ""
    if not contig or contig != contig.strip() or "\ufffd" in contig + name:
        why = f"contig {contig[:60]!r}, name {name[:60]!r}"
        raise RecordError(
            "not a BED line", where=line.where, why=why, fix="write them as UTF-8 text, without spaces"
        )
    if start is None or end is None:
        bad = cells[1] if start is None else cells[2]
        fix = "write whole numbers, 0 or more; begin a line of column names with #"
        raise RecordError("not a BED line", where=line.where, why=f"{bad[:60]!r} is no position", fix=fix)
    if end < start:
        raise RecordError("end before start", where=line.where, why=f"{start}-{end}", fix="correct it")
    if end == start:
        why = f"{start}-{end}: in BED the first base is 0, and the end is one past the last"
        fix = (
            f"for base {end} counted from 1, write {end - 1} {end}" if end else "write 0 1 for the first base"
        )
        raise RecordError("empty interval", where=line.where, why=why, fix=fix)
    strand = cells[STRAND_COLUMN - 1] if len(cells) >= STRAND_COLUMN else "."
    if strand not in STRANDS:
        why = f"{strand[:60]!r} in column {STRAND_COLUMN}"
        raise RecordError("not a strand", where=line.where, why=why, fix="write +, - or .")
    return Interval(contig, start, end, name, strand, line.where)


class _Strandless:
    """The intervals without a strand: whether another column than the sixth has it."""

    def __init__(self) -> None:
        self._count = 0
        self._strands: dict[int, set[str]] = {
            4: set(),
            5: set(),
        }  # found in each column that holds nothing else

    def add(self, cells: Sequence[str]) -> None:
        """One more line."""
        self._count += 1
        for column in [column for column in self._strands if len(cells) >= column]:
            if (cell := cells[column - 1]) in STRANDS:
                self._strands[column].add(cell)
            else:
                del self._strands[column]

    def warn(self, path: Path) -> None:
        """Warn if a column in front of the sixth holds nothing but strands."""
        for column, found in self._strands.items():
            if found - {"."}:
                warnings.warn(
                    f"{path}: column {column} seems to hold the strand, which BED has in column {STRAND_COLUMN}: "
                    f"{self._count:,} intervals were read on the + strand",
                    stacklevel=4,
                )
