"""Tables of sequences: the files that fine-tuning reads, with or without labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cmgems.data.columns import Columns
from cmgems.errors import DataError
from cmgems.reading import Invalid, Table, open_table, read_lines, split_name, text_kind

NAMES = ("name", "id")
NOT_TEXT = ".parquet"


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


def first_line(path: Path) -> str:
    """The first line of a file that is not blank, "" if there is none or the file is Parquet.

    Raises:
        DataError: if the file cannot be read or is of a kind that is no text.
    """
    if split_name(path)[1] == NOT_TEXT:
        return ""
    return next((line.text for line in read_lines(path, errors="replace") if line.text.strip()), "")


def read_table(path: Path, column: str, invalid: Invalid) -> Iterator[TableRow]:
    """Read the rows of a table of any format (``cmgems.reading.open_table``).

    Args:
        path: The file.
        column: Which holds the sequences, letter case aside.
        invalid: What to do about a row that cannot be used.

    Raises:
        DataError: if the file cannot be read, or has no such column or two.
        RecordError: for a row that cannot be read.
    """
    table = open_table(path)
    (sequence,) = Columns(column, (), ("--column", "")).find(table)
    for where, (text, *names), number in table.records([sequence, *_name_column(table)], invalid):
        yield TableRow("".join(names) or str(number), text, where)


def _name_column(table: Table) -> list[int]:
    titles = [title.lower() for title in table.header]
    return [titles.index(name) for name in NAMES if name in titles][:1]


def refuse_other_text(path: Path, first: str) -> None:
    """Raise if a text is no table, as its first line says.

    Raises:
        DataError: with what it is.
    """
    kind, fix = text_kind(first)
    if kind not in ("", "JSON"):
        fix = fix or "give FASTA, or a table with a column of sequences"
        raise DataError("no sequences", where=path, why=f"it is {kind}", fix=fix)
