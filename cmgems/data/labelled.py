"""Labelled sequences: their ids and labels, drawing few of them, batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np

from cmgems.config import input_path
from cmgems.data.columns import Columns
from cmgems.data.encoder import End, RowEncoder
from cmgems.data.intervals import check_intervals, open_intervals
from cmgems.data.label_files import Row, RowReader, labels_content, spelt_out
from cmgems.data.labels import LabelKind, Labels, OneClass, encode_labels
from cmgems.data.layouts import find_layout
from cmgems.errors import CmgemsError, DataError
from cmgems.files import sha256_of
from cmgems.genome import alphabet, store_content
from cmgems.genome.letters import check_sequence
from cmgems.masking.random import turned_rows
from cmgems.reading import Invalid
from cmgems.tokenization import IGNORE, Tokenizer, TokenMap

DEV_KEY = 0xDE5  # of the random numbers that draw a dev set


@dataclass(frozen=True)
class LabelledConfig:
    """What to fine-tune on.

    Attributes:
        dir: Folder with train, dev and test files.
        store: Genome store of which the rows are intervals; None if they hold sequences.
        aliases: Table of other names of its contigs.
        window: Intervals are widened or cut to this many bp around their middle; None for as they are.
        sequence: Column that holds the bases.
        labels: Columns that hold the labels. A class has one column; quantities, and labels as 0 and 1, have one each.
            In a name `*` is any text: `ctcf_*`, or `*` for all columns but the sequence's, `id`, `split` and such.
        invalid: What to do about a row that cannot be used: `stop`, or `skip` it and name it in the run's skipped.csv.
        shots: Keep this many training examples of each class, drawn by the run's seed, and leave the dev set unused;
            None for all.
        draw: Which of the draws of ``shots`` that the training file holds one after the other, from 0; None to draw
            by the seed.
        dev_share: Where there is no dev set, this share of the training rows becomes it, the same rows for every seed;
            None to do without. Not with ``shots``.
        max_tokens: Rows longer than this are cut, with a warning; None for as many as the model takes.
        cut: The end of a sequence at which its row is cut.
        reverse_complement: Probability with which a training row is read on the other strand, drawn anew in each epoch.
            Rows of dev and test never are. For tasks in which either strand has the same labels; those of bases are
            turned with them.
    """

    dir: Path = input_path(labels_content)
    store: Path | None = input_path(store_content, None)
    aliases: Path | None = input_path(sha256_of, None)
    window: int | None = None
    sequence: str = "sequence"
    labels: tuple[str, ...] = ("label",)
    invalid: Literal["stop", "skip"] = "stop"
    shots: int | None = None
    draw: int | None = None
    dev_share: float | None = None
    max_tokens: int | None = None
    cut: End = "end"
    reverse_complement: float = 0.0

    def __post_init__(self) -> None:
        if not self.labels or len({self.sequence, *self.labels}) != len(self.labels) + 1:
            raise CmgemsError("`labels` must name one column or more, each once, and not the sequence's")
        if self.shots is not None and self.shots < 1:
            raise CmgemsError(f"`shots` must be 1 or more, but is {self.shots}")
        if self.draw is not None and (self.draw < 0 or self.shots is None):
            raise CmgemsError("`draw` must be 0 or more, and needs shots: the rows of a class in one draw")
        if self.dev_share is not None and not 0 < self.dev_share < 1:
            raise CmgemsError(f"`dev_share` must be between 0 and 1, but is {self.dev_share}")
        if self.max_tokens is not None and self.max_tokens < 3:
            raise CmgemsError(f"`max_tokens` must be 3 or more, but is {self.max_tokens}")
        check_intervals(self.store, self.aliases, self.window)
        if not 0 <= self.reverse_complement <= 1:
            raise CmgemsError(f"`reverse_complement` must be from 0 to 1, but is {self.reverse_complement}")

    def columns(self) -> Columns:
        """What the columns of the files hold.

        Raises:
            DataError: if the genome or the table of names cannot be read.
        """
        intervals = open_intervals(self.store, self.aliases, self.window)
        return Columns(self.sequence, self.labels, intervals=intervals)

    def unusable_rows(self) -> Invalid:
        """What to do about rows that cannot be used."""
        return Invalid("data.invalid=skip", self.invalid == "skip")


@dataclass(frozen=True)
class OtherStrand:
    """The sequences of a set read on the other strand.

    Attributes:
        ids: As those of the set; the same bases, or nearly the same where the tokens of the strands differ in length.
        labels: As those of the set; those of tokens in the order of these ids.
        share: Probability with which a training row is read so.
    """

    ids: list[np.ndarray]
    labels: Labels
    share: float


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
        other: The other strand, where it is trained on.
        drawn: Whether it is a dev set drawn from the training rows.
    """

    ids: list[np.ndarray]
    labels: Labels
    names: tuple[str, ...]
    cut: int = 0
    bases: Sequence[str] = ()
    other: OtherStrand | None = None
    drawn: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def targets(self) -> np.ndarray:
        """``labels`` as one array, in the order of the sequences: those of tokens end to end."""
        return self.labels if isinstance(self.labels, np.ndarray) else np.concatenate(self.labels)

    @property
    def longest(self) -> int:
        """Tokens of the longest row, on either strand."""
        return max(map(len, self.ids + (self.other.ids if self.other else [])))

    def take(self, rows: np.ndarray) -> LabelledSet:
        """The set of some rows, by their indices."""
        bases = [self.bases[r] for r in rows] if self.bases else ()
        other = self.other
        if other is not None:
            other = replace(other, ids=[other.ids[r] for r in rows], labels=_some(other.labels, rows))
        ids = [self.ids[r] for r in rows]
        return LabelledSet(ids, _some(self.labels, rows), self.names, bases=bases, other=other)


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

    layout = find_layout(config.dir)
    columns = spelt_out(config.columns(), layout)
    rows = RowReader(columns, invalid, kind.may_be_empty, check).read(layout)
    drawn = "dev" not in rows and config.dev_share is not None and config.shots is None
    if drawn:
        rows = _with_dev(rows, config)
    names = kind.names(rows["train"], columns.labels)
    tokens = min(config.max_tokens or max_positions, max_positions)
    encoder = RowEncoder(tokenizer, tokens, len(names))
    splits = {}
    for split, of_split in rows.items():
        known, labels = encode_labels(kind, of_split, names, invalid)
        if not known:
            raise invalid.none_left("rows", of_split[0].path)
        codes = [alphabet.encode(row.bases.encode()) for row in known]
        bases = [row.bases.upper() for row in known]
        other = None
        if split == "train" and config.reverse_complement:
            other = OtherStrand(*encoder.other_strand(codes, labels, config.cut), config.reverse_complement)
        ids, labels, cut = encoder.encode(codes, labels, config.cut)
        splits[split] = LabelledSet(ids, labels, names, cut, bases, other, drawn and split == "dev")
    return splits


