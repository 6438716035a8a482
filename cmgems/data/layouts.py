"""How a folder holds a labelled set: which file is which split.

A split (train, dev or test) is one of

- a table, ``train.csv``: comma- or tab-separated text, JSON lines, Parquet, or BED
  (``cmgems.data.intervals.open_rows``);
- a FASTA file, ``train.fna``, with ``>name|label``;
- a folder of class folders, ``train/<class>/*.txt``, with a sequence in each file, or with a table for each class,
  ``train/<class>.csv`` (Genomic Benchmarks);

or all are in one table whose column ``split`` says which row is whose. Text and FASTA may be compressed. The dev file
may be called valid, validation or val. ``test`` may be one folder up, as in the few-shot sets: ``10/train.tsv``,
``50/train.tsv``, ``test.tsv``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cmgems.data.intervals import BED, open_rows
from cmgems.errors import DataError, few
from cmgems.reading import TABLE_FORMATS, split_name

SPLITS = ("train", "dev", "test")
NAMES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "dev": ("dev", "valid", "validation", "val"),
    "test": ("test", "testing"),
}
SPLIT_OF = {name: split for split, names in NAMES.items() for name in names}
FASTA = (".fa", ".fasta", ".fna")
CLASS_FOLDERS, CLASS_FILE = "", ".txt"
TABLES = (*TABLE_FORMATS, BED)
FORMATS = (*TABLES, *FASTA, CLASS_FOLDERS)  # if a split is there in several, the first is read
SPLIT_COLUMN = "split"
# "train_2", "test-00000-of-00002", "train.old": taken for a part of a split.
LOOKS_LIKE_A_SPLIT = re.compile(rf"({'|'.join(SPLIT_OF)})[\W_\d].*", re.IGNORECASE)


class Entry(NamedTuple):
    """What a folder holds.

    Attributes:
        name: Without endings.
        format: The ending, "" of a folder.
        path: Where it is.
    """

    name: str
    format: str
    path: Path


@dataclass(frozen=True)
class Layout:
    """Where a labelled set is.

    Attributes:
        folder: The one that was asked for.
        files: A table, a FASTA file or a folder of classes for each split that is there.
        one_file: The table that holds all splits; None if each has its own.
        unread: Files that look like splits and are not read.
    """

    folder: Path
    files: Mapping[str, Path]
    one_file: Path | None
    unread: tuple[Path, ...]

    @property
    def has_train(self) -> bool:
        """Whether there is something to train on."""
        return "train" in self.files or self.one_file is not None

    @property
    def paths(self) -> list[Path]:
        """Whatever is read."""
        return [*self.files.values(), *([self.one_file] if self.one_file else [])]

    def missing(self, split: str) -> DataError:
        """The error about a split that is not there: it says what is."""
        held = [f"{path.name}/" if path.is_dir() else path.name for path in _visible(self.folder)]
        return DataError(
            f"no {split} file",
            where=self.folder,
            why=f"it holds {few(held)}" if held else "the folder is empty",
            fix=f"put {split}.csv (sequence,label) there, or one table with a column {SPLIT_COLUMN!r}",
        )


def find_layout(folder: Path) -> Layout:
    """Find the files of a labelled set.

    Raises:
        DataError: if there is no such folder, or a split is there under two names.
    """
    if not folder.is_dir():
        fix = "give a folder with train, dev and test files"
        raise DataError("not a folder" if folder.exists() else "no such folder", where=folder, fix=fix)
    here, above = _entries(folder), folder.absolute().parent
    found = {split: entries for split in SPLITS if (entries := _of_split(split, here, folder))}
    one_file = None if "train" in found else _one_file(here)
    if "test" not in found and one_file is None and (shared := _of_split("test", _entries(above), above)):
        found["test"] = shared
    files = {split: entries[0].path for split, entries in found.items()}
    unread = [other.path for entries in found.values() for other in entries[1:]]
    unread += [entry.path for entry in here if entry.format and LOOKS_LIKE_A_SPLIT.fullmatch(entry.name)]
    return Layout(folder, files, one_file, tuple(unread))


def is_table(path: Path) -> bool:
    """Whether a file is a table, not FASTA nor a folder of class folders."""
    return split_name(path)[1] in TABLES


def class_tables(folder: Path) -> Iterator[tuple[str, Path]]:
    """The classes of a folder that has a table for each, and the tables."""
    for path in _visible(folder):
        name, ending = split_name(path)
        if ending in TABLES and ending != CLASS_FILE and path.is_file():
            yield name, path


def class_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The classes of a folder of class folders, and the files of each."""
    for of_class in _visible(folder):
        if of_class.is_dir():
            for path in _visible(of_class):
                if split_name(path)[1] == CLASS_FILE:
                    yield of_class.name, path


def _entries(folder: Path) -> list[Entry]:
    entries = []
    for path in _visible(folder):
        entry = Entry(path.name, CLASS_FOLDERS, path) if path.is_dir() else Entry(*split_name(path), path)
        if entry.format in FORMATS:
            entries.append(entry)
    return entries


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError("cannot read", where=folder, why=error.strerror or str(error)) from error


def _of_split(split: str, entries: list[Entry], folder: Path) -> list[Entry]:
    """What a folder holds of a split; the first is to be read."""
    found = [
        entry
        for entry in entries
        if entry.name.lower() in NAMES[split] and (entry.format or _has_classes(entry.path))
    ]
    if len({entry.name.lower() for entry in found}) > 1:
        raise DataError(
            f"two {split} sets",
            where=folder,
            why=" and ".join(entry.path.name for entry in found),
            fix="keep one of them there",
        )
    return sorted(found, key=lambda entry: FORMATS.index(entry.format))


def _has_classes(folder: Path) -> bool:
    return next(class_files(folder), None) is not None or len(list(class_tables(folder))) > 1


def _one_file(entries: list[Entry]) -> Path | None:
    """The only table with a column that says which split a row is of."""
    tables = [entry.path for entry in entries if entry.format in TABLES and entry.format != CLASS_FILE]
    found = [path for path in tables if SPLIT_COLUMN in map(str.lower, open_rows(path).header)]
    return found[0] if len(found) == 1 else None
