"""Rows of bases end to end, and the words of k bases in them.

Shape suffixes: N rows, T bases of all rows, W words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cmgems.genome import alphabet
from cmgems.genome.alphabet import Codes

PART_BASES = 4_000_000  # their words are several times as large


class Words(NamedTuple):
    """Words of k bases, row by row, those with an ambiguous base left out.

    Attributes:
        numbers_W: int32, from 0 to 4^k - 1; the first base is the highest digit.
        rows_W: int32, the row of each.
        positions_W: int32, where in its row it begins.
    """

    numbers_W: npt.NDArray[np.int32]
    rows_W: npt.NDArray[np.int32]
    positions_W: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class PackedRows:
    """Sequences as one array.

    Attributes:
        codes_T: uint8, the bases of all rows end to end.
        ends: int64 (N + 1,), where each row begins and, one place on, ends.
    """

    codes_T: Codes
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, bases: Sequence[str]) -> PackedRows:
        """Of N sequences."""
        ends = np.cumsum([0, *map(len, bases)], dtype=np.int64)
        return cls(alphabet.encode("".join(bases).encode()), ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Bases of each row (bp)."""
        return np.diff(self.ends)

    def words(self, k: int) -> Words:
        """Every word of ``k`` bases, 1 to 15: numbers of longer ones need more than 32 bits."""
        count = max(len(self.codes_T) - k + 1, 0)
        numbers, known = np.zeros(count, np.int32), np.ones(count, np.bool_)
        for i in range(k):
            codes = self.codes_T[i : i + count]
            known &= codes != alphabet.AMBIGUOUS
            numbers <<= 2
            numbers |= codes & 3
        rows = np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)
        positions = (np.arange(len(rows)) - self.ends[rows]).astype(np.int32)
        known &= rows[:count] == rows[k - 1 :][:count]  # not over the end of a row
        return Words(numbers[known], rows[:count][known], positions[:count][known])


def in_parts(bases: Sequence[str]) -> Iterator[tuple[int, PackedRows]]:
    """The number of the first row and the rows, some at a time: of 4 Mbp together, or one row."""
    some: list[str] = []
    size = 0
    for number, row in enumerate(bases):
        if some and size + len(row) > PART_BASES:
            yield number - len(some), PackedRows.of(some)
            some, size = [], 0
        some.append(row)
        size += len(row)
    if some:
        yield len(bases) - len(some), PackedRows.of(some)
