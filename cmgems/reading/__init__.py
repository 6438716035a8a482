"""Reading what users bring: text of any compression, delimited rows, and records that cannot be used."""

from cmgems.reading.delimited import DELIMITERS, split_cells, whole_number
from cmgems.reading.kinds import text_kind
from cmgems.reading.records import Invalid, skipped_path
from cmgems.reading.text import Line, compression_of, read_blocks, read_lines

__all__ = [
    "DELIMITERS",
    "Invalid",
    "Line",
    "compression_of",
    "read_blocks",
    "read_lines",
    "skipped_path",
    "split_cells",
    "text_kind",
    "whole_number",
]
