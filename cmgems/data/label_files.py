"""Files of labelled sequences: where they lie, and their rows.

Two layouts are read, told apart by what the folder holds and the header says:

- GUE: ``train.csv``, ``dev.csv``, ``test.csv`` with columns ``sequence,label``.
- GeneMask: ``train.tsv`` (or ``.txt``), optionally dev, and test; tab-separated, the sequence as overlapping k-mers.

In either, ``test`` may be one folder up, as in the few-shot sets: ``10/train.tsv``, ``50/train.tsv``, ``test.tsv``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cmgems.errors import DataError
from cmgems.files import sha256_of, write_text
from cmgems.genome.letters import bases_of

SPLITS = ("train", "dev", "test")
DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
LONGEST_CELL = 1 << 30  # letters; Python's own limit, 131,072, is shorter than a contig


class Row(NamedTuple):
    """One labelled sequence of a file.

    Attributes:
        path: The file.
        line: Line it begins in, from 1.
        bases: The sequence.
        cells: The text of each label column, stripped.
    """

    path: Path
    line: int
    bases: str
    cells: tuple[str, ...]

    @property
    def where(self) -> str:
        """``file:line``, for messages."""
        return f"{self.path}:{self.line}"


def find_split(folder: Path, split: str) -> Path | None:
    """The file of a split, None if there is none."""
    for place in (folder, folder.parent) if split == "test" else (folder,):
        for suffix in DELIMITERS:
            if (place / f"{split}{suffix}").is_file():
                return place / f"{split}{suffix}"
    return None


def labels_content(folder: Path) -> dict[str, str]:
    """What a folder of labelled sequences holds: the sha256 of each split's file, by name.

    Raises:
        OSError: if one cannot be read.
    """
    files = (find_split(folder, split) for split in SPLITS)
    return {file.name: sha256_of(file) for file in files if file is not None}


def read_rows(
    path: Path, columns: Sequence[str] = ("label",), *, may_be_empty: bool = False
) -> Iterator[Row]:
    """The rows of a file.

    Args:
        path: Comma- or tab-separated, by its ending, with a header.
        columns: Names of the label columns, case is ignored if no column has exactly that name.
        may_be_empty: Whether an empty label means something.

    Raises:
        DataError: for a missing column, a short or long row, or an empty label.
    """
    csv.field_size_limit(LONGEST_CELL)
    try:
        with open(path, newline="", encoding="utf-8-sig") as handle:
            reader = csv.reader(handle, delimiter=DELIMITERS[path.suffix])
            header = [name.strip() for name in next(reader, [])]
            places = [_place(header, name, path) for name in ("sequence", *columns)]
            following = reader.line_num + 1
            for cells in reader:
                line, following = following, reader.line_num + 1  # a quoted cell may go over several lines
                if not cells:
                    continue
                where = f"{path}:{line}"
                _check_width(cells, header, places, where)
                text, *labels = [cells[i].strip() for i in places]
                if not text or ("" in labels and not may_be_empty):
                    raise DataError("sequence or label missing", where=where, fix="fix or remove the row")
                yield Row(path, line, bases_of(text, where), tuple(labels))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError("cannot read", where=path, why=str(error)) from error


def write_rows(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write (sequence, label) as comma-separated values with the header of GUE, whole or not at all."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("sequence", "label"), *rows])
    write_text(path, text.getvalue())


def split_rows(
    folder: Path, split: str, columns: Sequence[str] = ("label",), *, may_be_empty: bool = False
) -> list[Row]:
    """All rows of a split; arguments as for ``read_rows``.

    Raises:
        DataError: if there is no file or no row, or as ``read_rows``.
    """
    path = find_split(folder, split)
    if path is None:
        fix = f"put {split}.csv (sequence,label) or {split}.tsv there"
        raise DataError(f"no {split} file", where=folder, fix=fix)
    rows = list(read_rows(path, columns, may_be_empty=may_be_empty))
    if not rows:
        raise DataError("no rows", where=path, fix="give at least one row of each class")
    return rows


def _check_width(cells: list[str], header: list[str], places: list[int], where: str) -> None:
    """Refuse a row of more cells than the header, empty ones aside, or of fewer."""
    if len(cells) == len(header) or (len(cells) > len(header) and not any(cells[len(header) :])):
        return
    widths = f"{len(cells)} cells, {len(header)} columns"
    if len(cells) > len(header):
        fix = "quote cells that hold the delimiter"
        raise DataError("more cells than columns", where=where, why=widths, fix=fix)
    what = "sequence or label missing" if len(cells) <= max(places) else "fewer cells than columns"
    raise DataError(what, where=where, why=widths, fix="fix or remove the row")


def _place(header: list[str], name: str, path: Path) -> int:
    """The index of a column."""
    places = [i for i, found in enumerate(header) if found == name]
    places = places or [i for i, found in enumerate(header) if found.lower() == name.lower()]
    if len(places) == 1:
        return places[0]
    raise DataError(
        f"column {name!r} appears twice" if places else "columns missing",
        where=f"{path}:1",
        why="" if places else f"no {name!r}; it has {', '.join(header)[:60] or 'none'}",
        fix="the first line names the columns: sequence and label, or those in data.labels, "
        f"with a {'comma' if path.suffix == '.csv' else 'tab'} between them",
    )
