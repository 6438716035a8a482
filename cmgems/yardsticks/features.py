"""Sequences as numbers without a model: how often each k-mer is there, and which k-mer is where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cmgems.data.words import PackedRows, in_parts


@dataclass(frozen=True)
class KmerCounts:
    """Counts of the words of k bases, of the strand that is given.

    Attributes:
        k: Bases of a word.
    """

    k: int

    def __call__(self, bases: Sequence[str]) -> sparse.csr_matrix:
        """float32 (N, 4^k)."""
        return _stacked(bases, self.k, 4**self.k, None)


@dataclass(frozen=True)
class PositionedKmers:
    """Which word of k bases stands at each position, counted from the first base.

    Attributes:
        k: Bases of a word.
        length: Bases looked at (bp); what lies behind them is left out.
    """

    k: int
    length: int

    @property
    def width(self) -> int:
        """How many columns there are."""
        return self.length << 2 * self.k

    def __call__(self, bases: Sequence[str]) -> sparse.csr_matrix:
        """float32 (N, length * 4^k), 0 and 1."""
        return _stacked(bases, self.k, self.width, self.length)


def _stacked(bases: Sequence[str], k: int, width: int, length: int | None) -> sparse.csr_matrix:
    return sparse.vstack([_matrix(part, k, width, length) for _, part in in_parts(bases)], "csr")


def _matrix(part: PackedRows, k: int, width: int, length: int | None) -> sparse.csr_matrix:
    columns, rows, positions = part.words(k)
    if length is not None:
        inside = positions < length
        columns = columns[inside] + (positions[inside] << 2 * k)
        rows = rows[inside]
    ends = np.searchsorted(rows, np.arange(len(part) + 1))
    matrix = sparse.csr_matrix((np.ones(len(columns), np.float32), columns, ends), (len(part), width))
    matrix.sum_duplicates()
    return matrix
