"""The rows of labelled sets, whatever their layout (``cmgems.data.layouts``)."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from cmgems.data.columns import Columns
from cmgems.data.intervals import open_rows
from cmgems.data.layouts import (
    SPLIT_COLUMN,
    SPLIT_OF,
    SPLITS,
    Layout,
    class_files,
    class_tables,
    find_layout,
    is_table,
)
from cmgems.errors import DataError, RecordError, few
from cmgems.files import sha256_of, write_text
from cmgems.genome import read_fasta
from cmgems.reading import Invalid, Record, read_lines

# How a missing value is written as text, in lower case.
MISSING = frozenset(("nan", "-nan", "na", "n/a", "#n/a", "<na>", "null", "none", "missing", ".", "?"))


class Row(NamedTuple):
    """One labelled sequence.

    Attributes:
        path: The file, or folder of class folders, of its split.
        where: File and line, row or record, for messages.
        bases: The sequence.
        cells: The text of each label column, stripped.
    """

    path: Path
    where: str
    bases: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class RowReader:
    """Reads rows.

    Attributes:
        columns: The columns of tables.
        invalid: What to do about rows that cannot be used.
        may_be_empty: Whether an empty label means something.
        check: Raises RecordError for a row that cannot be used, though it can be read.
    """

    columns: Columns
    invalid: Invalid
    may_be_empty: bool = False
    check: Callable[[Row], None] = lambda row: None

    def read(self, layout: Layout, splits: Sequence[str] = SPLITS) -> dict[str, list[Row]]:
        """The rows of each split, in the order of the files; dev is left out if there is none.

        Raises:
            DataError: if there is no train or test set, or one without rows; if a file or column is missing or bad; or
                if a row is, and such rows are not left out.
        """
        if layout.one_file is not None:
            rows = self._of_one_file(layout.one_file)
        else:
            rows = {
                split: list(self._of_file(path)) for split, path in layout.files.items() if split in splits
            }
        for split in splits:
            if split not in rows and split != "dev":
                raise (
                    layout.missing(split)
                    if layout.one_file is None
                    else self.invalid.none_left(f"{split} rows", layout.one_file)
                )
            if split in rows and not rows[split]:
                raise self.invalid.none_left("rows", layout.files[split])
        return {split: rows[split] for split in splits if split in rows}

    def _of_file(self, path: Path) -> Iterator[Row]:
        for record in self._records(path):
            row = self.invalid.judge(self._row, path, record)
            if row is not None:
                yield row

    def _records(self, path: Path) -> Iterator[Record]:
        if len(self.columns.labels) > 1 and not is_table(path):
            why = f"{few(list(self.columns.labels))} are wanted"
            raise DataError("one label a sequence", where=path, why=why, fix="name one, or give a table")
        if path.is_dir():
            yield from self._of_classes(path)
        elif is_table(path):
            table = open_rows(path)
            yield from table.records(self.columns.find(table), self.invalid)
        else:
            for fasta in read_fasta(path, self.invalid):
                where = f"{path}, record {fasta.name}"
                record = self.invalid.judge(_of_fasta, fasta.name, fasta.sequence, where)
                if record is not None:
                    yield record

    def _of_classes(self, folder: Path) -> Iterator[Record]:
        """The rows of a folder that holds a table for each class, or a folder of sequences."""
        columns = replace(self.columns, labels=())
        for name, file in class_tables(folder):
            table = open_rows(file)
            if labelled := [label for label in self.columns.labels if label in table.header]:
                raise DataError(
                    "a folder of tables with labels",
                    where=table.where,
                    why=f"it has a column {labelled[0]!r}; in a folder each table is of one class, its name",
                    fix=f"join them to one table {folder.name}{file.suffix}, or leave that column out",
                )
            for record in table.records(columns.find(table), self.invalid):
                yield Record(record.where, [*record.cells, name])
        for name, file in class_files(folder):
            found = self.invalid.judge(_of_class, name, file)
            if found is not None:
                yield found

    def _of_one_file(self, path: Path) -> dict[str, list[Row]]:
        """The rows of each split of a table that says in a column which it is."""
        table = open_rows(path)
        column = [name.lower() for name in table.header].index(SPLIT_COLUMN)
        rows: dict[str, list[Row]] = {}
        for record in table.records([*self.columns.find(table), column], self.invalid):
            found = self.invalid.judge(self._row_of_split, path, record)
            if found is not None:
                rows.setdefault(found[0], []).append(found[1])
        return rows

    def _row_of_split(self, path: Path, record: Record) -> tuple[str, Row]:
        *cells, name = record.cells
        if name.lower() not in SPLIT_OF:
            fix = f"write {', '.join(SPLITS)}"
            raise RecordError("no such split", where=record.where, why=f"found {name[:40]!r}", fix=fix)
        return SPLIT_OF[name.lower()], self._row(path, Record(record.where, cells))

    def _row(self, path: Path, record: Record) -> Row:
        count = len(self.columns.labels)
        source, labels = record.cells[:-count], record.cells[-count:]
        if not source[0] or source[0].lower() in MISSING or ("" in labels and not self.may_be_empty):
            raise RecordError("sequence or label missing", where=record.where, fix="correct it")
        row = Row(path, record.where, self.columns.bases(source, record.where), tuple(labels))
        self.check(row)
        return row


def spelt_out(columns: Columns, layout: Layout) -> Columns:
    """``columns`` with those of the training set in place of patterns, which its tables alone can have.

    Raises:
        DataError: if a pattern stands for none.
    """
    path = layout.one_file or layout.files.get("train")
    if not columns.has_patterns or path is None or not is_table(path):
        return columns
    return columns.spelt_out(open_rows(path))


def labels_content(folder: Path) -> dict[str, str]:
    """What a folder of labelled sequences holds: the sha256 of whatever is read, by name.

    Raises:
        DataError: if there is no such folder.
        OSError: if a file cannot be read.
    """
    return {path.name: _sha256(path) for path in find_layout(folder).paths}


def write_rows(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write (sequence, label) as comma-separated values with the header of GUE, whole or not at all."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("sequence", "label"), *rows])
    write_text(path, text.getvalue())


def _sha256(path: Path) -> str:
    """The sha256 of a file; of a folder of class folders that of the names and contents of its files."""
    if not path.is_dir():
        return sha256_of(path)
    files = [*class_tables(path), *class_files(path)]
    lines = (f"{name}/{file.name} {sha256_of(file)}\n" for name, file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _of_class(name: str, path: Path) -> Record:
    """The only sequence of a file, in the folder of its class."""
    try:
        texts = [line.text.strip() for line in read_lines(path) if line.text.strip()]
    except DataError as error:  # the other files may be good
        raise RecordError(error.what, where=path, why=error.why, fix=error.fix) from error
    if len(texts) != 1:
        fix = "write one sequence a file, in one line"
        raise RecordError("not one sequence", where=path, why=f"{len(texts)} lines", fix=fix)
    return Record(str(path), [*texts, name])


def _of_fasta(name: str, sequence: bytes, where: str) -> Record:
    """The label is behind the last ``|`` of the name."""
    _, bar, label = name.rpartition("|")
    if not bar:
        raise RecordError("no label", where=where, fix="write it behind the name: >name|label")
    return Record(where, [sequence.decode(), label.strip()])
