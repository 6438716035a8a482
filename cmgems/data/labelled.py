"""Labelled sequences: their ids and labels, drawing few of them, batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cmgems.config import input_path
from cmgems.data.columns import Columns
from cmgems.data.label_files import Row, RowReader, labels_content
from cmgems.data.labels import LabelKind, Labels, OneClass, encode_labels
from cmgems.data.layouts import find_layout
from cmgems.errors import CmgemsError
from cmgems.genome import alphabet
from cmgems.genome.letters import check_sequence
from cmgems.reading import Invalid
from cmgems.tokenization import IGNORE, Tokenizer, TokenMap

ROWS_AT_ONCE = 64  # tokenized together: enough to be quick, few enough for rows of any length


@dataclass(frozen=True)
class LabelledConfig:
    """What to fine-tune on.

    Attributes:
        dir: Folder with train, dev and test files.
        sequence: Column that holds the bases.
        labels: Columns that hold the labels. A class has one column; quantities, and labels as 0 and 1, have one each.
        invalid: What to do about a row that cannot be used: `stop`, or `skip` it and name it in the run's skipped.csv.
        shots: Keep this many training examples of each class, drawn by the run's seed, and leave the dev set unused;
            None for all.
        draw: Which of the draws of ``shots`` that the training file holds one after the other, from 0; None to draw
            by the seed.
        max_tokens: Rows longer than this are cut, with a warning; None for as many as the model takes.
    """

    dir: Path = input_path(labels_content)
    sequence: str = "sequence"
    labels: tuple[str, ...] = ("label",)
    invalid: Literal["stop", "skip"] = "stop"
    shots: int | None = None
    draw: int | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        if not self.labels or len({self.sequence, *self.labels}) != len(self.labels) + 1:
            raise CmgemsError("`labels` must name one column or more, each once, and not the sequence's")
        if self.shots is not None and self.shots < 1:
            raise CmgemsError(f"`shots` must be 1 or more, but is {self.shots}")
        if self.draw is not None and (self.draw < 0 or self.shots is None):
            raise CmgemsError("`draw` must be 0 or more, and needs shots: the rows of a class in one draw")
        if self.max_tokens is not None and self.max_tokens < 3:
            raise CmgemsError(f"`max_tokens` must be 3 or more, but is {self.max_tokens}")

    def unusable_rows(self) -> Invalid:
        """What to do about rows that cannot be used."""
        return Invalid("data.invalid=skip", self.invalid == "skip")


@dataclass(frozen=True)
class LabelledSet:
    """Sequences and their labels.

    Attributes:
        ids: int32 token ids of each sequence, with [CLS] and [SEP].
        labels: One entry a sequence: int64 (N,), the class; float64 (N, C), quantities or 0 and 1 for each label; or a
            list of int64 arrays as long as the ids, the class of each token, ``IGNORE`` where it has none.
        names: What each output stands for: classes, labels or quantities.
        cut: How many sequences were longer than the model takes.
        bases: The sequences whole, in capitals; what ``leaked_rows`` compares.
    """

    ids: list[np.ndarray]
    labels: Labels
    names: tuple[str, ...]
    cut: int = 0
    bases: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def targets(self) -> np.ndarray:
        """``labels`` as one array, in the order of the sequences: those of tokens end to end."""
        return self.labels if isinstance(self.labels, np.ndarray) else np.concatenate(self.labels)

    def take(self, rows: np.ndarray) -> LabelledSet:
        """The set of some rows, by their indices."""
        labels = self.labels[rows] if isinstance(self.labels, np.ndarray) else [self.labels[r] for r in rows]
        bases = [self.bases[r] for r in rows] if self.bases else ()
        return LabelledSet([self.ids[r] for r in rows], labels, self.names, bases=bases)


def read_splits(
    config: LabelledConfig,
    tokenizer: Tokenizer,
    max_positions: int,
    kind: LabelKind | None = None,
    invalid: Invalid | None = None,
) -> dict[str, LabelledSet]:
    """Read train and test, and dev where it exists. What the outputs stand for is read from train.

    Args:
        config: The run's data section.
        tokenizer: Makes the ids.
        max_positions: Longest row the model takes, in tokens.
        kind: What the label columns hold; None for a class a sequence.
        invalid: Takes the rows left out; None where they need not be named.

    Raises:
        DataError: if a file is missing or bad, a split has no rows, or a row cannot be used and is not to be skipped.
    """
    kind, invalid = kind or OneClass(), invalid or config.unusable_rows()
    least_bases = TokenMap(tokenizer).least_bases

    def check(row: Row) -> None:
        check_sequence(alphabet.encode(row.bases.encode()), least_bases, row.where)
        kind.check(row)

    columns = Columns(config.sequence, config.labels)
    rows = RowReader(columns, invalid, kind.may_be_empty, check).read(find_layout(config.dir))
    names = kind.names(rows["train"], config.labels)
    tokens = min(config.max_tokens or max_positions, max_positions)
    splits = {}
    for split, of_split in rows.items():
        known, labels = encode_labels(kind, of_split, names, invalid)
        if not known:
            raise invalid.none_left("rows", of_split[0].path)
        splits[split] = _labelled_set(known, labels, names, tokenizer, tokens)
    return splits


def _labelled_set(
    rows: list[Row], labels: Labels, names: tuple[str, ...], tokenizer: Tokenizer, tokens: int
) -> LabelledSet:
    ids = _encode_rows(rows, tokenizer)
    long = [n for n, ids_S in enumerate(ids) if len(ids_S) > tokens]
    if isinstance(labels, list):
        token_map = TokenMap(tokenizer)
        labels = [
            token_map.labels(ids_S, classes_L, len(names))
            for ids_S, classes_L in zip(ids, labels, strict=True)
        ]
        for n in long:
            labels[n] = _cut(labels[n], tokens, ends=ids[n][-1] == tokenizer.sep_id)
    for n in long:
        ids[n] = _cut(ids[n], tokens, ends=ids[n][-1] == tokenizer.sep_id)
    return LabelledSet(ids, labels, names, len(long), [row.bases.upper() for row in rows])


def _cut(row_S: np.ndarray, tokens: int, *, ends: bool) -> np.ndarray:
    """The first ``tokens`` of a row; the last of them is the row's last if that ``ends`` it, as [SEP] does."""
    return np.append(row_S[: tokens - 1], row_S[-1]) if ends else row_S[:tokens]


