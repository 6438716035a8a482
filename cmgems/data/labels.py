"""What the text of label columns means: a class, several labels, numbers, or a class for every base."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from cmgems.data.label_files import Row
from cmgems.errors import CmgemsError, DataError

# One entry a sequence: int64 (N,) or float64 (N, C), or a list of arrays of different lengths.
Labels = np.ndarray | list[np.ndarray]

NAMES_SHOWN = 10
LARGEST = float(np.finfo(np.float32).max)
# Targets that vary by less than this share of their mean differ in float32's rounding only.
LEAST_SPREAD = 1e-6


class LabelKind(Protocol):
    """Reads label columns. Implementations are frozen dataclasses.

    Attributes:
        may_be_empty: Whether an empty cell means something.
        per_base: Whether there is a label for every base.
    """

    may_be_empty: ClassVar[bool]
    per_base: ClassVar[bool]

    def names(self, rows: Sequence[Row], columns: tuple[str, ...]) -> tuple[str, ...]:
        """What each output stands for, from the training rows.

        Raises:
            CmgemsError: if there is nothing to learn from them, or they are of another kind.
        """
        ...

    def encode(self, rows: Sequence[Row], names: tuple[str, ...]) -> Labels:
        """The labels of all rows.

        Raises:
            DataError: for the first that is bad, or not in ``names``.
        """
        ...


@dataclass(frozen=True)
class OneClass:
    """One class a sequence, from one column: int64 (N,), index into the names.

    Whole numbers are ordered by value, other classes by name.
    """

    may_be_empty: ClassVar[bool] = False
    per_base: ClassVar[bool] = False

    def names(self, rows: Sequence[Row], columns: tuple[str, ...]) -> tuple[str, ...]:
        _check_one_column(columns)
        return _classes({row.cells[0] for row in rows}, rows[0])

    def encode(self, rows: Sequence[Row], names: tuple[str, ...]) -> np.ndarray:
        index = {name: i for i, name in enumerate(names)}
        return np.array([_look_up(index, (row.cells[0],), row)[0] for row in rows], np.int64)


@dataclass(frozen=True)
class Quantities:
    """A number in each column: float64 (N, C). The columns are the names."""

    may_be_empty: ClassVar[bool] = False
    per_base: ClassVar[bool] = False

    def names(self, rows: Sequence[Row], columns: tuple[str, ...]) -> tuple[str, ...]:
        values_NC = self.encode(rows, columns)
        for name, values_N in zip(columns, np.transpose(values_NC), strict=True):
            if values_N.std() <= LEAST_SPREAD * abs(values_N.mean()):
                raise DataError(
                    "constant target",
                    where=rows[0].path,
                    why=f"{name} is {values_N[0]:.6g} in every row",
                    fix="leave it out of data.labels, or give rows with other values",
                )
        return columns

    def encode(self, rows: Sequence[Row], names: tuple[str, ...]) -> np.ndarray:
        return np.array([[_number(cell, row) for cell in row.cells] for row in rows], np.float64)


@dataclass(frozen=True)
class LabelSet:
    """Any number of labels a sequence, also none: float64 (N, C), 0 or 1.

    One column holds the names of the labels, separated by ``;``; of several columns each holds 0 or 1 and its header is
    the name.
    """

    may_be_empty: ClassVar[bool] = True
    per_base: ClassVar[bool] = False

    def names(self, rows: Sequence[Row], columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(columns) > 1:
            return columns
        found = {label for row in rows for label in _parts(row.cells[0])}
        if not found:
            raise DataError(
                "no labels", where=rows[0].path, why="every cell is empty", fix="write them as a;b"
            )
        return _ordered(found)

    def encode(self, rows: Sequence[Row], names: tuple[str, ...]) -> np.ndarray:
        index = {name: i for i, name in enumerate(names)}
        labels_NC = np.zeros((len(rows), len(names)))
        for n, row in enumerate(rows):
            if len(row.cells) == 1:
                labels_NC[n, _look_up(index, _parts(row.cells[0]), row)] = 1
            else:
                labels_NC[n] = [_zero_or_one(cell, row) for cell in row.cells]
        return labels_NC


@dataclass(frozen=True)
class ClassPerBase:
    """A class for every base, from one column: a list of int64 (bases,), indices into the names.

    A cell is one character a base, or classes of any length separated by spaces. Ordered as in ``OneClass``.
    """

    may_be_empty: ClassVar[bool] = False
    per_base: ClassVar[bool] = True

    def names(self, rows: Sequence[Row], columns: tuple[str, ...]) -> tuple[str, ...]:
        _check_one_column(columns)
        return _classes({label for row in rows for label in set(_of_bases(row))}, rows[0])

    def encode(self, rows: Sequence[Row], names: tuple[str, ...]) -> list[np.ndarray]:
        index = {name: i for i, name in enumerate(names)}
        return [np.array(_look_up(index, _of_bases(row), row), np.int64) for row in rows]


def _check_one_column(columns: tuple[str, ...]) -> None:
    if len(columns) > 1:
        raise CmgemsError(
            "several label columns",
            where="data.labels",
            why=f"{', '.join(columns)}; a class takes one",
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


def _ordered(labels: set[str]) -> tuple[str, ...]:
    """Whole numbers by value, other labels by name."""
    if all(label.removeprefix("-").isdecimal() for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


def _look_up(index: dict[str, int], labels: Iterable[str], row: Row) -> list[int]:
    try:
        return [index[label] for label in labels]
    except KeyError as error:
        more = " ..." if len(index) > NAMES_SHOWN else ""
        raise DataError(
            f"label {error.args[0]!r} not in train",
            where=row.where,
            why=f"train has {', '.join(list(index)[:NAMES_SHOWN])}{more}",
            fix="fix or remove the row; for numbers set task=regression",
        ) from None


def _parts(cell: str) -> list[str]:
    """The labels of ``a;b``, none of an empty cell."""
    return [label for part in cell.split(";") if (label := part.strip())]


def _of_bases(row: Row) -> Sequence[str]:
    """The class of every base of a row."""
    parts = row.cells[0].split()
    labels = parts if len(parts) > 1 else row.cells[0]
    if len(labels) != len(row.bases):
        raise DataError(
            "wrong number of labels",
            where=row.where,
            why=f"{len(labels)} for {len(row.bases)} bases",
            fix="give every base one character, or classes separated by spaces",
        )
    return labels


def _number(cell: str, row: Row) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST:
        raise DataError(
            "label is not a number", where=row.where, why=f"found {cell[:40]!r}", fix="fix or remove the row"
        )
    return value


def _zero_or_one(cell: str, row: Row) -> int:
    if cell not in ("0", "1"):
        raise DataError(
            "label neither 0 nor 1",
            where=row.where,
            why=f"found {cell[:40]!r}",
            fix="write 1 in the columns of the labels that hold, 0 in the others",
        )
    return int(cell)
