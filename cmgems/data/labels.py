"""What the text of label columns means: a class, several labels, numbers, or a class for every base."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Protocol

import numpy as np

from cmgems.data.label_files import MISSING, Row
from cmgems.errors import CmgemsError, DataError, RecordError, few
from cmgems.reading import Invalid

# One entry a sequence: int64 (N,) or float64 (N, C), or a list of arrays of different lengths.
Labels = np.ndarray | list[np.ndarray]

NAMES_SHOWN = 10
LARGEST = float(np.finfo(np.float32).max)
# Targets that vary by less than this share of their mean differ in float32's rounding only.
LEAST_SPREAD = 1e-6
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,4})?", re.ASCII)


class LabelKind(Protocol):
    """Reads label columns. Implementations are frozen dataclasses.

    Attributes:
        may_be_empty: Whether an empty cell means something.
        per_base: Whether there is a label for every base.
    """

    may_be_empty: ClassVar[bool]
    per_base: ClassVar[bool]

    def check(self, row: Row) -> None:
        """Check the cells by themselves.

        Raises:
            RecordError: if they hold no labels of this kind.
        """

    def names(self, rows: Sequence[Row], columns: tuple[str, ...]) -> tuple[str, ...]:
        """What each output stands for, from the checked training rows.

        Raises:
            CmgemsError: if there is nothing to learn from them, or they are of another kind.
        """
        ...

    def encode(self, row: Row, index: Mapping[str, int]) -> int | list[float] | np.ndarray:
        """The label of a row: an index, C numbers, or int64 (bases,).

        Args:
            row: A checked one.
            index: The place of each name.

        Raises:
            RecordError: if it has a label that is no name.
            DataError: if it has a name that is spelt otherwise.
        """
        ...


@dataclass(frozen=True)
class OneClass:
    """One class a sequence, from one column: the index of its name.

    Whole numbers are ordered by value, other classes by name.
    """

    may_be_empty: ClassVar[bool] = False
    per_base: ClassVar[bool] = False

    def check(self, row: Row) -> None: ...

    def names(self, rows: Sequence[Row], columns: tuple[str, ...]) -> tuple[str, ...]:
        _check_one_column(columns)
        found = {row.cells[0] for row in rows}
        _check_spelling(found, rows[0])
        return _classes(found, rows[0])

    def encode(self, row: Row, index: Mapping[str, int]) -> int:
        return _look_up(index, row.cells, row)[0]


@dataclass(frozen=True)
class Quantities:
    """A number in each column. The columns are the names."""

    may_be_empty: ClassVar[bool] = False
    per_base: ClassVar[bool] = False

    def check(self, row: Row) -> None:
        for cell in row.cells:
            _number(cell, row)

    def names(self, rows: Sequence[Row], columns: tuple[str, ...]) -> tuple[str, ...]:
        values_NC = np.array([self.encode(row, {}) for row in rows])
        for name, values_N in zip(columns, values_NC.T, strict=True):
            if values_N.std() <= LEAST_SPREAD * abs(values_N.mean()):
                raise DataError(
                    "constant target",
                    where=rows[0].path,
                    why=f"{name} is {values_N[0]:.6g} in every row",
                    fix="leave it out of data.labels, or give rows with other values",
                )
        return columns

    def encode(self, row: Row, index: Mapping[str, int]) -> list[float]:
        return [_number(cell, row) for cell in row.cells]


@dataclass(frozen=True)
class LabelSet:
    """Any number of labels a sequence, also none: 0 or 1 for each.

    One column holds the names of the labels, separated by ``;``; of several columns each holds 0 or 1 and its header is
    the name.
    """

    may_be_empty: ClassVar[bool] = True
    per_base: ClassVar[bool] = False

    def check(self, row: Row) -> None:
        if len(row.cells) > 1:
            for cell in row.cells:
                _zero_or_one(cell, row)

    def names(self, rows: Sequence[Row], columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(columns) > 1:
            return columns
        found = {label for row in rows for label in _parts(row.cells[0])}
        if not found:
            raise DataError(
                "no labels", where=rows[0].path, why="every cell is empty", fix="write them as a;b"
            )
        _check_spelling(found, rows[0])
        return _ordered(found)

    def encode(self, row: Row, index: Mapping[str, int]) -> list[float]:
        if len(row.cells) > 1:
            return [_zero_or_one(cell, row) for cell in row.cells]
        held = set(_look_up(index, _parts(row.cells[0]), row))
        return [float(place in held) for place in range(len(index))]


@dataclass(frozen=True)
class ClassPerBase:
    """A class for every base, from one column: int64 (bases,), indices into the names.

    A cell is one character a base, or classes of any length separated by spaces. Ordered as in ``OneClass``.
    """

    may_be_empty: ClassVar[bool] = False
    per_base: ClassVar[bool] = True

    def check(self, row: Row) -> None:
        _of_bases(row)

    def names(self, rows: Sequence[Row], columns: tuple[str, ...]) -> tuple[str, ...]:
        _check_one_column(columns)
        found = {label for row in rows for label in set(_of_bases(row))}
        if any(
            len(label) > 1 for label in found
        ):  # letters may differ in case alone: exons E, those of a UTR e
            _check_spelling(found, rows[0])
        return _classes(found, rows[0])

    def encode(self, row: Row, index: Mapping[str, int]) -> np.ndarray:
        return np.array(_look_up(index, _of_bases(row), row), np.int64)


def encode_labels(
    kind: LabelKind, rows: Sequence[Row], names: tuple[str, ...], invalid: Invalid
) -> tuple[list[Row], Labels]:
    """The rows whose labels are known, and those labels: int64 (N,), float64 (N, C), or a list of int64 (bases,).

    Raises:
        DataError: as ``LabelKind.encode``.
    """
    index = {name: place for place, name in enumerate(names)}
    found = [(row, label) for row in rows if (label := invalid.judge(kind.encode, row, index)) is not None]
    known, labels = [row for row, _ in found], [np.asarray(label) for _, label in found]
    return known, (labels if kind.per_base or not labels else np.stack(labels))


def _check_one_column(columns: tuple[str, ...]) -> None:
    if len(columns) > 1:
        raise CmgemsError(
            "several label columns",
            where="data.labels",
            why=f"{few(list(columns))}; a class takes one",
            fix="name one, or set task=multi_label or task=regression",
        )


def _classes(found: set[str], first: Row) -> tuple[str, ...]:
    """The classes in order, at least two."""
    if len(found) < 2:
        raise DataError(
            "one class only",
            where=first.path,
            why=f"every label is {found.pop()!r}",
            fix="give rows of another class too, or set data.labels to another column",
        )
    return _ordered(found)


def _check_spelling(labels: set[str], first: Row) -> None:
    """Refuse labels that are the same value in two spellings."""
    spellings: dict[Hashable, str] = {}
    for label in sorted(labels):
        if (other := spellings.setdefault(_value(label), label)) != label:
            fix = "write it in one way; if they are two labels, give one another name"
            raise DataError(
                "a label spelt in two ways",
                where=first.path,
                why=f"{other!r} and {label!r} are the same value",
                fix=fix + "; for quantities set task=regression" * are_measured(labels),
            )


def _ordered(labels: set[str]) -> tuple[str, ...]:
    """Whole numbers by value, other labels by name."""
    if all(label.removeprefix("-").isdecimal() for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


def are_measured(labels: Collection[str]) -> bool:
    """Whether labels are quantities, not classes: three numbers or more, most with decimals, missing ones apart."""
    given = [label for label in labels if label.lower() not in MISSING]
    if len(given) < 3 or not all(map(NUMBER.fullmatch, given)):
        return False
    numbers = [Decimal(label) for label in given]
    return sum(number != number.to_integral_value() for number in numbers) > len(numbers) / 2


def _value(label: str) -> Hashable:
    """What a label says however it is spelt: a number, or words."""
    return Decimal(label) if NUMBER.fullmatch(label) else " ".join(label.casefold().split())


def _look_up(index: Mapping[str, int], labels: Iterable[str], row: Row) -> list[int]:
    try:
        return [index[label] for label in labels]
    except KeyError as error:
        label = str(error.args[0])
    same = next((name for name in index if _value(name) == _value(label)), None)
    if same is not None:
        raise DataError(
            "a label spelt in two ways",
            where=row.where,
            why=f"{label!r} and {same!r} of train are the same value",
            fix="write it in one way in all files",
        )
    raise RecordError(
        f"label {label!r} not in train",
        where=row.where,
        why=f"train has {', '.join(list(index)[:NAMES_SHOWN])}{' ...' if len(index) > NAMES_SHOWN else ''}",
        fix="correct it" + ("; for quantities set task=regression" if NUMBER.fullmatch(label) else ""),
    )


def _parts(cell: str) -> list[str]:
    """The labels of ``a;b``, none of an empty cell."""
    return [label for part in cell.split(";") if (label := part.strip())]


def _of_bases(row: Row) -> Sequence[str]:
    """The class of every base of a row."""
    parts = row.cells[0].split()
    labels = parts if len(parts) > 1 else row.cells[0]
    if len(labels) != len(row.bases):
        raise RecordError(
            "wrong number of labels",
            where=row.where,
            why=f"{len(labels)} for {len(row.bases)} bases",
            fix="give every base one character, or classes separated by spaces",
        )
    return labels


def _number(cell: str, row: Row) -> float:
    _check_not_missing(cell, row)
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST:
        raise RecordError(
            "label is not a number", where=row.where, why=f"found {cell[:40]!r}", fix="correct it"
        )
    return value


def _zero_or_one(cell: str, row: Row) -> float:
    _check_not_missing(cell, row)
    if cell not in ("0", "1"):
        raise RecordError(
            "label neither 0 nor 1",
            where=row.where,
            why=f"found {cell[:40]!r}",
            fix="write 1 in the columns of the labels that hold, 0 in the others",
        )
    return float(cell)


def _check_not_missing(cell: str, row: Row) -> None:
    if cell.lower() in MISSING:
        raise RecordError("label missing", where=row.where, why=f"found {cell!r}", fix="correct it")