def _encode_rows(rows: Sequence[Row], tokenizer: Tokenizer) -> list[np.ndarray]:
    """Token ids of each row, int32 (S,), with [CLS] and [SEP], however many."""
    ids: list[np.ndarray] = []
    for first in range(0, len(rows), ROWS_AT_ONCE):
        ids += _encode_together([row.bases for row in rows[first : first + ROWS_AT_ONCE]], tokenizer)
    return ids


def _encode_together(sequences: list[str], tokenizer: Tokenizer) -> list[np.ndarray]:
    lengths_B = np.array([len(bases) for bases in sequences], np.int32)
    longest = int(lengths_B.max())
    codes_BL = np.full((len(sequences), longest), alphabet.AMBIGUOUS, np.uint8)
    for codes_L, bases in zip(codes_BL, sequences, strict=True):
        codes_L[: len(bases)] = alphabet.encode(bases.encode())
    # Ambiguous bases may become a token each, which token_count does not reckon with.
    ids_BS = tokenizer.encode_batch(codes_BL, lengths_B, max(tokenizer.token_count(longest), longest + 2))
    kept_BS = ids_BS != tokenizer.pad_id
    return np.split(ids_BS[kept_BS], np.cumsum(kept_BS.sum(1))[:-1])


def pad_rows(rows: Sequence[np.ndarray], pad_id: int, max_positions: int, multiple: int = 8) -> np.ndarray:
    """int32 (B, S): rows padded to the longest, S rounded up to a multiple of ``multiple``."""
    longest = max(len(row) for row in rows)
    width = min(-(-longest // multiple) * multiple, max_positions)
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
    multiple: int = 8,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of ids_BS int32 and their labels: int64 (B,) or (B, S), or float64 (B, C).

    Args:
        labelled: What to go through once.
        batch_size: Rows in a batch; the last may hold fewer.
        tokenizer: For padding.
        max_positions: Widest row.
        shuffle: (seed, epoch) of the order, or None for the order of the file.
        multiple: Rows are padded to a multiple of so many tokens; a batch of nothing but the set's longest rows is not
            padded.
    """
    lengths = np.array([len(row) for row in labelled.ids])
    order = np.arange(len(labelled))
    if shuffle is not None:
        order = np.random.Generator(np.random.Philox(key=list(shuffle))).permutation(order)
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        unit = 1 if (lengths[rows] == lengths.max()).all() else multiple
        ids_BS = pad_rows([labelled.ids[r] for r in rows], tokenizer.pad_id, max_positions, unit)
        if isinstance(labelled.labels, np.ndarray):
            yield ids_BS, labelled.labels[rows]
        else:
            of_tokens = [labelled.labels[r] for r in rows]
            yield ids_BS, _padded(of_tokens, ids_BS.shape[1], IGNORE, np.int64)
