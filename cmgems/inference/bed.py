"""Reading BED; the only module that knows bx-python.

bx-python's reader names the line and the column that is wrong, and takes what the field writes: any number of columns,
`track` and `browser` lines, scores with a decimal point. Of the other readers some stop at those, and some turn text
where a number belongs into a missing value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from xopen import xopen

from cmgems.errors import DataError
from cmgems.extras import optional
from cmgems.reading import compression_of

# With the space: a contig may be called track1.
COMMENTS = ("#", "track ", "browser ")


@dataclass(frozen=True)
class Interval:
    """One record.

    Attributes:
        contig: Name of the contig.
        start: First base, from 0 (bp).
        end: One past the last base (bp), not below ``start``; neither is checked against the contig.
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


class _Lines:
    """The lines of a stream; ``last`` is the one handed out last, without its end."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.last = stream, ""

    def __iter__(self) -> Iterator[str]:
        for line in self.stream:
            self.last = line.rstrip("\r\n") if line.strip() else ""
            yield self.last


def read_bed(path: Path) -> list[Interval]:
    """Read the intervals of a BED file, plain or compressed (told by content).

    Raises:
        DataError: if it is missing or a line is not an interval.
        CmgemsError: if bx-python is not installed.
    """
    bx = optional("bx.intervals.io", extra="bed", needed_for="BED files")
    kind = compression_of(path)
    intervals: list[Interval] = []
    line = 0
    try:
        with xopen(path, "rt", threads=0, format=kind, encoding="utf-8") as stream:
            lines = _Lines(stream)
            reader = bx.GenomicIntervalReader(lines, default_strand=".", comment_lines_startswith=COMMENTS)
            # Comments come as rows too: told to leave them out, the reader calls itself for each.
            for line, row in enumerate(reader, start=1):
                if not isinstance(row, bx.GenomicInterval):
                    continue
                # Python takes " 5", "+5" and "1_000" for numbers: what was read must be what is written.
                if str(row) != lines.last:
                    raise bx.ParseError(f"would be read as {str(row)[:60]!r}")
                name = row.fields[3] if row.nfields > 3 and row.fields[3] != "." else ""
                where = f"{path}:{line}"
                intervals.append(Interval(row.chrom, row.start, row.end, name, row.strand, where))
    except bx.ParseError as error:
        raise DataError(
            "not a BED line",
            where=f"{path}:{reader.linenum}",
            why=f"{lines.last[:60]!r}, {error.args[0]}",
            fix="write contig, start, end, separated by tabs",
        ) from error
    except Exception as error:  # decompressors have exceptions of their own
        raise DataError(
            "cannot read",
            where=f"{path}, after line {line}",
            why="the compressed data ends too early" if isinstance(error, EOFError) else str(error),
            fix="give a BED file",
        ) from error
    return intervals
