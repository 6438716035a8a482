"""Labelled sequences: reading them, drawing few of them, batches of their ids.

Two layouts are read, told apart by what the folder holds and the header says:

- GUE: ``train.csv``, ``dev.csv``, ``test.csv`` with columns ``sequence,label``.
- GeneMask: ``train.tsv`` (or ``.txt``), optionally dev, and test; tab-separated, the sequence as overlapping k-mers.
  ``test`` may stand one folder up, as in the few-shot sets.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmgems.errors import CmgemsError, DataError
from cmgems.tokenization import Tokenizer

SPLITS = ("train", "dev", "test")
DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
PAD_MULTIPLE = 8


@dataclass(frozen=True)
class LabelledConfig:
    """What to fine-tune on.

    Attributes:
        dir: Folder with train, dev and test files.
        shots: Keep this many training examples of each class, drawn by the run's seed, and leave the dev set unused;
            None for all.
        max_tokens: Rows longer than this are cut, which is said aloud; None for as many as the model takes.
    """

    dir: Path = Path("data")
    shots: int | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.shots is not None and self.shots < 1:
            raise CmgemsError(f"`shots` must be 1 or more, but is {self.shots}")
        if self.max_tokens is not None and self.max_tokens < 3:
            raise CmgemsError(f"`max_tokens` must be 3 or more, but is {self.max_tokens}")


@dataclass(frozen=True)
class LabelledSet:
    """Sequences and their classes.

    Attributes:
        ids: int32 token ids of each sequence, with [CLS] and [SEP].
        labels_N: int64 class index.
        classes: Label text of each index.
        cut: How many sequences were longer than the model takes.
    """

    ids: list[np.ndarray]
    labels_N: np.ndarray
    classes: tuple[str, ...]
    cut: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int] | np.ndarray) -> LabelledSet:
        """The given rows."""
        return LabelledSet([self.ids[r] for r in rows], self.labels_N[rows], self.classes)


def _find(folder: Path, split: str) -> Path | None:
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


def read_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line number, bases, label) of each row.

    Raises:
        DataError: for a missing column, a short row or an empty label.
    """
    try:
        with open(path, newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle, delimiter=DELIMITERS[path.suffix])
            names = {name.strip().lower(): name for name in reader.fieldnames or ()}
            if "sequence" not in names or "label" not in names:
                raise DataError(
                    "columns missing",
                    where=f"{path}:1",
                    why=f"it has {', '.join(names) or 'none'}",
                    fix="name the columns sequence and label",
                )
            for row in reader:
                where = f"{path}:{reader.line_num}"
                text, label = row[names["sequence"]], row[names["label"]]
                if not text or not label:
                    raise DataError("sequence or label missing", where=where, fix="mend or drop the row")
                yield reader.line_num, bases_of(text), label.strip()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError("cannot read", where=path, why=str(error)) from error


def read_splits(config: LabelledConfig, tokenizer: Tokenizer, max_positions: int) -> dict[str, LabelledSet]:
    """Read train, and dev and test where they exist. Classes are those of the training labels.

    Args:
        config: The run's data section.
        tokenizer: Makes the ids.
        max_positions: Longest row the model takes, in tokens.

    Raises:
        DataError: if a file is missing or bad, a split is empty, or a label stands only outside train.
    """
    tokens = min(config.max_tokens or max_positions, max_positions)
    if not config.dir.is_dir():
        raise DataError(
            "no such folder", where=config.dir, fix="set data.dir to a folder with train, dev and test files"
        )
    splits: dict[str, LabelledSet] = {}
    classes: tuple[str, ...] = ()
    for split in SPLITS:
        path = _find(config.dir, split)
        if path is None:
            if split == "dev":
                continue
            raise DataError(
                f"no {split} file",
                where=config.dir,
                fix=f"put {split}.csv (sequence,label) or {split}.tsv there",
            )
        rows = list(read_rows(path))
        if not rows:
            raise DataError("no rows", where=path, fix="give at least one row of each class")
        if split == "train":
            classes = _ordered({label for _, _, label in rows})
            if len(classes) < 2:
                raise DataError("one class only", where=path, why=f"every label is {classes[0]!r}")
        splits[split] = _encode(rows, classes, tokenizer, tokens, path)
    return splits


