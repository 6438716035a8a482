"""Tables of sequences: text, JSON lines or Parquet with a column ``sequence``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cmgems.errors import DataError
from cmgems.reading import Invalid, open_table, split_name, text_kind

SEQUENCE, NAMES = "sequence", ("name", "id")
TOLD_BY_NAME = (".parquet", ".jsonl")


class TableRow(NamedTuple):
    """One row.

    Attributes:
        name: From the column ``name`` or ``id``; else the number of the row, from 1.
        text: The sequence, or its k-mers.
        where: File and line or row, for messages.
    """

    name: str
    text: str
    where: str


def told_by_name(path: Path) -> bool:
    """Whether a file is a table that has no line with the names of its columns."""
    return split_name(path)[1] in TOLD_BY_NAME


def is_header(line: str) -> bool:
    """Whether the first line of a text names a column ``sequence``."""
    delimiter = next((delimiter for delimiter in "\t,;" if delimiter in line), ",")
    return SEQUENCE in [title.strip().strip('"').lower() for title in line.split(delimiter)]


def read_table(path: Path, invalid: Invalid) -> Iterator[TableRow]:
    """Read the rows of a table, plain or compressed; blank lines are passed over.

    Args:
        path: The file. Its header names the columns, letter case aside.
        invalid: What to do about a row that cannot be used.

    Raises:
        DataError: if the file cannot be read, or has no column ``sequence`` or two.
        RecordError: for a row of too few or too many cells, or with a stray quote.
    """
    table = open_table(path)
    titles = [title.lower() for title in table.header]
    if titles.count(SEQUENCE) != 1:
        kind, fix = text_kind("\t".join(table.header))
        raise DataError(
            f"{'two columns' if SEQUENCE in titles else 'no column'} `{SEQUENCE}`",
            where=table.where,
            why=f"it is {kind}" if kind else f"the first line is {','.join(table.header)[:60]!r}",
            fix=fix or f"give FASTA, or name the column of the bases {SEQUENCE} in the first line",
        )
    names = [titles.index(title) for title in NAMES if title in titles][:1]
    for record in table.records([titles.index(SEQUENCE), *names], invalid):
        text, *name = record.cells
        yield TableRow("".join(name) or str(record.number), text, record.where)
