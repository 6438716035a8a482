"""Labelled sequences: their ids and labels, drawing few of them, batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmgems.data.label_files import SPLITS, Row, find_split, read_rows
from cmgems.data.labels import LabelKind, Labels, OneClass
from cmgems.data.token_labels import IGNORE, TokenLabels
from cmgems.errors import CmgemsError, DataError
from cmgems.tokenization import Tokenizer

PAD_MULTIPLE = 8


@dataclass(frozen=True)
class LabelledConfig:
    """What to fine-tune on.

    Attributes:
        dir: Folder with train, dev and test files.
        labels: Columns that hold the labels. A class stands in one; quantities, and labels as 0 and 1, in one each.
        shots: Keep this many training examples of each class, drawn by the run's seed, and leave the dev set unused;
            None for all.
        max_tokens: Rows longer than this are cut, which is said aloud; None for as many as the model takes.
    """

    dir: Path = Path("data")
    labels: tuple[str, ...] = ("label",)
    shots: int | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        if not self.labels or len({"sequence", *self.labels}) != len(self.labels) + 1:
            raise CmgemsError("`labels` must name one column or more, each once, and not the sequence's")
        if self.shots is not None and self.shots < 1:
            raise CmgemsError(f"`shots` must be 1 or more, but is {self.shots}")
        if self.max_tokens is not None and self.max_tokens < 3:
            raise CmgemsError(f"`max_tokens` must be 3 or more, but is {self.max_tokens}")


@dataclass(frozen=True)
class LabelledSet:
    """Sequences and their labels.

    Attributes:
        ids: int32 token ids of each sequence, with [CLS] and [SEP].
        labels: One entry a sequence: int64 (N,), the class; float64 (N, C), quantities or 0 and 1 for each label; or a
            list of int64 arrays as long as the ids, the class of each token, ``IGNORE`` where it has none.
        names: What each output stands for: classes, labels or quantities.
        cut: How many sequences were longer than the model takes.
    """

    ids: list[np.ndarray]
    labels: Labels
    names: tuple[str, ...]
    cut: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def answers(self) -> np.ndarray:
        """``labels`` as one array, in the order of the sequences: those of tokens end to end."""
        return self.labels if isinstance(self.labels, np.ndarray) else np.concatenate(self.labels)


def read_splits(
    config: LabelledConfig, tokenizer: Tokenizer, max_positions: int, kind: LabelKind | None = None
) -> dict[str, LabelledSet]:
    """Read train, and dev and test where they exist. What the outputs stand for is read from train.

    Args:
        config: The run's data section.
        tokenizer: Makes the ids.
        max_positions: Longest row the model takes, in tokens.
        kind: What the label columns hold; None for a class a sequence.

    Raises:
        DataError: if a file is missing or bad, a split is empty, or a label stands only outside train.
    """
    tokens = min(config.max_tokens or max_positions, max_positions)
    kind = kind or OneClass()
    if not config.dir.is_dir():
        raise DataError(
            "no such folder", where=config.dir, fix="set data.dir to a folder with train, dev and test files"
        )
    splits: dict[str, LabelledSet] = {}
    names: tuple[str, ...] = ()
    for split in SPLITS:
        path = find_split(config.dir, split)
        if path is None:
            if split == "dev":
                continue
            raise DataError(
                f"no {split} file",
                where=config.dir,
                fix=f"put {split}.csv (sequence,label) or {split}.tsv there",
            )
        rows = list(read_rows(path, config.labels, may_be_empty=kind.may_be_empty))
        if not rows:
            raise DataError("no rows", where=path, fix="give at least one row of each class")
        if split == "train":
            names = kind.names(rows, config.labels)
        splits[split] = _encode(rows, names, kind, tokenizer, tokens)
    return splits


def _encode(
    rows: list[Row], names: tuple[str, ...], kind: LabelKind, tokenizer: Tokenizer, tokens: int
) -> LabelledSet:
    labels = kind.encode(rows, names)
    ids = [encode_at(row.where, row.bases, tokenizer) for row in rows]
    kept = [_kept(ids_S, tokens, tokenizer.sep_id) for ids_S in ids]
    if kind.per_base:
        of_tokens = TokenLabels(tokenizer, len(names))
        labels = [
            of_tokens.label(ids_S, classes_L)[kept_S]
            for ids_S, classes_L, kept_S in zip(ids, labels, kept, strict=True)
        ]
    cut = sum(len(ids_S) > tokens for ids_S in ids)
    shortened = [ids_S[kept_S] for ids_S, kept_S in zip(ids, kept, strict=True)]
    return LabelledSet(shortened, labels, names, cut)


def _kept(ids_S: np.ndarray, tokens: int, sep_id: int) -> np.ndarray:
    """Positions of the first ``tokens`` of a row, [SEP] last if it was."""
    kept = np.arange(min(len(ids_S), tokens))
    if ids_S[-1] == sep_id:
        kept[-1] = len(ids_S) - 1
    return kept


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
        CmgemsError: if the labels are not one class a sequence, or a class has fewer.
    """
    classes_N = labelled.labels
    if not isinstance(classes_N, np.ndarray) or classes_N.ndim > 1:
        raise CmgemsError(
            "shots without classes",
            where="data.shots",
            why="they are drawn of each class of sequences",
            fix="set data.shots=null, or task=classification",
        )
    generator = np.random.Generator(np.random.Philox(key=seed))
    rows = []
    for index, label in enumerate(labelled.names):
        members = np.flatnonzero(classes_N == index)
        if len(members) < shots:
            raise DataError(
                f"{len(members)} training examples of class {label!r}", why=f"{shots} shots are asked for"
            )
        rows.append(generator.choice(members, shots, replace=False))
    chosen = np.sort(np.concatenate(rows))
    return LabelledSet([labelled.ids[r] for r in chosen], classes_N[chosen], labelled.names)


def pad_rows(rows: Sequence[np.ndarray], pad_id: int, max_positions: int) -> np.ndarray:
    """int32 (B, S): rows padded to the longest, rounded up to few different widths."""
    longest = max(len(row) for row in rows)
    width = min(-(-longest // PAD_MULTIPLE) * PAD_MULTIPLE, max_positions)
    return _padded(rows, width, pad_id, np.int32)


def _padded(
    rows: Sequence[np.ndarray], width: int, value: int, dtype: type[np.int32] | type[np.int64]
) -> np.ndarray:
    padded_BS = np.full((len(rows), width), value, dtype)
    for b, row in enumerate(rows):
        padded_BS[b, : len(row)] = row
    return padded_BS


def labelled_batches(
    labelled: LabelledSet,
    batch_size: int,
    tokenizer: Tokenizer,
    max_positions: int,
    shuffle: tuple[int, int] | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of ids_BS int32 and their labels: int64 (B,) or (B, S), or float64 (B, C).

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
        ids_BS = pad_rows([labelled.ids[r] for r in rows], tokenizer.pad_id, max_positions)
        if isinstance(labelled.labels, np.ndarray):
            yield ids_BS, labelled.labels[rows]
        else:
            of_tokens = [labelled.labels[r] for r in rows]
            yield ids_BS, _padded(of_tokens, ids_BS.shape[1], IGNORE, np.int64)