def _ordered(labels: set[str]) -> tuple[str, ...]:
    """Whole numbers by value, other labels by name."""
    if all(label.lstrip("-").isdigit() for label in labels):
        return tuple(sorted(labels, key=int))
    return tuple(sorted(labels))


def _encode(
    rows: list[tuple[int, str, str]], classes: tuple[str, ...], tokenizer: Tokenizer, tokens: int, path: Path
) -> LabelledSet:
    index = {label: i for i, label in enumerate(classes)}
    ids, labels, cut = [], [], 0
    for line, bases, label in rows:
        if label not in index:
            raise DataError(
                f"label {label!r} not in train", where=f"{path}:{line}", why=f"train has {', '.join(classes)}"
            )
        ids_S = encode_at(f"{path}:{line}", bases, tokenizer)
        cut += len(ids_S) > tokens
        ids.append(_shortened(ids_S, tokens, tokenizer.sep_id))
        labels.append(index[label])
    return LabelledSet(ids, np.array(labels, np.int64), classes, cut)


def _shortened(ids_S: np.ndarray, tokens: int, sep_id: int) -> np.ndarray:
    """The first ``tokens`` of a row, [SEP] last if it was."""
    if len(ids_S) <= tokens:
        return ids_S
    last = ids_S[-1:] if ids_S[-1] == sep_id else ids_S[tokens - 1 : tokens]
    return np.concatenate([ids_S[: tokens - 1], last])


def encode_at(where: str, bases: str, tokenizer: Tokenizer) -> np.ndarray:
    """Token ids of one sequence; what is wrong with it is reported as found at ``where``.

    Raises:
        DataError: if it is too short or no DNA.
    """
    try:
        return tokenizer.encode(bases)
    except DataError as error:
        place = f"{where}, {error.where}" if error.where else where
        raise DataError(error.what, where=place, why=error.why, fix="mend it, or leave it out") from error


def few_shot(labelled: LabelledSet, shots: int, seed: int) -> LabelledSet:
    """``shots`` examples of each class, drawn by ``seed``.

    Raises:
        DataError: if a class has fewer.
    """
    generator = np.random.Generator(np.random.Philox(key=seed))
    rows = []
    for index, label in enumerate(labelled.classes):
        members = np.flatnonzero(labelled.labels_N == index)
        if len(members) < shots:
            raise DataError(
                f"{len(members)} training examples of class {label!r}", why=f"{shots} shots are asked for"
            )
        rows.append(generator.choice(members, shots, replace=False))
    return labelled.take(np.sort(np.concatenate(rows)))


def pad_rows(rows: Sequence[np.ndarray], pad_id: int, max_positions: int) -> np.ndarray:
    """int32 (B, S): rows padded to the longest, rounded up to few different widths."""
    longest = max(len(row) for row in rows)
    width = min(-(-longest // PAD_MULTIPLE) * PAD_MULTIPLE, max_positions)
    ids_BS = np.full((len(rows), width), pad_id, np.int32)
    for b, row in enumerate(rows):
        ids_BS[b, : len(row)] = row
    return ids_BS


def labelled_batches(
    labelled: LabelledSet,
    batch_size: int,
    tokenizer: Tokenizer,
    max_positions: int,
    shuffle: tuple[int, int] | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of (ids_BS int32, labels_B int64).

    Args:
        labelled: What to go through once.
        batch_size: Rows in a batch; the last may hold fewer.
        tokenizer: For padding.
        max_positions: Widest row.
        shuffle: (seed, epoch) of the order, or None for the order of the file.
    """
    order = np.arange(len(labelled))
    if shuffle is not None:
        order = np.random.Generator(np.random.Philox(key=list(shuffle))).permutation(order)
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        yield (
            pad_rows([labelled.ids[r] for r in rows], tokenizer.pad_id, max_positions),
            labelled.labels_N[rows],
        )