def _with_dev(rows: dict[str, list[Row]], config: LabelledConfig) -> dict[str, list[Row]]:
    """The splits with a dev set drawn from the training rows."""
    train, share = rows["train"], cast(float, config.dev_share)
    count = round(share * len(train))
    if not 0 < count < len(train):
        raise DataError(
            "too few rows to draw a dev set from",
            where=train[0].path,
            why=f"{len(train)} rows, data.dev_share={share}",
            fix="give another share, or data.dev_share=null to do without",
        )
    order = np.random.Generator(np.random.Philox(key=[DEV_KEY, len(train)])).permutation(len(train))
    chosen = set(order[:count].tolist())
    dev = [row for number, row in enumerate(train) if number in chosen]
    rest = [row for number, row in enumerate(train) if number not in chosen]
    return {"train": rest, "dev": dev, "test": rows["test"]}


def _some(labels: Labels, rows: np.ndarray) -> Labels:
    """The labels of some rows, by their indices."""
    return labels[rows] if isinstance(labels, np.ndarray) else [labels[r] for r in rows]


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
        shuffle: (seed, epoch) of the order, or None for the order of the file. They also decide which rows are read on
            the other strand, if the set has it: a row's draw depends on its place in the training stream alone.
        multiple: Rows are padded to a multiple of so many tokens; a batch of nothing but the set's longest rows is not
            padded.
    """
    order = np.arange(len(labelled))
    turned_N = np.zeros(len(labelled), np.bool_)
    if shuffle is not None:
        seed, epoch = shuffle
        key_2 = np.array(shuffle, np.uint64)
        order = np.random.Generator(np.random.Philox(key=key_2)).permutation(order)
        if labelled.other is not None:
            samples_N = np.arange(len(order), dtype=np.uint64) + np.uint64(epoch * len(order))
            turned_N = turned_rows(seed, samples_N, labelled.other.share)
    longest = labelled.longest
    for first in range(0, len(order), batch_size):
        rows, turned_B = order[first : first + batch_size], turned_N[first : first + batch_size]
        ids, labels = _read(labelled, rows, turned_B)
        unit = 1 if all(len(ids_S) == longest for ids_S in ids) else multiple
        ids_BS = pad_rows(ids, tokenizer.pad_id, max_positions, unit)
        if isinstance(labels, list):
            labels = _padded(labels, ids_BS.shape[1], IGNORE, np.int64)
        yield ids_BS, labels


def _read(labelled: LabelledSet, rows: np.ndarray, turned_B: np.ndarray) -> tuple[list[np.ndarray], Labels]:
    """The ids and labels of some rows, some of them on the other strand."""
    strands = [labelled.other if is_turned and labelled.other else labelled for is_turned in turned_B]
    ids = [strand.ids[r] for strand, r in zip(strands, rows, strict=True)]
    if isinstance(labelled.labels, np.ndarray):
        return ids, labelled.labels[rows]
    return ids, [strand.labels[r] for strand, r in zip(strands, rows, strict=True)]
