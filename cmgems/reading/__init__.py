"""Reading what users bring: text of any compression, tables, and records that cannot be used."""

from cmgems.reading.bed import FOR_BROWSERS, bed_lines
from cmgems.reading.delimited import DELIMITERS, split_cells, whole_number
from cmgems.reading.kinds import text_kind
from cmgems.reading.records import Invalid, skipped_path
from cmgems.reading.tables import (
    COMPRESSED_ENDINGS,
    TABLE_FORMATS,
    Record,
    Table,
    find_columns,
    open_table,
    split_name,
)
from cmgems.reading.text import Line, compression_of, read_blocks, read_lines

__all__ = [
    "COMPRESSED_ENDINGS",
    "DELIMITERS",
    "FOR_BROWSERS",
    "TABLE_FORMATS",
    "Invalid",
    "Line",
    "Record",
    "Table",
    "bed_lines",
    "compression_of",
    "find_columns",
    "open_table",
    "read_blocks",
    "read_lines",
    "skipped_path",
    "split_cells",
    "split_name",
    "text_kind",
    "whole_number",
]
