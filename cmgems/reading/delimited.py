"""Rows of comma- or tab-separated text.

A row is one line, and a quoted cell ends in the line it begins in. So a stray quote costs one row and not, as in
readers that let a cell go over several lines, all rows up to the next quote.
"""

from __future__ import annotations

import csv

from cmgems.errors import RecordError
from cmgems.reading.text import Line

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
LONGEST_NUMBER = 18  # digits; what int64 holds
LONGEST_CELL = 1 << 30  # letters; Python's own limit, 131,072, is shorter than a contig


def split_cells(line: Line, delimiter: str) -> list[str]:
    """The cells of a line, stripped of white space.

    Raises:
        RecordError: if a quoted cell does not end in this line.
    """
    if '"' not in line.text:
        return [cell.strip() for cell in line.text.split(delimiter)]
    csv.field_size_limit(LONGEST_CELL)
    try:
        return [cell.strip() for cell in next(csv.reader([line.text], delimiter=delimiter, strict=True))]
    except csv.Error as error:
        raise RecordError(
            "stray quote",
            where=line.where,
            why="a cell that begins with a quote does not end with one in the same line",
            fix='close it, or write quotes inside a cell as ""',
        ) from error


def whole_number(text: str) -> int | None:
    """The number, 0 or more, that decimal digits spell; None for all else, also for what Python takes: +5, 1_000."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER
    return int(text) if is_number else None
