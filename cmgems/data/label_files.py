"""Files of labelled sequences: where they lie, and their rows.

Two layouts are read, told apart by what the folder holds and the header says:

- GUE: ``train.csv``, ``dev.csv``, ``test.csv`` with columns ``sequence,label``.
- GeneMask: ``train.tsv`` (or ``.txt``), optionally dev, and test; tab-separated, the sequence as overlapping k-mers.
  ``test`` may stand one folder up, as in the few-shot sets.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cmgems.errors import DataError

SPLITS = ("train", "dev", "test")
DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}


class Row(NamedTuple):
    """One labelled sequence as it stands in a file.

    Attributes:
        path: The file.
        line: Line number, from 1.
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


def bases_of(text: str) -> str:
    """The bases of a cell: as they are, or put together from overlapping k-mers."""
    kmers = text.split()
    if len(kmers) < 2:
        return text.strip()
    return kmers[0] + "".join(kmer[-1] for kmer in kmers[1:])


def read_rows(
    path: Path, columns: Sequence[str] = ("label",), *, may_be_empty: bool = False
) -> Iterator[Row]:
    """The rows of a file.

    Args:
        path: Comma- or tab-separated, by its ending, with a header.
        columns: Names of the label columns, case ignored where no column is spelt so.
        may_be_empty: Whether an empty label means something.

    Raises:
        DataError: for a missing column, a short or long row, or an empty label.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as handle:
            reader = csv.reader(handle, delimiter=DELIMITERS[path.suffix])
            header = [name.strip() for name in next(reader, [])]
            places = [_place(header, name, path) for name in ("sequence", *columns)]
            for cells in filter(None, reader):
                where = f"{path}:{reader.line_num}"
                if any(cells[len(header) :]):
                    raise DataError(
                        "more cells than columns",
                        where=where,
                        why=f"{len(cells)} cells, {len(header)} columns",
                        fix="quote cells that hold the delimiter",
                    )
                text, *labels = [cells[i].strip() if i < len(cells) else None for i in places]
                if not text or None in labels or ("" in labels and not may_be_empty):
                    raise DataError("sequence or label missing", where=where, fix="mend or drop the row")
                found = tuple(label for label in labels if label is not None)
                yield Row(path, reader.line_num, bases_of(text), found)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError("cannot read", where=path, why=str(error)) from error


def _place(header: list[str], name: str, path: Path) -> int:
    """The index of a column."""
    places = [i for i, found in enumerate(header) if found == name]
    places = places or [i for i, found in enumerate(header) if found.lower() == name.lower()]
    if len(places) == 1:
        return places[0]
    raise DataError(
        f"column {name!r} twice" if places else "columns missing",
        where=f"{path}:1",
        why="" if places else f"no {name!r}, it has {', '.join(header) or 'none'}",
        fix="name the columns sequence and label, or set data.labels to those that hold the labels",
    )
