"""Labelled intervals of a genome, in place of sequences: BED, or a table with contig, start, end and perhaps strand.

As Genomic Benchmarks and BEND have them. Positions are those of BED: the first base is 0, the end one past the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmgems.errors import CmgemsError, DataError, RecordError
from cmgems.genome import Contigs, alphabet, reverse_complement
from cmgems.genome.alphabet import Codes
from cmgems.reading import (
    Invalid,
    Line,
    Record,
    Table,
    bed_lines,
    find_columns,
    open_table,
    split_name,
    whole_number,
)

# What the columns are called, in lower case and without a # in front.
COLUMNS = {
    "contig": ("chrom", "chr", "chromosome", "contig", "region", "seqname", "seqid"),
    "start": ("start", "chromstart", "begin"),
    "end": ("end", "chromend", "stop"),
    "strand": ("strand",),
}
BED = ".bed"
BED_COLUMNS = ("chrom", "start", "end", "label", "score", "strand")


@dataclass(frozen=True, eq=False)
class Intervals:
    """Where the bases of intervals come from.

    Attributes:
        contigs: The genome.
        window: Intervals are widened or cut to this many bp around their middle; None for as they are.
    """

    contigs: Contigs
    window: int | None = None

    def find(self, table: Table) -> list[int]:
        """The indices of contig, start and end, and of the strand if there is one.

        Raises:
            DataError: if a column is missing.
        """
        found = _find(table.header)
        strand = found.pop("strand")
        places = [place for place in found.values() if place is not None]
        if len(places) < len(found):
            missing = ", ".join(kind for kind, place in found.items() if place is None)
            raise DataError(
                "no intervals",
                where=table.where,
                why=f"no column for {missing}; it has {', '.join(table.header)[:60]}",
                fix="call them chrom, start and end; or leave data.store out, if the rows hold sequences",
            )
        return places if strand is None else [*places, strand]

    def bases(self, cells: Sequence[str], where: str) -> str:
        """The bases of an interval, upper case, read on its strand.

        Args:
            cells: Those of the columns that ``find`` found.
            where: File and line, for messages.

        Raises:
            RecordError: if it is none, or does not lie in the genome.
        """
        contig, start, end = self._place(cells, where)
        codes_L = self._cut(self.contigs.find(contig, where), start, end, f"{contig}:{start}-{end}", where)
        strand = cells[3] if len(cells) > 3 else "+"
        if strand not in ("+", "-", ".", ""):
            raise RecordError("not a strand", where=where, why=repr(strand[:40]), fix="write +, - or .")
        return alphabet.decode(reverse_complement(codes_L) if strand == "-" else codes_L)

    def _place(self, cells: Sequence[str], where: str) -> tuple[str, int, int]:
        start, end = map(whole_number, cells[1:3])
        if start is None or end is None:
            bad = cells[1] if start is None else cells[2]
            fix = "write whole numbers, 0 or more"
            raise RecordError("not an interval", where=where, why=f"{bad[:40]!r} is no position", fix=fix)
        if start >= end:
            why = f"{start}-{end}: the first base is 0, and the end is one past the last"
            raise RecordError("empty interval", where=where, why=why, fix="correct it")
        return cells[0], start, end

    def _cut(self, contig_L: Codes, start: int, end: int, given: str, where: str) -> Codes:
        """The codes of an interval, or of the window around its middle."""
        if self.window is not None:
            start = (start + end) // 2 - self.window // 2
            end = start + self.window
        if start < 0 or end > len(contig_L):
            wide = "" if self.window is None else f", {self.window:,} bp around the middle of it"
            raise RecordError(
                "interval beyond the contig",
                where=where,
                why=f"{given}{wide}, and the contig has {len(contig_L):,} bp",
                fix="take the assembly that the positions are of"
                + ("" if self.window is None else ", or a smaller data.window"),
            )
        codes_L: Codes = np.asarray(contig_L[start:end])
        return codes_L


def open_intervals(store: Path | None, aliases: Path | None, window: int | None) -> Intervals | None:
    """The intervals of the genome in ``store``, None without one; ``aliases`` as for ``Contigs.of``.

    Raises:
        CmgemsError: if there is a window or a table of names without a store, or a window of no bases.
        DataError: if the genome or the table cannot be read.
    """
    check_intervals(store, aliases, window)
    return None if store is None else Intervals(Contigs.of(store, aliases), window)


def check_intervals(store: Path | None, aliases: Path | None, window: int | None) -> None:
    """Check settings by themselves.

    Raises:
        CmgemsError: as ``open_intervals``.
    """
    if store is None and (aliases is not None or window is not None):
        fix = "name the genome that the rows are intervals of"
        raise CmgemsError("`aliases` and `window` need a store", fix=fix)
    if window is not None and window < 1:
        raise CmgemsError(f"`window` must be 1 or more, but is {window}")


@dataclass(frozen=True)
class BedTable:
    """A BED file without a header as a table: its fourth column is the label, its sixth the strand."""

    path: Path
    header: list[str]

    @property
    def where(self) -> str:
        return str(self.path)

    def records(self, columns: Sequence[int], invalid: Invalid) -> Iterator[Record]:
        for number, line in enumerate(bed_lines(self.path), start=1):
            cells = invalid.judge(self._cells, line)
            if cells is not None:
                yield Record(line.where, [cells[index] for index in columns], number)

    def _cells(self, line: Line) -> list[str]:
        cells = [cell.strip() for cell in line.text.split("\t")]
        if len(cells) < len(self.header):
            why = f"{len(cells)} columns, the first line has {len(self.header)}"
            raise RecordError("fewer columns", where=line.where, why=why, fix="separate them by tabs")
        if len(self.header) < len(BED_COLUMNS) <= len(cells):
            why = f"{len(cells)} columns, so it has a strand; the first line has {len(self.header)} and none"
            raise RecordError(
                "a strand from here on", where=line.where, why=why, fix="give all lines a strand"
            )
        return cells


def are_intervals(header: Sequence[str]) -> bool:
    """Whether the columns of a table say where its rows lie in a genome."""
    found = _find(header)
    del found["strand"]
    return None not in found.values()


def _find(header: Sequence[str]) -> dict[str, int | None]:
    return find_columns([name.removeprefix("#") for name in header], COLUMNS)


def open_rows(path: Path) -> Table:
    """A table, or a BED file as one.

    Raises:
        DataError: if it is missing, empty or of another kind.
        CmgemsError: if it is Parquet and pyarrow is not installed.
    """
    if split_name(path)[1] != BED:
        return open_table(path)
    first = next(bed_lines(path), None)
    if first is None:
        raise DataError(
            "no intervals", where=path, fix="write contig, start, end and label, separated by tabs"
        )
    cells = first.text.split("\t")
    if len(cells) > 2 and whole_number(cells[1].strip()) is None:  # a line of names, as BEND's files have
        return open_table(path)
    return BedTable(path, list(BED_COLUMNS[: len(cells)]))
