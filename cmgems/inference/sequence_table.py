"""Tables of sequences: comma-, tab- or semicolon-separated text with a column ``sequence``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cmgems.errors import DataError, RecordError
from cmgems.reading import Invalid, Line, read_lines, split_cells, text_kind

SEQUENCE, NAMES = "sequence", ("name", "id")


class TableRow(NamedTuple):
    """One row.

    Attributes:
        name: From the column ``name`` or ``id``; else the number of the row, from 1.
        text: The sequence, or its k-mers.
        where: File and line, for messages.
    """

    name: str
    text: str
    where: str


class _Columns(NamedTuple):
    """What the header says: the delimiter, the number of cells, and which are the sequence and the name."""

    delimiter: str
    width: int
    sequence: int
    name: int | None


def is_table(header: str) -> bool:
    """Whether the first line of a file names a column ``sequence``."""
    return SEQUENCE in _titles(header)


def read_table(path: Path, invalid: Invalid) -> Iterator[TableRow]:
    """Read the rows of a table, plain or compressed; blank lines are passed over.

    Args:
        path: The file. Its first line names the columns, letter case aside.
        invalid: What to do about a row that cannot be used.

    Raises:
        DataError: if the file cannot be read, or has no column ``sequence`` or two.
        RecordError: for a row of too few or too many cells, or with a stray quote.
    """
    lines = (line for line in read_lines(path) if line.text.strip())
    columns = _columns(next(lines))
    for number, line in enumerate(lines, start=1):
        if row := invalid.judge(_row, line, columns, number):
            yield row


def _titles(header: str) -> list[str]:
    return [title.strip().strip('"').lower() for title in header.split(_delimiter(header))]


def _delimiter(header: str) -> str:
    return next((delimiter for delimiter in "\t,;" if delimiter in header), ",")


def _columns(header: Line) -> _Columns:
    titles = _titles(header.text)
    if titles.count(SEQUENCE) != 1:
        kind, fix = text_kind(header.text)
        found = f"it is {kind}" if kind else f"the first line is {header.text[:60]!r}"
        raise DataError(
            f"{'two columns' if SEQUENCE in titles else 'no column'} `{SEQUENCE}`",
            where=header.where,
            why=found,
            fix=fix or f"give FASTA, or name the column of the bases {SEQUENCE} in the first line",
        )
    name = next((titles.index(title) for title in NAMES if title in titles), None)
    return _Columns(_delimiter(header.text), len(titles), titles.index(SEQUENCE), name)


def _row(line: Line, columns: _Columns, number: int) -> TableRow:
    cells = split_cells(line, columns.delimiter)
    if len(cells) < columns.width or any(cells[columns.width :]):
        what = "fewer" if len(cells) < columns.width else "more"
        why, fix = f"{len(cells)} of {columns.width}", "quote cells that hold the delimiter"
        raise RecordError(f"{what} cells than columns", where=line.where, why=why, fix=fix)
    name = "" if columns.name is None else cells[columns.name]
    return TableRow(name or str(number), cells[columns.sequence], line.where)
