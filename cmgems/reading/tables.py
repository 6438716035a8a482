"""Tables with a header, of any format: comma- or tab-separated text, JSON lines, Parquet.

All give the same cells: text without white space around it, "" where there is nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cmgems.errors import DataError, RecordError
from cmgems.extras import optional
from cmgems.reading.delimited import DELIMITERS, split_cells
from cmgems.reading.records import Invalid
from cmgems.reading.text import Line, read_lines

COMPRESSED_ENDINGS = (".gz", ".bgz", ".zst", ".bz2", ".xz")
OTHER_DELIMITERS = ",\t;"


class Record(NamedTuple):
    """A row of a table.

    Attributes:
        where: File and line or row, for messages.
        cells: Of the columns asked for, in that order.
        number: Of the row, from 1, those that cannot be read counted too.
    """

    where: str
    cells: list[str]
    number: int = 0


class Table(Protocol):
    """A table whose rows are read when they are asked for.

    Attributes:
        path: The file.
        header: Names of the columns.
        where: File and line of the header, for messages.
    """

    @property
    def path(self) -> Path: ...

    @property
    def header(self) -> list[str]: ...

    @property
    def where(self) -> str: ...

    def records(self, columns: Sequence[int], invalid: Invalid) -> Iterator[Record]:
        """The rows, blank lines apart.

        Args:
            columns: Indices of the columns wanted.
            invalid: What to do about rows that cannot be read.

        Raises:
            RecordError: for a row that cannot be read.
            DataError: if the file cannot.
        """
        ...


def split_name(path: Path) -> tuple[str, str]:
    """The name and the format of a file, apart from its compression: ``train.csv.gz`` is ("train", ".csv")."""
    ending = path.suffix.lower()
    plain = path.with_suffix("") if ending in COMPRESSED_ENDINGS else path
    return plain.stem, plain.suffix.lower()


def find_columns(header: Sequence[str], known: Mapping[str, Sequence[str]]) -> dict[str, int | None]:
    """Where the columns of a table are that may have several names.

    Args:
        header: Names of its columns, in any case.
        known: The names each may have in lower case, the best first.

    Returns:
        The index of each of ``known``; None for those that are not there.
    """
    names = [name.lower() for name in header]
    return {
        column: next((names.index(name) for name in of_column if name in names), None)
        for column, of_column in known.items()
    }


def open_table(path: Path) -> Table:
    """Read the header of a table; its format is that of its name (``TABLE_FORMATS``), else delimited text.

    Raises:
        DataError: if the file is missing, empty, or of another kind.
        CmgemsError: if it is Parquet and pyarrow is not installed.
    """
    return TABLE_FORMATS.get(split_name(path)[1], TextTable).open(path)


@dataclass(frozen=True)
class TextTable:
    """A table of delimited text.

    Attributes:
        header_line: Its number, from 1.
        delimiter: That of the file's name if the header has it, else the one that it has.
    """

    path: Path
    header: list[str]
    header_line: int
    delimiter: str

    @property
    def where(self) -> str:
        return f"{self.path}:{self.header_line}"

    @classmethod
    def open(cls, path: Path) -> TextTable:
        line = _first_line(path)
        own = DELIMITERS.get(split_name(path)[1], ",")
        delimiter = next((other for other in own + OTHER_DELIMITERS if other in line.text), own)
        return cls(path, split_cells(line, delimiter), line.number, delimiter)

    def records(self, columns: Sequence[int], invalid: Invalid) -> Iterator[Record]:
        rows = (
            line for line in read_lines(self.path) if line.number > self.header_line and line.text.strip()
        )
        for number, line in enumerate(rows, start=1):
            cells = invalid.judge(self._cells, line)
            if cells is not None:
                yield Record(line.where, [cells[index] for index in columns], number)

    def _cells(self, line: Line) -> list[str]:
        """The cells of a row, as many as the header has, and perhaps empty ones behind."""
        cells = split_cells(line, self.delimiter)
        if len(cells) < len(self.header) or any(cells[len(self.header) :]):
            fewer = len(cells) < len(self.header)
            raise RecordError(
                "fewer cells than columns" if fewer else "more cells than columns",
                where=line.where,
                why=f"{len(cells)} cells, {len(self.header)} columns",
                fix="correct it" if fewer else "quote cells that hold the delimiter",
            )
        return cells


@dataclass(frozen=True)
class JsonTable:
    """One JSON object a line; the columns are the keys of the first."""

    path: Path
    header: list[str]

    @property
    def where(self) -> str:
        return f"{self.path}:1"

    @classmethod
    def open(cls, path: Path) -> JsonTable:
        return cls(path, list(_json_object(_first_line(path))))

    def records(self, columns: Sequence[int], invalid: Invalid) -> Iterator[Record]:
        names = [self.header[index] for index in columns]
        rows = (line for line in read_lines(self.path) if line.text.strip())
        for number, line in enumerate(rows, start=1):
            cells = invalid.judge(_json_cells, line, names)
            if cells is not None:
                yield Record(line.where, cells, number)


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file. The only class that knows pyarrow's reader."""

    path: Path
    header: list[str]

    @property
    def where(self) -> str:
        return str(self.path)

    @classmethod
    def open(cls, path: Path) -> ParquetTable:
        return cls(path, list(_parquet(path).schema_arrow.names))

    def records(self, columns: Sequence[int], invalid: Invalid) -> Iterator[Record]:
        rows = _parquet_rows(self.path, [self.header[index] for index in columns])
        for number, values in enumerate(rows, start=1):
            where = f"{self.path}, row {number}"
            cells = invalid.judge(_texts, values, where)
            if cells is not None:
                yield Record(where, cells, number)


TABLE_FORMATS: dict[str, type[TextTable] | type[JsonTable] | type[ParquetTable]] = {
    ".csv": TextTable,
    ".tsv": TextTable,
    ".txt": TextTable,
    ".parquet": ParquetTable,
    ".jsonl": JsonTable,
}


def _first_line(path: Path) -> Line:
    for line in read_lines(path):
        if line.text.strip():
            return line
    raise DataError("blank file", where=path, fix="write or fetch it again")


def _json_object(line: Line) -> dict[str, Any]:
    try:
        # Numbers stay as they are written: 1.0 and 1 must not become the same, nor 0.1 another.
        found = json.loads(line.text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise RecordError(
            "not JSON", where=line.where, why=str(error), fix="write one object a line"
        ) from error
    if not isinstance(found, dict):
        raise RecordError(
            "not a JSON object",
            where=line.where,
            why=f"found {line.text.strip()[:20]!r}",
            fix="write one object a line, with the columns as keys",
        )
    return found


def _json_cells(line: Line, names: Sequence[str]) -> list[str]:
    found = _json_object(line)
    return _texts([found.get(name) for name in names], line.where)


def _texts(values: Sequence[Any], where: str) -> list[str]:
    """Values as the text that a table of text would hold."""
    for value in values:
        if isinstance(value, list | dict):
            raise RecordError(
                "several values in one cell",
                where=where,
                why=f"found {str(value)[:40]}",
                fix="write it as text",
            )
    return [_text(value, where) for value in values]


def _text(value: object, where: str) -> str:
    if isinstance(value, bytes):  # a Parquet column of binary values
        try:
            value = value.decode()
        except UnicodeDecodeError as error:
            found = f"found {str(value)[:40]}"
            raise RecordError("not UTF-8 text", where=where, why=found, fix="write it as text") from error
    return "" if value is None else str(value).strip()


def _parquet(path: Path) -> Any:
    parquet = optional("pyarrow.parquet", extra="parquet", needed_for="Parquet files")
    with _readable(path):
        return parquet.ParquetFile(path)


def _parquet_rows(path: Path, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The values of every row in the columns ``names``."""
    batches = _parquet(path).iter_batches(columns=names)
    while True:
        with _readable(path):
            batch = next(batches, None)
            if batch is None:
                return
            rows = list(zip(*(batch.column(name).to_pylist() for name in names), strict=True))
        yield from rows


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Tell of a Parquet file that pyarrow refuses."""
    arrow = optional("pyarrow", extra="parquet", needed_for="Parquet files")
    try:
        yield
    except (OSError, UnicodeDecodeError, arrow.ArrowException) as error:
        raise DataError(
            "cannot read Parquet", where=path, why=str(error), fix="fetch the file again"
        ) from error
